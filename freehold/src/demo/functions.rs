//! `freehold demo functions`: code on demand, on a cloud in this process that goes away after it.
//!
//! A maker's function changes under load without a failed call; a user links to it from another
//! account, and neither sees the other's side; the user offers it, with a function of its own, as a
//! service to somebody who has a key only.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use api::client::Client;
use api::functions::{CreateAlias, CreateFunction, PublishVersion, UpdateAlias, UpdateFunction};
use api::grants::{CreateGrant, CreateLink, ErrorDetail};
use api::items::Sharing;
use api::services::{CreateService, CreateServiceKey, Operation, OperationMethod, ServiceSpec};
use api::usage::UsageQuery;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};
use types::{AliasName, CallLimits, FunctionName, FunctionRuntime, Name};

use super::story::account;
use super::teller::{Step, Teller, say};
use crate::args::Format;
use crate::cloud::Running;
use crate::commands;
use crate::exit::Failure;
use crate::output::Output;

/// What the maker's function is, in its first version.
const SCORE: &str = "\
import os

def handler(event, context):
    weight = float(os.environ[\"WEIGHT\"])
    return {\"risk\": min(1.0, weight * event[\"amount\"] / 1000), \"version\": VERSION,
            \"country\": event.get(\"country\")}

VERSION = 1
";
/// The user's own.
const GREET: &str = "\
def handler(event, context):
    return {\"hello\": event[\"who\"]}
";
/// Who calls at one time while the function changes.
const CALLERS: usize = 4;
/// Calls before the change, and of the new version after it, that end the load.
const CALLS: u64 = 200;
/// Longest wait of one call.
const WAIT_MS: u64 = 30_000;
/// How often something new is asked for until it is known everywhere.
const TRIES: u32 = 100;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// What the story came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Calls while a version was deployed.
    calls: u64,
    failed: u64,
    /// Calls that the version before answered though the new one had answered its caller already.
    stepped_back: u64,
    /// What the link's call was answered.
    linked: Value,
    /// What the service's user was answered.
    served: Value,
    calls_used: u64,
    calls_sold: u64,
    steps: Vec<Step>,
    total_ms: u64,
}

/// The people of it.
struct Cast {
    maker: Client,
    maker_name: Name,
    user: Client,
    user_name: Name,
}

/// Tells the story, and writes its report.
pub(super) async fn tell(
    cloud: &Running,
    scratch: &Path,
    (teller, out): (&mut Teller, &Output),
) -> Result<(), Failure> {
    let cast = teller.step("two accounts that have never met", cast(cloud)).await?;
    let made = make(&cast.maker, scratch);
    teller.step("the maker makes a function, and a name for its first version", made).await?;
    let deployed = deploy_under_load(&cast.maker, scratch);
    let told = "the maker deploys a second version, while four callers call without a pause";
    let load = teller.step(told, deployed).await?;
    let linked = link(&cast);
    let linked =
        teller.step("the user links to it, and calls it by a name of its own", linked).await?;
    let checked = neither_sees(&cast);
    teller.step("neither sees what is the other's", checked).await?;
    let served = serve(cloud, &cast, scratch);
    let told = "the user offers it, with a function of its own, to somebody with a key";
    let served = teller.step(told, served).await?;
    let counted = count(&cast);
    let (calls_used, calls_sold) = teller.step("every call is counted", counted).await?;
    let report = Report {
        calls: load.calls.load(Ordering::Relaxed),
        failed: load.failed.load(Ordering::Relaxed),
        stepped_back: load.stepped_back.load(Ordering::Relaxed),
        linked,
        served,
        calls_used,
        calls_sold,
        steps: teller.steps.clone(),
        total_ms: teller.total_ms(),
    };
    out.one(&report, |report| {
        let rows = [
            ("calls during the deployment", report.calls.to_string()),
            ("failed", report.failed.to_string()),
            ("the link answered", report.linked.to_string()),
            ("the service answered", report.served.to_string()),
            ("calls used, and sold", format!("{}, {}", report.calls_used, report.calls_sold)),
            ("took", format!("{}.{:03} s", report.total_ms / 1_000, report.total_ms % 1_000)),
        ];
        rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    })
}

async fn cast(cloud: &Running) -> Result<Cast, Failure> {
    let operator = commands::client(&cloud.http, &cloud.operator_token, None)?;
    let (maker_name, maker_token) = account(&operator, "maker").await?;
    let (user_name, user_token) = account(&operator, "user").await?;
    say(&format!("{maker_name} and {user_name}"))?;
    let maker = commands::client(&cloud.http, &maker_token, None)?;
    let user = commands::client(&cloud.http, &user_token, None)?;
    Ok(Cast { maker, maker_name, user, user_name })
}

pub(super) fn word<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| unreachable!("{text} is a name"))
}

/// A function of this code.
async fn function(
    client: &Client,
    (name, code): (&str, &str),
    scratch: &Path,
) -> Result<(), Failure> {
    let object = send(client, (name, code), scratch).await?;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        environment: [("WEIGHT".to_owned(), "0.5".to_owned())].into(),
        ..CreateFunction::new(word(name), FunctionRuntime::Python3, object)
    };
    client.function_create(&wanted).await?;
    Ok(())
}

pub(super) async fn send(
    client: &Client,
    (name, code): (&str, &str),
    scratch: &Path,
) -> Result<types::ObjectId, Failure> {
    let folder = scratch.join("functions").join(name);
    let failed = |error: std::io::Error| Failure::refused(format!("{}: {error}", folder.display()));
    std::fs::create_dir_all(&folder).map_err(failed)?;
    std::fs::write(folder.join("app.py"), code).map_err(failed)?;
    commands::send_folder(&folder, client, &Output::new(Format::Json)).await
}

/// Calls a function until it is known everywhere, and gives what it answers.
async fn ask(client: &Client, name: &str, event: &Value) -> Result<Value, Failure> {
    let (function, qualifier) = match name.split_once(':') {
        Some((function, qualifier)) => (function, Some(qualifier)),
        None => (name, None),
    };
    let function: FunctionName = word(function);
    for _ in 0..TRIES {
        let payload = Bytes::from(event.to_string());
        match client.function_call(&function, qualifier, (payload, WAIT_MS)).await {
            Ok(called) => {
                let told = String::from_utf8_lossy(&called.body).into_owned();
                return match called.error {
                    None => Ok(serde_json::from_str(&told).unwrap_or_default()),
                    Some(kind) => Err(Failure::refused(format!("{name} failed: {kind}: {told}"))),
                };
            }
            Err(error) if error.status() == Some(404) => tokio::time::sleep(PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::refused(format!("{name} was not known in time")))
}

async fn make(maker: &Client, scratch: &Path) -> Result<(), Failure> {
    function(maker, ("score", SCORE), scratch).await?;
    let name: FunctionName = word("score");
    let wanted = PublishVersion { description: None, generation: 1 };
    maker.function_publish(&name, &wanted).await?;
    let alias = CreateAlias {
        name: word("live"),
        version: "1".to_owned(),
        other: None,
        max_stale_ms: None,
        description: String::new(),
    };
    maker.alias_create(&name, &alias).await?;
    let told = ask(maker, "score:live", &json!({ "amount": 500 })).await?;
    say(&format!("score:live answers {told}"))
}

/// What the callers saw.
#[derive(Debug, Default)]
struct Load {
    calls: AtomicU64,
    of_new: AtomicU64,
    failed: AtomicU64,
    stepped_back: AtomicU64,
    over: AtomicBool,
}

impl Load {
    /// Calls without a pause until it is over.
    async fn caller(&self, client: &Client) {
        let mut newest = 0;
        while !self.over.load(Ordering::Relaxed) {
            self.calls.fetch_add(1, Ordering::Relaxed);
            match ask(client, "score:live", &json!({ "amount": 500 })).await {
                Ok(told) => {
                    let version = told["version"].as_u64().unwrap_or(0);
                    self.of_new.fetch_add(u64::from(version == 2), Ordering::Relaxed);
                    self.stepped_back.fetch_add(u64::from(version < newest), Ordering::Relaxed);
                    newest = newest.max(version);
                }
                Err(_) => {
                    self.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    async fn reached(&self, count: &AtomicU64) -> Result<(), Failure> {
        let wanted = count.load(Ordering::Relaxed) + CALLS;
        for _ in 0..TRIES * 6 {
            if count.load(Ordering::Relaxed) >= wanted {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        let (calls, failed) = (self.calls.load(Ordering::Relaxed), &self.failed);
        let failed = failed.load(Ordering::Relaxed);
        Err(Failure::refused(format!(
            "of {calls} calls {failed} failed, and the rest took too long"
        )))
    }
}

async fn deploy_under_load(maker: &Client, scratch: &Path) -> Result<Load, Failure> {
    let load = Load::default();
    let callers = (0..CALLERS).map(|_| load.caller(maker));
    let deployed = async {
        load.reached(&load.calls).await?;
        let name: FunctionName = word("score");
        let code = SCORE.replace("VERSION = 1", "VERSION = 2");
        let object = Some(send(maker, ("score", &code), scratch).await?);
        let generation = maker.function_fetch(&name).await?.generation;
        let change = UpdateFunction { object, generation, ..UpdateFunction::default() };
        let changed = maker.function_update(&name, &change).await?;
        let wanted = PublishVersion { description: None, generation: changed.generation };
        maker.function_publish(&name, &wanted).await?;
        let live: AliasName = word("live");
        let to =
            UpdateAlias { version: Some("2".to_owned()), generation: 1, ..UpdateAlias::default() };
        maker.alias_update(&name, (&live, &to)).await?;
        load.reached(&load.of_new).await
    };
    let deployed = async {
        let deployed = deployed.await;
        load.over.store(true, Ordering::Relaxed);
        deployed
    };
    let (deployed, _) = futures::join!(deployed, futures::future::join_all(callers));
    deployed?;
    let (calls, failed) = (load.calls.load(Ordering::Relaxed), load.failed.load(Ordering::Relaxed));
    let back = load.stepped_back.load(Ordering::Relaxed);
    say(&format!("{calls} calls, {failed} failed; {back} stepped back to the version before"))?;
    if failed > 0 || back > 0 {
        return Err(Failure::refused("a deployment has to disturb nobody"));
    }
    Ok(load)
}

async fn link(cast: &Cast) -> Result<Value, Failure> {
    let grant = CreateGrant {
        name: word("score"),
        function: word("score"),
        qualifier: "live".to_owned(),
        sharing: Sharing::Accounts { accounts: vec![cast.user_name.clone()] },
        limits: CallLimits { rate_per_min: Some(6_000), ..CallLimits::default() },
        errors: ErrorDetail::Message,
        description: "The risk of an amount, from 0 to 1".to_owned(),
    };
    cast.maker.grant_create(&grant).await?;
    let mut parameters = Map::new();
    parameters.insert("country".to_owned(), "de".into());
    let link = CreateLink {
        name: word("risk"),
        owner: cast.maker_name.clone(),
        grant: word("score"),
        parameters,
        limits: CallLimits { concurrency: Some(8), ..CallLimits::default() },
        tokens: Vec::new(),
        description: String::new(),
    };
    cast.user.link_create(&link).await?;
    let told = ask(&cast.user, "risk", &json!({ "amount": 300, "country": "fr" })).await?;
    say(&format!("risk answers {told}: the link's country stands, not the caller's"))?;
    if told["country"] != "de" || told["version"] != 2 {
        return Err(Failure::refused(format!("the link answered {told}")));
    }
    Ok(told)
}

async fn neither_sees(cast: &Cast) -> Result<(), Failure> {
    for name in ["risk", "score"] {
        let seen = cast.user.function_fetch(&word(name)).await;
        if !seen.is_err_and(|error| error.status() == Some(404)) {
            return Err(Failure::refused(format!("the user can read {name}")));
        }
    }
    say("the user cannot read the function behind: 404")?;
    let log = cast.maker.function_log(&word("score"), &api::pages::LogQuery::default()).await?;
    if log.lines.iter().any(|line| line.text.contains("country")) {
        return Err(Failure::refused("the maker sees what the user called with"));
    }
    say("the maker's log tells nothing of the user's calls")
}

async fn serve(cloud: &Running, cast: &Cast, scratch: &Path) -> Result<Value, Failure> {
    function(&cast.user, ("greet", GREET), scratch).await?;
    let operation = |method, path: &str, function: &str| Operation {
        method,
        path: path.to_owned(),
        function: word(function),
        qualifier: String::new(),
        summary: String::new(),
        input: None,
        output: None,
    };
    let score = Operation {
        input: Some(json!({ "type": "object", "required": ["amount"],
            "properties": { "amount": { "type": "integer", "minimum": 0 } } })),
        output: Some(json!({ "type": "object", "required": ["risk"] })),
        ..operation(OperationMethod::Post, "/score", "risk")
    };
    let greet = operation(OperationMethod::Post, "/greetings/{who}", "greet");
    let spec = ServiceSpec {
        description: "Risks and greetings".to_owned(),
        open: false,
        operations: vec![score, greet],
    };
    let made = cast.user.service_create(&CreateService { name: word("shop"), spec }).await?;
    let limits = CallLimits { calls_per_day: Some(1_000), ..CallLimits::default() };
    let wanted = CreateServiceKey { name: word("somebody"), limits };
    let key = cast.user.service_key_create(&made.name, &wanted).await?;
    // Somebody without an account: the key is all there is.
    let somebody = commands::client(&cloud.http, &key.secret, None)?;
    let score = format!("{}/score", made.path);
    let served = asked(&somebody, &score, &json!({ "amount": 800 })).await?;
    let greeted = asked(&somebody, &format!("{}/greetings/you", made.path), &json!({})).await?;
    say(&format!("the maker's function answers {served}, the user's own {greeted}"))?;
    let wrong = somebody.service_call(&score, &json!({ "amount": -1 })).await;
    match wrong {
        Err(error) if error.code() == "invalid_input" => {
            say(&format!("what does not fit is refused: {error}"))?;
        }
        other => return Err(Failure::refused(format!("a wrong request got {other:?}"))),
    }
    say(&format!("for people {}{}, for tools {0}{1}/openapi.json", cloud.http, made.path))?;
    Ok(served)
}

/// Asks a service until it is known everywhere.
async fn asked(client: &Client, path: &str, body: &Value) -> Result<Value, Failure> {
    for _ in 0..TRIES {
        match client.service_call(path, body).await {
            Err(error) if matches!(error.status(), Some(401 | 404)) => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return Ok(other?),
        }
    }
    Err(Failure::refused(format!("{path} was not known in time")))
}

async fn count(cast: &Cast) -> Result<(u64, u64), Failure> {
    let query = UsageQuery::default();
    let mut counts = (0, 0);
    for _ in 0..TRIES {
        let used = cast.user.usage(&query).await?;
        let sold = cast.maker.usage_sold(&query).await?;
        counts = (used.total.calls, sold.total.calls);
        // One by the link, one of each function by the service.
        if counts == (3, 2) {
            say("the user used 3 calls, of which the maker sold 2; it does not learn to whom")?;
            return Ok(counts);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(Failure::refused(format!("{counts:?} calls were counted, not (3, 2)")))
}
