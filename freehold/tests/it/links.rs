//! Functions across accounts: granted, linked to, called, counted, and nothing told of them.

use std::collections::BTreeMap;

use api::client::{Called, Client, Error};
use api::functions::CreateFunction;
use api::grants::{CreateGrant, CreateLink, ErrorDetail, UpdateGrant};
use api::items::Sharing;
use api::pages::{LogQuery, PageQuery};
use api::usage::UsageQuery;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use types::{CallLimits, FunctionName, FunctionRuntime};

use crate::functions::has_python;
use crate::world::{PROGRAM, http, name, strangers};

/// Longest time until something is known everywhere.
const KNOWN_S: u64 = 5;
const WAIT_MS: u64 = 60_000;

/// It writes, keeps and tells whatever it is given, as far as it can.
const CURIOUS: &str = r#"
import os, sys

last = None

def handler(event, context):
    global last
    before, last = last, event
    if "own" not in event:
        print("event", event, context.invoked_function_arn, context.aws_request_id)
        print(os.environ["SECRET"], file=sys.stderr)
    if event.get("fail"):
        raise ValueError("no such thing: " + str(event["fail"]))
    if event.get("exit"):
        os._exit(3)
    return {"event": event, "before": before, "arn": context.invoked_function_arn,
            "client": context.client_context is not None}
"#;

fn function(text: &str) -> FunctionName {
    text.parse().unwrap()
}

async fn make(owner: &Account, name: &str) {
    make_of(owner, name, CURIOUS).await;
}

/// A function of this code, that can be called as `app.handler`.
pub(crate) async fn make_of(owner: &Account, name: &str, code: &str) {
    let object = owner.send(&Package::empty().file("app.py", code)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(128),
        timeout_ms: Some(5_000),
        environment: BTreeMap::from([("SECRET".to_owned(), "hunter2".to_owned())]),
        description: "what it is".to_owned(),
        ..CreateFunction::new(function(name), FunctionRuntime::Python3, object)
    };
    owner.client.function_create(&wanted).await.unwrap();
}

pub(crate) fn to(accounts: &[&Account]) -> Sharing {
    Sharing::Accounts { accounts: accounts.iter().map(|it| it.name.clone()).collect() }
}

pub(crate) fn grant(of: &str, sharing: Sharing, limits: CallLimits) -> CreateGrant {
    CreateGrant {
        name: name("curious"),
        function: function(of),
        qualifier: String::new(),
        sharing,
        limits,
        errors: ErrorDetail::Message,
        description: "tells what it is told".to_owned(),
    }
}

pub(crate) fn link(as_name: &str, owner: &Account, parameters: Value) -> CreateLink {
    CreateLink {
        name: function(as_name),
        owner: owner.name.clone(),
        grant: name("curious"),
        parameters: serde_json::from_value::<Map<_, _>>(parameters).unwrap(),
        limits: CallLimits::default(),
        tokens: Vec::new(),
        description: String::new(),
    }
}

/// Calls a function or link; waits until the gateway knows it.
async fn ask(client: &Client, name: &str, event: &Value) -> Result<Called, Error> {
    let name = function(name);
    until(KNOWN_S, "the gateway to know the name", || async {
        let payload = Bytes::from(event.to_string());
        match client.function_call(&name, None, (payload, WAIT_MS)).await {
            Err(error) if error.status() == Some(404) => None,
            other => Some(other),
        }
    })
    .await
}

async fn call(account: &Account, name: &str, event: Value) -> (Option<String>, Value) {
    let called = ask(&account.client, name, &event).await.unwrap();
    (called.error, serde_json::from_slice(&called.body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_called_by_a_link_of_another_account() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, user) = strangers(&cloud).await;
    links_work(&cloud, &owner, &user).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_called_by_a_link_in_separate_processes() {
    let Some(cloud) = Cloud::apart(PROGRAM).await else { return };
    if !has_python() {
        return;
    }
    let (owner, user) = strangers(&cloud).await;
    links_work(&cloud, &owner, &user).await;
    cloud.close().await;
}

async fn links_work(cloud: &Cloud, owner: &Account, user: &Account) {
    let stranger = cloud.account("cygnus").await;
    make(owner, "sauce").await;
    let limits = CallLimits { concurrency: Some(4), ..CallLimits::default() };
    owner.client.grant_create(&grant("sauce", to(&[user]), limits)).await.unwrap();

    // Who was not given it does not learn that it is there.
    let wanted = link("Scores", owner, json!({ "country": "de" }));
    let refused = stranger.client.link_create(&wanted).await.unwrap_err();
    assert_eq!(refused.status(), Some(404), "{refused:?}");
    let none = stranger.client.grants_received(&PageQuery::default()).await.unwrap();
    assert!(none.items.is_empty());
    let given = user.client.grants_received(&PageQuery::default()).await.unwrap().items;
    assert_eq!((given.len(), given[0].owner.as_str()), (1, owner.name.as_str()));

    // A link goes no further than its grant.
    let wide = CallLimits { concurrency: Some(5), ..CallLimits::default() };
    let too_wide = CreateLink { limits: wide, ..wanted.clone() };
    let refused = user.client.link_create(&too_wide).await.unwrap_err();
    assert_eq!(refused.status(), Some(400), "{refused:?}");
    user.client.link_create(&wanted).await.unwrap();
    let taken = user.client.link_create(&wanted).await.unwrap_err();
    assert_eq!(taken.code(), "name_taken");

    // Parameters stand in place of the caller's; the code is told the owner's name of it.
    let (error, told) = call(user, "Scores", json!({ "amount": 12, "country": "fr" })).await;
    assert_eq!(error, None, "{told}");
    assert_eq!(told["event"], json!({ "amount": 12, "country": "de" }));
    assert!(told["arn"].as_str().unwrap().ends_with(":function:sauce"), "{told}");

    // What the owner calls comes to another instance: nothing of the link's call is there.
    let (_, own) = call(owner, "sauce", json!({ "own": 1 })).await;
    assert_eq!(own["before"], Value::Null, "{own}");
    let (_, again) = call(user, "Scores", json!({})).await;
    assert_eq!(again["before"]["amount"], 12, "its own instance is kept: {again}");

    // Of a failure, neither place nor code.
    let (error, told) = call(user, "Scores", json!({ "fail": "x" })).await;
    assert_eq!(error.as_deref(), Some("Function.ValueError"));
    assert_eq!(told, json!({ "errorType": "ValueError", "errorMessage": "no such thing: x" }));

    // The link has a log of its own, and the owner's says nothing of it.
    let lines = until(KNOWN_S, "the link's log", || async {
        let log = user.client.function_log(&function("Scores"), &LogQuery::default()).await;
        let lines = log.unwrap().lines;
        (lines.len() == 3).then_some(lines)
    })
    .await;
    assert!(lines.iter().all(|line| line.text.starts_with("REPORT RequestId: ")), "{lines:?}");
    assert!(lines[2].text.ends_with("Error Type: Function.ValueError"), "{lines:?}");
    let log = until(KNOWN_S, "the owner's log", || async {
        let log = owner.client.function_log(&function("sauce"), &LogQuery::default()).await;
        let text: Vec<String> = log.unwrap().lines.into_iter().map(|line| line.text).collect();
        text.iter().any(|line| line.starts_with("REPORT")).then_some(text.join("\n"))
    })
    .await;
    assert_eq!(log.lines().count(), 3, "START, END and REPORT of its own call: {log}");

    // Each sees what is theirs of what it came to.
    let period = UsageQuery::default();
    let usage = until(KNOWN_S, "the usage", || async {
        let usage = user.client.usage(&period).await.unwrap();
        (usage.total.calls == 3).then_some(usage)
    })
    .await;
    let line = &usage.lines[0];
    assert_eq!((usage.lines.len(), line.name.as_str()), (1, "Scores"));
    assert_eq!((line.consumption.failures, line.consumption.faults), (1, 0));
    assert_eq!(line.grant.as_deref(), Some("curious"));
    assert!(line.consumption.duration_ms >= 3);
    assert_eq!(line.consumption.memory_mib_ms, line.consumption.duration_ms * 128);
    let sold = owner.client.usage_sold(&period).await.unwrap();
    assert_eq!((sold.lines.len(), sold.total), (1, usage.total));
    let own = owner.client.usage(&period).await.unwrap();
    assert_eq!((own.total.calls, own.lines[0].grant.clone()), (1, None));

    // Nothing of the function can be read by its link.
    for read in [
        user.client.function_fetch(&function("Scores")).await.err(),
        user.client.function_fetch(&function("sauce")).await.err(),
        user.client.function_log(&function("sauce"), &LogQuery::default()).await.err(),
    ] {
        assert_eq!(read.unwrap().status(), Some(404));
    }
    a_grant_ends(owner, user).await;
}

/// A grant that is taken back breaks its link, says so, and mends it when it is given again.
async fn a_grant_ends(owner: &Account, user: &Account) {
    let grant_name = name("curious");
    let before = owner.client.grant_fetch(&grant_name).await.unwrap();
    let spent = CallLimits { calls_per_day: Some(4), ..before.limits };
    let change = |generation, limits, sharing| UpdateGrant {
        qualifier: None,
        sharing,
        limits,
        errors: None,
        description: None,
        generation,
    };
    let changed = change(before.generation, Some(spent), None);
    let changed = owner.client.grant_update(&grant_name, &changed).await.unwrap();
    // Three calls were made; also a gateway that starts anew knows of them.
    let refused = until(KNOWN_S, "the day's calls to be spent", || async {
        ask(&user.client, "Scores", &json!({})).await.err()
    })
    .await;
    assert_eq!((refused.status(), refused.code()), (Some(429), "quota_spent"), "{refused:?}");
    let nobody = change(changed.generation, Some(before.limits), Some(Sharing::Nobody));
    let nobody = owner.client.grant_update(&grant_name, &nobody).await.unwrap();
    let refused = until(KNOWN_S, "the link to break", || async {
        let refused = ask(&user.client, "Scores", &json!({})).await.err()?;
        (refused.code() == "link_broken").then_some(refused)
    })
    .await;
    assert_eq!(refused.status(), Some(403), "{refused:?}");
    let shown = user.client.link_fetch(&function("Scores")).await.unwrap();
    assert!(shown.broken.unwrap().contains("taken the grant back"));
    let again = change(nobody.generation, None, Some(Sharing::Everybody));
    owner.client.grant_update(&grant_name, &again).await.unwrap();
    until(KNOWN_S, "the link to work again", || async {
        ask(&user.client, "Scores", &json!({})).await.ok()
    })
    .await;
    user.client.link_delete(&function("Scores")).await.unwrap();
    let refused = user.client.link_fetch(&function("Scores")).await.unwrap_err();
    assert_eq!(refused.status(), Some(404));
}

/// Two callers who differ in everything look the same to the owner, byte for byte.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_cannot_tell_callers_apart() {
    if !has_python() {
        return;
    }
    let small = json!({ "q": 1 });
    let large = json!({ "amount": "x".repeat(5_000), "who": "dora@example.org" });
    let one = view_after("acme", ("a", json!({})), &small).await;
    let other = view_after("zeta-industries", ("Other_Name", json!({ "p": [1, 2] })), &large).await;
    assert!(one.contains("\"calls\""), "the view has what was sold: {one}");
    assert_eq!(one, other);
}

/// All that an owner can read after somebody called its function.
async fn view_after(caller: &str, (as_name, parameters): (&str, Value), event: &Value) -> String {
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, user) = (cloud.account("owner").await, cloud.account(caller).await);
    make(&owner, "sauce").await;
    let everybody = grant("sauce", Sharing::Everybody, CallLimits::default());
    owner.client.grant_create(&everybody).await.unwrap();
    user.client.link_create(&link(as_name, &owner, parameters)).await.unwrap();
    call(&owner, "sauce", json!({ "own": 1 })).await;
    for _ in 0..2 {
        call(&user, as_name, event.clone()).await;
    }
    let mut failing = event.clone();
    failing["fail"] = "dora".into();
    call(&user, as_name, failing.clone()).await;
    failing.as_object_mut().unwrap().remove("fail");
    failing["exit"] = 1.into();
    call(&user, as_name, failing).await;
    user.client
        .function_event(&function(as_name), None, Bytes::from(event.to_string()))
        .await
        .unwrap();
    until(KNOWN_S, "what was sold", || async {
        let sold = owner.client.usage_sold(&UsageQuery::default()).await.unwrap();
        (sold.total.calls == 5).then_some(())
    })
    .await;
    until(KNOWN_S, "the owner's own line", || async {
        let log = owner.client.function_log(&function("sauce"), &LogQuery::default()).await;
        log.unwrap().lines.iter().any(|line| line.text.starts_with("REPORT")).then_some(())
    })
    .await;
    let mut view = String::new();
    let document = serde_json::to_value(control::http::openapi()).unwrap();
    for (path, item) in document["paths"].as_object().unwrap() {
        let asked = path.replace("{name}", "sauce").replace("{account}", "owner");
        // What concerns no account, and what names something that this one does not have.
        let aside = ["/v1/openapi.json", "/v1/health", "/v1/status", "/v1/tasks"];
        if item.get("get").is_none() || asked.contains('{') || aside.contains(&path.as_str()) {
            continue;
        }
        let asked = if path == "/v1/grants/{name}" { "/v1/grants/curious" } else { &asked };
        let answer = http()
            .get(format!("{}{asked}", cloud.http()))
            .bearer_auth(&owner.token)
            .send()
            .await
            .unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        view += &format!("{asked} {status}\n{}\n", without_chance(&text));
    }
    cloud.close().await;
    view
}

/// A text without what differs between any two clouds: ids, times, digests, secrets and durations.
fn without_chance(text: &str) -> String {
    let chance = regex::Regex::new(
        r#"whsec_[A-Za-z0-9+/]{43}=|[0-9a-f]{32,64}|[0-9a-f]{8}-[0-9a-f-]{27}|:[0-9]{12}:|[0-9]+\.[0-9]{2} ms|[0-9]+ MB|Billed Duration: [0-9]+|"(duration_ms|memory_mib_ms|[a-z_]*at_ms|from_ms|to_ms)":[0-9]+"#,
    );
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    let named = |found: &regex::Captures<'_>| {
        if let Some(key) = found.get(1) {
            return format!("\"{}\":0", key.as_str());
        }
        let text = &found[0];
        if text.ends_with(" ms") || text.ends_with(" MB") || text.starts_with("Billed") {
            return "0".to_owned();
        }
        let next = ids.len();
        format!("id{}", ids.entry(text.to_owned()).or_insert(next))
    };
    chance.unwrap().replace_all(text, named).into_owned()
}
