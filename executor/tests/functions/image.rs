//! Functions that bring a whole root: what they see of the host is nothing.

use std::path::PathBuf;
use std::process::Command;

use executor::Image;

use super::*;

/// Asks the Runtime API for work with nothing but the standard library.
const PROGRAM: &str = r#"
import json, os, urllib.request as http

at = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    call = http.urlopen(at + "next")
    event = json.loads(call.read())
    try:
        open("/app/mine", "w")
        written = True
    except OSError:
        written = False
    told = {
        "event": event, "cwd": os.getcwd(), "colour": os.environ["COLOUR"],
        "seen": [path for path in event["paths"] if os.path.exists(path)],
        "link": os.readlink("/lib"), "motd": open("/etc/motd").read(), "written": written,
        "scratch": open("/tmp/x", "w").write("x"),
    }
    own = call.headers["Lambda-Runtime-Aws-Request-Id"]
    http.urlopen(at + own + "/response", data=json.dumps(told).encode())
"#;

/// A root with the host's Python and what that needs, and no more.
pub(super) fn python_root(root: &Path, program: &str) {
    let python = fs::canonicalize(PYTHON).unwrap();
    let needed = Command::new("ldd").arg(&python).output().unwrap();
    let needed = String::from_utf8(needed.stdout).unwrap();
    let words = needed.split_whitespace().filter(|word| word.starts_with('/'));
    let mut files: Vec<PathBuf> = words.map(PathBuf::from).collect();
    files.push(python.clone());
    for file in files {
        // Debian's /lib and /lib64 are links into /usr.
        let real = fs::canonicalize(file.parent().unwrap()).unwrap();
        let place = root.join(real.strip_prefix("/").unwrap());
        fs::create_dir_all(&place).unwrap();
        fs::copy(&file, place.join(file.file_name().unwrap())).unwrap();
    }
    let library = PathBuf::from("/usr/lib").join(python.file_name().unwrap());
    let copied = Command::new("cp").arg("-rL").args([&library, &root.join("usr/lib")]).status();
    assert!(copied.unwrap().success());
    for (name, target) in [("lib", "usr/lib"), ("lib64", "usr/lib64"), ("bin", "usr/bin")] {
        fs::create_dir_all(root.join(target)).unwrap();
        std::os::unix::fs::symlink(target, root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink(python.file_name().unwrap(), root.join("usr/bin/python")).unwrap();
    fs::create_dir_all(root.join("app")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("etc/motd"), "of the image").unwrap();
    fs::write(root.join("app/main.py"), program).unwrap();
    // What an image says there means nothing: these are the sandbox's own.
    fs::create_dir_all(root.join("proc/1")).unwrap();
    std::os::unix::fs::symlink("/etc", root.join("tmp")).unwrap();
}

#[tokio::test]
async fn an_image_is_all_that_its_program_sees() {
    if !Path::new(PYTHON).is_file() {
        eprintln!("SKIPPED: there is no {PYTHON}");
        return;
    }
    let Some(host) = Host::new(Way::Made, |_| {}) else { return };
    let root = host.folder.path().join("package");
    python_root(&root, PROGRAM);
    let env = [("PATH", "/usr/bin"), ("COLOUR", "blue")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let image = Image::of(&root, "/app".into()).unwrap();
    assert_eq!(image.entries, ["app", "etc", "usr"]);
    let args = vec!["main.py".to_owned()];
    let function = Function {
        program: "python".into(),
        args,
        env,
        way_out: None,
        image: Some(image),
        ..Function::default()
    };
    let running = host.start(function).await;
    let event = json!({
        "paths": ["/app/main.py", "/var/runtime", "/var/task", "/root", "/work", "/etc/passwd",
                  "/usr/bin/env", "/dev/null", "/proc/self"],
    });
    for id in ["r-1", "r-2"] {
        let told = read(invoke(&running, id, &event).await);
        let expected = json!({
            "event": event, "cwd": "/app", "colour": "blue",
            "seen": ["/app/main.py", "/dev/null", "/proc/self"],
            "link": "usr/lib", "motd": "of the image", "written": false, "scratch": 1,
        });
        assert_eq!(told, expected);
    }
    running.kill();
    assert_eq!(running.wait().await.ending, Ending::Killed);
    assert!(!Path::new("/etc/x").exists(), "the link of the image was followed on the host");
}

/// A server, of the kind that closes each connection after its answer, and of the other.
const SERVER: &str = r#"
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = os.environ["PROTOCOL"]
    pings = calls = 0

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        Handler.pings += 1
        # It takes it a while to be well.
        self.answer(200 if self.path == "/ping" and Handler.pings > 2 else 503, b"")

    def do_POST(self):
        event = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if event == "fail":
            return self.answer(500, b"not today")
        if event == "end":
            os._exit(3)
        if event == "close":
            self.close_connection = True
            return
        Handler.calls += 1
        told = {"event": event, "calls": Handler.calls, "path": self.path, "well": Handler.pings > 2}
        self.answer(200, json.dumps(told).encode())

    def log_message(self, *_):
        pass

HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"#;

#[tokio::test]
async fn a_server_is_given_its_work_where_it_listens() {
    if !Path::new(PYTHON).is_file() {
        eprintln!("SKIPPED: there is no {PYTHON}");
        return;
    }
    for protocol in ["HTTP/1.0", "HTTP/1.1"] {
        let Some(host) = Host::new(Way::Made, |_| {}) else { return };
        host.put("main.py", SERVER);
        let env = BTreeMap::from([("PROTOCOL".to_owned(), protocol.to_owned())]);
        let args = vec!["main.py".to_owned()];
        let function = Function {
            program: PYTHON.into(),
            args,
            env,
            way_out: None,
            image: None,
            serves: true,
            ..Function::default()
        };
        let running = host.start(function).await;
        assert_eq!(begun(&running).await, Begun::Yes);
        let mut calls = 0;
        for event in ["one", "fail", "two", "close", "three"] {
            let outcome = invoke(&running, event, &json!(event)).await;
            let kind = match event {
                "fail" => "Function.ServerError",
                "close" => "Runtime.ServerLost",
                _ => {
                    calls += 1;
                    let Outcome::Streamed(pieces) = outcome else { panic!("{outcome:?}") };
                    let told: Value =
                        serde_json::from_slice(&pieces.whole().await.unwrap()).unwrap();
                    let expected = json!({
                        "event": event, "calls": calls, "path": "/invocations", "well": true,
                    });
                    assert_eq!(told, expected);
                    continue;
                }
            };
            let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
            assert_eq!(failure.kind, kind, "{failure:?}");
        }
        let exit = tokio::select! {
            exit = running.wait() => exit,
            () = async {
                let _ = invoke(&running, "end", &json!("end")).await;
                std::future::pending::<()>().await;
            } => unreachable!("it waits for ever"),
        };
        assert_eq!((exit.code, exit.ending), (Some(3), Ending::Exited));
    }
}

over!(crun:
    an_image_is_all_that_its_program_sees a_server_is_given_its_work_where_it_listens);
over!(runc:
    an_image_is_all_that_its_program_sees a_server_is_given_its_work_where_it_listens);
over!(runsc:
    an_image_is_all_that_its_program_sees a_server_is_given_its_work_where_it_listens);
