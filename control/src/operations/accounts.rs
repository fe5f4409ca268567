//! Accounts: making, listing, and finding out who calls.

use access::signature::{DayKey, Request, Signed};
use access::tokens::Standing;
use access::{Action, Credentials, Resource};
use api::accounts::{Account, CreateAccount, CreatedAccount, Role, Whoami};
use api::pages::{Page, PageQuery};
use store::accounts::{
    AccountRow, account_fetch, account_fetch_by_name, account_insert, accounts_list,
};
use store::tokens::{
    TokenRow, token_fetch, token_fetch_by_access_key, token_fetch_by_secret, token_insert,
};
use types::{AccountId, Name};

use crate::caller::Caller;
use crate::operations::tokens::{self, NewToken};
use crate::operations::{page, slice};
use crate::{Control, Error, keys};

impl Control {
    /// Who these credentials are of. A secret that is unknown, revoked or past its end is nobody's,
    /// and so is one that came with the name of another account.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthenticated`], [`Error::TokenExpired`], [`Error::DatabaseUnavailable`].
    pub async fn authenticate(&self, credentials: &Credentials) -> Result<Caller, Error> {
        let secret = credentials.secret();
        if !access::tokens::is_well_formed(secret) {
            return Err(Error::Unauthenticated);
        }
        let hash = access::tokens::digest_of(secret);
        let found = self
            .shared
            .store
            .read("authenticate", move |tx| {
                Box::pin(async move {
                    let token = token_fetch_by_secret(tx, &hash).await?;
                    let account = account_fetch(tx, token.account_id).await?;
                    Ok::<_, store::Error>((token, account))
                })
            })
            .await;
        let (token, account) = known(found)?;
        if !credentials.may_be_of(account.name.as_str()) {
            return Err(Error::Unauthenticated);
        }
        self.standing(&token, account.name)
    }

    /// Finds out who signed a request. `header` and `sent` are as [`Signed::check`] takes them.
    ///
    /// # Errors
    ///
    /// [`Error::BadSignature`], and as [`Control::authenticate`].
    pub async fn authenticate_signed(
        &self,
        signed: &Signed,
        request: &Request<'_>,
        headers: (impl Fn(&str) -> Option<String>, &[&str]),
    ) -> Result<Caller, Error> {
        let name = signed.key.clone();
        let found = self
            .shared
            .store
            .read("authenticate", move |tx| {
                let name = name.clone();
                Box::pin(async move {
                    let token = token_fetch_by_access_key(tx, &name).await?;
                    let account = account_fetch(tx, token.account_id).await?;
                    Ok::<_, store::Error>((token, account))
                })
            })
            .await;
        let (token, account) = known(found)?;
        let key = token.access_key.as_ref().ok_or(Error::Unauthenticated)?;
        let day_key = DayKey::of(&self.access_key_secret(key)?, &signed.day);
        signed.check(&day_key, request, headers, self.now_ms()).map_err(Error::BadSignature)?;
        self.standing(&token, account.name)
    }

    /// The caller that a token makes, while it may be used.
    fn standing(&self, token: &TokenRow, account_name: Name) -> Result<Caller, Error> {
        let now_ms = self.now_ms();
        match access::tokens::standing(token.expires_at_ms, token.revoked_at_ms, now_ms) {
            Standing::Valid => {}
            Standing::Expired => return Err(Error::TokenExpired),
            Standing::Revoked => return Err(Error::Unauthenticated),
        }
        let role = token.role.parse().map_err(|error| Error::internal("unknown role", error))?;
        Ok(Caller { token: token.id, account: token.account_id, account_name, role })
    }
}

/// Who holds what was shown; what nobody holds proves nothing.
fn known<T>(found: Result<T, store::Error>) -> Result<T, Error> {
    found.map_err(|error| match error.kind() {
        types::ErrorKind::NotFound => Error::Unauthenticated,
        _ => error.into(),
    })
}

/// The caller's own account, or all of them for an operator.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Account>, Error> {
    control.authorize(caller, Action::AccountsRead, Resource::account(caller.account))?;
    let slice = slice::<AccountId>(query)?;
    let limit = slice.limit;
    let rows = if control.may(caller, Action::AccountsList, Resource::cloud()) {
        let read = control
            .shared
            .store
            .read("list accounts", |tx| Box::pin(accounts_list(tx, slice.after, limit + 1)));
        read.await?
    } else if slice.after.is_none() {
        let id = caller.account;
        let own =
            control.shared.store.read("fetch an account", |tx| Box::pin(account_fetch(tx, id)));
        vec![own.await?]
    } else {
        vec![]
    };
    Ok(page(rows, limit, |row| row.id.to_string(), shape))
}

/// Makes an account, its keys and its owner's first token.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateAccount,
) -> Result<CreatedAccount, Error> {
    control.authorize(caller, Action::AccountsCreate, Resource::cloud())?;
    make(control, request.name, Role::Owner).await
}

/// Makes an account whose first token has this role.
pub(crate) async fn make(
    control: &Control,
    name: Name,
    role: Role,
) -> Result<CreatedAccount, Error> {
    let account = AccountRow {
        id: AccountId::new(control.clock().uuid()),
        name,
        operator: role == Role::Operator,
        created_at_ms: control.now_ms(),
    };
    let secret = control.fresh_keys(account.id);
    let new = NewToken::make(control, account.id, "first token", role, None);
    let made = control
        .shared
        .store
        .transact("make an account", |tx| {
            let (account, secret, token) = (account.clone(), secret.clone(), new.row.clone());
            Box::pin(async move {
                account_insert(tx, &account).await?;
                keys::insert(tx, &secret).await?;
                token_insert(tx, &token).await
            })
        })
        .await;
    match made {
        Ok(()) => Ok(CreatedAccount { account: shape(account), token: new.shown() }),
        Err(store::Error::Unique { .. }) => {
            Err(Error::NameTaken { name: account.name.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}

/// One account: the caller's own, or any for an operator.
pub async fn fetch(control: &Control, caller: &Caller, name: &Name) -> Result<Account, Error> {
    let missing = || Error::NotFound { what: format!("the account {name}") };
    let operator = control.may(caller, Action::AccountsList, Resource::cloud());
    if *name != caller.account_name && !operator {
        return Err(missing());
    }
    let name = name.clone();
    let found = control
        .shared
        .store
        .read("fetch an account", move |tx| {
            Box::pin(async move { account_fetch_by_name(tx, &name).await })
        })
        .await;
    match found {
        Ok(row) => Ok(shape(row)),
        Err(error) if error.kind() == types::ErrorKind::NotFound => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

/// Who calls, and by which token.
pub async fn whoami(control: &Control, caller: &Caller) -> Result<Whoami, Error> {
    let (account, token) = (caller.account, caller.token);
    let (account, token) = control
        .shared
        .store
        .read("say who calls", move |tx| {
            Box::pin(async move {
                let row = account_fetch(tx, account).await?;
                Ok::<_, store::Error>((row, token_fetch(tx, account, token).await?))
            })
        })
        .await?;
    Ok(Whoami { account: shape(account), token: tokens::shape(token) })
}

fn shape(row: AccountRow) -> Account {
    Account { id: row.id, name: row.name, created_at_ms: row.created_at_ms }
}
