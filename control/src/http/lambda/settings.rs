//! What surrounds a function's calls, in Lambda's shapes: concurrency, events, permissions, tags.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, put};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use api::functions::events::EventSettings;
use store::functions::settings::SettingKind;
use types::FunctionReference;

use super::{Asked, Json, Pages, Refusal, Who, qualified, some};
use crate::operations::functions;
use crate::operations::functions::destinations::put_checked;
use crate::operations::functions::provisioned::check_limit;
use crate::operations::functions::settings::{
    self as operations, BY_URL_CONDITION, CONCURRENCY_MAX, Concurrency, Statement,
};
use crate::operations::functions::urls::AUTH_CONDITION;
use crate::{Control, Error};

/// Most tags of a function. Source: AWS's limit.
const TAGS_MAX: usize = 50;

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route(
            "/2017-10-31/functions/{function}/concurrency",
            put(put_concurrency).delete(delete_concurrency),
        )
        .route("/2019-09-30/functions/{function}/concurrency", get(get_concurrency))
        .route(
            "/2019-09-25/functions/{function}/event-invoke-config",
            put(put_events).post(update_events).get(get_events).delete(delete_events),
        )
        .route("/2019-09-25/functions/{function}/event-invoke-config/list", get(list_events))
        .route("/2015-03-31/functions/{function}/policy", get(get_policy).post(permit))
        .route("/2015-03-31/functions/{function}/policy/{statement}", delete(forbid))
        .route("/2017-03-31/tags/{arn}", get(get_tags).post(tag).delete(untag))
        .route("/2016-08-19/account-settings", get(account))
        .route("/2016-08-19/account-settings/", get(account))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutConcurrency {
    reserved_concurrent_executions: u32,
}

const CONCURRENCY: (SettingKind, &str) = (SettingKind::Concurrency, "");

async fn put_concurrency(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<PutConcurrency>,
) -> Result<axum::Json<Value>, Refusal> {
    let max = request.reserved_concurrent_executions;
    if max > CONCURRENCY_MAX {
        return Err(Refusal::invalid(format!(
            "{max} calls at one time; at most {CONCURRENCY_MAX}"
        )));
    }
    check_limit(&control, &asked.caller, &asked.function, max).await?;
    let value = (CONCURRENCY.0, CONCURRENCY.1, &Concurrency { max });
    operations::put(&control, &asked.caller, &asked.function, value).await?;
    Ok(axum::Json(json!({ "ReservedConcurrentExecutions": max })))
}

async fn get_concurrency(
    State(control): State<Control>,
    asked: Asked,
) -> Result<axum::Json<Value>, Refusal> {
    let found: Option<Concurrency> =
        operations::fetch(&control, &asked.caller, &asked.function, CONCURRENCY).await?;
    let max = found.map_or(Value::Null, |found| found.max.into());
    Ok(axum::Json(some(vec![("ReservedConcurrentExecutions", max)])))
}

async fn delete_concurrency(
    State(control): State<Control>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    operations::remove(&control, &asked.caller, &asked.function, CONCURRENCY).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutEvents {
    maximum_retry_attempts: Option<u32>,
    maximum_event_age_in_seconds: Option<u64>,
    destination_config: Option<Destinations>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destinations {
    on_success: Option<Destination>,
    on_failure: Option<Destination>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Destination {
    destination: Option<String>,
}

/// Whose settings are meant.
fn qualifier(asked: &Asked) -> &str {
    operations::stored_qualifier(&asked.qualifier)
}

async fn put_events(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<PutEvents>,
) -> Result<axum::Json<Value>, Refusal> {
    store_events(&control, &asked, EventSettings::default(), request).await
}

async fn update_events(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<PutEvents>,
) -> Result<axum::Json<Value>, Refusal> {
    let kind = (SettingKind::Events, qualifier(&asked));
    let before = operations::fetch(&control, &asked.caller, &asked.function, kind).await?;
    let missing = || Refusal::missing("The event invoke config");
    store_events(&control, &asked, before.ok_or_else(missing)?, request).await
}

async fn store_events(
    control: &Control,
    asked: &Asked,
    mut events: EventSettings,
    request: PutEvents,
) -> Result<axum::Json<Value>, Refusal> {
    events.retries = request.maximum_retry_attempts.or(events.retries);
    events.age_s = request.maximum_event_age_in_seconds.or(events.age_s);
    if let Some(destinations) = request.destination_config {
        let name = |it: Option<Destination>| {
            it.and_then(|it| it.destination).filter(|name| !name.is_empty())
        };
        events.on_success = name(destinations.on_success);
        events.on_failure = name(destinations.on_failure);
    }
    let named = (&asked.function, qualifier(asked));
    let at_ms = put_checked(control, &asked.caller, named, &events).await?;
    Ok(axum::Json(events_shape(asked, qualifier(asked), (at_ms, &events))))
}

/// What becomes of the function's events, by qualifier, and since when.
async fn all_events(
    control: &Control,
    asked: &Asked,
) -> Result<Vec<(String, u64, EventSettings)>, Refusal> {
    let Asked { caller, function, .. } = asked;
    Ok(operations::fetch_all(control, caller, function, SettingKind::Events).await?)
}

async fn get_events(
    State(control): State<Control>,
    asked: Asked,
) -> Result<axum::Json<Value>, Refusal> {
    let all = all_events(&control, &asked).await?;
    let found = all.iter().find(|(name, ..)| name == qualifier(&asked));
    let (name, at_ms, events) = found.ok_or_else(|| Refusal::missing("The event invoke config"))?;
    Ok(axum::Json(events_shape(&asked, name, (*at_ms, events))))
}

async fn list_events(
    State(control): State<Control>,
    asked: Asked,
    pages: Pages,
) -> Result<axum::Json<Value>, Refusal> {
    let all = all_events(&control, &asked).await?;
    let (page, marker) = pages.of(all, |(name, ..)| qualified(name));
    let shapes = page.iter().map(|(name, at_ms, it)| events_shape(&asked, name, (*at_ms, it)));
    let shapes: Vec<Value> = shapes.collect();
    let told = vec![("FunctionEventInvokeConfigs", shapes.into()), ("NextMarker", marker)];
    Ok(axum::Json(some(told)))
}

async fn delete_events(
    State(control): State<Control>,
    asked: Asked,
) -> Result<StatusCode, Refusal> {
    let kind = (SettingKind::Events, qualifier(&asked));
    if operations::remove(&control, &asked.caller, &asked.function, kind).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Refusal::missing("The event invoke config"))
    }
}

/// A `FunctionEventInvokeConfig`.
fn events_shape(asked: &Asked, name: &str, (at_ms, events): (u64, &EventSettings)) -> Value {
    let destination = |name: &Option<String>| {
        name.as_ref().map_or_else(|| json!({}), |name| json!({ "Destination": name }))
    };
    let number = |number: Option<u64>| number.map_or(Value::Null, Value::from);
    let arn = match name {
        "" => format!("{}:{}", asked.arn(""), api::functions::LATEST),
        name => asked.arn(name),
    };
    some(vec![
        // In seconds, since 1970.
        ("LastModified", json!(at_ms / 1_000)),
        ("FunctionArn", arn.into()),
        ("MaximumRetryAttempts", number(events.retries.map(u64::from))),
        ("MaximumEventAgeInSeconds", number(events.age_s)),
        (
            "DestinationConfig",
            json!({
                "OnSuccess": destination(&events.on_success),
                "OnFailure": destination(&events.on_failure),
            }),
        ),
    ])
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Permit {
    statement_id: String,
    action: String,
    principal: String,
    #[serde(flatten)]
    condition: Map<String, Value>,
}

async fn permit(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<Permit>,
) -> Result<Response, Refusal> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    let id = request.statement_id;
    if id.is_empty() || id.len() > 100 || !id.bytes().all(plain) {
        return Err(Refusal::invalid("StatementId has 1 to 100 of a-z, A-Z, 0-9, - and _"));
    }
    let known = matches!(
        &*request.action,
        "lambda:InvokeFunction" | "lambda:InvokeFunctionUrl" | "lambda:GetFunction" | "lambda:*"
    );
    if !known {
        let message = "Action is lambda:InvokeFunction, or another that concerns calls";
        return Err(Refusal::invalid(message));
    }
    let said = request.condition.get(AUTH_CONDITION);
    if said.is_some_and(|said| *said != "NONE" && *said != "AWS_IAM") {
        return Err(Refusal::invalid("FunctionUrlAuthType is NONE or AWS_IAM"));
    }
    let statement = Statement {
        id,
        action: request.action,
        principal: request.principal,
        qualifier: qualifier(&asked).to_owned(),
        condition: request.condition,
    };
    let told = statement_shape(&asked, &statement);
    operations::permit(&control, &asked.caller, &asked.function, statement).await?;
    let body = json!({ "Statement": told.to_string() });
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

async fn get_policy(
    State(control): State<Control>,
    asked: Asked,
) -> Result<axum::Json<Value>, Refusal> {
    let all = operations::permissions(&control, &asked.caller, &asked.function).await?;
    let mine = all.iter().filter(|it| it.qualifier == qualifier(&asked));
    let statements: Vec<Value> = mine.map(|it| statement_shape(&asked, it)).collect();
    if statements.is_empty() {
        return Err(Refusal::missing("The resource policy"));
    }
    let policy = json!({ "Version": "2012-10-17", "Id": "default", "Statement": statements });
    let found = functions::fetch_described(&control, &asked.caller, &asked.function, "").await?;
    let revision = found.revision.uuid().to_string();
    Ok(axum::Json(json!({ "Policy": policy.to_string(), "RevisionId": revision })))
}

async fn forbid(State(control): State<Control>, asked: Asked) -> Result<StatusCode, Refusal> {
    let id = asked.rest.clone().unwrap_or_default();
    let key = (id.as_str(), qualifier(&asked));
    operations::forbid(&control, &asked.caller, &asked.function, key).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A statement of a policy.
fn statement_shape(asked: &Asked, statement: &Statement) -> Value {
    let principal = match &*statement.principal {
        "*" => json!("*"),
        service if service.ends_with(".amazonaws.com") => json!({ "Service": service }),
        number if number.len() == 12 && number.bytes().all(|byte| byte.is_ascii_digit()) => {
            json!({ "AWS": format!("arn:aws:iam::{number}:root") })
        }
        arn => json!({ "AWS": arn }),
    };
    let said = |name: &str| statement.condition.get(name);
    let of = |name: &str, value: &Value| json!({ name: value });
    let conditions = some(vec![
        ("ArnLike", said("SourceArn").map_or(Value::Null, |it| of("AWS:SourceArn", it))),
        (
            "StringEquals",
            said(AUTH_CONDITION).map_or(Value::Null, |it| of("lambda:FunctionUrlAuthType", it)),
        ),
        (
            "Bool",
            said(BY_URL_CONDITION).map_or(Value::Null, |it| {
                of("lambda:InvokedViaFunctionUrl", &json!(it.to_string()))
            }),
        ),
    ]);
    let condition = if conditions == json!({}) { Value::Null } else { conditions };
    some(vec![
        ("Sid", statement.id.clone().into()),
        ("Effect", "Allow".into()),
        ("Principal", principal),
        ("Action", statement.action.clone().into()),
        ("Resource", asked.arn(&statement.qualifier).into()),
        ("Condition", condition),
    ])
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    tags: BTreeMap<String, String>,
}

type Tags = BTreeMap<String, String>;
const TAGS: (SettingKind, &str) = (SettingKind::Tags, "");

fn tagged(arn: &str) -> Result<types::FunctionName, Refusal> {
    let named = arn.parse::<FunctionReference>();
    named.map(|it| it.name).map_err(|error| Refusal::invalid(error.to_string()))
}

async fn get_tags(
    State(control): State<Control>,
    Who(caller, _): Who,
    Path(arn): Path<String>,
) -> Result<axum::Json<Value>, Refusal> {
    let tags: Option<Tags> = operations::fetch(&control, &caller, &tagged(&arn)?, TAGS).await?;
    Ok(axum::Json(json!({ "Tags": tags.unwrap_or_default() })))
}

async fn tag(
    State(control): State<Control>,
    Who(caller, _): Who,
    Path(arn): Path<String>,
    Json(request): Json<Tag>,
) -> Result<StatusCode, Refusal> {
    let name = tagged(&arn)?;
    let tags: Option<Tags> = operations::fetch(&control, &caller, &name, TAGS).await?;
    let mut tags = tags.unwrap_or_default();
    tags.extend(request.tags);
    if tags.len() > TAGS_MAX {
        return Err(Refusal::invalid(format!("a function has at most {TAGS_MAX} tags")));
    }
    operations::put(&control, &caller, &name, (TAGS.0, TAGS.1, &tags)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn untag(
    State(control): State<Control>,
    Who(caller, _): Who,
    Path(arn): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Refusal> {
    let name = tagged(&arn)?;
    let tags: Option<Tags> = operations::fetch(&control, &caller, &name, TAGS).await?;
    let mut tags = tags.unwrap_or_default();
    let pairs = query.unwrap_or_default();
    let uri = format!("/?{pairs}").parse::<http::Uri>();
    let uri = uri.map_err(|_| Refusal::from(Error::invalid("the query is broken")))?;
    let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri);
    let pairs = pairs.map_err(|_| Refusal::invalid("tagKeys could not be read"))?.0;
    for (_, key) in pairs.iter().filter(|(name, _)| name == "tagKeys") {
        tags.remove(key);
    }
    operations::put(&control, &caller, &name, (TAGS.0, TAGS.1, &tags)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn account(
    State(control): State<Control>,
    Who(caller, _): Who,
) -> Result<axum::Json<Value>, Refusal> {
    let query = api::pages::PageQuery { cursor: None, limit: Some(api::pages::PAGE_LENGTH_MAX) };
    let functions = functions::list_described(&control, &caller, &query).await?;
    let bytes: u64 = functions.items.iter().filter_map(|it| Some(it.code.as_ref()?.bytes)).sum();
    Ok(axum::Json(json!({
        "AccountLimit": {
            "TotalCodeSize": 80_530_636_800_u64,
            "CodeSizeUnzipped": 262_144_000,
            "CodeSizeZipped": 52_428_800,
            "ConcurrentExecutions": CONCURRENCY_MAX,
            "UnreservedConcurrentExecutions": CONCURRENCY_MAX,
        },
        "AccountUsage": { "TotalCodeSize": bytes, "FunctionCount": functions.items.len() },
    })))
}
