//! The demo, as a reader runs it: the main job from nothing, judged by its report.
#![allow(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;

use serde_json::Value;

use crate::cli::Person;
use crate::world::PROGRAM;

/// What the demo reports; nothing of it is left behind.
fn demo(words: &[&str]) -> Value {
    let person = Person::new();
    let mut all = vec!["demo", "--output", "json"];
    all.extend(words);
    let mut command = person.command(&all);
    if !Path::new(PROGRAM).with_file_name("signin-risk").is_file() {
        // As `cargo run` tells the demo, which then builds what it needs.
        command.env("CARGO", env!("CARGO")).env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));
        command.env("PATH", std::env::var_os("PATH").unwrap());
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(!told.contains("WARN") && !told.contains("ERROR"), "{told}");
    let left: Vec<_> = std::fs::read_dir(person.home.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn demo_judges_a_risky_and_an_ordinary_sign_in() {
    let report = demo(&[]);
    let kinds: Vec<&str> = report["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["algorithm", "dataset", "model", "pipeline"]);
    let risk = |at: usize| report["judged"][at]["risk_rest"].as_f64().unwrap();
    assert!(risk(0) > 0.5 && risk(1) < 0.5, "{report:#}");
    assert_eq!(report["steps"].as_array().unwrap().len(), 12);
    let (asked, right) = (report["asked"].as_u64().unwrap(), report["right"].as_u64().unwrap());
    assert!(right * 10 >= asked * 9, "{report:#}");
}

#[test]
fn demo_adds_generated_sign_ins_to_a_log_without_attacks() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("auth.log");
    let line = |hour: u32| {
        format!(
            "Mar 27 {hour:02}:06:56 box sshd[7]: Accepted publickey for ada from 192.0.2.7 \
             port 5 ssh2\n"
        )
    };
    std::fs::write(&log, (0..24).map(line).collect::<String>()).unwrap();
    let report = demo(&["--events", log.to_str().unwrap()]);
    assert_eq!(report["sign_ins_of_log"], 24);
    assert!(report["sign_ins_generated"].as_u64().unwrap() > 0);
}

#[test]
fn demo_of_functions_deploys_under_load_links_and_serves() {
    if !crate::functions::has_python() {
        return;
    }
    let report = demo(&["functions"]);
    assert!(report["calls"].as_u64().unwrap() >= 400, "{report:#}");
    assert_eq!((report["failed"].as_u64(), report["stepped_back"].as_u64()), (Some(0), Some(0)));
    assert_eq!(report["linked"]["country"], "de");
    assert_eq!(report["served"]["risk"], 0.4);
    assert_eq!((report["calls_used"].as_u64(), report["calls_sold"].as_u64()), (Some(3), Some(2)));
}
