//! Links: functions of other accounts, under a name of this one.
//!
//! Always true: a link is made by whoever was given the grant, and never goes beyond it; whether it
//! can be called is seen anew whenever anything of it changes.

use access::{Action, Resource};
use api::grants::{CreateLink, Link, UpdateLink};
use api::internal::functions::{LinkRoute, LinkedFunction};
use api::pages::{Page, PageQuery};
use policy::allowance::Limits;
use serde::{Deserialize, Serialize};
use store::accounts::{account_fetch, account_fetch_by_name, accounts_names};
use store::functions::grants::{GrantRow, grant_fetch};
use store::functions::links::{LinkRow, link_change, link_fetch, link_insert, links_list};
use store::functions::{FunctionRow, function_delete};
use types::{AccountId, CallLimits, FunctionId, FunctionName, Name, RevisionId, TokenId};

use crate::caller::Caller;
use crate::operations::grants::{self, check_description, check_end, check_limits};
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{changed, made, page, slice};
use crate::{Control, Error};

/// Parameters of a link, as JSON.
const PARAMETERS_BYTES_MAX: usize = 4_096;
/// Tokens that may be named.
const TOKENS_MAX: usize = 100;

/// What a link says, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) parameters: serde_json::Map<String, serde_json::Value>,
    pub(crate) limits: CallLimits,
    pub(crate) tokens: Vec<TokenId>,
    pub(crate) description: String,
}

/// Makes a link.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateLink,
) -> Result<Link, Error> {
    control.authorize(caller, Action::FunctionsWrite, Resource::account(caller.account))?;
    let spec = Spec {
        parameters: request.parameters,
        limits: request.limits,
        tokens: request.tokens,
        description: request.description,
    };
    let (owner, grant) = granted(control, caller, &request.owner, &request.grant).await?;
    check(&spec, &grant)?;
    check_end(&spec.limits, control.now_ms())?;
    let (now_ms, id) = (control.now_ms(), FunctionId::new(control.clock().uuid()));
    let named = FunctionRow {
        id,
        account_id: caller.account,
        name: request.name,
        // Of no revision: what it runs is the owner's.
        latest: RevisionId::new(id.uuid()),
        versions: 0,
        generation: 1,
        created_at_ms: now_ms,
        changed_at_ms: now_ms,
    };
    let row = LinkRow { function_id: id, owner, grant: request.grant, spec: stored(&spec)? };
    let inserted = control.shared.store.transact("make a link", |tx| {
        let (named, row) = (named.clone(), row.clone());
        Box::pin(async move { link_insert(tx, &named, &row).await })
    });
    made(inserted.await, &named.name)?;
    shape(control, named, row, request.owner).await
}

/// The account's links.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Link>, Error> {
    control.authorize(caller, Action::FunctionsList, Resource::account(caller.account))?;
    let slice = slice::<FunctionName>(query)?;
    let (account, limit, after) = (caller.account, slice.limit, slice.after);
    let read = control.shared.store.read("list links", |tx| {
        let after = after.clone();
        Box::pin(async move {
            let rows = links_list(tx, account, after.as_ref(), limit + 1).await?;
            let owners: Vec<AccountId> = rows.iter().map(|(_, row)| row.owner).collect();
            let names = accounts_names(tx, &owners).await?;
            Ok::<_, store::Error>((rows, names))
        })
    });
    let (rows, names) = read.await?;
    let mut links = Vec::new();
    for (named, row) in rows {
        let Some(owner) = names.get(&row.owner).cloned() else { continue };
        links.push(shape(control, named, row, owner).await?);
    }
    Ok(page(links, limit, |it| it.name.to_string(), |it| it))
}

/// One link.
pub async fn fetch(control: &Control, caller: &Caller, name: &FunctionName) -> Result<Link, Error> {
    let (named, row) = own(control, caller, name, Action::FunctionsRead).await?;
    let owner = owner_name(control, row.owner).await?;
    shape(control, named, row, owner).await
}

/// Changes a link; calls follow at once.
pub async fn update(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    request: UpdateLink,
) -> Result<Link, Error> {
    let (named, row) = own(control, caller, name, Action::FunctionsWrite).await?;
    let mut spec: Spec = from_json(&row.spec)?;
    spec.parameters = request.parameters.unwrap_or(spec.parameters);
    spec.limits = request.limits.unwrap_or(spec.limits);
    spec.tokens = request.tokens.unwrap_or(spec.tokens);
    spec.description = request.description.unwrap_or(spec.description);
    let owner = owner_name(control, row.owner).await?;
    let (_, grant) = granted(control, caller, &owner, &row.grant).await?;
    check(&spec, &grant)?;
    let row = LinkRow { spec: stored(&spec)?, ..row };
    let times = (request.generation, control.now_ms());
    let stored = control.shared.store.transact("change a link", |tx| {
        let row = row.clone();
        Box::pin(async move { link_change(tx, &row, times).await })
    });
    changed(stored.await, || format!("the link {name}"))?;
    let generation = request.generation.saturating_add(1);
    shape(control, FunctionRow { generation, ..named }, row, owner).await
}

/// Removes a link, and what surrounds it.
pub async fn remove(control: &Control, caller: &Caller, name: &FunctionName) -> Result<(), Error> {
    let (named, _) = own(control, caller, name, Action::FunctionsDelete).await?;
    let removed = control
        .shared
        .store
        .transact("delete a link", |tx| Box::pin(function_delete(tx, named.id)));
    Ok(removed.await?)
}

/// What gateways are told of a link of an account: its grant as it is now, where it is there.
pub(crate) fn route(
    row: &LinkRow,
    account: AccountId,
    grant: Option<&GrantRow>,
) -> Result<LinkRoute, Error> {
    let spec: Spec = from_json(&row.spec)?;
    let to = match grant {
        None => Err("its owner has taken the grant back".to_owned()),
        Some(grant) => {
            let given: grants::Spec = from_json(&grant.spec)?;
            // The grant's limits hold beside the link's, also where it was narrowed since.
            let linked = LinkedFunction {
                grant: grant.id,
                function: grant.function_id,
                limits: given.limits,
                calls_today: 0,
                errors: given.errors,
                qualifier: given.qualifier.clone(),
            };
            let taken = || "its owner has taken the grant back from this account".to_owned();
            given.is_for(account).then_some(linked).ok_or_else(taken)
        }
    };
    let Spec { parameters, limits, tokens, .. } = spec;
    Ok(LinkRoute { to, parameters, limits, calls_today: 0, tokens })
}

/// A grant that the account was given, and whose it is. One that it was not given looks as one that
/// is not there.
async fn granted(
    control: &Control,
    caller: &Caller,
    owner: &Name,
    name: &Name,
) -> Result<(AccountId, GrantRow), Error> {
    let (owner, wanted) = (owner.clone(), name.clone());
    let missing = format!("the grant {owner}/{name}");
    let read = control.shared.store.read("fetch a grant", move |tx| {
        let (owner, wanted) = (owner.clone(), wanted.clone());
        Box::pin(async move {
            let owner = account_fetch_by_name(tx, &owner).await?;
            let grant = grant_fetch(tx, owner.id, &wanted).await?;
            Ok::<_, store::Error>((owner.id, grant))
        })
    });
    let (owner, grant) = found(read.await, || missing.clone())?;
    let spec: grants::Spec = from_json(&grant.spec)?;
    if owner == caller.account || !spec.is_for(caller.account) {
        return Err(Error::NotFound { what: missing });
    }
    Ok((owner, grant))
}

async fn own(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    action: Action,
) -> Result<(FunctionRow, LinkRow), Error> {
    let (account, wanted) = (caller.account, name.clone());
    let read = control.shared.store.read("fetch a link", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move { link_fetch(tx, account, &wanted).await })
    });
    let found = found(read.await, || format!("the link {name}"))?;
    control.authorize(caller, action, Resource::of(access::Kind::Function, account))?;
    Ok(found)
}

async fn owner_name(control: &Control, owner: AccountId) -> Result<Name, Error> {
    let read =
        control.shared.store.read("fetch an account", |tx| Box::pin(account_fetch(tx, owner)));
    Ok(read.await?.name)
}

fn check(spec: &Spec, grant: &GrantRow) -> Result<(), Error> {
    check_limits(&spec.limits)?;
    check_description(&spec.description)?;
    let given: grants::Spec = from_json(&grant.spec)?;
    let within = Limits::from(&spec.limits).within(&Limits::from(&given.limits));
    within.map_err(|excess| Error::invalid(excess.to_string()))?;
    let bytes = serde_json::to_string(&spec.parameters).map_or(usize::MAX, |text| text.len());
    if bytes > PARAMETERS_BYTES_MAX {
        let limit = format!("{PARAMETERS_BYTES_MAX} bytes");
        return Err(Error::TooLarge { what: "the link's parameters", limit });
    }
    if spec.tokens.len() > TOKENS_MAX {
        let limit = TOKENS_MAX.to_string();
        return Err(Error::TooLarge { what: "the list of tokens", limit });
    }
    Ok(())
}

fn stored(spec: &Spec) -> Result<serde_json::Value, Error> {
    serde_json::to_value(spec).map_err(|error| Error::internal("could not write a link", error))
}

async fn shape(
    control: &Control,
    named: FunctionRow,
    row: LinkRow,
    owner: Name,
) -> Result<Link, Error> {
    let (owner_id, wanted) = (row.owner, row.grant.clone());
    let read = control.shared.store.read("fetch a grant", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move { grant_fetch(tx, owner_id, &wanted).await })
    });
    let grant = match read.await {
        Ok(grant) => Some(grant),
        Err(error) if error.kind() == types::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let route = route(&row, named.account_id, grant.as_ref())?;
    let spec: Spec = from_json(&row.spec)?;
    let now_ms = control.now_ms();
    let is_over = |limits: &CallLimits| limits.ends_at_ms.is_some_and(|end_ms| end_ms <= now_ms);
    let broken = match &route.to {
        Err(why) => Some(why.clone()),
        Ok(to) if is_over(&to.limits) => Some("its grant has ended".to_owned()),
        Ok(_) => is_over(&spec.limits).then(|| "it has ended".to_owned()),
    };
    Ok(Link {
        id: named.id,
        name: named.name,
        owner,
        grant: row.grant,
        parameters: spec.parameters,
        limits: spec.limits,
        tokens: spec.tokens,
        description: spec.description,
        broken,
        generation: named.generation,
        created_at_ms: named.created_at_ms,
    })
}
