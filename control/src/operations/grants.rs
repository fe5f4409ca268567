//! Grants: what lets other accounts link to a function, and what an account was given.
//!
//! Always true: whoever was given a grant is told its owner, name, limits and words, and nothing of
//! the function; a grant that is taken back, or ends, breaks its links at once.

use std::collections::BTreeSet;

use access::{Action, Kind, Resource};
use api::grants::{CreateGrant, ErrorDetail, Grant, ReceivedGrant, UpdateGrant};
use api::pages::{Page, PageQuery};
use serde::{Deserialize, Serialize};
use store::accounts::accounts_names;
use store::functions::grants::{
    GrantRow, grant_change, grant_delete, grant_fetch, grant_insert, grants_list, grants_list_all,
};
use store::functions::{FunctionRow, function_fetch};
use types::{AccountId, CallLimits, GrantId, Name};

use crate::caller::Caller;
use crate::moment::iso8601;
use crate::operations::functions::{DESCRIPTION_BYTES_MAX, fetch_described, own};
use crate::operations::instances::found;
use crate::operations::items::{from_json, shown_sharing, stored_sharing};
use crate::operations::{changed, made, page, slice};
use crate::{Control, Error};

/// What a grant says, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) qualifier: String,
    pub(crate) everybody: bool,
    pub(crate) accounts: BTreeSet<AccountId>,
    pub(crate) limits: CallLimits,
    pub(crate) errors: ErrorDetail,
    pub(crate) description: String,
}

impl Spec {
    /// Whether an account was given it.
    pub(crate) fn is_for(&self, account: AccountId) -> bool {
        self.everybody || self.accounts.contains(&account)
    }

    fn share(&mut self, sharing: &store::Sharing) {
        self.everybody = *sharing == store::Sharing::Everybody;
        self.accounts = sharing.accounts().collect();
    }

    fn sharing(&self) -> store::Sharing {
        match (self.everybody, self.accounts.is_empty()) {
            (true, _) => store::Sharing::Everybody,
            (false, true) => store::Sharing::Nobody,
            (false, false) => store::Sharing::Accounts(self.accounts.clone()),
        }
    }
}

/// Refuses limits that let nothing through, or say what means nothing.
pub(crate) fn check_limits(limits: &CallLimits) -> Result<(), Error> {
    let none = [limits.rate_per_min, limits.burst, limits.concurrency].contains(&Some(0));
    if none || limits.calls_per_day == Some(0) {
        return Err(Error::invalid("a limit of 0 lets nothing through; leave it out for no limit"));
    }
    if limits.burst.is_some() && limits.rate_per_min.is_none() {
        return Err(Error::invalid("a burst is of a rate: say rate_per_min too"));
    }
    Ok(())
}

/// Refuses new limits that are over.
pub(crate) fn check_end(limits: &CallLimits, now_ms: u64) -> Result<(), Error> {
    let Some(end_ms) = limits.ends_at_ms.filter(|end_ms| *end_ms <= now_ms) else { return Ok(()) };
    let end = iso8601(end_ms);
    Err(Error::invalid(format!(
        "it would end at {end}, which is over: say a time to come, in milliseconds since 1970"
    )))
}

pub(crate) fn check_description(description: &str) -> Result<(), Error> {
    if description.len() > DESCRIPTION_BYTES_MAX {
        let message = format!("the description has more than {DESCRIPTION_BYTES_MAX} bytes");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Gives a grant.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateGrant,
) -> Result<Grant, Error> {
    let (function, _) = own(control, caller, &request.function, Action::FunctionsWrite).await?;
    check_end(&request.limits, control.now_ms())?;
    let mut spec = Spec {
        qualifier: request.qualifier,
        everybody: false,
        accounts: BTreeSet::new(),
        limits: request.limits,
        errors: request.errors,
        description: request.description,
    };
    spec.share(&stored_sharing(control, &request.sharing).await?);
    check(control, caller, &function, &spec).await?;
    let row = GrantRow {
        id: GrantId::new(control.clock().uuid()),
        account_id: caller.account,
        name: request.name,
        function_id: function.id,
        spec: stored(&spec)?,
        generation: 1,
        created_at_ms: control.now_ms(),
    };
    let inserted = control.shared.store.transact("give a grant", |tx| {
        let row = row.clone();
        Box::pin(async move { grant_insert(tx, &row).await })
    });
    made(inserted.await, &row.name)?;
    shape(control, row, function).await
}

/// The grants that the account gave.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Grant>, Error> {
    control.authorize(caller, Action::FunctionsList, Resource::account(caller.account))?;
    let slice = slice::<Name>(query)?;
    let (account, limit, after) = (caller.account, slice.limit, slice.after);
    let read = control.shared.store.read("list grants", |tx| {
        let after = after.clone();
        Box::pin(async move {
            let mut rows = Vec::new();
            for row in grants_list(tx, account, after.as_ref(), limit + 1).await? {
                let function = function_fetch(tx, row.function_id).await?;
                rows.push((row, function));
            }
            Ok::<_, store::Error>(rows)
        })
    });
    let mut grants = Vec::new();
    for (row, function) in read.await? {
        grants.push(shape(control, row, function).await?);
    }
    Ok(page(grants, limit, |it| it.name.to_string(), |it| it))
}

/// One grant.
pub async fn fetch(control: &Control, caller: &Caller, name: &Name) -> Result<Grant, Error> {
    let (row, function) = given(control, caller, name, Action::FunctionsRead).await?;
    shape(control, row, function).await
}

/// Changes a grant; calls follow at once.
pub async fn update(
    control: &Control,
    caller: &Caller,
    name: &Name,
    request: UpdateGrant,
) -> Result<Grant, Error> {
    let (row, function) = given(control, caller, name, Action::FunctionsWrite).await?;
    let mut spec: Spec = from_json(&row.spec)?;
    spec.qualifier = request.qualifier.unwrap_or(spec.qualifier);
    spec.limits = request.limits.unwrap_or(spec.limits);
    spec.errors = request.errors.unwrap_or(spec.errors);
    spec.description = request.description.unwrap_or(spec.description);
    if let Some(sharing) = &request.sharing {
        spec.share(&stored_sharing(control, sharing).await?);
    }
    check(control, caller, &function, &spec).await?;
    let generation = request.generation;
    let row = GrantRow { spec: stored(&spec)?, generation: generation.saturating_add(1), ..row };
    let stored = control.shared.store.transact("change a grant", |tx| {
        let row = row.clone();
        Box::pin(async move { grant_change(tx, &row, generation).await })
    });
    changed(stored.await, || format!("the grant {name}"))?;
    shape(control, row, function).await
}

/// Takes a grant back.
pub async fn remove(control: &Control, caller: &Caller, name: &Name) -> Result<(), Error> {
    let (row, _) = given(control, caller, name, Action::FunctionsWrite).await?;
    let id = row.id;
    let removed =
        control.shared.store.transact("take back a grant", |tx| Box::pin(grant_delete(tx, id)));
    Ok(removed.await?)
}

/// The grants that the account was given, all of them.
pub async fn received(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<ReceivedGrant>, Error> {
    control.authorize(caller, Action::FunctionsList, Resource::account(caller.account))?;
    let slice = slice::<GrantId>(query)?;
    let read = control.shared.store.read("list all grants", |tx| {
        Box::pin(async move {
            let rows = grants_list_all(tx).await?;
            let owners: Vec<AccountId> = rows.iter().map(|row| row.account_id).collect();
            let names = accounts_names(tx, &owners).await?;
            Ok::<_, store::Error>((rows, names))
        })
    });
    let (rows, names) = read.await?;
    let mut all = Vec::new();
    for row in rows {
        let spec: Spec = from_json(&row.spec)?;
        let others = row.account_id != caller.account && spec.is_for(caller.account);
        let further = slice.after.is_none_or(|after| row.id > after);
        let Some(owner) = names.get(&row.account_id).filter(|_| others && further) else {
            continue;
        };
        let (limits, description) = (spec.limits, spec.description);
        let grant = ReceivedGrant { owner: owner.clone(), name: row.name, limits, description };
        all.push((row.id, grant));
        if all.len() > slice.limit as usize {
            break;
        }
    }
    Ok(page(all, slice.limit, |(id, _)| id.to_string(), |(_, grant)| grant))
}

/// A grant of the account, and its function.
async fn given(
    control: &Control,
    caller: &Caller,
    name: &Name,
    action: Action,
) -> Result<(GrantRow, FunctionRow), Error> {
    let (account, wanted) = (caller.account, name.clone());
    let read = control.shared.store.read("fetch a grant", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move {
            let row = grant_fetch(tx, account, &wanted).await?;
            let function = function_fetch(tx, row.function_id).await?;
            Ok::<_, store::Error>((row, function))
        })
    });
    let found = found(read.await, || format!("the grant {name}"))?;
    control.authorize(caller, action, Resource::of(Kind::Function, account))?;
    Ok(found)
}

async fn check(
    control: &Control,
    caller: &Caller,
    function: &FunctionRow,
    spec: &Spec,
) -> Result<(), Error> {
    check_limits(&spec.limits)?;
    check_description(&spec.description)?;
    if spec.accounts.contains(&caller.account) {
        return Err(Error::invalid("an account needs no grant to its own functions"));
    }
    // What it names has to be there; an alias may move later.
    fetch_described(control, caller, &function.name, &spec.qualifier).await.map(|_| ())
}

fn stored(spec: &Spec) -> Result<serde_json::Value, Error> {
    serde_json::to_value(spec).map_err(|error| Error::internal("could not write a grant", error))
}

async fn shape(control: &Control, row: GrantRow, function: FunctionRow) -> Result<Grant, Error> {
    let spec: Spec = from_json(&row.spec)?;
    Ok(Grant {
        id: row.id,
        name: row.name,
        function: function.name,
        sharing: shown_sharing(control, &spec.sharing()).await?,
        qualifier: spec.qualifier,
        limits: spec.limits,
        errors: spec.errors,
        description: spec.description,
        generation: row.generation,
        created_at_ms: row.created_at_ms,
    })
}
