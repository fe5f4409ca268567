//! Settings: what surrounds a function's calls.
//!
//! Always true: what is stored was checked; what was stored is read the same way by whoever
//! enforces it.

use access::Action;
use api::functions::LATEST;
use api::internal::functions::Permission;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::functions::settings::{
    SettingKind, SettingRow, setting_delete, setting_put, settings_list,
};
use types::{FunctionId, FunctionName};

use super::called;
use crate::caller::Caller;
use crate::operations::items::from_json;
use crate::{Control, Error};

/// Most calls at one time that can be set. Source: what a host runs of one function.
pub(crate) const CONCURRENCY_MAX: u32 = 1_000;
/// Most permissions of a function.
const PERMISSIONS_MAX: usize = 100;
/// Says of a statement that it counts for calls by a URL alone.
pub(crate) const BY_URL_CONDITION: &str = "InvokedViaFunctionUrl";

/// How many calls run at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Concurrency {
    pub(crate) max: u32,
}

/// That somebody may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Statement {
    /// Its name.
    pub(crate) id: String,
    pub(crate) action: String,
    pub(crate) principal: String,
    /// A version or alias; empty for the function without one.
    pub(crate) qualifier: String,
    /// What else was said.
    #[serde(default)]
    pub(crate) condition: serde_json::Map<String, serde_json::Value>,
}

/// What a qualifier is stored as: the latest is the function without one.
pub(crate) fn stored_qualifier(qualifier: &str) -> &str {
    if qualifier == LATEST { "" } else { qualifier }
}

/// One setting of a function; none where nobody has set it.
pub(crate) async fn fetch<T: DeserializeOwned>(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    (kind, qualifier): (SettingKind, &str),
) -> Result<Option<T>, Error> {
    let owner = called(control, caller, function, Action::FunctionsRead).await?;
    find(&list(control, owner.id).await?, kind, qualifier)
}

/// Every setting of a kind, by qualifier.
pub(crate) async fn fetch_all<T: DeserializeOwned>(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    kind: SettingKind,
) -> Result<Vec<(String, u64, T)>, Error> {
    let owner = called(control, caller, function, Action::FunctionsRead).await?;
    let rows = list(control, owner.id).await?;
    let rows = rows.into_iter().filter(|row| row.kind == kind);
    rows.map(|row| Ok((row.qualifier, row.changed_at_ms, from_json(&row.spec)?))).collect()
}

/// Stores a setting.
pub(crate) async fn put<T: Serialize>(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    (kind, qualifier, value): (SettingKind, &str, &T),
) -> Result<u64, Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let spec = serde_json::to_value(value);
    let spec = spec.map_err(|error| Error::internal("could not write a setting", error))?;
    let changed_at_ms = control.now_ms();
    let row = SettingRow { kind, qualifier: qualifier.to_owned(), spec, changed_at_ms };
    let id = owner.id;
    let stored = control.shared.store.transact("store a setting of a function", |tx| {
        let row = row.clone();
        Box::pin(async move { setting_put(tx, id, &row).await })
    });
    stored.await?;
    Ok(changed_at_ms)
}

/// Removes a setting, and tells whether it was there.
pub(crate) async fn remove(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    (kind, qualifier): (SettingKind, &str),
) -> Result<bool, Error> {
    let owner = called(control, caller, function, Action::FunctionsWrite).await?;
    let (id, qualifier) = (owner.id, qualifier.to_owned());
    let removed = control.shared.store.transact("delete a setting of a function", |tx| {
        let qualifier = qualifier.clone();
        Box::pin(async move { setting_delete(tx, id, (kind, &qualifier)).await })
    });
    Ok(removed.await?)
}

/// Adds a permission.
pub(crate) async fn permit(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    statement: Statement,
) -> Result<(), Error> {
    let mut all = permissions(control, caller, function).await?;
    if all.iter().any(|it| it.id == statement.id && it.qualifier == statement.qualifier) {
        return Err(Error::NameTaken { name: statement.id });
    }
    if all.len() >= PERMISSIONS_MAX {
        let limit = PERMISSIONS_MAX.to_string();
        return Err(Error::TooLarge { what: "the function's permissions", limit });
    }
    all.push(statement);
    put(control, caller, function, (SettingKind::Permissions, "", &all)).await.map(|_| ())
}

/// Takes a permission away.
pub(crate) async fn forbid(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
    (id, qualifier): (&str, &str),
) -> Result<(), Error> {
    let mut all = permissions(control, caller, function).await?;
    let before = all.len();
    all.retain(|it| it.id != id || it.qualifier != qualifier);
    if all.len() == before {
        return Err(Error::NotFound { what: format!("the permission {id}") });
    }
    put(control, caller, function, (SettingKind::Permissions, "", &all)).await.map(|_| ())
}

/// The permissions of a function.
pub(crate) async fn permissions(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
) -> Result<Vec<Statement>, Error> {
    let kind = (SettingKind::Permissions, "");
    Ok(fetch(control, caller, function, kind).await?.unwrap_or_default())
}

/// Every setting of a function.
pub(super) async fn list(control: &Control, id: FunctionId) -> Result<Vec<SettingRow>, Error> {
    let read = control
        .shared
        .store
        .read("list settings of a function", |tx| Box::pin(settings_list(tx, id)));
    Ok(read.await?)
}

/// The setting of a kind and qualifier among these.
pub(crate) fn find<T: DeserializeOwned>(
    rows: &[SettingRow],
    kind: SettingKind,
    qualifier: &str,
) -> Result<Option<T>, Error> {
    let row = rows.iter().find(|row| row.kind == kind && row.qualifier == qualifier);
    row.map(|row| from_json(&row.spec)).transpose()
}

/// Most calls at one time, as gateways are told.
pub(crate) fn concurrency_of(rows: &[SettingRow]) -> Result<Option<u32>, Error> {
    let found: Option<Concurrency> = find(rows, SettingKind::Concurrency, "")?;
    Ok(found.map(|concurrency| concurrency.max))
}

/// Who else may call, as gateways are told: permissions of services mean nothing here.
pub(crate) fn permissions_of(rows: &[SettingRow]) -> Result<Vec<Permission>, Error> {
    let all: Option<Vec<Statement>> = find(rows, SettingKind::Permissions, "")?;
    let calls = |it: &Statement| matches!(&*it.action, "lambda:InvokeFunction" | "lambda:*");
    // Who may call by a URL alone may not call past it.
    let anyhow = |it: &Statement| it.condition.get(BY_URL_CONDITION) != Some(&true.into());
    let all = all.unwrap_or_default().into_iter().filter(|it| calls(it) && anyhow(it));
    let permission = |it: Statement| {
        let account = grantee(&it.principal)?;
        Some(Permission { qualifier: it.qualifier, account })
    };
    Ok(all.filter_map(permission).collect())
}

/// Whom a principal means: the number of an account, or `*`; none for a service.
pub(crate) fn grantee(principal: &str) -> Option<String> {
    // An address of IAM: of the account, or of somebody in it.
    let account = principal.strip_prefix("arn:aws:iam::");
    let account = account.and_then(|rest| rest.split(':').next()).unwrap_or(principal);
    let number = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (account == "*" || number).then(|| account.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_may_call_by_a_url_alone_may_not_call_past_it() {
        for (condition, lets) in [
            (json!({}), true),
            (json!({ "InvokedViaFunctionUrl": false }), true),
            (json!({ "InvokedViaFunctionUrl": true }), false),
        ] {
            let statement = Statement {
                id: "any".to_owned(),
                action: "lambda:InvokeFunction".to_owned(),
                principal: "*".to_owned(),
                qualifier: String::new(),
                condition: condition.as_object().unwrap().clone(),
            };
            let row = SettingRow {
                kind: SettingKind::Permissions,
                qualifier: String::new(),
                spec: json!([statement]),
                changed_at_ms: 0,
            };
            assert_eq!(permissions_of(&[row]).unwrap().len(), usize::from(lets), "{condition}");
        }
    }
}
