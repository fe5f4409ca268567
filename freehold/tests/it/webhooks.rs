//! Webhooks: servers elsewhere that are told what became of events, and know who told them.

use std::path::Path;

use api::functions::CreateFunction;
use api::functions::events::{EventSettings, EventSettingsQuery};
use api::pages::PageQuery;
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use types::{FunctionName, FunctionRuntime};

use crate::elsewhere::Elsewhere;
use crate::world::{PROGRAM, strangers};

/// Longest time until something is told: a retry after a pause among it.
const TOLD_S: u64 = 30;
pub(crate) const PORT: u16 = 8081;

const CODE: &str = r#"
def handler(event, context):
    if event.get("fail"):
        raise ValueError("told to")
    return {"sum": event["a"] + event["b"]}
"#;

/// Writes down what it is told, and whether the signature is right; answers as the path says.
pub(crate) const RECEIVER: &str = r#"
import base64, hashlib, hmac, http.server, json, sys
kept, secret = sys.argv[1], sys.argv[2]
seen = set()

class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        key = base64.b64decode(open(secret).read().removeprefix("whsec_"))
        text = "%s.%s.%s" % (self.headers["webhook-id"], self.headers["webhook-timestamp"], body.decode())
        right = base64.b64encode(hmac.new(key, text.encode(), hashlib.sha256).digest()).decode()
        told = {"path": self.path, "id": self.headers["webhook-id"], "body": json.loads(body),
                "type": self.headers["content-type"],
                "signed": self.headers["webhook-signature"] == "v1," + right}
        with open(kept, "a") as file:
            file.write(json.dumps(told) + "\n")
        first, status = self.path not in seen, 200
        seen.add(self.path)
        if self.path == "/busy" and first:
            status = 503
        elif self.path == "/no":
            status = 400
        elif self.path == "/moved":
            status = 302
        self.send_response(status)
        if status == 302:
            self.send_header("location", "/ok")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

http.server.HTTPServer(("", 8081), Receiver).serve_forever()
"#;

struct World<'a> {
    owner: &'a Account,
    name: FunctionName,
    kept: &'a Path,
}

impl World<'_> {
    /// Has events told to these from now on, and returns the secret.
    async fn tell(&self, on_success: Option<&str>, on_failure: Option<&str>) -> String {
        let wanted = EventSettings {
            retries: Some(0),
            age_s: None,
            on_success: on_success.map(str::to_owned),
            on_failure: on_failure.map(str::to_owned),
        };
        let of = EventSettingsQuery::default();
        let shown = self.owner.client.event_settings_put(&self.name, &of, &wanted).await.unwrap();
        assert_eq!(shown.settings, wanted);
        let again = self.owner.client.event_settings(&self.name, &of).await.unwrap();
        assert_eq!(again, shown);
        shown.webhook_secret.expect("its owner sees it")
    }

    async fn send(&self, event: Value) {
        let payload = Bytes::from(event.to_string());
        let sent = self.owner.client.function_event(&self.name, None, payload);
        sent.await.expect("the event is kept");
    }

    /// What was told at a path, once it was told so often.
    async fn told(&self, path: &str, times: usize) -> Vec<Value> {
        until(TOLD_S, &format!("{path} to be told {times} times"), || async {
            let text = std::fs::read_to_string(self.kept).unwrap_or_default();
            let all = text.lines().map(|line| serde_json::from_str::<Value>(line).ok());
            let all: Option<Vec<Value>> = all.collect();
            let mut all = all?;
            all.retain(|told| told["path"] == path);
            (all.len() >= times).then_some(all)
        })
        .await
    }

    /// The dead event for a webhook, once there is one.
    async fn dead(&self, webhook: &str) -> api::functions::DeadEvent {
        until(TOLD_S, &format!("{webhook} to be given up"), || async {
            let page = PageQuery::default();
            let dead = self.owner.client.dead_events_list(&self.name, &page).await.unwrap();
            dead.items.into_iter().find(|event| event.webhook.as_deref() == Some(webhook))
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_told_what_became_of_events() {
    if !Path::new("/usr/bin/python3").is_file() {
        eprintln!("SKIPPED: there is no /usr/bin/python3");
        return;
    }
    let Some(mut elsewhere) = Elsewhere::make() else { return };
    let folder = tempfile::tempdir().unwrap();
    let (kept, secret) = (folder.path().join("kept"), folder.path().join("secret"));
    let file = |path: &Path| path.to_str().unwrap().to_owned();
    elsewhere.serve(&["-c", RECEIVER, &file(&kept), &file(&secret)], PORT).await;
    let cloud = Cloud::one_with(PROGRAM, &["--egress-networks", "198.18.0.0/15"]).await;
    let (owner, _) = strangers(&cloud).await;
    let object = owner.send(&Package::empty().file("app.py", CODE)).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(128),
        timeout_ms: Some(30_000),
        ..CreateFunction::new("add".parse().unwrap(), FunctionRuntime::Python3, object)
    };
    let name = owner.client.function_create(&wanted).await.unwrap().name;
    let world = World { owner: &owner, name, kept: &kept };
    let url = |path: &str| format!("http://{}:{PORT}{path}", elsewhere.far);

    // What was answered, and what was given up, which is told once more after a pause.
    let shown = world.tell(Some(&url("/ok")), Some(&url("/busy"))).await;
    std::fs::write(&secret, shown).unwrap();
    world.send(json!({ "a": 1, "b": 2 })).await;
    let told = world.told("/ok", 1).await.remove(0);
    assert_eq!((&told["signed"], &told["type"]), (&json!(true), &json!("application/json")));
    assert_eq!(told["body"]["requestContext"]["condition"], "Success");
    assert_eq!(told["body"]["responsePayload"], json!({ "sum": 3 }));
    world.send(json!({ "fail": true })).await;
    let told = world.told("/busy", 2).await;
    assert_eq!(told[0]["id"], told[1]["id"]);
    assert!(told.iter().all(|it| it["signed"] == true), "{told:?}");
    assert_eq!(told[1]["body"]["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(told[1]["body"]["responsePayload"]["errorMessage"], "told to");

    // A webhook that says no is given up, and told again when its event is driven again.
    world.tell(None, Some(&url("/no"))).await;
    world.send(json!({ "fail": true })).await;
    let dead = world.dead(&url("/no")).await;
    assert_eq!(dead.failures[0].error, "Webhook.400");
    owner.client.dead_event_redrive(&world.name, dead.id).await.unwrap();
    world.told("/no", 2).await;

    // Neither a redirection nor an address of this machine is followed.
    let own = format!("{}/v1/status", cloud.http());
    for (webhook, error) in [(url("/moved"), "Webhook.302"), (own, "Webhook.Forbidden")] {
        world.tell(None, Some(&webhook)).await;
        world.send(json!({ "fail": true })).await;
        assert_eq!(world.dead(&webhook).await.failures[0].error, error);
    }
    assert_eq!(world.told("/ok", 1).await.len(), 1);

    // What is no destination is refused.
    for wrong in ["ftp://example.org/", "https://me:word@example.org/", "nothing-of-mine"] {
        let settings = EventSettings { on_success: Some(wrong.to_owned()), ..Default::default() };
        let of = EventSettingsQuery::default();
        let refused = owner.client.event_settings_put(&world.name, &of, &settings).await;
        assert_eq!(refused.unwrap_err().status(), Some(400), "{wrong}");
    }
    cloud.close().await;
}
