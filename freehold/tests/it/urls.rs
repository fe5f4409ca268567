//! URLs of functions, asked as any HTTP client asks.

use std::path::Path;

use api::accounts::{CreateToken, Role};
use api::functions::urls::{Cors, FunctionUrl, UrlAuth, UrlQuery, UrlSettings};
use api::functions::{CreateAlias, CreateFunction};
use api::usage::UsageQuery;
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use types::FunctionRuntime;

use crate::functions::has_python;
use crate::links::make_of;
use crate::world::{PROGRAM, http, strangers};

/// Longest time until something is known everywhere.
const KNOWN_S: u64 = 5;

/// Tells what it was asked, or does what it is asked for.
const ECHO: &str = r#"
import base64, json, time
def handler(event, context):
    asked = event.get("queryStringParameters", {})
    if "fail" in asked:
        raise ValueError("SECRET")
    if "sleep" in asked:
        time.sleep(30)
    if "plain" in asked:
        return {"plain": True}
    if "broken" in asked:
        return {"statusCode": 42}
    if "bytes" in asked:
        body = base64.b64encode(bytes(range(256))).decode()
        return {"statusCode": 200, "headers": {"content-type": "image/x"}, "body": body,
                "isBase64Encoded": True}
    return {"statusCode": 201, "headers": {"X-Seen": context.invoked_function_arn},
            "cookies": ["a=1; Path=/", "b=2"], "body": json.dumps(event)}
"#;

/// Answers in pieces, with a prelude that it writes in two.
const NODE: &str = r#"
exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {
  const asked = event.queryStringParameters || {};
  if (asked.plain) { stream.write("plain"); stream.end(); return; }
  if (asked.early) throw new TypeError("SECRET");
  stream = awslambda.HttpResponseStream.from(stream, {
    statusCode: 202, headers: { "x-piece": "first" }, cookies: ["c=3"],
  });
  stream.write("first ");
  if (asked.wait) await new Promise((resolve) => setTimeout(resolve, 60000));
  if (asked.fail) throw new TypeError("SECRET");
  stream.write("second");
  stream.end();
});
"#;

fn settings(auth: UrlAuth) -> UrlSettings {
    UrlSettings { auth, stream: false, cors: None }
}

async fn url_of(owner: &Account, function: &str, settings: &UrlSettings) -> FunctionUrl {
    let name = function.parse().unwrap();
    owner.client.function_url_create(&name, (&UrlQuery::default(), settings)).await.unwrap()
}

async fn ask(cloud: &Cloud, url: &FunctionUrl, rest: &str) -> Response {
    http().get(format!("{}{}{rest}", cloud.http(), url.path)).send().await.unwrap()
}

async fn json_of(response: Response) -> Value {
    serde_json::from_slice(&response.bytes().await.unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_answers_at_its_url_in_one_process() {
    let cloud = Cloud::one(PROGRAM).await;
    a_function_answers_at_its_url(&cloud).await;
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_answers_at_its_url_in_separate_processes() {
    let Some(cloud) = Cloud::apart(PROGRAM).await else { return };
    a_function_answers_at_its_url(&cloud).await;
    cloud.close().await;
}

async fn a_function_answers_at_its_url(cloud: &Cloud) {
    if !has_python() {
        return;
    }
    let (owner, stranger) = strangers(cloud).await;
    make_of(&owner, "echo", ECHO).await;
    let url = url_of(&owner, "echo", &settings(UrlAuth::None)).await;
    whole_requests(cloud, &url).await;
    whatever_it_answers(cloud, &url).await;
    // Each of these was a call of its owner's, and no other was.
    let used = until(KNOWN_S, "the usage", || async {
        let used = owner.client.usage(&UsageQuery::default()).await.unwrap();
        (used.total.calls == 7).then_some(used.total)
    })
    .await;
    assert_eq!((used.failures, used.faults), (1, 1), "{used:?}");
    aliases_and_changes(cloud, &owner, &url).await;
    only_who_may(cloud, (&owner, &stranger), &url).await;

    // As many at one time as its owner lets: here none.
    let path = format!("{}/2017-10-31/functions/echo/concurrency", cloud.http());
    let none = json!({ "ReservedConcurrentExecutions": 0 });
    let set = http().put(path).bearer_auth(&owner.token).json(&none).send().await.unwrap();
    assert_eq!(set.status(), StatusCode::OK);
    let throttled = http()
        .get(format!("{}{}", cloud.http(), url.path))
        .bearer_auth(&owner.token)
        .send()
        .await
        .unwrap();
    assert_eq!(throttled.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(throttled.headers().contains_key(header::RETRY_AFTER));

    let name = "echo".parse().unwrap();
    owner.client.function_url_delete(&name, &UrlQuery::default()).await.unwrap();
    assert_eq!(ask(cloud, &url, "").await.status(), StatusCode::NOT_FOUND);
}

/// What a request is, the function is told, by path and by host.
async fn whole_requests(cloud: &Cloud, url: &FunctionUrl) {
    let request = http()
        .post(format!("{}{}a%20b/c?x=1&x=2&y=%26", cloud.http(), url.path))
        .header("cookie", "d=4; e=5")
        .header("authorization", "Bearer theirs")
        .header("content-type", "application/json")
        .body("{\"k\":1}");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let seen = answer.headers()["x-seen"].to_str().unwrap().to_owned();
    assert!(seen.ends_with(":function:echo"), "{seen}");
    let cookies: Vec<_> = answer.headers().get_all("set-cookie").iter().collect();
    assert_eq!(cookies, ["a=1; Path=/", "b=2"]);
    assert_eq!(answer.headers()["content-type"], "application/json");
    assert!(answer.headers().contains_key("x-amzn-requestid"));
    let event = json_of(answer).await;
    assert_eq!(event["version"], "2.0");
    assert_eq!(
        (&event["rawPath"], &event["rawQueryString"]),
        (&json!("/a%20b/c"), &json!("x=1&x=2&y=%26"))
    );
    assert_eq!(event["queryStringParameters"], json!({ "x": "1,2", "y": "&" }));
    assert_eq!(event["cookies"], json!(["d=4", "e=5"]));
    assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("{\"k\":1}"), &json!(false)));
    assert_eq!(event["headers"]["authorization"], "Bearer theirs", "the function's to check");
    assert_eq!(event["headers"]["x-forwarded-proto"], "http");
    let context = &event["requestContext"];
    assert_eq!(context["http"]["method"], "POST");
    assert_eq!(context["http"]["sourceIp"], "127.0.0.1");
    assert_eq!(context["http"]["protocol"], "HTTP/1.1");
    assert_eq!(
        (&context["apiId"], &context["accountId"]),
        (&json!(url.id.as_str()), &json!("anonymous"))
    );

    // By a host of its own, the path is the function's from its first slash on.
    let host = format!("{}.lambda-url.localhost", url.id);
    let request = http().delete(format!("{}/v1/functions", cloud.http())).header("host", &host);
    let event = json_of(request.send().await.unwrap()).await;
    assert_eq!(
        (&event["rawPath"], &event["requestContext"]["domainName"]),
        (&json!("/v1/functions"), &json!(host))
    );
    assert_eq!(event["requestContext"]["http"]["method"], "DELETE");
}

async fn whatever_it_answers(cloud: &Cloud, url: &FunctionUrl) {
    let plain = ask(cloud, url, "?plain=1").await;
    assert_eq!(
        (plain.status(), &plain.headers()["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert_eq!(json_of(plain).await, json!({ "plain": true }));
    let bytes = ask(cloud, url, "?bytes=1").await;
    assert_eq!(bytes.headers()["content-type"], "image/x");
    assert_eq!(bytes.bytes().await.unwrap()[..], (0..=255).collect::<Vec<u8>>());
    let failed = ask(cloud, url, "?fail=1").await;
    assert_eq!(failed.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(json_of(failed).await, json!({ "Message": "Internal Server Error" }));
    let broken = ask(cloud, url, "?broken=1").await;
    assert_eq!(broken.status(), StatusCode::BAD_GATEWAY);
    assert!(json_of(broken).await["Message"].as_str().unwrap().contains("statusCode is 42"));
    let late = ask(cloud, url, "?sleep=1").await;
    assert_eq!(late.status(), StatusCode::BAD_GATEWAY);

    // Larger than an event may be, and headers larger than any are.
    let large = http().post(format!("{}{}", cloud.http(), url.path)).body(vec![b'x'; 7 << 20]);
    assert_eq!(large.send().await.unwrap().status(), StatusCode::PAYLOAD_TOO_LARGE);
    let wide =
        http().get(format!("{}{}", cloud.http(), url.path)).header("x-a", "b".repeat(33 << 10));
    assert_eq!(wide.send().await.unwrap().status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let unknown = http().get(format!("{}/urls/{}/", cloud.http(), "a".repeat(32)));
    assert_eq!(unknown.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

/// An alias has a URL of its own; what is changed keeps its address.
async fn aliases_and_changes(cloud: &Cloud, owner: &Account, url: &FunctionUrl) {
    let name = "echo".parse().unwrap();
    let of = |alias: &str| UrlQuery { qualifier: Some(alias.to_owned()) };
    let wanted = settings(UrlAuth::None);
    let missing = owner.client.function_url_create(&name, (&of("live"), &wanted)).await;
    assert_eq!(missing.unwrap_err().status(), Some(404));
    let version = owner.client.function_url_create(&name, (&of("1"), &wanted)).await;
    assert_eq!(version.unwrap_err().status(), Some(400));
    let again = owner.client.function_url_create(&name, (&UrlQuery::default(), &wanted)).await;
    assert_eq!(again.unwrap_err().status(), Some(409));
    let alias = CreateAlias {
        name: "live".parse().unwrap(),
        version: "$LATEST".to_owned(),
        other: None,
        max_stale_ms: None,
        description: String::new(),
    };
    owner.client.alias_create(&name, &alias).await.unwrap();
    let live = owner.client.function_url_create(&name, (&of("live"), &wanted)).await.unwrap();
    assert_ne!(live.id, url.id);
    let answer = ask(cloud, &live, "").await;
    assert!(answer.headers()["x-seen"].to_str().unwrap().ends_with(":function:echo:live"));
    let all = owner.client.function_urls_list(&name).await.unwrap();
    let named: Vec<_> = all.iter().map(|it| it.qualifier.as_str()).collect();
    assert_eq!(named, ["", "live"]);
    owner.client.alias_delete(&name, &alias.name).await.unwrap();
    assert_eq!(
        ask(cloud, &live, "").await.status(),
        StatusCode::NOT_FOUND,
        "it went with its alias"
    );

    let cors = Cors {
        origins: vec!["https://a.example".to_owned()],
        methods: vec!["PUT".to_owned()],
        headers: vec!["x-mine".to_owned()],
        max_age_s: Some(60),
        ..Cors::default()
    };
    let wanted = UrlSettings { cors: Some(cors), ..settings(UrlAuth::None) };
    let changed = owner.client.function_url_update(&name, (&UrlQuery::default(), &wanted)).await;
    assert_eq!(changed.unwrap().id, url.id);
    let preflight = async |origin: &str, method: &str| {
        let address = format!("{}{}x", cloud.http(), url.path);
        let request = http().request(Method::OPTIONS, address).header("origin", origin);
        let request = request.header("access-control-request-method", method);
        request.header("access-control-request-headers", "x-mine").send().await.unwrap()
    };
    let told = preflight("https://a.example", "PUT").await;
    assert_eq!(told.status(), StatusCode::OK);
    assert!(!told.headers().contains_key("x-seen"), "the function was not asked");
    assert_eq!(told.headers()["access-control-allow-origin"], "https://a.example");
    assert_eq!(told.headers()["access-control-allow-methods"], "PUT");
    assert_eq!(told.headers()["access-control-max-age"], "60");
    for (origin, method) in [("https://b.example", "PUT"), ("https://a.example", "DELETE")] {
        let told = preflight(origin, method).await;
        assert!(!told.headers().contains_key("access-control-allow-origin"), "{origin} {method}");
    }
    let request = http().get(format!("{}{}?fail=1", cloud.http(), url.path));
    let told = request.header("origin", "https://a.example").send().await.unwrap();
    assert_eq!(told.headers()["access-control-allow-origin"], "https://a.example");
    assert_eq!(told.status(), StatusCode::BAD_GATEWAY, "scripts may read that too");
    let refused = UrlSettings {
        cors: Some(Cors { origins: vec!["a.example".to_owned()], ..Cors::default() }),
        ..settings(UrlAuth::None)
    };
    let refused = owner.client.function_url_update(&name, (&UrlQuery::default(), &refused)).await;
    assert_eq!(refused.unwrap_err().status(), Some(400));
}

/// A URL that wants to know who calls answers those only who may call its function.
async fn only_who_may(cloud: &Cloud, (owner, stranger): (&Account, &Account), url: &FunctionUrl) {
    let name = "echo".parse().unwrap();
    let iam = settings(UrlAuth::Iam);
    owner.client.function_url_update(&name, (&UrlQuery::default(), &iam)).await.unwrap();
    let by = async |token: &str| {
        let request = http().get(format!("{}{}", cloud.http(), url.path));
        request.bearer_auth(token).send().await.unwrap()
    };
    let nobody = ask(cloud, url, "").await;
    assert_eq!(nobody.status(), StatusCode::FORBIDDEN);
    assert_eq!(nobody.headers()["x-amzn-errortype"], "AccessDeniedException");
    assert_eq!(json_of(nobody).await, json!({ "Message": "Forbidden" }));
    for token in ["nonsense", &stranger.token] {
        assert_eq!(by(token).await.status(), StatusCode::FORBIDDEN);
    }
    let reader = CreateToken {
        label: "reads".to_owned(),
        role: Role::Reader,
        lifetime_ms: None,
        access_key: false,
    };
    let reader = owner.client.token_create(&reader).await.unwrap().secret;
    // Whoever may call the function may here.
    until(KNOWN_S, "the token to be known", || async {
        (by(&reader).await.status() == StatusCode::CREATED).then_some(())
    })
    .await;
    let event = json_of(by(&owner.token).await).await;
    assert_eq!(event["headers"].get("authorization"), None, "the token stays here");
    let number = types::functions::account_number(owner.client.whoami().await.unwrap().account.id);
    assert_eq!(event["requestContext"]["authorizer"]["iam"]["accountId"], number);
    assert_eq!(event["requestContext"]["accountId"], number);

    // Whom its owner lets in, and by the URL alone.
    let others =
        types::functions::account_number(stranger.client.whoami().await.unwrap().account.id);
    let policy = format!("{}/2015-03-31/functions/echo/policy", cloud.http());
    for (id, action, more) in [
        ("url", "lambda:InvokeFunctionUrl", json!({ "FunctionUrlAuthType": "AWS_IAM" })),
        ("call", "lambda:InvokeFunction", json!({ "InvokedViaFunctionUrl": true })),
    ] {
        let mut wanted = json!({ "StatementId": id, "Action": action, "Principal": others });
        wanted.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = http().post(&policy).bearer_auth(&owner.token).json(&wanted);
        assert_eq!(made.send().await.unwrap().status(), StatusCode::CREATED);
    }
    assert_eq!(by(&stranger.token).await.status(), StatusCode::CREATED);
    let arn = format!("arn:aws:lambda:any:{number}:function:echo");
    let path = format!("{}/2015-03-31/functions/{arn}/invocations", cloud.http());
    let past = http().post(path).bearer_auth(&stranger.token).body("{}").send().await.unwrap();
    assert_eq!(past.status(), StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_pieces_comes_through_a_url_while_it_is_made() {
    if !Path::new("/usr/bin/node").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/node");
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let object = owner.send(&Package::empty().file("app.js", NODE)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(256),
        timeout_ms: Some(5_000),
        ..CreateFunction::new("node".parse().unwrap(), FunctionRuntime::Nodejs, object)
    };
    owner.client.function_create(&wanted).await.unwrap();
    let streaming = UrlSettings { stream: true, ..settings(UrlAuth::None) };
    let url = url_of(&owner, "node", &streaming).await;
    let whole = ask(&cloud, &url, "").await;
    assert_eq!(
        (whole.status(), &whole.headers()["x-piece"]),
        (StatusCode::ACCEPTED, &"first".parse().unwrap())
    );
    assert_eq!(whole.headers()["set-cookie"], "c=3");
    assert_eq!(whole.text().await.unwrap(), "first second");
    let plain = ask(&cloud, &url, "?plain=1").await;
    assert_eq!((plain.status(), plain.text().await.unwrap().as_str()), (StatusCode::OK, "plain"));

    // The first piece comes though the second never will, and what breaks is not made to look whole.
    let mut waits = ask(&cloud, &url, "?wait=1").await;
    assert_eq!(waits.status(), StatusCode::ACCEPTED);
    assert_eq!(&waits.chunk().await.unwrap().unwrap()[..], b"first ");
    assert!(waits.chunk().await.is_err());
    let fails = http().get(format!("{}{}?fail=1", cloud.http(), url.path)).send().await;
    let whole = match fails {
        Ok(begun) => begun.bytes().await,
        Err(broken) => Err(broken),
    };
    assert!(whole.is_err(), "{whole:?}");
    let early = ask(&cloud, &url, "?early=1").await;
    assert_eq!(early.status(), StatusCode::BAD_GATEWAY);

    // Whole, where the URL answers so.
    let name = "node".parse().unwrap();
    let whole = settings(UrlAuth::None);
    owner.client.function_url_update(&name, (&UrlQuery::default(), &whole)).await.unwrap();
    let whole = ask(&cloud, &url, "").await;
    assert_eq!(
        (whole.status(), whole.text().await.unwrap().as_str()),
        (StatusCode::ACCEPTED, "first second")
    );
    cloud.close().await;
}
