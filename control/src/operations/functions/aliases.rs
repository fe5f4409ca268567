//! Aliases: names of versions that move when their owner says so.
//!
//! Always true: an alias names versions that are there; what it means is decided by
//! `policy::alias`.

use access::Action;
use api::functions::{Alias, CreateAlias, LATEST, Share, UpdateAlias};
use api::pages::{Page, PageQuery};
use policy::alias::{Additional, Routing, Version};
use policy::deploy::STALE_MS_MAX;
use store::Tx;
use store::functions::aliases::{
    AliasRow, alias_change, alias_delete, alias_fetch, alias_insert, aliases_list,
};
use store::functions::revision_fetch_numbered;
use types::{AliasName, ErrorKind, FunctionName};

use super::{DESCRIPTION_BYTES_MAX, own, provisioned};
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::{page, slice};
use crate::reconcilers::provisioning;
use crate::{Control, Error};

/// Makes an alias.
pub async fn create(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    request: CreateAlias,
) -> Result<Alias, Error> {
    let (owner, _) = own(control, caller, function, Action::FunctionsWrite).await?;
    let row = AliasRow {
        function_id: owner.id,
        name: request.name,
        version: number(&request.version)?,
        other: other(request.other.as_ref())?,
        max_stale_ms: request.max_stale_ms.unwrap_or(policy::deploy::STALE_MS),
        description: request.description,
        generation: 1,
        changed_at_ms: control.now_ms(),
    };
    check(&row)?;
    let stored = control.shared.store.transact("make an alias", |tx| {
        let row = row.clone();
        Box::pin(async move {
            let there = exist(tx, &row).await?;
            if there.is_ok() {
                alias_insert(tx, &row).await?;
            }
            Ok::<_, store::Error>(there)
        })
    });
    match stored.await {
        Ok(there) => there.map(|()| shape(row)).map_err(Error::invalid),
        Err(store::Error::Unique { .. }) => Err(Error::NameTaken { name: row.name.to_string() }),
        Err(error) => Err(error.into()),
    }
}

/// A function's aliases.
pub async fn list(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    query: &PageQuery,
) -> Result<Page<Alias>, Error> {
    let (owner, _) = own(control, caller, function, Action::FunctionsRead).await?;
    let slice = slice::<AliasName>(query)?;
    let (id, limit, after) = (owner.id, slice.limit, slice.after);
    let read = control.shared.store.read("list aliases", |tx| {
        let after = after.clone();
        Box::pin(async move { aliases_list(tx, id, after.as_ref(), limit + 1).await })
    });
    Ok(page(read.await?, limit, |row| row.name.to_string(), shape))
}

/// One alias.
pub(crate) async fn fetch(
    control: &Control,
    caller: &Caller,
    (function, name): (&FunctionName, &AliasName),
) -> Result<Alias, Error> {
    let (owner, _) = own(control, caller, function, Action::FunctionsRead).await?;
    let (id, wanted) = (owner.id, name.clone());
    let read = control.shared.store.read("fetch an alias", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move { alias_fetch(tx, id, &wanted).await })
    });
    found(read.await, || format!("the alias {function}:{name}")).map(shape)
}

/// Changes an alias; gateways follow at once.
pub async fn update(
    control: &Control,
    caller: &Caller,
    (function, name): (&FunctionName, &AliasName),
    request: UpdateAlias,
) -> Result<Alias, Error> {
    let (owner, _) = own(control, caller, function, Action::FunctionsWrite).await?;
    let version = request.version.as_deref().map(number).transpose()?;
    let other = other(request.other.as_ref())?;
    let (id, now_ms) = (owner.id, control.now_ms());
    let changed = control.shared.store.transact("change an alias", |tx| {
        let (name, request) = (name.clone(), request.clone());
        Box::pin(async move {
            let before = alias_fetch(tx, id, &name).await?;
            let row = AliasRow {
                version: version.unwrap_or(before.version),
                other,
                max_stale_ms: request.max_stale_ms.unwrap_or(before.max_stale_ms),
                description: request.description.unwrap_or(before.description),
                generation: request.generation.saturating_add(1),
                changed_at_ms: now_ms,
                ..before
            };
            let mut there = exist(tx, &row).await?;
            if there.is_ok() {
                there = check(&row).map_err(|error| error.to_string());
            }
            if there.is_ok() {
                there = provisioned::allows(tx, &row).await?;
            }
            if there.is_ok() {
                alias_change(tx, &row).await?;
            }
            Ok::<_, store::Error>(there.map(|()| row))
        })
    });
    match changed.await {
        Err(store::Error::Stale { stored, .. }) => Err(Error::Stale { stored }),
        changed => {
            let row = found(changed, || format!("the alias {function}:{name}"))?;
            control.wake(provisioning::NAME);
            row.map(shape).map_err(Error::invalid)
        }
    }
}

/// Removes an alias.
pub async fn remove(
    control: &Control,
    caller: &Caller,
    (function, name): (&FunctionName, &AliasName),
) -> Result<(), Error> {
    let (owner, _) = own(control, caller, function, Action::FunctionsWrite).await?;
    let id = owner.id;
    let removed = control.shared.store.transact("delete an alias", |tx| {
        let name = name.clone();
        Box::pin(async move { alias_delete(tx, id, &name).await })
    });
    removed.await?;
    control.wake(provisioning::NAME);
    Ok(())
}

/// Whether the versions that an alias names are there and may be named together; in words where
/// not.
async fn exist(tx: &mut Tx<'_>, row: &AliasRow) -> Result<Result<(), String>, store::Error> {
    let mut known = Vec::new();
    let named = row.version.into_iter().chain(row.other.map(|(version, _)| version));
    for number in named {
        match revision_fetch_numbered(tx, row.function_id, number).await {
            Ok(_) => known.push(u64::from(number)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    let version = |number: Option<u32>| {
        number.map_or(Version::Latest, |number| Version::Numbered(u64::from(number)))
    };
    let other =
        row.other.map(|(number, share_bp)| Additional { version: version(Some(number)), share_bp });
    let routing = Routing::new(version(row.version), other.as_slice(), |it| known.contains(&it));
    Ok(routing.map(|_| ()).map_err(|refusal| refusal.to_string()))
}

fn check(row: &AliasRow) -> Result<(), Error> {
    if row.max_stale_ms > STALE_MS_MAX {
        let given = row.max_stale_ms;
        return Err(Error::invalid(format!("max_stale_ms is {given}; at most {STALE_MS_MAX}")));
    }
    if row.description.len() > DESCRIPTION_BYTES_MAX {
        let message = format!("the description has more than {DESCRIPTION_BYTES_MAX} bytes");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// The number of a version; none for the latest.
fn number(version: &str) -> Result<Option<u32>, Error> {
    if version == LATEST {
        return Ok(None);
    }
    let number = version.parse::<u32>().ok().filter(|number| *number > 0);
    let number = number.filter(|number| i32::try_from(*number).is_ok());
    let bad = || Error::invalid(format!("{version:?} is no version: use {LATEST} or a number"));
    number.map(Some).ok_or_else(bad)
}

fn other(share: Option<&Share>) -> Result<Option<(u32, u32)>, Error> {
    let Some(Share { version, share }) = share else { return Ok(None) };
    let number = number(version)?;
    let latest = || Error::invalid(format!("{LATEST} cannot have a share: publish it first"));
    Ok(Some((number.ok_or_else(latest)?, *share)))
}

fn shape(row: AliasRow) -> Alias {
    let other = row.other.map(|(version, share)| Share { version: version.to_string(), share });
    Alias {
        name: row.name,
        version: row.version.map_or_else(|| LATEST.to_owned(), |number| number.to_string()),
        other,
        max_stale_ms: row.max_stale_ms,
        description: row.description,
        generation: row.generation,
    }
}
