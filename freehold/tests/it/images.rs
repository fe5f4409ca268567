//! Functions that are images of containers, and servers, from the command line to their answers.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use testkit::{Account, Cloud};

use crate::cli::Person;
use crate::world::{PROGRAM, strangers};

const PYTHON: &str = "/usr/bin/python3";

/// Asks for its work, as images of Lambda's do.
const ASKS: &str = r#"
import json, os, sys, urllib.request as http

at = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    call = http.urlopen(at + "next")
    told = {
        "event": json.loads(call.read()), "words": sys.argv[1:], "cwd": os.getcwd(),
        "colour": os.environ["COLOUR"], "own": os.environ.get("OWN"), "app": os.listdir("/app"),
        "host": os.path.exists("/var/runtime") or os.path.exists("/etc/passwd"),
    }
    own = call.headers["Lambda-Runtime-Aws-Request-Id"]
    http.urlopen(at + own + "/response", data=json.dumps(told).encode())
"#;

/// Is given its work where it listens.
const SERVES: &str = r#"
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def answer(self, status, told):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def do_GET(self):
        self.answer(200, {})

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if event == "fail":
            return self.answer(500, "not today")
        self.answer(200, {"event": event, "path": self.path, "words": sys.argv[1:]})

    def log_message(self, *_):
        pass

HTTPServer(("127.0.0.1", 8080), Handler).serve_forever()
"#;

fn image(person: &Person, program: &str) -> std::path::PathBuf {
    let (layout, file) = (person.path("layout"), person.path("program.py"));
    std::fs::write(&file, program).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/image.py");
    let mut command = Command::new(PYTHON);
    command.arg(script).args([&layout, &file]).args(["by", "default"]);
    assert!(command.status().unwrap().success());
    layout
}

/// Runs the program as this account; gives what it says on both streams.
fn freehold(person: &Person, cloud: &Cloud, owner: &Account, words: &[&str]) -> (bool, String) {
    let mut command = person.command(words);
    command.env("FREEHOLD_SERVER", cloud.http()).env("FREEHOLD_TOKEN", &owner.token);
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Calls a function; waits until the gateway knows it.
async fn call(owner: &Account, name: &str, event: Value) -> (Option<String>, Value) {
    let name = name.parse().unwrap();
    let called = owner.call(&name, event.to_string()).await;
    let told = serde_json::from_slice(&called.body);
    (called.error, told.unwrap_or_else(|_| panic!("{:?}", called.body)))
}

fn has_python() -> bool {
    let there = Path::new(PYTHON).is_file();
    if !there {
        eprintln!("SKIPPED: there is no {PYTHON}");
    }
    there
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_becomes_a_function() {
    if !has_python() {
        return;
    }
    let (cloud, person) = (Cloud::one(PROGRAM).await, Person::new());
    let (owner, _) = strangers(&cloud).await;
    let layout = image(&person, ASKS);
    let packed = person.path("image.tar");
    let tar = Command::new("tar").arg("-cf").arg(&packed).arg("-C").arg(&layout).arg(".").status();
    assert!(tar.unwrap().success());
    for (name, path, more) in [
        ("folder", &layout, &["--env", "OWN=yes"][..]),
        ("archive", &packed, &["--handler", "chosen"]),
    ] {
        let path = path.to_str().unwrap();
        let words = [&["function", "create", name, "--image", path, "--memory", "256"], more];
        let (well, said) = freehold(&person, &cloud, &owner, &words.concat());
        assert!(well, "{said}");
        for event in [1, 2] {
            let (error, told) = call(&owner, name, json!(event)).await;
            assert_eq!(error, None, "{told}");
            let (words, own) = if name == "folder" {
                (json!(["by", "default"]), json!("yes"))
            } else {
                (json!(["chosen"]), Value::Null)
            };
            let expected = json!({
                "event": event, "words": words, "cwd": "/app", "colour": "blue", "own": own,
                "app": [], "host": false,
            });
            assert_eq!(told, expected);
        }
    }
    // What is none is refused before it is sent, and where it was sent all the same.
    let home = person.home.path().to_str().unwrap();
    let words = ["function", "create", "none", "--image", home];
    let (well, said) = freehold(&person, &cloud, &owner, &words);
    assert!(!well && said.contains("no oci-layout"), "{said}");
    let object = owner.send(&testkit::Package::empty().file("a", "a")).await.unwrap().id;
    let wanted = json!({ "name": "none", "runtime": "image", "object": object });
    let wanted = serde_json::from_value(wanted).unwrap();
    let refused = owner.client.function_create(&wanted).await.unwrap_err();
    assert_eq!(refused.code(), "invalid_package");
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_becomes_a_function_as_an_image_and_as_a_plain_package_or_an_archive_of_one() {
    if !has_python() {
        return;
    }
    let (cloud, person) = (Cloud::one(PROGRAM).await, Person::new());
    let (owner, _) = strangers(&cloud).await;
    let layout = image(&person, SERVES);
    let plain = person.path("plain");
    std::fs::create_dir(&plain).unwrap();
    std::fs::write(plain.join("bootstrap"), format!("#!{PYTHON}\n{SERVES}")).unwrap();
    let mode = Command::new("chmod").arg("755").arg(plain.join("bootstrap")).status();
    assert!(mode.unwrap().success());
    // The same code in an archive.
    let zip = "import shutil, sys; shutil.make_archive(sys.argv[1], 'zip', sys.argv[1])";
    let zip = Command::new(PYTHON).args(["-c", zip]).arg(&plain).status();
    assert!(zip.unwrap().success());
    let zipped = plain.with_extension("zip");
    for (name, what, path, words) in [
        ("image", "--image", &layout, json!(["serve"])),
        ("plain", "--code", &plain, json!([])),
        ("zipped", "--code", &zipped, json!([])),
    ] {
        let path = path.to_str().unwrap();
        let mut said = vec!["function", "create", name, what, path, "--runtime", "server"];
        said.extend(["--memory", "256"]);
        if what == "--image" {
            said.extend(["--handler", "serve"]);
        }
        let (well, said) = freehold(&person, &cloud, &owner, &said);
        assert!(well, "{said}");
        for event in [json!({ "instances": [1, 2] }), json!("two")] {
            let (error, told) = call(&owner, name, event.clone()).await;
            assert_eq!(error, None, "{told}");
            let expected = json!({ "event": event, "path": "/invocations", "words": words });
            assert_eq!(told, expected);
        }
        let (error, told) = call(&owner, name, json!("fail")).await;
        assert_eq!(error.as_deref(), Some("Function.ServerError"), "{told}");
        let message = told["errorMessage"].as_str().unwrap();
        assert!(message.contains("500") && message.contains("not today"), "{message}");
        let (error, _) = call(&owner, name, json!("again")).await;
        assert_eq!(error, None);
    }
    cloud.close().await;
}
