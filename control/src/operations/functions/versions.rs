//! Numbered versions of a function: made of what is the latest, listed, removed.

use access::Action;
use api::functions::{Function, PublishVersion};
use api::pages::{Page, PageQuery};
use store::functions::aliases::{AliasRow, aliases_list};
use store::functions::{
    FunctionRow, RevisionRow, function_publish, revision_delete, revision_fetch_numbered,
    revisions_list_numbered,
};
use types::{FunctionName, RevisionId};

use super::{Described, Spec, own, shape};
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{changed, page, slice};
use crate::{Control, Error};

/// Makes a numbered version of what is the latest.
pub async fn publish(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    request: PublishVersion,
) -> Result<Function, Error> {
    Ok(publish_described(control, caller, name, (request, false)).await?.function)
}

/// The same; where it is asked to be made `once`, and the newest version is what is the latest,
/// that one is given.
pub(crate) async fn publish_described(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    (request, once): (PublishVersion, bool),
) -> Result<Described, Error> {
    let (row, latest) = own(control, caller, name, Action::FunctionsWrite).await?;
    if once && row.versions > 0 {
        let (id, number) = (row.id, row.versions);
        let read = control.shared.store.read("fetch a version of a function", move |tx| {
            Box::pin(revision_fetch_numbered(tx, id, number))
        });
        match read.await {
            Ok(newest) if newest.object_id == latest.object_id && newest.spec == latest.spec => {
                return shape(caller, &row, newest);
            }
            Ok(_) => {}
            Err(error) if error.kind() == types::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    let description = request.description.unwrap_or_else(|| latest.description.clone());
    from_json::<Spec>(&latest.spec)?.check(&description)?;
    let version = RevisionRow {
        id: RevisionId::new(control.clock().uuid()),
        description,
        created_at_ms: control.now_ms(),
        ..latest
    };
    let (id, generation) = (row.id, request.generation);
    let published = control
        .shared
        .store
        .transact("make a version of a function", |tx| {
            let version = version.clone();
            Box::pin(async move { function_publish(tx, id, generation, &version).await })
        })
        .await;
    let number = changed(published, || format!("the function {name}"))?;
    let row = FunctionRow { generation: generation + 1, ..row };
    shape(caller, &row, RevisionRow { number: Some(number), ..version })
}

/// A function's numbered versions.
pub async fn list(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    query: &PageQuery,
) -> Result<Page<Function>, Error> {
    let page = list_described(control, caller, name, query).await?;
    Ok(Page { items: page.items.into_iter().map(|it| it.function).collect(), next: page.next })
}

/// The same, with what only foreign protocols tell.
pub(crate) async fn list_described(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    query: &PageQuery,
) -> Result<Page<Described>, Error> {
    let (row, _) = own(control, caller, name, Action::FunctionsRead).await?;
    let slice = slice::<u32>(query)?;
    let (id, limit, after) = (row.id, slice.limit, slice.after.unwrap_or(0));
    let read = control.shared.store.read("list versions of a function", |tx| {
        Box::pin(revisions_list_numbered(tx, id, after, limit + 1))
    });
    let mut versions = Vec::new();
    for version in read.await? {
        versions.push(shape(caller, &row, version)?);
    }
    Ok(page(versions, limit, |it| it.function.version.clone(), |it| it))
}

/// Removes a numbered version, where no alias names it.
pub(crate) async fn remove(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    number: u32,
) -> Result<(), Error> {
    let (row, _) = own(control, caller, name, Action::FunctionsDelete).await?;
    let id = row.id;
    let removed = control.shared.store.transact("delete a version of a function", |tx| {
        Box::pin(async move {
            let aliases = aliases_list(tx, id, None, u32::MAX >> 1).await?;
            let of_it = |alias: &&AliasRow| {
                alias.version == Some(number) || alias.other.is_some_and(|(it, _)| it == number)
            };
            if let Some(alias) = aliases.iter().find(of_it) {
                return Ok(Some(alias.name.clone()));
            }
            let version = revision_fetch_numbered(tx, id, number).await?;
            revision_delete(tx, &version).await?;
            Ok::<_, store::Error>(None)
        })
    });
    match found(removed.await, || format!("the function {name}:{number}"))? {
        None => Ok(()),
        Some(alias) => Err(Error::Conflict {
            code: "conflict",
            message: format!("the alias {alias} names version {number}: move it first"),
        }),
    }
}
