//! Services: APIs made of the account's functions and links, their versions, and their users' keys.
//!
//! Always true: what an operation calls is the account's when a version is made; a version whose
//! schemas could not be checked against is refused; of a key the secret is told once.

pub(crate) mod keys;

use std::collections::BTreeSet;

use access::{Action, Resource};
use api::pages::{Page, PageQuery};
use api::services::{
    CreateService, Operation, Service, ServiceSpec, ServiceVersion, UpdateService,
};
use formats::schema::Schema;
use store::services::{
    ServiceRow, ServiceVersionRow, service_change, service_delete, service_fetch, service_insert,
    service_version_delete, service_versions_list, services_list,
};
use types::{Name, ServiceId};

use crate::caller::Caller;
use crate::operations::functions::called;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::operations::{changed, made, page, slice};
use crate::{Control, Error};

const DESCRIPTION_BYTES_MAX: usize = 1_024;
const OPERATIONS_MAX: usize = 100;
const PATH_BYTES_MAX: usize = 256;
/// Versions that are held at one time.
const VERSIONS_MAX: u32 = 20;

/// Makes a service.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateService,
) -> Result<Service, Error> {
    control.authorize(caller, Action::ServicesWrite, Resource::account(caller.account))?;
    check(control, caller, &request.spec).await?;
    let now_ms = control.now_ms();
    let row = ServiceRow {
        id: ServiceId::new(control.clock().uuid()),
        account_id: caller.account,
        name: request.name,
        newest: 1,
        generation: 1,
        created_at_ms: now_ms,
    };
    let first = ServiceVersionRow {
        service_id: row.id,
        number: 1,
        spec: stored(&request.spec)?,
        created_at_ms: now_ms,
    };
    let inserted = control.shared.store.transact("make a service", |tx| {
        let (row, first) = (row.clone(), first.clone());
        Box::pin(async move { service_insert(tx, &row, &first).await })
    });
    made(inserted.await, &row.name)?;
    Ok(shape(caller, row, request.spec))
}

/// The account's services.
pub async fn list(
    control: &Control,
    caller: &Caller,
    query: &PageQuery,
) -> Result<Page<Service>, Error> {
    control.authorize(caller, Action::ServicesRead, Resource::account(caller.account))?;
    let slice = slice::<Name>(query)?;
    let (account, limit, after) = (caller.account, slice.limit, slice.after);
    let read = control.shared.store.read("list services", |tx| {
        let after = after.clone();
        Box::pin(async move { services_list(tx, account, after.as_ref(), limit + 1).await })
    });
    let mut services = Vec::new();
    for (row, spec) in read.await? {
        services.push(shape(caller, row, from_json(&spec)?));
    }
    Ok(page(services, limit, |it| it.name.to_string(), |it| it))
}

/// One service.
pub async fn fetch(control: &Control, caller: &Caller, name: &Name) -> Result<Service, Error> {
    let (row, spec) = own(control, caller, name, Action::ServicesRead).await?;
    Ok(shape(caller, row, spec))
}

/// Gives a service a new version; calls that name none follow at once.
pub async fn update(
    control: &Control,
    caller: &Caller,
    name: &Name,
    request: UpdateService,
) -> Result<Service, Error> {
    let (row, _) = own(control, caller, name, Action::ServicesWrite).await?;
    check(control, caller, &request.spec).await?;
    let next = ServiceVersionRow {
        service_id: row.id,
        number: row.newest,
        spec: stored(&request.spec)?,
        created_at_ms: control.now_ms(),
    };
    let stored = control.shared.store.transact("change a service", |tx| {
        let (row, next) = (row.clone(), next.clone());
        Box::pin(async move {
            if service_versions_list(tx, row.id, 0, VERSIONS_MAX).await?.len()
                >= VERSIONS_MAX as usize
            {
                return Ok(None);
            }
            service_change(tx, &row, request.generation, &next).await.map(Some)
        })
    });
    let row = changed(stored.await, || format!("the service {name}"))?.ok_or_else(|| {
        let limit = VERSIONS_MAX.to_string();
        Error::TooLarge { what: "the service's versions: remove one first, they", limit }
    })?;
    Ok(shape(caller, row, request.spec))
}

/// Removes a service, its versions and its keys.
pub async fn remove(control: &Control, caller: &Caller, name: &Name) -> Result<(), Error> {
    let (row, _) = own(control, caller, name, Action::ServicesWrite).await?;
    let removed = control
        .shared
        .store
        .transact("delete a service", |tx| Box::pin(service_delete(tx, row.id)));
    Ok(removed.await?)
}

/// A service's versions.
pub async fn versions(
    control: &Control,
    caller: &Caller,
    name: &Name,
    query: &PageQuery,
) -> Result<Page<ServiceVersion>, Error> {
    let (row, _) = own(control, caller, name, Action::ServicesRead).await?;
    let slice = slice::<u32>(query)?;
    let (id, limit, after) = (row.id, slice.limit, slice.after.unwrap_or(0));
    let read = control.shared.store.read("list versions of a service", |tx| {
        Box::pin(service_versions_list(tx, id, after, limit + 1))
    });
    let mut versions = Vec::new();
    for row in read.await? {
        let (version, created_at_ms) = (row.number, row.created_at_ms);
        versions.push(ServiceVersion { version, spec: from_json(&row.spec)?, created_at_ms });
    }
    Ok(page(versions, limit, |it| it.version.to_string(), |it| it))
}

/// Removes a version that is not the newest; calls that name it find nothing from now on.
pub async fn remove_version(
    control: &Control,
    caller: &Caller,
    name: &Name,
    version: u32,
) -> Result<(), Error> {
    let (row, _) = own(control, caller, name, Action::ServicesWrite).await?;
    if version == row.newest {
        let message = format!("version {version} is the newest, and answers: make another first");
        return Err(Error::Conflict { code: "conflict", message });
    }
    let id = row.id;
    let removed = control.shared.store.transact("delete a version of a service", |tx| {
        Box::pin(service_version_delete(tx, id, version))
    });
    if removed.await? {
        return Ok(());
    }
    Err(Error::NotFound { what: format!("version {version} of the service {name}") })
}

/// A service of the account, and what its newest version says.
async fn own(
    control: &Control,
    caller: &Caller,
    name: &Name,
    action: Action,
) -> Result<(ServiceRow, ServiceSpec), Error> {
    control.authorize(caller, action, Resource::account(caller.account))?;
    let (account, wanted) = (caller.account, name.clone());
    let read = control.shared.store.read("fetch a service", move |tx| {
        let wanted = wanted.clone();
        Box::pin(async move { service_fetch(tx, account, &wanted).await })
    });
    let (row, spec) = found(read.await, || format!("the service {name}"))?;
    Ok((row, from_json(&spec)?))
}

/// Refuses what could not be served.
async fn check(control: &Control, caller: &Caller, spec: &ServiceSpec) -> Result<(), Error> {
    if spec.description.len() > DESCRIPTION_BYTES_MAX {
        let message = format!("the description has more than {DESCRIPTION_BYTES_MAX} bytes");
        return Err(Error::invalid(message));
    }
    if spec.operations.is_empty() {
        return Err(Error::invalid("a service has at least one operation"));
    }
    if spec.operations.len() > OPERATIONS_MAX {
        let limit = OPERATIONS_MAX.to_string();
        return Err(Error::TooLarge { what: "the list of operations", limit });
    }
    let mut places = BTreeSet::new();
    for operation in &spec.operations {
        let Operation { method, path, function, .. } = operation;
        let wrong = |what: String| Error::invalid(format!("{} {path}: {what}", method.as_str()));
        let shape = check_path(path).map_err(|what| wrong(what.to_owned()))?;
        if !places.insert((*method, shape)) {
            return Err(wrong("another operation has this method and path".to_owned()));
        }
        for (what, schema) in [("input", &operation.input), ("output", &operation.output)] {
            let read = schema.as_ref().map(Schema::read).transpose();
            read.map_err(|error| wrong(format!("the {what}: {error}")))?;
        }
        let there = called(control, caller, function, Action::FunctionsRead).await;
        there.map_err(|error| match error {
            Error::NotFound { .. } => wrong(format!("there is no function or link {function}")),
            other => other,
        })?;
    }
    Ok(())
}

/// A path's shape: its names of parameters do not tell it from another.
fn check_path(path: &str) -> Result<String, &'static str> {
    let segments = path.strip_prefix('/').ok_or("a path begins with /")?;
    if path.len() > PATH_BYTES_MAX {
        return Err("a path has at most 256 bytes");
    }
    let mut names = BTreeSet::new();
    let mut shape = String::new();
    for segment in segments.split('/') {
        shape.push('/');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let text = parameter.unwrap_or(segment);
        if text.is_empty() || !text.bytes().all(plain) || matches!(text, "." | "..") {
            return Err("write segments of letters, digits, -, _ and ., or {name} for a parameter");
        }
        match parameter {
            Some(name) if !names.insert(name) => return Err("it has two parameters of one name"),
            Some(_) => shape.push_str("{}"),
            None => shape.push_str(segment),
        }
    }
    let first = segments.split('/').next().unwrap_or_default();
    if first == "openapi.json" || is_version(first) {
        return Err("openapi.json and v1, v2 and so on are the service's own");
    }
    Ok(shape)
}

fn is_version(segment: &str) -> bool {
    let digits = segment.strip_prefix('v').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn stored(spec: &ServiceSpec) -> Result<serde_json::Value, Error> {
    serde_json::to_value(spec).map_err(|error| Error::internal("could not write a service", error))
}

fn shape(caller: &Caller, row: ServiceRow, spec: ServiceSpec) -> Service {
    Service {
        id: row.id,
        path: format!("/services/{}/{}", caller.account_name, row.name),
        account: caller.account_name.clone(),
        name: row.name,
        version: row.newest,
        spec,
        generation: row.generation,
        created_at_ms: row.created_at_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_others_by_its_shape() {
        assert_eq!(check_path("/score").unwrap(), "/score");
        let one = check_path("/customers/{customer}/score").unwrap();
        assert_eq!(one, check_path("/customers/{id}/score").unwrap());
        for wrong in [
            "score",
            "/",
            "//",
            "/a//b",
            "/a b",
            "/{}",
            "/{a}/{a}",
            "/v1",
            "/v12/x",
            "/openapi.json",
            "/..",
            "/a/{b",
            "/ä",
        ] {
            assert!(check_path(wrong).is_err(), "{wrong}");
        }
        assert!(check_path(&format!("/{}", "a".repeat(PATH_BYTES_MAX))).is_err());
    }
}
