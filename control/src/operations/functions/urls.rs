//! URLs of functions: who may call them, and by which address.
//!
//! Always true: a function, and each of its aliases, has one URL at most; its id stays for as long
//! as it is there, and no other ever has it.
//! Absent on purpose: answering them, which gateways do.

use access::Action;
use api::functions::LATEST;
use api::functions::urls::{Cors, FunctionUrl, UrlAuth, UrlSettings, path_of};
use api::internal::functions::urls::UrlRoute;
use policy::cors::Rules;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use store::Tx;
use store::functions::aliases::alias_fetch;
use store::functions::settings::{
    SettingKind, SettingRow, setting_delete, setting_put, settings_list,
};
use types::{AliasName, FunctionId, FunctionName, UrlId};

use super::own;
use super::settings::{self, Statement, find, grantee};
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::{Control, Error};

/// What lets somebody call a URL.
pub(crate) const ACTION: &str = "lambda:InvokeFunctionUrl";
/// The statement that opens a URL to everybody. Source: the name that AWS's console gives it.
const OPEN: &str = "FunctionURLAllowPublicAccess";
/// On which kind of URL a statement counts.
pub(crate) const AUTH_CONDITION: &str = "FunctionUrlAuthType";
/// Conditions of statements that no request for a URL fulfils: it comes from no service of AWS.
const FOREIGN_CONDITIONS: [&str; 4] =
    ["EventSourceToken", "PrincipalOrgID", "SourceAccount", "SourceArn"];

/// A URL, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    id: UrlId,
    settings: UrlSettings,
    created_at_ms: u64,
}

/// A function, and its alias where one is meant.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// The function.
    pub function: &'a FunctionName,
    /// An alias; empty, or `$LATEST`, for the function without one.
    pub qualifier: &'a str,
}

/// How AWS's words name who may call.
pub(crate) const fn auth_word(auth: UrlAuth) -> &'static str {
    match auth {
        UrlAuth::None => "NONE",
        UrlAuth::Iam => "AWS_IAM",
    }
}

/// Makes a URL, and opens it to everybody where its settings say so.
pub async fn create(
    control: &Control,
    caller: &Caller,
    at: At<'_>,
    wanted: UrlSettings,
) -> Result<FunctionUrl, Error> {
    let auth = wanted.auth;
    let made = add(control, caller, at, wanted).await?;
    open(control, caller, at, auth).await?;
    Ok(made)
}

/// Makes a URL. One for everybody answers nobody until a statement of the function's permissions
/// lets them.
pub(crate) async fn add(
    control: &Control,
    caller: &Caller,
    at: At<'_>,
    wanted: UrlSettings,
) -> Result<FunctionUrl, Error> {
    check(&wanted)?;
    let id = UrlId::of(control.clock().random());
    let made = Stored { id, settings: wanted, created_at_ms: control.now_ms() };
    let name = || format!("the URL of {}", shown(at));
    let put = put(control, caller, at, |before| match before {
        Some(_) => Err(Error::NameTaken { name: name() }),
        None => Ok(made.clone()),
    });
    put.await
}

/// Changes a URL, as a whole, and opens it to everybody where its settings say so.
pub async fn update(
    control: &Control,
    caller: &Caller,
    at: At<'_>,
    wanted: UrlSettings,
) -> Result<FunctionUrl, Error> {
    let auth = wanted.auth;
    let changed = change(control, caller, at, move |_| Ok(wanted.clone())).await?;
    open(control, caller, at, auth).await?;
    Ok(changed)
}

/// Changes what a URL's settings are to what `to` makes of them.
pub(crate) async fn change(
    control: &Control,
    caller: &Caller,
    at: At<'_>,
    to: impl Fn(UrlSettings) -> Result<UrlSettings, Error> + Send + Sync,
) -> Result<FunctionUrl, Error> {
    put(control, caller, at, |before| {
        let before = before.ok_or_else(|| missing(at))?;
        let settings = to(before.settings)?;
        check(&settings)?;
        Ok(Stored { settings, ..before })
    })
    .await
}

/// One URL.
pub async fn fetch(control: &Control, caller: &Caller, at: At<'_>) -> Result<FunctionUrl, Error> {
    let wanted = alias(at.qualifier)?.map(String::from).unwrap_or_default();
    let all = list(control, caller, at.function).await?;
    all.into_iter().find(|url| url.qualifier == wanted).ok_or_else(|| missing(at))
}

/// A function's URLs: its own first, then those of its aliases.
pub async fn list(
    control: &Control,
    caller: &Caller,
    function: &FunctionName,
) -> Result<Vec<FunctionUrl>, Error> {
    let (owner, _) = own(control, caller, function, Action::FunctionsRead).await?;
    let rows = settings::list(control, owner.id).await?.into_iter();
    let rows = rows.filter(|row| row.kind == SettingKind::Url);
    rows.map(|row| shape(&row)).collect()
}

/// Removes a URL, and what opened it to everybody.
pub async fn remove(control: &Control, caller: &Caller, at: At<'_>) -> Result<(), Error> {
    take(control, caller, at).await?;
    let qualifier = alias(at.qualifier)?.map(String::from).unwrap_or_default();
    match settings::forbid(control, caller, at.function, (OPEN, &qualifier)).await {
        Err(Error::NotFound { .. }) => Ok(()),
        done => done,
    }
}

/// Removes a URL; permissions stay as they are.
pub(crate) async fn take(control: &Control, caller: &Caller, at: At<'_>) -> Result<(), Error> {
    let (owner, _) = own(control, caller, at.function, Action::FunctionsWrite).await?;
    let qualifier = alias(at.qualifier)?.map(String::from).unwrap_or_default();
    let id = owner.id;
    let removed = control.shared.store.transact("delete a URL", |tx| {
        let qualifier = qualifier.clone();
        Box::pin(async move { setting_delete(tx, id, (SettingKind::Url, &qualifier)).await })
    });
    if removed.await? { Ok(()) } else { Err(missing(at)) }
}

/// Stores what is to be in the place of a URL, or of none.
async fn put(
    control: &Control,
    caller: &Caller,
    at: At<'_>,
    next: impl Fn(Option<Stored>) -> Result<Stored, Error> + Send + Sync,
) -> Result<FunctionUrl, Error> {
    let (owner, _) = own(control, caller, at.function, Action::FunctionsWrite).await?;
    let (id, alias, changed_at_ms) = (owner.id, alias(at.qualifier)?, control.now_ms());
    let next = &next;
    let stored = control.shared.store.transact("store a URL", |tx| {
        let alias = alias.clone();
        Box::pin(async move {
            let next = match before(tx, id, alias.as_ref()).await?.and_then(next) {
                Ok(next) => next,
                Err(refused) => return Ok(Err(refused)),
            };
            let spec = match serde_json::to_value(&next) {
                Ok(spec) => spec,
                Err(error) => return Ok(Err(Error::internal("could not write a URL", error))),
            };
            let qualifier = alias.map(String::from).unwrap_or_default();
            let row = SettingRow { kind: SettingKind::Url, qualifier, spec, changed_at_ms };
            setting_put(tx, id, &row).await?;
            Ok::<_, store::Error>(Ok(row))
        })
    });
    shape(&found(stored.await, || format!("the alias {}", shown(at)))??)
}

/// The URL that is there, of a function or of an alias that is there.
async fn before(
    tx: &mut Tx<'_>,
    id: FunctionId,
    alias: Option<&AliasName>,
) -> Result<Result<Option<Stored>, Error>, store::Error> {
    if let Some(alias) = alias {
        alias_fetch(tx, id, alias).await?;
    }
    let qualifier = alias.map_or("", AliasName::as_str);
    Ok(find(&settings_list(tx, id).await?, SettingKind::Url, qualifier))
}

/// Has everybody let in, where that is wanted and nothing does so yet.
async fn open(control: &Control, caller: &Caller, at: At<'_>, auth: UrlAuth) -> Result<(), Error> {
    if auth != UrlAuth::None {
        return Ok(());
    }
    let condition = [(AUTH_CONDITION.to_owned(), Value::from(auth_word(auth)))];
    let statement = Statement {
        id: OPEN.to_owned(),
        action: ACTION.to_owned(),
        principal: "*".to_owned(),
        qualifier: alias(at.qualifier)?.map(String::from).unwrap_or_default(),
        condition: condition.into_iter().collect(),
    };
    match settings::permit(control, caller, at.function, statement).await {
        Err(Error::NameTaken { .. }) => Ok(()),
        done => done,
    }
}

/// The alias that a qualifier means; none for the function itself.
fn alias(qualifier: &str) -> Result<Option<AliasName>, Error> {
    if matches!(qualifier, "" | LATEST) {
        return Ok(None);
    }
    let refused = |_| {
        let message = "a URL is of a function or of an alias of it, not of a version";
        Error::invalid(message)
    };
    qualifier.parse().map(Some).map_err(refused)
}

fn check(settings: &UrlSettings) -> Result<(), Error> {
    let Some(cors) = &settings.cors else { return Ok(()) };
    let Cors { origins, methods, headers, exposed, credentials, max_age_s } = cors;
    let (credentials, max_age_s) = (*credentials, *max_age_s);
    let rules = Rules { origins, methods, headers, exposed, credentials, max_age_s };
    rules.check().map_err(|refusal| Error::invalid(format!("cors: {refusal}")))
}

fn shape(row: &SettingRow) -> Result<FunctionUrl, Error> {
    let Stored { id, settings, created_at_ms } = from_json(&row.spec)?;
    let (path, qualifier) = (path_of(&id), row.qualifier.clone());
    let changed_at_ms = row.changed_at_ms;
    Ok(FunctionUrl { id, path, qualifier, settings, created_at_ms, changed_at_ms })
}

fn missing(at: At<'_>) -> Error {
    Error::NotFound { what: format!("the URL of {}", shown(at)) }
}

fn shown(at: At<'_>) -> String {
    match at.qualifier {
        "" | LATEST => at.function.to_string(),
        qualifier => format!("{}:{qualifier}", at.function),
    }
}

/// The URLs of a function, as gateways are told.
pub(crate) fn urls_of(rows: &[SettingRow]) -> Result<Vec<UrlRoute>, Error> {
    let all: Option<Vec<Statement>> = find(rows, SettingKind::Permissions, "")?;
    let all = all.unwrap_or_default();
    let urls = rows.iter().filter(|row| row.kind == SettingKind::Url);
    let route = |row: &SettingRow| {
        let Stored { id, settings, .. } = from_json(&row.spec)?;
        let accounts = lets_in(&all, &row.qualifier, settings.auth);
        Ok(UrlRoute { id, qualifier: row.qualifier.clone(), settings, accounts })
    };
    urls.map(route).collect()
}

/// Whom statements let call a URL: numbers of accounts, and `*` for everybody.
fn lets_in(all: &[Statement], qualifier: &str, auth: UrlAuth) -> Vec<String> {
    let counts = |condition: &Map<String, Value>| {
        let foreign = FOREIGN_CONDITIONS.iter().any(|name| condition.contains_key(*name));
        let of_auth = condition.get(AUTH_CONDITION);
        !foreign && of_auth.is_none_or(|said| said == auth_word(auth))
    };
    let mut accounts: Vec<String> = all
        .iter()
        .filter(|it| it.qualifier == qualifier && matches!(&*it.action, ACTION | "lambda:*"))
        .filter(|it| counts(&it.condition))
        .filter_map(|it| grantee(&it.principal))
        .collect();
    accounts.sort_unstable();
    accounts.dedup();
    accounts
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement(action: &str, principal: &str, condition: &Value) -> Statement {
        Statement {
            id: "any".to_owned(),
            action: action.to_owned(),
            principal: principal.to_owned(),
            qualifier: "live".to_owned(),
            condition: condition.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn a_statement_lets_in_whom_it_names_where_its_conditions_hold() {
        let number = "000000000007";
        for (action, principal, condition, none, iam) in [
            (ACTION, "*", json!({}), Some("*"), Some("*")),
            ("lambda:*", number, json!({}), Some(number), Some(number)),
            (ACTION, "arn:aws:iam::000000000007:root", json!({}), Some(number), Some(number)),
            (ACTION, "*", json!({ "FunctionUrlAuthType": "NONE" }), Some("*"), None),
            (ACTION, number, json!({ "FunctionUrlAuthType": "AWS_IAM" }), None, Some(number)),
            (ACTION, "*", json!({ "SourceArn": "arn:aws:s3:::b" }), None, None),
            (ACTION, "s3.amazonaws.com", json!({}), None, None),
            ("lambda:InvokeFunction", "*", json!({}), None, None),
        ] {
            let all = [statement(action, principal, &condition)];
            let told = |auth| lets_in(&all, "live", auth).first().cloned();
            assert_eq!(told(UrlAuth::None).as_deref(), none, "{all:?}");
            assert_eq!(told(UrlAuth::Iam).as_deref(), iam, "{all:?}");
            assert_eq!(lets_in(&all, "", UrlAuth::None), [""; 0], "it is of an alias");
        }
    }

    #[test]
    fn a_version_has_no_url() {
        assert_eq!(alias("").unwrap(), None);
        assert_eq!(alias(LATEST).unwrap(), None);
        assert_eq!(alias("live").unwrap().unwrap().as_str(), "live");
        for version in ["1", "007", "a b"] {
            assert!(alias(version).is_err(), "{version}");
        }
    }
}
