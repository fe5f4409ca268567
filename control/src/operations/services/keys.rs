//! Keys: by what a service's users call it.

use access::Action;
use access::tokens::Secret;
use api::pages::{Page, PageQuery};
use api::services::{CreateServiceKey, CreatedServiceKey, ServiceKey};
use store::services::{ServiceKeyRow, service_key_delete, service_key_insert, service_keys_list};
use types::{CallLimits, Name, ServiceKeyId};

use super::own;
use crate::caller::Caller;
use crate::operations::grants::{check_end, check_limits};
use crate::operations::items::from_json;
use crate::operations::{made, page, slice};
use crate::{Control, Error};

/// Makes a key, and tells its secret this once.
pub(crate) async fn create(
    control: &Control,
    caller: &Caller,
    service: &Name,
    request: CreateServiceKey,
) -> Result<CreatedServiceKey, Error> {
    let (service, _) = own(control, caller, service, Action::ServicesWrite).await?;
    check_limits(&request.limits)?;
    check_end(&request.limits, control.now_ms())?;
    let secret = Secret::generate();
    let limits = serde_json::to_value(request.limits);
    let row = ServiceKeyRow {
        id: ServiceKeyId::new(control.clock().uuid()),
        service_id: service.id,
        name: request.name,
        secret_sha256: secret.digest(),
        spec: limits.map_err(|error| Error::internal("could not write a key", error))?,
        created_at_ms: control.now_ms(),
    };
    let inserted = control.shared.store.transact("make a key of a service", |tx| {
        let row = row.clone();
        Box::pin(async move { service_key_insert(tx, &row).await })
    });
    made(inserted.await, &row.name)?;
    Ok(CreatedServiceKey { key: shape(row)?, secret: secret.reveal().to_owned() })
}

/// A service's keys, without secrets.
pub(crate) async fn list(
    control: &Control,
    caller: &Caller,
    service: &Name,
    query: &PageQuery,
) -> Result<Page<ServiceKey>, Error> {
    let (service, _) = own(control, caller, service, Action::ServicesRead).await?;
    let slice = slice::<Name>(query)?;
    let (id, limit, after) = (service.id, slice.limit, slice.after);
    let read = control.shared.store.read("list keys of a service", |tx| {
        let after = after.clone();
        Box::pin(async move { service_keys_list(tx, id, after.as_ref(), limit + 1).await })
    });
    let mut keys = Vec::new();
    for row in read.await? {
        keys.push(shape(row)?);
    }
    Ok(page(keys, limit, |it| it.name.to_string(), |it| it))
}

/// Ends a key: calls with it are refused from now on.
pub(crate) async fn remove(
    control: &Control,
    caller: &Caller,
    service: &Name,
    key: &Name,
) -> Result<(), Error> {
    let (row, _) = own(control, caller, service, Action::ServicesWrite).await?;
    let (id, wanted) = (row.id, key.clone());
    let removed = control.shared.store.transact("delete a key of a service", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move { service_key_delete(tx, id, &wanted).await })
    });
    if removed.await? {
        return Ok(());
    }
    Err(Error::NotFound { what: format!("the key {key} of the service {service}") })
}

/// How much a key lets through.
pub(crate) fn limits(row: &ServiceKeyRow) -> Result<CallLimits, Error> {
    from_json(&row.spec)
}

fn shape(row: ServiceKeyRow) -> Result<ServiceKey, Error> {
    let limits = limits(&row)?;
    Ok(ServiceKey { id: row.id, name: row.name, limits, created_at_ms: row.created_at_ms })
}
