//! Services: APIs made of functions of several accounts, called by users who have keys only.

use std::path::PathBuf;

use api::services::{
    CreateService, CreateServiceKey, Operation, OperationMethod, ServiceSpec, UpdateService,
};
use api::usage::UsageQuery;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud};
use types::CallLimits;

use crate::functions::has_python;
use crate::links::{grant, link, make_of, to};
use crate::world::{PROGRAM, http, name, strangers};

/// Longest time until something is known everywhere.
const KNOWN_S: u64 = 5;

/// What another account offers.
const SCORE: &str = r#"
def handler(event, context):
    if event.get("amount") == 13:
        raise KeyError("SECRET")
    return {"risk": "a lot" if event["amount"] == 12 else event["amount"] / 100, "customer": event["customer"]}
"#;
/// What the service's account has itself.
const GREET: &str = r#"
def handler(event, context):
    return {"hello": event["who"], "times": event.get("times", 1)}
"#;

fn operation(method: OperationMethod, path: &str, function: &str) -> Operation {
    Operation {
        method,
        path: path.to_owned(),
        function: function.parse().unwrap(),
        qualifier: String::new(),
        summary: "does <it>".to_owned(),
        input: None,
        output: None,
    }
}

fn spec() -> ServiceSpec {
    let score = Operation {
        input: Some(json!({
            "type": "object",
            "properties": { "amount": { "$ref": "#/$defs/money" }, "customer": { "type": "string" } },
            "required": ["amount", "customer"],
            "$defs": { "money": { "type": "integer", "minimum": 0 } },
        })),
        output: Some(json!({
            "type": "object", "properties": { "risk": { "type": "number" } }, "required": ["risk"],
        })),
        ..operation(OperationMethod::Post, "/customers/{customer}/score", "score")
    };
    let greet = Operation {
        input: Some(json!({ "type": "object", "properties": { "times": { "type": "integer" } } })),
        ..operation(OperationMethod::Get, "/greetings/{who}", "greet")
    };
    let description = "Says how risky <it> is".to_owned();
    ServiceSpec { description, open: false, operations: vec![score, greet] }
}

/// A user of a service: a key, and nothing of the cloud.
struct User {
    base: String,
    key: String,
}

impl User {
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = http().request(method, format!("{}{path}", self.base));
        if !self.key.is_empty() {
            request = request.header("x-api-key", &self.key);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, answer.json().await.unwrap())
    }

    async fn score(&self, amount: Value) -> (StatusCode, Value) {
        let body = Some(json!({ "amount": amount }));
        self.ask(Method::POST, "/customers/dora%20x/score", body).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_two_accounts_is_used_with_a_key() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, maker) = strangers(&cloud).await;
    let base = made(&cloud, &owner, &maker).await;
    let limits = CallLimits { calls_per_day: Some(5), ..CallLimits::default() };
    let wanted = CreateServiceKey { name: name("web-shop"), limits };
    let key = maker.client.service_key_create(&name("risk"), &wanted).await.unwrap();
    let user = User { base: base.clone(), key: key.secret };
    let (status, told) = until(KNOWN_S, "the key to be known", || async {
        let (status, told) = user.score(json!(50)).await;
        (status != StatusCode::UNAUTHORIZED).then_some((status, told))
    })
    .await;
    assert_eq!((status, &told), (StatusCode::OK, &json!({ "risk": 0.5, "customer": "dora x" })));

    // What does not fit calls nothing; what was promised is held.
    let (status, told) = user.score(json!(-1)).await;
    assert_eq!((status, &told["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_input")));
    assert!(told["title"].as_str().unwrap().contains("/amount"), "{told}");
    let (status, told) = user.score(json!(12)).await;
    assert_eq!((status, &told["code"]), (StatusCode::BAD_GATEWAY, &json!("invalid_output")));
    let (status, told) = user.score(json!(13)).await;
    assert_eq!((status, &told["code"]), (StatusCode::BAD_GATEWAY, &json!("function_failed")));
    assert!(!told.to_string().contains("SECRET"), "a user learns the kind only: {told}");
    let (status, told) = user.ask(Method::GET, "/greetings/dora?times=3", None).await;
    assert_eq!((status, &told), (StatusCode::OK, &json!({ "hello": "dora", "times": 3 })));
    let (status, told) = user.ask(Method::DELETE, "/greetings/dora", None).await;
    assert_eq!(
        (status, &told["code"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!("method_not_allowed"))
    );
    assert_eq!(user.ask(Method::GET, "/nothing", None).await.0, StatusCode::NOT_FOUND);

    // Four were run; the fifth is the day's last.
    assert_eq!(user.score(json!(1)).await.0, StatusCode::OK);
    let (status, told) = user.score(json!(1)).await;
    assert_eq!((status, &told["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("quota_spent")));

    metered(&owner, &maker).await;
    read_by_people_and_tools(&base).await;
    a_new_version_answers(&maker, &base).await;

    maker.client.service_key_delete(&name("risk"), &name("web-shop")).await.unwrap();
    until(KNOWN_S, "the key to end", || async {
        (user.score(json!(1)).await.0 == StatusCode::UNAUTHORIZED).then_some(())
    })
    .await;
    maker.client.service_delete(&name("risk")).await.unwrap();
    until(KNOWN_S, "the service to go", || async {
        (user.score(json!(1)).await.0 == StatusCode::NOT_FOUND).then_some(())
    })
    .await;
    cloud.close().await;
}

/// Functions of two accounts, and a service of both. Gives its address.
async fn made(cloud: &Cloud, owner: &Account, maker: &Account) -> String {
    make_of(owner, "secret-score", SCORE).await;
    make_of(maker, "greet", GREET).await;
    let given = grant("secret-score", to(&[maker]), CallLimits::default());
    owner.client.grant_create(&given).await.unwrap();
    let wanted = CreateService { name: name("risk"), spec: spec() };
    let refused = maker.client.service_create(&wanted).await.unwrap_err();
    assert!(refused.to_string().contains("no function or link score"), "{refused}");
    maker.client.link_create(&link("score", owner, json!({}))).await.unwrap();
    let made = maker.client.service_create(&wanted).await.unwrap();
    let base = format!("{}{}", cloud.http(), made.path);
    let stranger = User { base: base.clone(), key: String::new() };
    let (status, told) = until(KNOWN_S, "the service to be known", || async {
        let (status, told) = stranger.score(json!(50)).await;
        (status != StatusCode::NOT_FOUND).then_some((status, told))
    })
    .await;
    assert_eq!((status, &told["code"]), (StatusCode::UNAUTHORIZED, &json!("unauthenticated")));
    let wrong = User { base: base.clone(), key: maker.token.clone() };
    assert_eq!(wrong.score(json!(50)).await.0, StatusCode::UNAUTHORIZED, "a token is no key");
    base
}

/// Each owner is counted what is theirs; the maker sees by which key.
async fn metered(owner: &Account, maker: &Account) {
    let used = until(KNOWN_S, "the usage", || async {
        let used = maker.client.usage(&UsageQuery::default()).await.unwrap();
        (used.total.calls == 5).then_some(used)
    })
    .await;
    for (line, (function, grant, calls)) in
        used.lines.iter().zip([("score", Some("curious"), 4), ("greet", None, 1)])
    {
        assert_eq!((line.name.as_str(), line.grant.as_deref()), (function, grant), "{used:?}");
        assert_eq!(line.consumption.calls, calls, "{used:?}");
        assert_eq!(line.service.as_deref(), Some("risk"));
        assert_eq!(line.key.as_deref(), Some("web-shop"));
    }
    let sold = owner.client.usage_sold(&UsageQuery::default()).await.unwrap();
    assert_eq!((sold.total.calls, sold.total.failures), (4, 1));
}

async fn read_by_people_and_tools(base: &str) {
    let page = http().get(base).send().await.unwrap();
    assert_eq!(
        page.headers()["content-security-policy"],
        "default-src 'none'; style-src 'unsafe-inline'"
    );
    let page = page.text().await.unwrap();
    assert!(page.contains("Says how risky &lt;it&gt; is") && !page.contains("<it>"), "{page}");
    let document = http().get(format!("{base}/openapi.json")).send().await.unwrap();
    let document: Value = document.json().await.unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    let score = &document["paths"]["/customers/{customer}/score"]["post"];
    assert_eq!(score["parameters"][0]["name"], "customer");
    let body = &score["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!(body["required"], json!(["amount"]));
    assert!(!document.to_string().contains("secret-score"));
    valid_openapi(&document);
    shown_by_a_browser(base);
}

/// Opens the page in a browser, where there is one: it shows each operation, takes nobody's words for
/// markup, and finds nothing that the page's own policy refuses.
fn shown_by_a_browser(base: &str) {
    let Some(browser) = std::env::var_os("FREEHOLD_TEST_BROWSER") else {
        eprintln!("SKIPPED: no browser (FREEHOLD_TEST_BROWSER)");
        return;
    };
    let profile = tempfile::tempdir().unwrap();
    let out = std::process::Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--disable-component-update"])
        .args(["--disable-sync", "--enable-logging=stderr", "--dump-dom", base])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .output()
        .unwrap();
    let (shown, said) =
        (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let headings: Vec<&str> = shown.split("<h2 class=\"m\">").skip(1).collect();
    let headings: Vec<&str> =
        headings.iter().filter_map(|rest| Some(rest.split_once("</h2>")?.0)).collect();
    assert_eq!(
        headings,
        ["POST /customers/{customer}/score", "GET /greetings/{who}"],
        "{shown}{said}"
    );
    assert!(shown.contains("<p>does &lt;it&gt;</p>") && !shown.contains("<it>"), "{shown}");
    // What a page's policy refuses, and every other complaint of a page, comes to the console.
    assert!(!said.contains("CONSOLE"), "{said}");
}

/// Asks a validator that others wrote, where it is there.
fn valid_openapi(document: &Value) {
    let Some(python) = std::env::var_os("FREEHOLD_TEST_PYTHON").map(PathBuf::from) else {
        eprintln!("SKIPPED: no Python with schemathesis (FREEHOLD_TEST_PYTHON)");
        return;
    };
    let program = "import json, sys, schemathesis\n\
         described = schemathesis.openapi.from_dict(json.load(sys.stdin))\n\
         described.validate()\n\
         assert len(list(described.get_all_operations())) == 2\n";
    let mut child = std::process::Command::new(python)
        .args(["-c", program])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), document).unwrap();
    let out = child.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{told}");
}

async fn a_new_version_answers(maker: &Account, base: &str) {
    let mut spec = spec();
    spec.open = true;
    spec.operations.remove(0);
    let wanted = UpdateService { spec, generation: 1 };
    let changed = maker.client.service_update(&name("risk"), &wanted).await.unwrap();
    assert_eq!((changed.version, changed.generation), (2, 2));
    let stale = maker.client.service_update(&name("risk"), &wanted).await.unwrap_err();
    assert_eq!(stale.code(), "stale_generation");
    let anybody = User { base: base.to_owned(), key: String::new() };
    until(KNOWN_S, "the new version to answer without a key", || async {
        let (status, _) = anybody.ask(Method::GET, "/greetings/you", None).await;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    // The one before stays as it was.
    let (status, _) = anybody.ask(Method::GET, "/v1/greetings/you", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(anybody.ask(Method::GET, "/v3/greetings/you", None).await.0, StatusCode::NOT_FOUND);
    let newest = maker.client.service_version_delete(&name("risk"), 2).await.unwrap_err();
    assert_eq!(newest.code(), "conflict");
    maker.client.service_version_delete(&name("risk"), 1).await.unwrap();
    until(KNOWN_S, "version 1 to go", || async {
        let (status, _) = anybody.ask(Method::GET, "/v1/greetings/you", None).await;
        (status == StatusCode::NOT_FOUND).then_some(())
    })
    .await;
    let (status, _) = anybody.ask(Method::GET, "/v2/greetings/you", None).await;
    assert_eq!(status, StatusCode::OK);
}
