//! What is printed: help, tables, JSON, failures.

use std::collections::BTreeMap;

use super::answers::{self, id};
use super::{Fake, Person, dataset, word};

/// Every command that has a page of help.
const COMMANDS: [&[&str]; 96] = [
    &[],
    &["up"],
    &["demo"],
    &["status"],
    &["login"],
    &["account"],
    &["account", "create"],
    &["token"],
    &["token", "create"],
    &["item"],
    &["item", "show"],
    &["item", "share"],
    &["init"],
    &["publish"],
    &["search"],
    &["suggest"],
    &["pipeline"],
    &["train"],
    &["training"],
    &["training", "cancel"],
    &["deploy"],
    &["endpoint"],
    &["endpoint", "update"],
    &["endpoint", "share"],
    &["endpoint", "delete"],
    &["endpoint", "variant"],
    &["endpoint", "variant", "add"],
    &["endpoint", "variant", "use"],
    &["endpoint", "gate"],
    &["endpoint", "gate", "set"],
    &["endpoint", "capture"],
    &["endpoint", "capture", "set"],
    &["endpoint", "gate", "ask"],
    &["endpoint", "promote"],
    &["endpoint", "trigger"],
    &["endpoint", "trigger", "add"],
    &["endpoint", "restore"],
    &["stream"],
    &["stream", "create"],
    &["stream", "import"],
    &["stream", "export"],
    &["stream", "label"],
    &["stream", "make"],
    &["stream", "forget"],
    &["stream", "drift"],
    &["replay"],
    &["runs"],
    &["runs", "compare"],
    &["runs", "series"],
    &["runs", "drift"],
    &["invoke"],
    &["function"],
    &["function", "create"],
    &["function", "update"],
    &["function", "invoke"],
    &["function", "events"],
    &["function", "provision"],
    &["function", "sizing"],
    &["function", "advise"],
    &["function", "alias"],
    &["function", "alias", "create"],
    &["function", "alias", "update"],
    &["function", "dead"],
    &["function", "logs"],
    &["function", "schedule"],
    &["function", "schedule", "create"],
    &["function", "source"],
    &["function", "source", "add"],
    &["function", "url"],
    &["function", "url", "create"],
    &["function", "url", "update"],
    &["grant"],
    &["grant", "create"],
    &["grant", "update"],
    &["link"],
    &["link", "create"],
    &["link", "update"],
    &["service"],
    &["service", "create"],
    &["service", "update"],
    &["service", "key"],
    &["service", "key", "create"],
    &["usage"],
    &["logs"],
    &["simulate"],
    &["explain"],
    &["completion"],
    &["events-key"],
    &["events-key", "show"],
    &["backup"],
    &["restore"],
    &["control"],
    &["gateway"],
    &["gateway", "enrol"],
    &["agent"],
    &["agent", "enrol"],
];

#[test]
fn help_teaches_every_command() {
    let person = Person::new();
    let mut text = String::new();
    for command in COMMANDS {
        let mut words = command.to_vec();
        words.push("--help");
        text += &person.tells(&words);
    }
    insta::assert_snapshot!(text);
}

#[test]
fn tables_read_well() {
    let fake = Fake::start(answers::world());
    let person = Person::before(&fake);
    let train = id("train", 1);
    let commands: [&[&str]; 27] = [
        &["status"],
        &["status", "--tasks"],
        &["account", "list"],
        &["account", "whoami"],
        &["account", "create", "acme"],
        &["token", "list"],
        &["token", "create", "tests", "--days", "1"],
        &["token", "revoke", &id("token", 2)],
        &["item", "list"],
        &["item", "show", "my-risk"],
        &["item", "share", "acme/my-risk", "--with", "bolt"],
        &["item", "usage", "my-risk"],
        &["search", "sign-in", "risk"],
        &["suggest", "--dataset", "signins"],
        &["training", "list"],
        &["training", "show", &train],
        &["training", "cancel", &train],
        &["endpoint", "list"],
        &["endpoint", "show", "risk"],
        &["endpoint", "share", "risk", "--everybody"],
        &["endpoint", "trigger", "list", "risk"],
        &["endpoint", "trigger", "history", "risk"],
        &["endpoint", "gate", "ask", "risk", "--run", &id("run", 1)],
        &["endpoint", "delete", "risk"],
        &["logs", &train],
        &["logs", "risk"],
        &["explain", "invalid_package"],
    ];
    let text: String = commands.iter().map(|words| person.tells(words)).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn json_is_what_the_api_answers() {
    let fake = Fake::start(answers::world());
    let person = Person::before(&fake);
    for (words, line) in [
        (vec!["status"], "GET /v1/status"),
        (vec!["account", "whoami"], "GET /v1/whoami"),
        (vec!["item", "usage", "my-risk"], "GET /v1/items/acme/my-risk/usage"),
        (vec!["endpoint", "show", "risk"], "GET /v1/endpoints/risk"),
        (vec!["suggest", "--dataset", "signins"], "POST /v1/suggest"),
        (vec!["deploy", "my-risk", "--as", "risk"], "GET /v1/endpoints/risk"),
    ] {
        let mut all = vec!["--output", "json"];
        all.extend(words);
        let output = person.run(&all);
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told, answers::world()[line].1, "{all:?}");
    }
    for words in [["item", "list"], ["token", "list"], ["training", "list"], ["search", "x"]] {
        let output = person.command(&words).env("FREEHOLD_OUTPUT", "json").output().unwrap();
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(told.as_array().is_some_and(|list| !list.is_empty()), "{words:?} {told}");
    }
    let lines = person.run(&["--output", "json", "logs", &id("pub", 1)]);
    let lines = String::from_utf8(lines.stdout).unwrap();
    assert_eq!(lines.lines().count(), 3);
    for line in lines.lines() {
        serde_json::from_str::<api::pages::LogLine>(line).unwrap();
    }
}

#[test]
fn the_exit_code_tells_the_kind_of_failure() {
    let mut text = String::new();
    for (status, code) in [
        (400, "bad_request"),
        (401, "unauthenticated"),
        (403, "forbidden"),
        (404, "not_found"),
        (409, "name_taken"),
        (413, "too_large"),
        (500, "internal"),
        (507, "storage_full"),
    ] {
        let told = answers::problem(status, code, "what happened");
        let fake = Fake::start(BTreeMap::from([("GET /v1/status".to_owned(), (status, told))]));
        text += &Person::before(&fake).tells(&["status"]);
    }
    insta::assert_snapshot!(text);
}

/// Also where nobody is there to ask, and where nobody knows whom to ask.
#[test]
fn status_without_a_cloud_tells_what_this_machine_gives_and_then_fails() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let lost = Person { server: Some(format!("http://{nobody}")), ..Person::new() };
    let mut errors = String::new();
    for person in [lost, Person::new()] {
        let table = person.run(&["status"]);
        let text = String::from_utf8(table.stdout).unwrap();
        assert!(text.starts_with("what this machine gives\n\nFEATURE "), "{text}");
        let json = person.run(&["--output", "json", "status"]);
        assert_eq!(json.status.code(), table.status.code());
        let told: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let told: Vec<api::status::Feature> =
            serde_json::from_value(told["features"].clone()).unwrap();
        let names = executor::features().into_iter().map(|feature| feature.name);
        let names = names.chain(["isolation"]);
        assert!(told.iter().map(|feature| feature.name.as_str()).eq(names), "{told:?}");
        for feature in told {
            let line = text.lines().find(|line| line.starts_with(&format!("{}  ", feature.name)));
            let line = line.unwrap_or_else(|| panic!("no {} in {text}", feature.name));
            assert!(line.contains(if feature.held { "held" } else { "MISSING" }), "{line}");
            assert!(line.contains(&feature.matters), "{line}");
        }
        errors += &person.forget(&String::from_utf8(table.stderr).unwrap());
        errors += &format!("exit code {:?}\n\n", table.status.code());
        // These are asked of a cloud, and of nothing else.
        assert_eq!(person.run(&["status", "--tasks"]).stdout, b"");
        assert_eq!(person.run(&["status", "--enrol", "agent=far"]).stdout, b"");
    }
    insta::assert_snapshot!(errors);
}

#[test]
fn what_cannot_be_done_is_said_with_a_cure() {
    let fake = Fake::start(answers::world());
    let person = Person::before(&fake);
    person.write("notes.txt", "no model");
    person.write("empty/.keep", "");
    let commands: [&[&str]; 15] = [
        &["no-such-command"],
        &["publish", "empty"],
        &["init", "empty"],
        &["item", "share", "my-risk"],
        &["item", "show", "Not A Name"],
        &["token", "create", "x", "--role", "king"],
        &["search", "--accuracy", "2"],
        &["train", "a", "--data", "training", "--as", "b"],
        &["train", "a", "--data", "x=y", "--data", "x=z", "--as", "b"],
        &["invoke", "risk"],
        &["invoke", "risk", "{"],
        &["invoke", "risk", "--file", "notes.txt"],
        &["logs", "no such log"],
        &["explain", "no_such_code"],
        &["endpoint", "share", "bolt/risk", "--everybody"],
    ];
    let text: String = commands.iter().map(|words| person.tells(words)).collect();
    let nobody = Person::new();
    let text = text + &nobody.tells(&["item", "list"]) + &nobody.tells(&["login"]);
    insta::assert_snapshot!(text);
}

#[test]
fn a_simulation_tells_what_policies_would_have_cost() {
    let person = Person::new();
    let hourly = |minute: u32| u32::from(minute.is_multiple_of(60));
    let seldom = |minute: u32| u32::from(minute.is_multiple_of(300));
    let minutes: Vec<u32> = (1..=1_200).collect();
    let line = |name: &str, calls: &dyn Fn(u32) -> u32| {
        let calls: Vec<String> = minutes.iter().map(|minute| calls(*minute).to_string()).collect();
        format!("o,a,{name},timer,{}\n", calls.join(","))
    };
    let heads: Vec<String> = minutes.iter().map(ToString::to_string).collect();
    let head = format!("HashOwner,HashApp,HashFunction,Trigger,{}\n", heads.join(","));
    person.write("calls.csv", head + &line("hourly", &hourly) + &line("seldom", &seldom));
    person.write("notes.csv", "this,is,no,trace\n");
    person.write("sizes.csv", "HashOwner,HashApp,HashFunction,AverageAllocatedMb\nx,y,z,1\n");
    let commands: [&[&str]; 7] = [
        &["simulate", "calls.csv"],
        &["simulate", "calls.csv", "--grid", "--policy", "least-cost", "--json"],
        &["simulate", "calls.csv", "--policy", "fixed", "--keep", "61", "--memory", "128MiB"],
        &["simulate", "notes.csv"],
        &["simulate", "missing.csv"],
        &["simulate", "calls.csv", "--sizes", "sizes.csv"],
        &["simulate", "calls.csv", "--memory", "64MiB"],
    ];
    let text: String = commands.iter().map(|words| person.tells(words)).collect();
    // How long it took is the machine's.
    let timed = |line: &&str| !line.contains("elapsed_ms") && !line.contains("calls_per_s");
    let lines: Vec<&str> = text.lines().filter(timed).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn init_writes_a_manifest_once() {
    let person = Person::new();
    let folder = dataset(&person);
    let manifest = folder.join("freehold.toml");
    std::fs::remove_file(&manifest).unwrap();
    let mut text = person.tells(&["init", "signins"]);
    let first = std::fs::read_to_string(&manifest).unwrap();
    text += &first;
    text += "\n";
    std::fs::write(&manifest, "mine").unwrap();
    text += &person.tells(&["init", "signins"]);
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), "mine");
    person.run(&["init", word(&folder), "--force"]);
    assert_eq!(std::fs::read_to_string(&manifest).unwrap(), first);
    insta::assert_snapshot!(text);
}

#[test]
fn every_error_code_is_explained() {
    let person = Person::new();
    let all = person.run(&["explain"]);
    let all = String::from_utf8(all.stdout).unwrap();
    assert_eq!(all.lines().count(), api::errors::ERROR_CODES.len() + 1);
    for known in api::errors::ERROR_CODES {
        let page = person.run(&["explain", known.code]);
        assert_eq!(page.stdout, known.page.as_bytes(), "{}", known.code);
    }
}
