//! Tokens: made, listed and revoked by owners.

use access::signature::AccessKey;
use access::{Action, Kind, Resource};
use api::accounts::{CreateToken, CreatedToken, Role, Token};
use api::pages::{Page, PageQuery};
use store::tokens::{AccessKeyRow, TokenRow, token_insert, token_revoke, tokens_list};
use types::{AccountId, TokenId};

use crate::caller::{Caller, role_of, word_of};
use crate::operations::{page, slice};
use crate::{Control, Error};

/// Longest label, in characters.
const LABEL_CHARS_MAX: usize = 100;
/// Longest life that is counted; a longer one is for ever.
const LIFETIME_MS_MAX: u64 = 100 * 366 * 86_400_000;

/// A token that is about to be stored, with its secret.
pub(crate) struct NewToken {
    pub(crate) row: TokenRow,
    secret: access::tokens::Secret,
    access_key: Option<AccessKey>,
}

impl NewToken {
    pub(crate) fn make(
        control: &Control,
        account: AccountId,
        label: &str,
        role: Role,
        lifetime_ms: Option<u64>,
    ) -> Self {
        let secret = access::tokens::Secret::generate();
        let now_ms = control.now_ms();
        let row = TokenRow {
            id: TokenId::new(control.clock().uuid()),
            account_id: account,
            label: label.to_owned(),
            role: word_of(role).to_owned(),
            secret_sha256: secret.digest(),
            created_at_ms: now_ms,
            expires_at_ms: lifetime_ms.map(|ms| now_ms.saturating_add(ms)),
            revoked_at_ms: None,
            access_key: None,
        };
        Self { row, secret, access_key: None }
    }

    /// The same with an access key, whose secret is sealed.
    fn with_access_key(mut self, control: &Control) -> Self {
        let key = AccessKey::generate();
        let sealed = control.shared.vault.seal(&seal_context(&key.id), key.reveal().as_bytes());
        let sealed_secret = hex::encode(sealed);
        self.row.access_key = Some(AccessKeyRow { name: key.id.clone(), sealed_secret });
        self.access_key = Some(key);
        self
    }

    /// What the maker sees, once.
    pub(crate) fn shown(self) -> CreatedToken {
        CreatedToken {
            token: shape(self.row),
            secret: self.secret.reveal().to_owned(),
            secret_access_key: self.access_key.map(|key| key.reveal().to_owned()),
        }
    }
}

/// The account's tokens.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Token>, Error> {
    control.authorize(caller, Action::TokensList, Resource::account(caller.account))?;
    let slice = slice::<TokenId>(query)?;
    let (account, limit) = (caller.account, slice.limit);
    let read = control
        .shared
        .store
        .read("list tokens", |tx| Box::pin(tokens_list(tx, account, slice.after, limit + 1)));
    Ok(page(read.await?, limit, |row| row.id.to_string(), shape))
}

/// Makes a token of at most the caller's own role.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateToken,
) -> Result<CreatedToken, Error> {
    control.authorize(caller, Action::TokensCreate, Resource::account(caller.account))?;
    if request.label.chars().count() > LABEL_CHARS_MAX {
        return Err(Error::invalid(format!(
            "label has to be at most {LABEL_CHARS_MAX} characters"
        )));
    }
    if request.role > role_of(caller.role) {
        return Err(Error::Forbidden {
            action: format!("make a token with the role {}", word_of(request.role)),
        });
    }
    if request.lifetime_ms == Some(0) {
        return Err(Error::invalid("lifetime_ms has to be at least 1; leave it out for no end"));
    }
    let lifetime_ms = request.lifetime_ms.filter(|ms| *ms <= LIFETIME_MS_MAX);
    let new = NewToken::make(control, caller.account, &request.label, request.role, lifetime_ms);
    let new = if request.access_key { new.with_access_key(control) } else { new };
    control
        .shared
        .store
        .transact("make a token", |tx| {
            let row = new.row.clone();
            Box::pin(async move { token_insert(tx, &row).await })
        })
        .await?;
    Ok(new.shown())
}

/// Revokes a token of the account.
pub async fn revoke(control: &Control, caller: &Caller, id: TokenId) -> Result<Token, Error> {
    control.authorize(caller, Action::TokensRevoke, Resource::of(Kind::Token, caller.account))?;
    let (account, now_ms) = (caller.account, control.now_ms());
    let revoked = control
        .shared
        .store
        .transact("revoke a token", |tx| Box::pin(token_revoke(tx, account, id, now_ms)))
        .await;
    match revoked {
        Ok(row) => Ok(shape(row)),
        Err(error) if error.kind() == types::ErrorKind::NotFound => {
            Err(Error::NotFound { what: format!("the token {id}") })
        }
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn shape(row: TokenRow) -> Token {
    Token {
        id: row.id,
        label: row.label,
        role: row.role.parse().map_or(Role::Reader, role_of),
        created_at_ms: row.created_at_ms,
        expires_at_ms: row.expires_at_ms,
        revoked_at_ms: row.revoked_at_ms,
        access_key: row.access_key.map(|key| key.name),
    }
}

/// What an access key's secret is sealed for.
pub(crate) fn seal_context(name: &str) -> String {
    format!("access-key:{name}")
}

impl Control {
    /// The secret of an access key.
    pub(crate) fn access_key_secret(&self, key: &AccessKeyRow) -> Result<String, Error> {
        let broken = |error| Error::internal("could not read an access key", error);
        let sealed = hex::decode(&key.sealed_secret).map_err(broken)?;
        let opened = self.shared.vault.open(&seal_context(&key.name), &sealed);
        let text = String::from_utf8(opened.map_err(Error::Objects)?);
        text.map_err(|error| Error::internal("could not read an access key", error))
    }
}
