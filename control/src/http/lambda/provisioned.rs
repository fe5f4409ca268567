//! Provisioned concurrency, in Lambda's shapes.

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::{Asked, Json, Pages, Refusal, some};
use crate::Control;
use crate::moment::with_offset;
use crate::operations::functions::provisioned::{self as operations, At};
use api::functions::provisioned::{ProvisionedConcurrency, ProvisionedSettings, ProvisionedStatus};

pub(super) fn routes() -> Router<Control> {
    Router::new().route(
        "/2019-09-30/functions/{function}/provisioned-concurrency",
        get(fetch).put(put_wanted).delete(remove),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Put {
    provisioned_concurrent_executions: u32,
}

fn at(asked: &Asked) -> Result<At<'_>, Refusal> {
    if asked.qualifier.is_empty() {
        return Err(Refusal::invalid("Qualifier is missing: name a version or an alias"));
    }
    Ok(At { function: &asked.function, qualifier: &asked.qualifier })
}

async fn put_wanted(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<Put>,
) -> Result<Response, Refusal> {
    let wanted = ProvisionedSettings { instances: request.provisioned_concurrent_executions };
    let put = operations::put(&control, &asked.caller, at(&asked)?, wanted).await?;
    Ok((StatusCode::ACCEPTED, axum::Json(some(shape(&put)))).into_response())
}

/// One, or all of a function: the same path, told apart by `List=ALL`.
async fn fetch(
    State(control): State<Control>,
    RawQuery(query): RawQuery,
    asked: Asked,
    pages: Pages,
) -> Result<axum::Json<Value>, Refusal> {
    let all = operations::list(&control, &asked.caller, &asked.function).await?;
    if query.unwrap_or_default().split('&').any(|pair| pair == "List=ALL") {
        let item = |it: &ProvisionedConcurrency| {
            let mut shape = shape(it);
            shape.push(("FunctionArn", asked.arn(&it.qualifier).into()));
            some(shape)
        };
        let (page, marker) = pages.of(all, |it| it.qualifier.clone());
        let items: Vec<Value> = page.iter().map(item).collect();
        let told = vec![("ProvisionedConcurrencyConfigs", items.into()), ("NextMarker", marker)];
        return Ok(axum::Json(some(told)));
    }
    let at = at(&asked)?;
    let found = all.iter().find(|it| it.qualifier == at.qualifier);
    Ok(axum::Json(some(shape(found.ok_or_else(missing)?))))
}

/// Removes it, whether or not it was there.
async fn remove(State(control): State<Control>, asked: Asked) -> Result<StatusCode, Refusal> {
    operations::take(&control, &asked.caller, at(&asked)?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn missing() -> Refusal {
    let message = "no provisioned concurrency is configured for this version or alias".to_owned();
    let kind = "ProvisionedConcurrencyConfigNotFoundException";
    Refusal { status: StatusCode::NOT_FOUND, kind, message }
}

/// What all answers tell of it.
fn shape(it: &ProvisionedConcurrency) -> Vec<(&'static str, Value)> {
    let status = match it.status {
        ProvisionedStatus::InProgress => "IN_PROGRESS",
        ProvisionedStatus::Ready => "READY",
        ProvisionedStatus::Failed => "FAILED",
    };
    vec![
        ("RequestedProvisionedConcurrentExecutions", it.settings.instances.into()),
        ("AvailableProvisionedConcurrentExecutions", it.available.into()),
        ("AllocatedProvisionedConcurrentExecutions", it.allocated.into()),
        ("Status", status.into()),
        ("StatusReason", it.reason.clone().map_or(Value::Null, Value::from)),
        ("LastModified", with_offset(it.changed_at_ms).into()),
    ]
}
