//! Functions and their versions, in Lambda's shapes.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::stream;
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use api::functions::{CreateFunction, LATEST, PublishVersion, UpdateFunction};
use store::functions::settings::SettingKind;
use types::{Concurrency, FunctionRuntime, ObjectId};

use super::{Asked, Json, Pages, Refusal, Who, arn, some};
use crate::caller::Caller;
use crate::operations::functions::settings;
use crate::operations::functions::{self as operations, Change, Described};
use crate::operations::objects;
use crate::{Control, moment};

/// Fields that mean nothing here and are told back.
const FOREIGN: [&str; 13] = [
    "Architectures",
    CAPACITY,
    "DeadLetterConfig",
    "EphemeralStorage",
    "FileSystemConfigs",
    "ImageConfig",
    "KMSKeyArn",
    "LoggingConfig",
    "Role",
    "Runtime",
    "SnapStart",
    "TracingConfig",
    "VpcConfig",
];

/// The field among those that says something here, and where in it.
const CAPACITY: &str = "CapacityProviderConfig";
const CONCURRENCY: &str =
    "/LambdaManagedInstancesCapacityProviderConfig/PerExecutionEnvironmentMaxConcurrency";

pub(super) fn routes() -> Router<Control> {
    Router::new()
        .route("/2015-03-31/functions", get(list).post(create))
        .route("/2015-03-31/functions/", get(list).post(create))
        .route("/2015-03-31/functions/{function}", get(fetch).delete(remove))
        .route("/2015-03-31/functions/{function}/configuration", get(configuration).put(configure))
        .route("/2015-03-31/functions/{function}/code", put(replace))
        .route("/2015-03-31/functions/{function}/versions", post(publish).get(versions))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Create {
    function_name: String,
    role: String,
    code: Code,
    #[serde(flatten)]
    configuration: Configuration,
    publish: Option<bool>,
    package_type: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Code {
    /// Base64.
    zip_file: Option<String>,
    s3_bucket: Option<String>,
    image_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    runtime: Option<String>,
    handler: Option<String>,
    description: Option<String>,
    timeout: Option<u64>,
    memory_size: Option<u32>,
    environment: Option<Environment>,
    layers: Option<Vec<Value>>,
    revision_id: Option<String>,
    #[serde(flatten)]
    other: BTreeMap<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Environment {
    #[serde(default)]
    variables: BTreeMap<String, String>,
}

impl Configuration {
    /// The runtime that a name of Lambda's means here.
    fn runtime(&self) -> Result<Option<FunctionRuntime>, Refusal> {
        let Some(name) = &self.runtime else { return Ok(None) };
        if name.starts_with("python3") {
            return Ok(Some(FunctionRuntime::Python3));
        }
        if name.starts_with("nodejs") {
            return Ok(Some(FunctionRuntime::Nodejs));
        }
        if name.starts_with("provided") {
            return Ok(Some(FunctionRuntime::Provided));
        }
        let message = format!("the runtime {name} is not here: use python3, nodejs or provided");
        Err(Refusal::invalid(message))
    }

    /// How many calls an instance may have at a time, where that is said: by what Lambda calls the
    /// most of an execution environment.
    fn concurrency(&self) -> Result<Option<Concurrency>, Refusal> {
        let said = self.other.get(CAPACITY).and_then(|value| value.pointer(CONCURRENCY));
        let Some(said) = said.filter(|said| !said.is_null()) else { return Ok(None) };
        let number = said.as_u64().and_then(|number| u32::try_from(number).ok());
        let refused = || Refusal::invalid("PerExecutionEnvironmentMaxConcurrency is no number");
        let concurrency = Concurrency::try_from(number.ok_or_else(refused)?);
        concurrency.map(Some).map_err(|error| Refusal::invalid(error.to_string()))
    }

    /// What is told back as it came.
    fn foreign(&mut self, role: Option<String>) -> Result<BTreeMap<String, Value>, Refusal> {
        if self.layers.as_ref().is_some_and(|layers| !layers.is_empty()) {
            return Err(Refusal::invalid("layers are not here: put their files into the code"));
        }
        let mut foreign = std::mem::take(&mut self.other);
        foreign.retain(|name, value| FOREIGN.contains(&name.as_str()) && !value.is_null());
        let said = [("Role", role), ("Runtime", self.runtime.clone())];
        for (name, value) in said {
            foreign.extend(value.map(|value| (name.to_owned(), Value::from(value))));
        }
        Ok(foreign)
    }
}

async fn create(
    State(control): State<Control>,
    Who(caller, region): Who,
    Json(mut request): Json<Create>,
) -> Result<Response, Refusal> {
    if request.package_type.as_deref().is_some_and(|kind| kind != "Zip") {
        return Err(Refusal::invalid("PackageType is Zip here"));
    }
    check_role(&request.role)?;
    let name = request.function_name.parse::<types::FunctionReference>();
    let name = name.map_err(|error| Refusal::invalid(error.to_string()))?.name;
    let runtime = request.configuration.runtime()?;
    let runtime = runtime.ok_or_else(|| Refusal::invalid("Runtime is missing"))?;
    let concurrency = request.configuration.concurrency()?;
    let foreign = request.configuration.foreign(Some(request.role))?;
    let object = upload(&control, &caller, request.code).await?;
    let configuration = request.configuration;
    let wanted = CreateFunction {
        handler: configuration.handler.unwrap_or_default(),
        memory_mib: configuration.memory_size,
        timeout_ms: configuration.timeout.map(|s| s.saturating_mul(1_000)),
        environment: configuration.environment.unwrap_or_default().variables,
        concurrency,
        description: configuration.description.unwrap_or_default(),
        ..CreateFunction::new(name, runtime, object)
    };
    let mut made = operations::create_described(&control, &caller, wanted, foreign).await?;
    let name = made.function.name.clone();
    if let Some(tags) = request.tags.filter(|tags| !tags.is_empty()) {
        let setting = (SettingKind::Tags, "", &tags);
        settings::put(&control, &caller, &name, setting).await?;
    }
    if request.publish == Some(true) {
        let generation = made.function.generation;
        let wanted = PublishVersion { description: None, generation };
        made = operations::versions::publish_described(&control, &caller, &name, (wanted, true))
            .await?;
    }
    let body = shape(&made, (&caller, &region), "");
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

/// A role is required by clients, and means nothing here: its form alone is looked at.
fn check_role(role: &str) -> Result<(), Refusal> {
    let name = role.strip_prefix("arn:aws").and_then(|rest| rest.split_once(":iam::"));
    let name = name.and_then(|(_, rest)| rest.split_once(":role/"));
    match name {
        Some((number, name)) if number.len() == 12 && !name.is_empty() => Ok(()),
        _ => Err(Refusal::invalid(format!(
            "Role {role:?} is no role: any of the form arn:aws:iam::000000000000:role/NAME is taken"
        ))),
    }
}

/// Keeps code as an object of the account.
async fn upload(control: &Control, caller: &Caller, code: Code) -> Result<ObjectId, Refusal> {
    if code.s3_bucket.is_some() || code.image_uri.is_some() {
        let message = "code comes as ZipFile here: buckets and images of other clouds are not read";
        return Err(Refusal::invalid(message));
    }
    let text = code.zip_file.ok_or_else(|| Refusal::invalid("Code.ZipFile is missing"))?;
    let bytes = STANDARD.decode(text);
    let bytes = bytes.map_err(|_| Refusal::invalid("Code.ZipFile is no base64"))?;
    if !bytes.starts_with(b"PK\x03\x04") {
        let message =
            "Could not unzip uploaded file. Please check your file, then try to upload again.";
        return Err(Refusal::invalid(message));
    }
    let body = stream::iter([Ok(Bytes::from(bytes))]);
    let media_type = "application/zip".to_owned();
    Ok(objects::receive_stream(control, caller, media_type, body).await?.id)
}

async fn fetch(State(control): State<Control>, asked: Asked) -> Result<axum::Json<Value>, Refusal> {
    let Asked { caller, region, function, qualifier, .. } = asked;
    let found = operations::fetch_described(&control, &caller, &function, &qualifier).await?;
    let kind = (SettingKind::Concurrency, "");
    let concurrency: Option<settings::Concurrency> =
        settings::fetch(&control, &caller, &function, kind).await?;
    let tags = (SettingKind::Tags, "");
    let tags: Option<Value> = settings::fetch(&control, &caller, &function, tags).await?;
    let location = format!("/v1/objects/{}/content", found.function.object);
    let concurrency = concurrency.map(|it| json!({ "ReservedConcurrentExecutions": it.max }));
    Ok(axum::Json(some(vec![
        ("Configuration", shape(&found, (&caller, &region), &qualifier)),
        ("Code", json!({ "RepositoryType": "S3", "Location": location })),
        ("Tags", tags.unwrap_or_default()),
        ("Concurrency", concurrency.unwrap_or_default()),
    ])))
}

async fn configuration(
    State(control): State<Control>,
    asked: Asked,
) -> Result<axum::Json<Value>, Refusal> {
    let Asked { caller, region, function, qualifier, .. } = asked;
    let found = operations::fetch_described(&control, &caller, &function, &qualifier).await?;
    Ok(axum::Json(shape(&found, (&caller, &region), &qualifier)))
}

async fn list(
    State(control): State<Control>,
    Who(caller, region): Who,
    Pages(page): Pages,
) -> Result<axum::Json<Value>, Refusal> {
    let found = operations::list_described(&control, &caller, &page).await?;
    let functions = found.items.iter().map(|it| shape(it, (&caller, &region), ""));
    let functions: Vec<Value> = functions.collect();
    let marker = found.next.map_or(Value::Null, Value::from);
    Ok(axum::Json(some(vec![("Functions", functions.into()), ("NextMarker", marker)])))
}

async fn versions(
    State(control): State<Control>,
    asked: Asked,
    Pages(page): Pages,
) -> Result<axum::Json<Value>, Refusal> {
    let Asked { caller, region, function, .. } = asked;
    let first = page.cursor.is_none();
    let found = operations::versions::list_described(&control, &caller, &function, &page).await?;
    let mut all = Vec::new();
    if first {
        let latest = operations::fetch_described(&control, &caller, &function, "").await?;
        all.push(shape(&latest, (&caller, &region), LATEST));
    }
    let numbered = found.items.iter();
    all.extend(numbered.map(|it| shape(it, (&caller, &region), &it.function.version)));
    let marker = found.next.map_or(Value::Null, Value::from);
    Ok(axum::Json(some(vec![("Versions", all.into()), ("NextMarker", marker)])))
}

async fn configure(
    State(control): State<Control>,
    asked: Asked,
    Json(mut request): Json<Configuration>,
) -> Result<axum::Json<Value>, Refusal> {
    let role = request.other.get("Role").and_then(Value::as_str).map(str::to_owned);
    if let Some(role) = &role {
        check_role(role)?;
    }
    let runtime = request.runtime()?;
    let concurrency = request.concurrency()?;
    let foreign = request.foreign(role)?;
    let wanted = UpdateFunction {
        handler: request.handler,
        object: None,
        memory_mib: request.memory_size,
        timeout_ms: request.timeout.map(|s| s.saturating_mul(1_000)),
        environment: request.environment.map(|environment| environment.variables),
        egress: None,
        concurrency,
        description: request.description,
        generation: 0,
    };
    let change = Change { wanted, runtime, foreign };
    let changed = change_now(&control, &asked, change, request.revision_id.as_deref()).await?;
    Ok(axum::Json(shape(&changed, (&asked.caller, &asked.region), "")))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Replace {
    #[serde(flatten)]
    code: Code,
    publish: Option<bool>,
    dry_run: Option<bool>,
    revision_id: Option<String>,
}

async fn replace(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<Replace>,
) -> Result<axum::Json<Value>, Refusal> {
    let object = upload(&control, &asked.caller, request.code).await?;
    let place = (&asked.caller, asked.region.as_str());
    if request.dry_run == Some(true) {
        let Asked { caller, function, .. } = &asked;
        let found = operations::fetch_described(&control, caller, function, "").await?;
        return Ok(axum::Json(shape(&found, place, "")));
    }
    let wanted = UpdateFunction { object: Some(object), ..UpdateFunction::default() };
    let change = Change { wanted, ..Change::default() };
    let changed = change_now(&control, &asked, change, request.revision_id.as_deref()).await?;
    if request.publish == Some(true) {
        let generation = changed.function.generation;
        let wanted = (PublishVersion { description: None, generation }, true);
        let Asked { caller, function, .. } = &asked;
        let made =
            operations::versions::publish_described(&control, caller, function, wanted).await?;
        return Ok(axum::Json(shape(&made, place, &made.function.version)));
    }
    Ok(axum::Json(shape(&changed, place, "")))
}

/// Changes what is there now, where it is still of the revision that was named.
async fn change_now(
    control: &Control,
    asked: &Asked,
    mut change: Change,
    revision: Option<&str>,
) -> Result<Described, Refusal> {
    let Asked { caller, function, .. } = asked;
    let found = operations::fetch_described(control, caller, function, "").await?;
    if revision.is_some_and(|revision| revision != found.revision.uuid().to_string()) {
        return Err(Refusal::outdated());
    }
    change.wanted.generation = found.function.generation;
    Ok(operations::change_described(control, caller, function, change).await?)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Publish {
    code_sha256: Option<String>,
    description: Option<String>,
    revision_id: Option<String>,
}

async fn publish(
    State(control): State<Control>,
    asked: Asked,
    Json(request): Json<Publish>,
) -> Result<Response, Refusal> {
    let Asked { caller, region, function, .. } = asked;
    let found = operations::fetch_described(&control, &caller, &function, "").await?;
    if request.revision_id.is_some_and(|it| it != found.revision.uuid().to_string()) {
        return Err(Refusal::outdated());
    }
    if request.code_sha256.is_some_and(|it| it != sha256(&found)) {
        return Err(Refusal::invalid("CodeSha256 is not that of the latest code"));
    }
    let generation = found.function.generation;
    let description = request.description.filter(|it| !it.is_empty());
    let wanted = (PublishVersion { description, generation }, true);
    let made =
        operations::versions::publish_described(&control, &caller, &function, wanted).await?;
    let body = shape(&made, (&caller, &region), &made.function.version);
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

async fn remove(State(control): State<Control>, asked: Asked) -> Result<StatusCode, Refusal> {
    let Asked { caller, function, qualifier, .. } = asked;
    match qualifier.as_str() {
        "" => operations::remove(&control, &caller, &function).await?,
        qualifier => {
            let number = qualifier.parse();
            let number = number.map_err(|_| Refusal::invalid("only versions are deleted so"))?;
            operations::versions::remove(&control, &caller, &function, number).await?;
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

fn sha256(found: &Described) -> String {
    found.code.as_ref().map_or_else(String::new, |code| STANDARD.encode(code.sha256.0))
}

/// A `FunctionConfiguration`.
fn shape(found: &Described, (caller, region): (&Caller, &str), qualifier: &str) -> Value {
    let function = &found.function;
    let latest = function.version == LATEST;
    let qualifier = match qualifier {
        "" if !latest => &function.version,
        qualifier => qualifier,
    };
    let (runtime, kind) = match function.runtime {
        FunctionRuntime::Provided => (Value::from("provided.al2023"), "Zip"),
        FunctionRuntime::Python3 => ("python3.12".into(), "Zip"),
        FunctionRuntime::Nodejs => ("nodejs20.x".into(), "Zip"),
        FunctionRuntime::Image | FunctionRuntime::Server => (Value::Null, "Image"),
    };
    let role =
        format!("arn:aws:iam::{}:role/none", types::functions::account_number(caller.account));
    let environment = if function.environment.is_empty() {
        Value::Null
    } else {
        json!({ "Variables": function.environment })
    };
    let mut shape = some(vec![
        ("FunctionName", function.name.to_string().into()),
        ("FunctionArn", arn(caller, region, (&function.name, qualifier)).into()),
        ("Runtime", runtime),
        ("Role", role.into()),
        ("Handler", function.handler.clone().into()),
        ("CodeSize", found.code.as_ref().map_or(0, |code| code.bytes).into()),
        ("CodeSha256", sha256(found).into()),
        ("Description", function.description.clone().into()),
        ("Timeout", function.timeout_ms.div_ceil(1_000).into()),
        ("MemorySize", function.memory_mib.into()),
        ("LastModified", moment::with_offset(function.created_at_ms).into()),
        ("Version", function.version.clone().into()),
        ("Environment", environment),
        ("TracingConfig", json!({ "Mode": "PassThrough" })),
        ("RevisionId", found.revision.uuid().to_string().into()),
        ("State", "Active".into()),
        ("LastUpdateStatus", "Successful".into()),
        ("PackageType", kind.into()),
        ("Architectures", json!(["x86_64"])),
        ("EphemeralStorage", json!({ "Size": 512 })),
        ("SnapStart", json!({ "ApplyOn": "None", "OptimizationStatus": "Off" })),
        (
            "LoggingConfig",
            json!({ "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{}", function.name) }),
        ),
    ]);
    for (name, value) in &found.foreign {
        shape[name] = value.clone();
    }
    // It may have been changed by other words since.
    if let Some(said) = shape.get_mut(CAPACITY).and_then(|value| value.pointer_mut(CONCURRENCY)) {
        *said = function.concurrency.get().into();
    }
    shape
}
