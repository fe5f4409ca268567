//! Who may do what: every operation of the API, asked by a stranger, by another account, and by
//! every role of the account itself.

use std::collections::BTreeSet;

use access::Role;
use api::items::Sharing;
use serde_json::{Value, json};
use testkit::Package;

use crate::agent::Agent;
use crate::harness::{House, Member, request};

/// Who asks, in the order of the table's columns.
const COLUMNS: [&str; 7] =
    ["nobody", "bob's owner", "operator", "reader", "developer", "owner", "method and path"];

/// What there is to ask for.
struct World {
    house: House,
    alice: Member,
    item: String,
    object: String,
    publish: String,
    training: String,
}

/// A method, a path, and perhaps a body.
type Asked = (&'static str, String, Option<Value>);

fn ask(method: &'static str, path: String) -> Asked {
    (method, path, None)
}

fn tell(method: &'static str, path: &str, body: &Value) -> Asked {
    (method, path.to_owned(), Some(body.clone()))
}

impl World {
    async fn open() -> Self {
        let house = House::open().await;
        let agent = Agent::on(&house.control, 1).await;
        let alice = house.account("alice").await;
        let package = Package::linear("double", ("x", "y"), 2.0, 1.0);
        let publish = house.begin_publish(&alice, &package, Sharing::Nobody).await;
        house.ended_publish(&agent, &alice, publish).await;
        let trainer = (&Package::trainer("trainer"), Sharing::Nobody);
        let algorithm = house.publish(&agent, &alice, trainer).await;
        let events = (&Package::events("events"), Sharing::Nobody);
        let data = house.publish(&agent, &alice, events).await;
        let wanted = json!({
            "algorithm": algorithm, "data": { "training": data }, "model": "risk"
        });
        let training = house.post(&alice, "/v1/trainings", wanted).await.body;
        let object = house.upload(&alice, &[0; 1024]).await.to_string();
        Self {
            house,
            alice,
            item: "/v1/items/alice/double".to_owned(),
            object,
            publish: publish.to_string(),
            training: training["id"].as_str().unwrap().to_owned(),
        }
    }

    /// What is asked: method, path and body. `who` names what each of them may use up.
    fn asked(&self, who: usize, token: &str) -> Vec<Asked> {
        let Self { item, object, publish, training, .. } = self;
        let sharing = json!({ "sharing": { "with": "nobody" }, "generation": 99 });
        let deploy = json!({ "name": format!("new-{who}"), "source": "alice/double" });
        let update = json!({ "source": "alice/double", "generation": 99 });
        let train = json!({
            "algorithm": "alice/trainer", "data": { "training": "alice/events" }, "model": "risk"
        });
        let token_wanted = json!({ "label": "new", "role": "reader" });
        let commit = json!({ "chunks": [], "media_type": "application/x-test" });
        vec![
            ask("GET", "/v1/health".into()),
            ask("GET", "/v1/errors/not_found".into()),
            ask("GET", "/v1/openapi.json".into()),
            ask("GET", "/v1/accounts".into()),
            tell("POST", "/v1/accounts", &json!({ "name": format!("new-{who}") })),
            ask("GET", "/v1/accounts/alice".into()),
            ask("GET", "/v1/whoami".into()),
            ask("POST", "/v1/keys/rotate".into()),
            ask("GET", "/v1/tokens".into()),
            tell("POST", "/v1/tokens", &token_wanted),
            ask("DELETE", format!("/v1/tokens/{token}")),
            tell("POST", "/v1/objects/missing", &json!({ "chunks": [] })),
            ask("POST", "/v1/objects/chunks".into()),
            ask("POST", "/v1/objects/stream".into()),
            tell("POST", "/v1/objects", &commit),
            ask("GET", format!("/v1/objects/{object}")),
            ask("GET", format!("/v1/objects/{object}/content")),
            ask("GET", "/v1/items".into()),
            ask("GET", item.clone()),
            ask("GET", format!("{item}/versions/1")),
            tell("PUT", &format!("{item}/sharing"), &sharing),
            ask("GET", format!("{item}/usage")),
            ask("GET", "/v1/search".into()),
            tell("POST", "/v1/suggest", &json!({})),
            ask("GET", "/v1/publishes".into()),
            tell("POST", "/v1/publishes", &json!({ "object": object })),
            ask("GET", format!("/v1/publishes/{publish}")),
            ask("GET", format!("/v1/publishes/{publish}/log")),
            ask("GET", "/v1/trainings".into()),
            tell("POST", "/v1/trainings", &train),
            ask("GET", format!("/v1/trainings/{training}")),
            ask("GET", format!("/v1/trainings/{training}/log")),
            ask("POST", format!("/v1/trainings/{training}/cancel")),
            ask("GET", "/v1/endpoints".into()),
            tell("POST", "/v1/endpoints", &deploy),
            ask("GET", "/v1/endpoints/answers".into()),
            tell("PUT", "/v1/endpoints/answers", &update),
            ask("DELETE", format!("/v1/endpoints/used-{who}")),
            tell("PUT", "/v1/endpoints/answers/sharing", &sharing),
            ask("GET", "/v1/endpoints/answers/log".into()),
            ask("GET", "/v1/status".into()),
            ask("GET", "/v1/instance-types".into()),
            ask("GET", "/v1/tasks".into()),
            tell("POST", "/v1/enrolments", &json!({ "process": "agent", "name": "far" })),
        ]
        .into_iter()
        .chain(self.asked_of_functions(who))
        .chain(Self::asked_across_accounts(who))
        .chain(Self::asked_of_evidence(who))
        .collect()
    }

    fn asked_of_functions(&self, who: usize) -> Vec<Asked> {
        let object = &self.object;
        let function = json!({
            "name": "greet", "runtime": "python3", "handler": "app.handler", "object": object
        });
        let alias = json!({ "name": format!("new-{who}"), "version": "$LATEST" });
        let schedule = json!({ "name": format!("new-{who}"), "expression": "rate(1 day)" });
        let event = "event-00000000000000000000000000000001";
        let source = "source-00000000000000000000000000000001";
        let fed = json!({ "spec": {}, "generation": 99 });
        vec![
            ask("GET", "/v1/functions".into()),
            tell("POST", "/v1/functions", &function),
            ask("GET", "/v1/functions/Resize".into()),
            tell("PUT", "/v1/functions/Resize", &json!({ "generation": 99 })),
            ask("GET", "/v1/functions/Resize/versions".into()),
            tell("POST", "/v1/functions/Resize/versions", &json!({ "generation": 99 })),
            ask("GET", "/v1/functions/Resize/aliases".into()),
            tell("POST", "/v1/functions/Resize/aliases", &alias),
            tell("PUT", "/v1/functions/Resize/aliases/live", &json!({ "generation": 99 })),
            ask("DELETE", format!("/v1/functions/Resize/aliases/used-{who}")),
            ask("GET", "/v1/functions/Resize/log".into()),
            ask("GET", "/v1/functions/Resize/event-settings".into()),
            tell("PUT", "/v1/functions/Resize/event-settings", &json!({ "retries": 1 })),
            ask("GET", "/v1/functions/Resize/sizing".into()),
            tell("PUT", "/v1/functions/Resize/sizing", &json!({ "mode": "auto" })),
            ask("GET", "/v1/functions/Resize/sizes".into()),
            ask("GET", "/v1/functions/Resize/advice".into()),
            tell("POST", "/v1/functions/Resize/url", &json!({ "auth": "none" })),
            ask("GET", "/v1/functions/Resize/url".into()),
            ask("GET", "/v1/functions/Resize/urls".into()),
            tell("PUT", "/v1/functions/Resize/url", &json!({ "auth": "iam" })),
            ask("DELETE", "/v1/functions/Resize/url".into()),
            ask("GET", "/v1/functions/Resize/provisioned".into()),
            tell("PUT", "/v1/functions/Resize/provisioned/1", &json!({ "instances": 1 })),
            ask("GET", "/v1/functions/Resize/provisioned/1".into()),
            ask("DELETE", "/v1/functions/Resize/provisioned/1".into()),
            ask("GET", "/v1/functions/Resize/schedules".into()),
            tell("POST", "/v1/functions/Resize/schedules", &schedule),
            ask("DELETE", format!("/v1/functions/Resize/schedules/new-{who}")),
            ask("GET", "/v1/functions/Resize/sources".into()),
            tell("POST", "/v1/functions/Resize/sources", &json!({ "stream": "kept" })),
            ask("GET", format!("/v1/functions/Resize/sources/{source}")),
            tell("PUT", &format!("/v1/functions/Resize/sources/{source}"), &fed),
            ask("DELETE", format!("/v1/functions/Resize/sources/{source}")),
            ask("GET", "/v1/functions/Resize/dead-events".into()),
            ask("POST", format!("/v1/functions/Resize/dead-events/{event}")),
            ask("DELETE", format!("/v1/functions/Resize/dead-events/{event}")),
            ask("DELETE", format!("/v1/functions/used-{who}")),
        ]
    }

    fn asked_across_accounts(who: usize) -> Vec<Asked> {
        let new = format!("new-{who}");
        let nobody = json!({ "with": "nobody" });
        let grant = json!({ "name": new, "function": "Resize", "sharing": nobody });
        let link = json!({ "name": new, "owner": "lender", "grant": "lent" });
        let spec = json!({ "operations": [{ "path": "/x", "function": "Resize" }] });
        let service = json!({ "name": new, "spec": spec });
        let changed = json!({ "spec": spec, "generation": 99 });
        let stale = json!({ "generation": 99 });
        vec![
            ask("GET", "/v1/grants".into()),
            tell("POST", "/v1/grants", &grant),
            ask("GET", "/v1/grants/kept".into()),
            tell("PUT", "/v1/grants/kept", &stale),
            ask("DELETE", format!("/v1/grants/used-{who}")),
            ask("GET", "/v1/received-grants".into()),
            ask("GET", "/v1/links".into()),
            tell("POST", "/v1/links", &link),
            ask("GET", "/v1/links/kept".into()),
            tell("PUT", "/v1/links/kept", &stale),
            ask("DELETE", format!("/v1/links/linked-{who}")),
            ask("GET", "/v1/services".into()),
            tell("POST", "/v1/services", &service),
            ask("GET", "/v1/services/kept".into()),
            tell("PUT", "/v1/services/kept", &changed),
            ask("GET", "/v1/services/kept/versions".into()),
            ask("DELETE", "/v1/services/kept/versions/1".into()),
            ask("GET", "/v1/services/kept/keys".into()),
            tell("POST", "/v1/services/kept/keys", &json!({ "name": new })),
            ask("DELETE", format!("/v1/services/kept/keys/new-{who}")),
            ask("DELETE", format!("/v1/services/used-{who}")),
            ask("GET", "/v1/usage".into()),
            ask("GET", "/v1/sold-usage".into()),
        ]
    }

    fn asked_of_evidence(who: usize) -> Vec<Asked> {
        let new = format!("new-{who}");
        let run = "run-00000000000000000000000000000001";
        let stale = json!({ "spec": {}, "generation": 99 });
        let variant = json!({ "variant": new, "source": "alice/double" });
        let mode = json!({ "mode": "test", "modes_number": 99 });
        let gate = json!({ "conditions": [{ "metric": "verdict" }] });
        let promote = json!({ "run": run, "mode": "production" });
        let when = json!({ "is": { "metric": "errors_ppm", "at_least": 1 } });
        let then = json!([{ "kind": "revert" }]);
        let trigger = json!({ "name": new, "when": when, "window_ms": 60_000, "then": then });
        vec![
            ask("GET", "/v1/streams".into()),
            tell("POST", "/v1/streams", &json!({ "name": new })),
            ask("GET", "/v1/streams/kept".into()),
            tell("PUT", "/v1/streams/kept", &stale),
            ask("DELETE", format!("/v1/streams/used-{who}")),
            ask("GET", "/v1/runs".into()),
            tell("POST", "/v1/runs", &json!({ "endpoint": "answers", "stream": "kept" })),
            ask("GET", format!("/v1/runs/{run}")),
            ask("POST", format!("/v1/runs/{run}/stop")),
            tell("POST", "/v1/endpoints/answers/variants", &variant),
            ask("DELETE", format!("/v1/endpoints/answers/variants/{new}")),
            tell("PUT", "/v1/endpoints/answers/variants/main/mode", &mode),
            tell("POST", "/v1/endpoints/answers/variants/main/promotion", &promote),
            ask("GET", "/v1/endpoints/answers/modes".into()),
            ask("POST", "/v1/endpoints/answers/modes/99/restore".into()),
            tell("PUT", "/v1/endpoints/answers/gate", &gate),
            ask("GET", "/v1/endpoints/answers/gate".into()),
            tell("POST", "/v1/endpoints/answers/gate/judgement", &json!({ "run": run })),
            ask("DELETE", "/v1/endpoints/answers/gate".into()),
            tell("PUT", "/v1/endpoints/answers/capture", &json!({ "stream": "kept" })),
            ask("GET", "/v1/endpoints/answers/capture".into()),
            ask("DELETE", "/v1/endpoints/answers/capture".into()),
            ask("GET", "/v1/endpoints/answers/triggers".into()),
            tell("POST", "/v1/endpoints/answers/triggers", &trigger),
            ask("DELETE", format!("/v1/endpoints/answers/triggers/{new}")),
            ask("GET", "/v1/endpoints/answers/firings".into()),
        ]
    }

    /// A stream of alice.
    async fn stream(&self, name: &str) {
        let made = self.house.post(&self.alice, "/v1/streams", json!({ "name": name })).await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    /// A grant, a link and a service of alice, of this name but for the link's.
    async fn shared(&self, name: &str, link: &str) {
        let everybody = json!({ "with": "everybody" });
        let grant = json!({ "name": name, "function": "Resize", "sharing": everybody });
        let link = json!({ "name": link, "owner": "lender", "grant": "lent" });
        let spec = json!({ "operations": [{ "path": "/x", "function": "Resize" }] });
        let service = json!({ "name": name, "spec": spec });
        for (path, wanted) in
            [("/v1/grants", grant), ("/v1/links", link), ("/v1/services", service)]
        {
            let made = self.house.post(&self.alice, path, wanted).await;
            assert_eq!(made.status, 201, "{path}: {made:?}");
        }
    }

    /// An account that lends a function to everybody.
    async fn lender(&self) {
        let lender = self.house.account("lender").await;
        let object = self.house.upload(&lender, &[0; 1024]).await;
        let function = json!({ "name": "lent", "runtime": "provided", "object": object });
        assert_eq!(self.house.post(&lender, "/v1/functions", function).await.status, 201);
        let everybody = json!({ "with": "everybody" });
        let grant = json!({ "name": "lent", "function": "lent", "sharing": everybody });
        assert_eq!(self.house.post(&lender, "/v1/grants", grant).await.status, 201);
    }

    async fn function(&self, name: &str) {
        let wanted = json!({
            "name": name, "runtime": "provided", "object": self.object, "description": "it resizes"
        });
        let made = self.house.post(&self.alice, "/v1/functions", wanted).await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    async fn token(&self) -> String {
        let wanted = json!({ "label": "spare", "role": "reader" });
        let made = self.house.post(&self.alice, "/v1/tokens", wanted).await.body;
        made["token"]["id"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_gets_what_their_role_allows_and_nothing_else() {
    let world = World::open().await;
    let house = &world.house;
    let source = "alice/double".parse().unwrap();
    house.deploy(&world.alice, "answers", &source).await;
    world.function("Resize").await;
    world.lender().await;
    world.shared("kept", "kept").await;
    world.stream("kept").await;
    let callers = [
        None,
        Some(house.account("bob").await),
        Some(house.operator.clone()),
        Some(house.member(&world.alice, Role::Reader).await),
        Some(house.member(&world.alice, Role::Developer).await),
        Some(world.alice.clone()),
    ];
    let mut rows: Vec<String> = Vec::new();
    for (who, caller) in callers.iter().enumerate() {
        house.deploy(&world.alice, &format!("used-{who}"), &source).await;
        world.function(&format!("used-{who}")).await;
        world.stream(&format!("used-{who}")).await;
        world.shared(&format!("used-{who}"), &format!("linked-{who}")).await;
        let token = world.token().await;
        let asked = world.asked(who, &token);
        rows.resize(asked.len(), String::new());
        for (row, (method, path, body)) in rows.iter_mut().zip(asked) {
            let answer = house.send(request(method, &path, caller.as_ref(), body)).await;
            assert!(answer.status < 500, "{method} {path}: {answer:?}");
            *row += &format!("{} {:<22}| ", answer.status, answer.code());
            if who + 1 == callers.len() {
                *row += &format!("{method} {}", general(&path, &world, &token));
            }
        }
    }
    let head: Vec<String> = COLUMNS.iter().map(|column| format!("{column:<26}")).collect();
    let table = format!("{}\n{}\n", head.join("| ").trim_end(), rows.join("\n"));
    insta::assert_snapshot!(table);
}

/// The path without what differs between runs.
fn general(path: &str, world: &World, token: &str) -> String {
    path.replace(token, "{token}")
        .replace(&world.object, "{object}")
        .replace(&world.publish, "{publish}")
        .replace(&world.training, "{training}")
        .replace("/used-5", "/{used}")
        .replace("/linked-5", "/{used}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_operation_of_the_api_is_in_the_table() {
    let world = World::open().await;
    let asked: BTreeSet<(String, String)> = world
        .asked(0, "{token}")
        .into_iter()
        .map(|(method, path, _)| {
            let path = general(&path, &world, "{token}")
                .replace("items/alice/double", "items/{account}/{name}")
                .replace("versions/1", "versions/{number}")
                .replace("accounts/alice", "accounts/{account}")
                .replace("errors/not_found", "errors/{code}")
                .replace("functions/Resize", "functions/{name}")
                .replace("schedules/new-0", "schedules/{schedule}")
                .replace("provisioned/1", "provisioned/{qualifier}")
                .replace("aliases/live", "aliases/{alias}")
                .replace("aliases/used-0", "aliases/{alias}")
                .replace("event-00000000000000000000000000000001", "{event}")
                .replace("source-00000000000000000000000000000001", "{source}")
                .replace("functions/used-0", "functions/{name}")
                .replace("services/kept/versions/{number}", "services/{name}/versions/{version}")
                .replace("keys/new-0", "keys/{key}")
                .replace("grants/kept", "grants/{name}")
                .replace("grants/used-0", "grants/{name}")
                .replace("links/kept", "links/{name}")
                .replace("links/linked-0", "links/{name}")
                .replace("services/kept", "services/{name}")
                .replace("services/used-0", "services/{name}")
                .replace("streams/kept", "streams/{name}")
                .replace("streams/used-0", "streams/{name}")
                .replace("run-00000000000000000000000000000001", "{run}")
                .replace("variants/new-0", "variants/{variant}")
                .replace("variants/main", "variants/{variant}")
                .replace("triggers/new-0", "triggers/{trigger}")
                .replace("modes/99", "modes/{number}")
                .replace("endpoints/answers", "endpoints/{name}")
                .replace("endpoints/used-0", "endpoints/{name}");
            (method.to_lowercase(), path)
        })
        .collect();
    let document = serde_json::to_value(control::http::own_openapi()).unwrap();
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let methods = item.as_object().unwrap().keys();
        let is_method = |key: &&String| ["get", "put", "post", "delete"].contains(&key.as_str());
        described.extend(methods.filter(is_method).map(|method| (method.clone(), path.clone())));
    }
    assert_eq!(asked, described);
}

#[tokio::test]
async fn a_token_of_a_higher_role_than_ones_own_cannot_be_made() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let wanted = json!({ "label": "more", "role": "operator" });
    let refused = house.post(&alice, "/v1/tokens", wanted).await;
    assert_eq!((refused.status, refused.code()), (403, "forbidden"));
}

#[tokio::test]
async fn a_token_that_is_over_or_revoked_opens_nothing() {
    let house = House::open().await;
    let alice = house.account("alice").await;
    let wanted = json!({ "label": "short", "role": "owner", "lifetime_ms": 1_000 });
    let made = house.post(&alice, "/v1/tokens", wanted).await.body;
    let short = Member {
        secret: made["secret"].as_str().unwrap().to_owned(),
        caller: alice.caller.clone(),
    };
    assert_eq!(house.get(&short, "/v1/whoami").await.status, 200);
    house.time.advance_ms(1_000);
    let over = house.get(&short, "/v1/whoami").await;
    assert_eq!((over.status, over.code()), (401, "token_expired"));
    let reader = house.member(&alice, Role::Reader).await;
    let path = format!("/v1/tokens/{}", reader.token);
    assert_eq!(house.send(request("DELETE", &path, Some(&alice), None)).await.status, 200);
    let revoked = house.get(&reader, "/v1/whoami").await;
    assert_eq!((revoked.status, revoked.code()), (401, "unauthenticated"));
}
