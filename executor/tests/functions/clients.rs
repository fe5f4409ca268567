//! Lambda's own clients for Rust and Node.js, as functions bring them.

use std::path::PathBuf;

use executor::runtime_api::Shutdown;

use super::*;

/// What such a client needs to know.
pub(super) fn said(handler: &str) -> BTreeMap<String, String> {
    let said = [
        ("_HANDLER", handler),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
    ];
    said.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn there(variable: &str, what: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        eprintln!("SKIPPED: {variable} names no {what}");
    }
    found
}

pub(super) fn copy(from: &Path, to: &Path) {
    let copied = std::process::Command::new("cp").arg("-r").args([from, to]).status().unwrap();
    assert!(copied.success());
}

async fn lines(running: &Running) -> Vec<String> {
    let (mut lines, mut seen) = (running.logs(), Vec::new());
    while let Some(line) = lines.next().await {
        seen.push(line.line);
    }
    seen
}

#[tokio::test]
async fn lambdas_client_for_rust_runs_unchanged_and_is_asked_to_end() {
    let Some(program) = there("FREEHOLD_TEST_LAMBDA_RUST", "program with lambda_runtime") else {
        return;
    };
    for host in Host::each_way("") {
        copy(&program, &host.folder.path().join("package/bootstrap"));
        let program = "bootstrap".into();
        let function =
            Function { program, args: Vec::new(), env: said("any"), ..Function::default() };
        let running = host.start(function).await;
        assert_eq!(begun(&running).await, Begun::Yes);
        for calls in 1..=2 {
            let event = json!({ "number": calls });
            let told = read(invoke(&running, &format!("r-{calls}"), &event).await);
            let id = format!("r-{calls}");
            assert_eq!(told, json!({ "event": event, "calls": calls, "id": id }));
        }
        let failed = invoke(&running, "r-3", &json!({ "fail": "not today" })).await;
        let Outcome::Failed(failure) = failed else { panic!("{failed:?}") };
        assert!(String::from_utf8_lossy(&failure.payload).contains("not today"), "{failure:?}");
        let pieces = invoke(&running, "r-4", &json!({ "pieces": ["a", "bc"] })).await;
        let Outcome::Streamed(pieces) = pieces else { panic!("{pieces:?}") };
        let payload = pieces.whole().await.unwrap();
        // What is to become of an HTTP answer, eight zeros, and its body.
        assert!(payload.starts_with(b"{\"statusCode\":200,"), "{payload:?}");
        assert!(payload.ends_with(b"}\0\0\0\0\0\0\0\0abc"), "{payload:?}");
        // Its client registers an extension for nothing but to be asked.
        running.freeze().unwrap();
        assert!(running.runtime().unwrap().shut_down(Shutdown::Spindown, 0));
        running.terminate().unwrap();
        let exit = tokio::time::timeout(PATIENCE, running.wait()).await.unwrap();
        assert_eq!((exit.code, exit.ending), (Some(0), Ending::Exited));
        let told = lines(&running).await;
        assert!(told.iter().any(|line| line == "asked to end after 4 calls"), "{told:?}");
    }
}

#[tokio::test]
async fn lambdas_client_for_nodejs_runs_unchanged() {
    let Some(client) = there("FREEHOLD_TEST_LAMBDA_NODE", "folder with aws-lambda-ric") else {
        return;
    };
    for host in Host::each_way("") {
        copy(&client, &host.folder.path().join("package/node_modules"));
        host.put(
            "app.js",
            "exports.handler = async (event, context) => {\n\
             if (event.fail) throw new RangeError(event.fail);\n\
             return { event, id: context.awsRequestId };\n\
             };\n",
        );
        let client = "/var/task/node_modules/aws-lambda-ric/bin/index.mjs".to_owned();
        let args = vec![client, "app.handler".to_owned()];
        let program = executor::start::NODE.into();
        let running = host
            .start(Function { program, args, env: said("app.handler"), ..Function::default() })
            .await;
        for calls in 1..=2 {
            let (event, id) = (json!({ "number": calls }), format!("r-{calls}"));
            let told = read(invoke(&running, &id, &event).await);
            assert_eq!(told, json!({ "event": event, "id": id }));
        }
        let failed = invoke(&running, "r-3", &json!({ "fail": "too far" })).await;
        let Outcome::Failed(failure) = failed else { panic!("{failed:?}") };
        let told: Value = serde_json::from_slice(&failure.payload).unwrap();
        assert_eq!(
            (&told["errorType"], &told["errorMessage"]),
            (&json!("RangeError"), &json!("too far"))
        );
    }
}
