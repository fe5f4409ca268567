//! Making events, reading them from a log, and turning them into requests.

use serde_json::Value;

use crate::{Folder, recorded, run, say};

#[test]
fn a_seed_makes_the_same_file() {
    let first = say("generate --seed 7 --rows 300");
    assert_eq!(first, say("generate --seed 7 --rows 300"));
    assert_ne!(first, say("generate --seed 8 --rows 300"));
    assert_eq!(first.lines().count(), 301);
    assert!(first.starts_with("index,Login Timestamp,User ID,Round-Trip Time [ms],IP Address,"));
}

#[test]
fn the_newest_events_become_a_request_that_knows_the_older_ones() {
    let folder = Folder::new("request");
    let events = folder.write("events.csv", say("generate --rows 200"));
    let lines = say(&format!("features {}", events.display()));
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let request = say(&format!("features {} --request --last 1", events.display()));
    let request: Value = serde_json::from_str(&request).unwrap();
    let input = &request["inputs"][0];
    assert_eq!(
        (input["name"].as_str(), input["datatype"].as_str()),
        (Some("features"), Some("FP32"))
    );
    assert_eq!(input["shape"], serde_json::json!([1, 16]));
    assert_eq!(input["data"], last["features"]);
}

#[test]
fn the_recorded_log_gives_every_attempt() {
    let Some(log) = recorded("elastic-auth/auth.log") else { return };
    let events = say(&format!("read-sshd {} --year 2017", log.display()));
    let (mut failures, mut successes, mut unknown, mut attacks) = (0, 0, 0, 0);
    for event in csv::Reader::from_reader(events.as_bytes()).records() {
        let event = event.unwrap();
        failures += u32::from(&event[13] == "False");
        successes += u32::from(&event[13] == "True");
        unknown += u32::from(event[2].is_empty());
        attacks += u32::from(&event[14] == "True");
    }
    // 717 lines of failures, some of them standing for several.
    assert_eq!((failures, successes), (1_042, 226));
    assert!(unknown >= 331 && attacks > unknown, "{unknown} unknown, {attacks} attacks");
}

#[test]
fn a_wrong_word_is_answered_with_help() {
    for words in [
        "sing",
        "package",
        "dataset --into x",
        "generate --rows many",
        "generate --rows",
        "features a b",
        "read-sshd",
    ] {
        let output = run(words);
        assert_eq!(output.status.code(), Some(1), "{words}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{words}");
    }
}

#[test]
fn the_program_writes_its_own_package() {
    let folder = Folder::new("package");
    let into = folder.0.join("package");
    say(&format!("package --into {}", into.display()));
    let manifest: toml::Value = toml::from_str(&folder.read("package/freehold.toml")).unwrap();
    let entry = manifest["task"]["entry"].as_str().unwrap();
    let program = std::fs::read(into.join(entry)).unwrap();
    assert_eq!(program, std::fs::read(env!("CARGO_BIN_EXE_signin-risk")).unwrap());
    let test = manifest["tests"][0]["input"]["job"]["channels"]["training"].as_str().unwrap();
    assert!(into.join(test).is_file() && into.join("README.md").is_file());
    assert!(!run(&format!("package --into {}", into.display())).status.success(), "not empty");
}

#[test]
fn events_become_the_package_of_a_data_set_unless_they_are_none() {
    let folder = Folder::new("dataset");
    let events = folder.write("events.csv", say("generate --rows 60"));
    let into = folder.0.join("dataset");
    say(&format!("dataset {} --into {}", events.display(), into.display()));
    assert!(folder.read("dataset/freehold.toml").contains("kind = \"dataset\""));
    assert_eq!(folder.read("dataset/events.csv"), folder.read("events.csv"));
    let wrong = folder.write("wrong.csv", "a,b\n1,2\n");
    let into = folder.0.join("wrong");
    assert!(
        !run(&format!("dataset {} --into {}", wrong.display(), into.display())).status.success()
    );
}
