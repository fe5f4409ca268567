//! Aliases, in Lambda's shapes.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use api::functions::{Alias, CreateAlias, Share, UpdateAlias};
use policy::alias::WHOLE_BP;
use types::{AliasName, FunctionId};

use super::{Asked, Json, Pages, Refusal, some};
use crate::Control;
use crate::operations::functions;
use crate::operations::functions::aliases as operations;

pub(super) fn routes() -> Router<Control> {
    Router::new().route("/2015-03-31/functions/{function}/aliases", get(list).post(create)).route(
        "/2015-03-31/functions/{function}/aliases/{alias}",
        get(fetch).put(update).delete(remove),
    )
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    name: String,
    function_version: String,
    description: Option<String>,
    routing_config: Option<Routing>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Update {
    function_version: Option<String>,
    description: Option<String>,
    routing_config: Option<Routing>,
    revision_id: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Routing {
    #[serde(default)]
    additional_version_weights: BTreeMap<String, f64>,
}

impl Routing {
    /// The other version's share, of at most one.
    fn other(self) -> Result<Option<Share>, Refusal> {
        let mut weights = self.additional_version_weights.into_iter();
        let (Some((version, weight)), None) = (weights.next(), weights.next()) else {
            return Err(Refusal::invalid("at most one additional version has a weight"));
        };
        if !(0.0..=1.0).contains(&weight) {
            return Err(Refusal::invalid(format!("a weight of {weight}; use 0.0 to 1.0")));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10000")]
        let share = (weight * f64::from(WHOLE_BP)).round() as u32;
        Ok(Some(Share { version, share }))
    }
}

/// What a request says of the other version; nothing, or no weights, is none.
fn other(routing: Option<Routing>) -> Result<Option<Share>, Refusal> {
    match routing {
        Some(routing) if !routing.additional_version_weights.is_empty() => routing.other(),
        _ => Ok(None),
    }
}

fn name(text: &str) -> Result<AliasName, Refusal> {
    text.parse().map_err(|error: types::AliasNameError| Refusal::invalid(error.to_string()))
}

async fn id(control: &Control, asked: &Asked) -> Result<FunctionId, Refusal> {
    Ok(functions::fetch(control, &asked.caller, &asked.function).await?.id)
}

async fn create(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<Create>,
) -> Result<Response, Refusal> {
    let wanted = CreateAlias {
        name: name(&request.name)?,
        version: request.function_version,
        other: other(request.routing_config)?,
        max_stale_ms: None,
        description: request.description.unwrap_or_default(),
    };
    let made = operations::create(&control, &asked.caller, &asked.function, wanted).await?;
    let body = shape(&asked, id(&control, &asked).await?, &made);
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

async fn list(
    State(control): State<Control>,
    asked: Asked,
    Pages(page): Pages,
) -> Result<axum::Json<Value>, Refusal> {
    let found = operations::list(&control, &asked.caller, &asked.function, &page).await?;
    let id = id(&control, &asked).await?;
    let aliases: Vec<Value> = found.items.iter().map(|it| shape(&asked, id, it)).collect();
    let marker = found.next.map_or(Value::Null, Value::from);
    Ok(axum::Json(some(vec![("Aliases", aliases.into()), ("NextMarker", marker)])))
}

async fn fetch(State(control): State<Control>, asked: Asked) -> Result<axum::Json<Value>, Refusal> {
    let alias = named(&asked)?;
    let key = (&asked.function, &alias);
    let found = operations::fetch(&control, &asked.caller, key).await?;
    Ok(axum::Json(shape(&asked, id(&control, &asked).await?, &found)))
}

fn named(asked: &Asked) -> Result<AliasName, Refusal> {
    let text = asked.rest.clone().unwrap_or_default();
    text.parse().map_err(|_| Refusal::missing(format!("Alias {text}")))
}

async fn update(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<Update>,
) -> Result<axum::Json<Value>, Refusal> {
    let alias = named(&asked)?;
    let key = (&asked.function, &alias);
    let before = operations::fetch(&control, &asked.caller, key).await?;
    let id = id(&control, &asked).await?;
    if request.revision_id.is_some_and(|it| it != revision(id, before.generation)) {
        return Err(Refusal::outdated());
    }
    let other = match request.routing_config {
        Some(routing) => other(Some(routing))?,
        None => before.other,
    };
    let wanted = UpdateAlias {
        version: request.function_version,
        other,
        max_stale_ms: None,
        description: request.description,
        generation: before.generation,
    };
    let changed = operations::update(&control, &asked.caller, key, wanted).await?;
    Ok(axum::Json(shape(&asked, id, &changed)))
}

async fn remove(State(control): State<Control>, asked: Asked) -> Result<StatusCode, Refusal> {
    let alias = named(&asked)?;
    operations::remove(&control, &asked.caller, (&asked.function, &alias)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// An alias's revision, which changes with every change.
fn revision(function: FunctionId, generation: u64) -> String {
    let number = function.uuid().as_u128().wrapping_add(u128::from(generation));
    Uuid::from_u128(number).to_string()
}

/// An `AliasConfiguration`.
fn shape(asked: &Asked, id: FunctionId, alias: &Alias) -> Value {
    let routing = alias.other.as_ref().map(|other| {
        let weight = f64::from(other.share) / f64::from(WHOLE_BP);
        json!({ "AdditionalVersionWeights": { &other.version: weight } })
    });
    some(vec![
        ("AliasArn", asked.arn(alias.name.as_str()).into()),
        ("Name", alias.name.to_string().into()),
        ("FunctionVersion", alias.version.clone().into()),
        ("Description", alias.description.clone().into()),
        ("RoutingConfig", routing.unwrap_or_default()),
        ("RevisionId", revision(id, alias.generation).into()),
    ])
}
