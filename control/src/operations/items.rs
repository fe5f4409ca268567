//! Items and versions: shown to those who may see them, shared by their owner.

use std::collections::BTreeSet;

use access::{Action, Kind, Resource};
use api::items::{
    Item, Lineage, Listing, PackageFile, Requires, ShareRequest, Sharing, Usage, Version,
};
use api::pages::{Page, PageQuery};
use store::accounts::{account_fetch_by_name, accounts_by_names, accounts_names};
use store::items::{
    ItemRow, ListingRow, item_fetch_by_name, item_share, listing_fetch, listings_list_of,
};
use store::usage::usage_sums;
use store::versions::{VersionRow, version_fetch};
use types::{AccountId, ErrorKind, Name, Reference};

use crate::caller::Caller;
use crate::operations::{page, slice};
use crate::{Control, Error};

/// Most accounts that one thing is shared with.
const SHARED_WITH_MAX: usize = 1_000;

/// An item that the caller was found to be allowed to see.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) account_name: Name,
    pub(crate) item: ItemRow,
}

/// What access asks about an item.
pub(crate) fn resource(item: &ItemRow) -> Resource {
    Resource::item(item.account_id, access_sharing(&item.sharing))
}

/// Sharing as access knows it.
pub(crate) fn access_sharing(sharing: &store::Sharing) -> access::Sharing {
    match sharing {
        store::Sharing::Nobody => access::Sharing::Nobody,
        store::Sharing::Accounts(accounts) => {
            access::Sharing::Accounts(accounts.iter().copied().collect())
        }
        store::Sharing::Everybody => access::Sharing::Everybody,
    }
}

/// The item of this name, if the caller may do `action` with it.
///
/// # Errors
///
/// [`Error::NotFound`] for whoever may not see it; else [`Error::OwnerOnly`] where no role of
/// another account may do this, and [`Error::Forbidden`] where another role may.
pub(crate) async fn see(
    control: &Control,
    caller: &Caller,
    (account, name): (&Name, &Name),
    action: Action,
) -> Result<Seen, Error> {
    let missing = || Error::NotFound { what: format!("the item {account}/{name}") };
    let (account_name, item_name) = (account.clone(), name.clone());
    let found = control
        .shared
        .store
        .read("fetch an item", move |tx| {
            Box::pin(async move {
                let account = account_fetch_by_name(tx, &account_name).await?;
                let item = item_fetch_by_name(tx, account.id, &item_name).await?;
                Ok::<_, store::Error>(Seen { account_name, item })
            })
        })
        .await;
    let seen = match found {
        Ok(seen) => seen,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(error.into()),
    };
    let visible = control.may(caller, Action::ItemsRead, resource(&seen.item));
    if seen.item.newest == 0 || !visible {
        return Err(missing());
    }
    match (control.authorize(caller, action, resource(&seen.item)), owners_alone(action)) {
        (Err(_), Some(action)) if caller.account != seen.item.account_id => {
            Err(Error::OwnerOnly { what: format!("{account}/{name}"), action })
        }
        (allowed, _) => allowed.map(|()| seen),
    }
}

/// What only its owner does with an item, in words; none where others may too.
const fn owners_alone(action: Action) -> Option<&'static str> {
    match action {
        Action::ItemsShare => Some("say who may see and use it"),
        Action::ItemsUsage => Some("see how much it is used"),
        _ => None,
    }
}

/// The version that a reference means, if the caller may use it.
pub(crate) async fn resolve(
    control: &Control,
    caller: &Caller,
    reference: &Reference,
) -> Result<(Seen, VersionRow), Error> {
    let account = reference.account.as_ref().unwrap_or(&caller.account_name);
    let seen = see(control, caller, (account, &reference.name), Action::ItemsUse).await?;
    let number = reference.version.unwrap_or(seen.item.newest);
    let version = version_row(control, &seen, number).await?;
    Ok((seen, version))
}

async fn version_row(control: &Control, seen: &Seen, number: u32) -> Result<VersionRow, Error> {
    let id = seen.item.id;
    let read =
        control.shared.store.read("fetch a version", |tx| Box::pin(version_fetch(tx, id, number)));
    match read.await {
        Ok(row) => Ok(row),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::NotFound {
            what: format!("version {number} of {}/{}", seen.account_name, seen.item.name),
        }),
        Err(error) => Err(error.into()),
    }
}

/// The account's own items.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Item>, Error> {
    control.authorize(caller, Action::ItemsList, Resource::account(caller.account))?;
    let slice = slice::<Name>(query)?;
    let (account, limit) = (caller.account, slice.limit);
    let rows = control
        .shared
        .store
        .read("list items", |tx| {
            Box::pin(
                async move { listings_list_of(tx, account, slice.after.as_ref(), limit + 1).await },
            )
        })
        .await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(item(control, caller.account, row).await?);
    }
    Ok(page(items, limit, |item| item.name.to_string(), |item| item))
}

/// One item.
pub async fn fetch(
    control: &Control,
    caller: &Caller,
    account: &Name,
    name: &Name,
) -> Result<Item, Error> {
    let seen = see(control, caller, (account, name), Action::ItemsRead).await?;
    let id = seen.item.id;
    let row = control.shared.store.read("fetch a listing", |tx| Box::pin(listing_fetch(tx, id)));
    let row =
        row.await?.ok_or_else(|| Error::NotFound { what: format!("the item {account}/{name}") })?;
    item(control, caller.account, row).await
}

/// One version.
pub async fn version(
    control: &Control,
    caller: &Caller,
    item: (&Name, &Name),
    number: u32,
) -> Result<Version, Error> {
    let seen = see(control, caller, item, Action::ItemsRead).await?;
    let row = version_row(control, &seen, number).await?;
    let package = Resource::of(Kind::Package, seen.item.account_id);
    let own = control.may(caller, Action::ItemsReadPackage, package);
    let listing = listing(&row.listing)?;
    let files = own.then(|| from_json::<Vec<formats::archive::Entry>>(&row.files)).transpose()?;
    let lineage = row.lineage.as_ref().filter(|_| own).map(from_json::<Lineage>).transpose()?;
    Ok(Version {
        item: row.item_id,
        reference: Reference {
            account: Some(seen.account_name),
            name: seen.item.name,
            version: Some(row.number),
        },
        kind: seen.item.kind,
        number: row.number,
        listing: shape_listing(listing),
        created_at_ms: row.created_at_ms,
        package_sha256: row.package_sha256,
        package_bytes: row.package_bytes,
        object: own.then_some(row.object_id),
        files: files.map(|files| files.into_iter().map(file).collect()),
        signature: row.signature,
        signed_by: row.signed_by,
        lineage,
    })
}

/// Changes who may see an item.
pub async fn share(
    control: &Control,
    caller: &Caller,
    (account, name): (&Name, &Name),
    request: ShareRequest,
) -> Result<Item, Error> {
    let seen = see(control, caller, (account, name), Action::ItemsShare).await?;
    let sharing = stored_sharing(control, &request.sharing).await?;
    let (id, generation) = (seen.item.id, request.generation);
    let shared = control
        .shared
        .store
        .transact("share an item", |tx| {
            let sharing = sharing.clone();
            Box::pin(async move { item_share(tx, id, generation, &sharing).await })
        })
        .await;
    match shared {
        Ok(_) => fetch(control, caller, account, name).await,
        Err(store::Error::Stale { stored, .. }) => Err(Error::Stale { stored }),
        Err(error) => Err(error.into()),
    }
}

/// What others made of an item.
pub async fn usage(
    control: &Control,
    caller: &Caller,
    item: (&Name, &Name),
) -> Result<Usage, Error> {
    let seen = see(control, caller, item, Action::ItemsUsage).await?;
    let id = seen.item.id;
    let sum = control.shared.store.read("sum usage", |tx| Box::pin(usage_sums(tx, id))).await?;
    Ok(Usage {
        requests: sum.requests,
        failures: sum.failures,
        trainings: sum.trainings,
        accounts: sum.accounts,
    })
}

/// Sharing with names turned into accounts.
pub(crate) async fn stored_sharing(
    control: &Control,
    sharing: &Sharing,
) -> Result<store::Sharing, Error> {
    let names = match sharing {
        Sharing::Nobody => return Ok(store::Sharing::Nobody),
        Sharing::Everybody => return Ok(store::Sharing::Everybody),
        Sharing::Accounts { accounts } => accounts.clone(),
    };
    if names.len() > SHARED_WITH_MAX {
        return Err(Error::TooLarge {
            what: "the list of accounts",
            limit: SHARED_WITH_MAX.to_string(),
        });
    }
    let found = control
        .shared
        .store
        .read("find accounts", move |tx| {
            Box::pin(async move { accounts_by_names(tx, &names).await })
        })
        .await;
    match found {
        Ok(ids) => Ok(store::Sharing::Accounts(ids.into_iter().collect::<BTreeSet<_>>())),
        Err(store::Error::NotFound { id, .. }) => {
            Err(Error::invalid(format!("there is no account {id} to share with")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Sharing with accounts turned into names.
pub(crate) async fn shown_sharing(
    control: &Control,
    sharing: &store::Sharing,
) -> Result<Sharing, Error> {
    let ids: Vec<AccountId> = match sharing {
        store::Sharing::Nobody => return Ok(Sharing::Nobody),
        store::Sharing::Everybody => return Ok(Sharing::Everybody),
        store::Sharing::Accounts(ids) => ids.iter().copied().collect(),
    };
    let names = control
        .shared
        .store
        .read("name accounts", move |tx| Box::pin(async move { accounts_names(tx, &ids).await }))
        .await?;
    Ok(Sharing::Accounts { accounts: names.into_values().collect() })
}

async fn item(control: &Control, viewer: AccountId, row: ListingRow) -> Result<Item, Error> {
    let sharing = if row.item.account_id == viewer {
        Some(shown_sharing(control, &row.item.sharing).await?)
    } else {
        None
    };
    Ok(Item {
        id: row.item.id,
        account: row.account_name,
        name: row.item.name,
        kind: row.item.kind,
        newest: row.item.newest,
        sharing,
        generation: row.item.generation,
        created_at_ms: row.item.created_at_ms,
        listing: shape_listing(listing(&row.listing)?),
    })
}

/// A stored listing.
pub(crate) fn listing(json: &serde_json::Value) -> Result<catalog::Listing, Error> {
    from_json(json)
}

/// A stored record.
pub(crate) fn from_json<T: serde::de::DeserializeOwned>(
    json: &serde_json::Value,
) -> Result<T, Error> {
    serde_json::from_value(json.clone())
        .map_err(|error| Error::internal("a stored record is broken", error))
}

/// A listing as the API shows it.
pub(crate) fn shape_listing(listing: catalog::Listing) -> Listing {
    Listing {
        title: listing.title,
        summary: listing.summary,
        category: listing.category,
        subcategory: listing.subcategory,
        tags: listing.tags,
        license: listing.license,
        input: listing.input,
        output: listing.output,
        runtime: listing.runtime,
        requires: Requires {
            memory_bytes: listing.requires.memory_bytes,
            cpu_milli: listing.requires.cpu_milli,
        },
        channels: listing.channels,
        parameters: listing.parameters,
        stages: listing.stages,
        figures: listing.figures,
        examples: listing.examples,
        documentation: listing.documentation,
    }
}

fn file(entry: formats::archive::Entry) -> PackageFile {
    PackageFile { path: entry.path, bytes: entry.bytes, sha256: entry.sha256 }
}
