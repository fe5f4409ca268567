//! What a function reaches outside its sandbox: the places that it names, on another machine, and
//! nothing of this one.

use std::path::Path;

use api::functions::{CreateFunction, UpdateFunction};
use api::pages::LogQuery;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use types::{FunctionName, FunctionRuntime};

use crate::elsewhere::Elsewhere;
use crate::world::{PROGRAM, strangers};

/// Longest time until a change is known, a line is kept, or a server listens.
const KNOWN_S: u64 = 10;

/// Asks for a URL as Python does, or by a tunnel, and tells what came of it.
const CODE: &str = r#"
import http.client, os, urllib.error, urllib.request

def handler(event, context):
    host, port = event["host"], event["port"]
    if event.get("tunnel"):
        proxy = http.client.HTTPConnection("127.0.0.1", 9001)
        proxy.set_tunnel(host, port)
        try:
            proxy.request("GET", "/")
            return [proxy.getresponse().status, "tunnel"]
        except OSError as error:
            return [int(str(error).split()[3]), str(error)]
    os.environ.setdefault("http_proxy", "http://127.0.0.1:9001")
    try:
        with urllib.request.urlopen("http://%s:%d/" % (host, port)) as answer:
            return [answer.status, answer.read().decode()]
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_function_reaches_what_it_names_elsewhere_and_nothing_of_this_machine() {
    if !Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let Some(mut elsewhere) = Elsewhere::make() else { return };
    elsewhere.serve(&["-m", "http.server", "8080"], 8080).await;
    let cloud = Cloud::one_with(PROGRAM, &["--egress-networks", "198.18.0.0/15"]).await;
    let (owner, _) = strangers(&cloud).await;
    let own: u16 = cloud.http().rsplit(':').next().unwrap().parse().unwrap();
    let (near, far) = (elsewhere.near.as_str(), elsewhere.far.as_str());
    let named = [
        format!("{far}:8080"),
        format!("127.0.0.1:{own}"),
        format!("localhost:{own}"),
        format!("{near}:{own}"),
        "169.254.169.254:80".to_owned(),
        "10.255.255.1:80".to_owned(),
    ];
    let open = make(&owner, "open", &named).await;
    for tunnel in [false, true] {
        let ask = async |host: &str, port: u16| {
            let event = json!({ "host": host, "port": port, "tunnel": tunnel });
            let told = call(&owner, &open, event).await;
            (told[0].as_u64().unwrap(), told[1].as_str().unwrap().to_owned())
        };
        assert_eq!(ask(far, 8080).await.0, 200);
        for (host, port, why) in [
            (far, 8081, "does not name it"),
            ("example.org", 443, "does not name it"),
            ("127.0.0.1", own, "loopback"),
            ("localhost", own, "loopback"),
            (near, own, "address of this cloud"),
            ("169.254.169.254", 80, "link-local"),
            ("10.255.255.1", 80, "private network"),
        ] {
            // Python itself does not ask a proxy for its own loopback.
            if !tunnel && matches!(host, "127.0.0.1" | "localhost") {
                continue;
            }
            let (status, told) = ask(host, port).await;
            assert_eq!(status, 403, "{host}:{port}: {told}");
            assert!(tunnel || told.contains(why), "{host}:{port}: {told}");
        }
    }

    // Nowhere, where nothing is named; what is named later counts from then on.
    let closed = make(&owner, "closed", &[]).await;
    let event = json!({ "host": far, "port": 8080 });
    let told = call(&owner, &closed, event.clone()).await;
    assert!(told[0] == 403 && told[1].as_str().unwrap().contains("no egress"), "{told}");
    let egress = Some(vec![format!("{far}:8080")]);
    let wanted = UpdateFunction { egress, generation: 1, ..UpdateFunction::default() };
    let changed = owner.client.function_update(&closed, &wanted).await.unwrap();
    assert_eq!(changed.egress, [format!("{far}:8080")]);
    until(KNOWN_S, "what is named to be reached", || async {
        (call(&owner, &closed, event.clone()).await[0] == 200).then_some(())
    })
    .await;

    // Each attempt is in the log.
    let lines = until(KNOWN_S, "the log to tell of it", || async {
        let log = owner.client.function_log(&open, &LogQuery::default()).await.unwrap();
        let texts = log.lines.into_iter().map(|line| line.text);
        let lines: Vec<String> = texts.filter(|text| text.starts_with("EGRESS ")).collect();
        (lines.len() >= 14).then_some(lines)
    })
    .await;
    assert!(lines[0].starts_with(&format!("EGRESS {far}:8080 connected to")), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("not allowed: 169.254.169.254")), "{lines:?}");

    // What is no place is refused before anything is made.
    let wanted = create("wrong", &["example.org".to_owned()], changed.object);
    let refused = owner.client.function_create(&wanted).await.unwrap_err();
    assert_eq!(refused.status(), Some(400));
    assert!(refused.to_string().contains("HOST:PORT"), "{refused}");
    cloud.close().await;
}

fn create(name: &str, egress: &[String], object: types::ObjectId) -> CreateFunction {
    CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(128),
        timeout_ms: Some(30_000),
        egress: egress.to_vec(),
        ..CreateFunction::new(name.parse().unwrap(), FunctionRuntime::Python3, object)
    }
}

async fn make(owner: &Account, name: &str, egress: &[String]) -> FunctionName {
    let object = owner.send(&Package::empty().file("app.py", CODE)).await.unwrap().id;
    owner.client.function_create(&create(name, egress, object)).await.unwrap().name
}

/// Calls a function; waits until the gateway knows it.
async fn call(owner: &Account, name: &FunctionName, event: Value) -> Value {
    let called = owner.call(name, event.to_string()).await;
    assert_eq!(called.error, None, "{:?}", called.body);
    serde_json::from_slice(&called.body).unwrap()
}
