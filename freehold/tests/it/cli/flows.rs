//! What is done: commands of several calls, and what they send.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::answers::{self, id};
use super::{Fake, Person, dataset, word};

#[test]
fn what_is_begun_is_followed_to_its_end() {
    let fake = Fake::start(answers::world());
    let person = Person::before(&fake);
    let folder = dataset(&person);
    let commands: [&[&str]; 6] = [
        &["publish", word(&folder), "--everybody"],
        &["pipeline", "line", "my-risk", "bolt/other@3"],
        &["train", "signin-risk", "--data", "training=signins", "--as", "my-risk"],
        &["train", "signin-risk", "--data", "training=signins", "--as", "my-risk", "--detach"],
        &["deploy", "my-risk", "--as", "risk"],
        &["endpoint", "update", "risk", "my-risk@2"],
    ];
    let text: String = commands.iter().map(|words| person.tells(words)).collect();
    insta::assert_snapshot!(text);
    let begun = fake.came("POST /v1/publishes");
    let sent: Value = serde_json::from_slice(&begun[0].body).unwrap();
    assert_eq!(sent, json!({ "object": id("obj", 1), "sharing": { "with": "everybody" } }));
    assert!(begun.iter().all(|came| came.headers.contains_key("idempotency-key")));
    let changed: Value =
        serde_json::from_slice(&fake.came("PUT /v1/endpoints/risk")[0].body).unwrap();
    assert_eq!(changed["generation"], 7, "the generation that was seen");
}

#[test]
fn what_fails_says_step_reason_and_what_to_do() {
    let fake = Fake::start(answers::failing());
    let person = Person::before(&fake);
    let folder = dataset(&person);
    let commands: [&[&str]; 3] = [
        &["publish", word(&folder)],
        &["train", "signin-risk", "--data", "training=signins", "--as", "my-risk"],
        &["deploy", "my-risk", "--as", "risk"],
    ];
    let text: String = commands.iter().map(|words| person.tells(words)).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn parameters_and_filters_arrive_as_they_were_meant() {
    let fake = Fake::start(answers::world());
    let person = Person::before(&fake);
    let mut words =
        vec!["train", "acme/signin-risk@1", "--data", "training=signins@4", "--as", "m"];
    words.extend(["--set", "epochs=3", "--set", "optimizer=adam", "--instance-type", "small"]);
    person.run(&words);
    let sent: Value = serde_json::from_slice(&fake.came("POST /v1/trainings")[0].body).unwrap();
    let wanted = json!({
        "algorithm": "acme/signin-risk@1", "data": { "training": "signins@4" },
        "parameters": { "epochs": 3, "optimizer": "adam" }, "instance_type": "small", "model": "m",
    });
    assert_eq!(sent, wanted);
    let mut words = vec!["search", "sign-in", "risk", "--kind", "model", "--accuracy", "90%"];
    words.extend(["--latency", "2.5", "--memory", "100", "--limit", "5"]);
    person.run(&words);
    let line = &fake.came("GET /v1/search")[0].line;
    for part in [
        "text=sign-in+risk",
        "kind=model",
        "accuracy_ppm_min=900000",
        "latency_us_max=2500",
        "memory_bytes_max=104857600",
        "limit=5",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

#[test]
fn an_endpoint_is_asked_in_the_type_of_the_file() {
    let fake = Fake::start(answers::world());
    let person = Person::before(&fake);
    for (file, bytes, media_type) in [
        ("request.json", b"[[1]]".as_slice(), "application/json"),
        ("request.csv", b"1,2\n", "text/csv"),
        ("request.NPY", b"\x93NUMPY", "application/x-npy"),
    ] {
        person.write(file, bytes);
        let output = person.run(&["invoke", "risk", "--file", file]);
        assert_eq!(output.stdout, b"{\"outputs\":{\"risk\":[[0.9]]}}\n");
        let came = fake.came("POST /endpoints/risk/invocations").pop().unwrap();
        assert_eq!(came.headers["content-type"], media_type);
        assert_eq!(came.headers["accept"], "application/json");
        assert_eq!(came.body, bytes);
    }
    let output = person.run(&["invoke", "bolt.risk", "{\"instances\": [1]}"]);
    assert_eq!(output.stdout, b"{\"predictions\":[0.1]}\n");
}

#[test]
fn login_keeps_what_was_accepted_and_only_for_its_owner() {
    let fake = Fake::start(answers::world());
    let person = Person::new();
    person.write("freehold-data/operator.token", "fh_operator\n");
    let output = person.run(&["login", &fake.address]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fake.came("GET /v1/whoami")[0].headers["authorization"], "Bearer fh_operator");
    let kept = person.path(".config/freehold/credentials.toml");
    let mode = std::fs::metadata(&kept).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(person.run(&["account", "list"]).status.success(), "the next command knows it");
    let refused = Fake::start([].into());
    let output = person.run(&["login", &refused.address, "--token", "fh_wrong"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(std::fs::read_to_string(&kept).unwrap().contains("fh_operator"), "nothing changed");
}
