//! The answers of the fake cloud: one small world, told as the API tells it.

use serde_json::{Value, json};

use super::fake::Answers;

/// When everything happened: 2020-09-13 12:26:40.
const AT_MS: u64 = 1_600_000_000_000;

/// An id of this kind.
pub(super) fn id(prefix: &str, number: u32) -> String {
    format!("{prefix}-{number:032x}")
}

fn digest() -> String {
    "ab".repeat(32)
}

/// Problem details.
pub(super) fn problem(status: u16, code: &str, title: &str) -> Value {
    json!({
        "type": format!("/v1/errors/{code}"), "status": status, "code": code, "title": title,
        "hint": "what to do", "request_id": id("req", 1),
    })
}

fn page(items: &[Value]) -> Value {
    json!({ "items": items })
}

fn account() -> Value {
    json!({ "id": id("acct", 1), "name": "acme", "created_at_ms": AT_MS })
}

fn token(number: u32) -> Value {
    let mut token = json!({
        "id": id("token", number), "label": "first token", "role": "owner", "created_at_ms": AT_MS,
    });
    if number == 2 {
        token["expires_at_ms"] = json!(AT_MS + 86_400_000);
        token["label"] = json!("tests");
        token["role"] = json!("developer");
    }
    if number == 3 {
        token["revoked_at_ms"] = json!(AT_MS + 1_000);
    }
    token
}

fn tensors(name: &str, shape: [i64; 2]) -> Value {
    json!({ "kind": "tensors", "tensors": [{ "name": name, "datatype": "FP32", "shape": shape }] })
}

fn figure(name: &str, value: u64, grade: &str) -> Value {
    json!({ "name": name, "value": value, "grade": grade, "source": "a test" })
}

fn listing() -> Value {
    json!({
        "title": "Sign-in risk", "summary": "The risk of a sign-in.", "category": "security",
        "subcategory": "sign-in-risk", "tags": ["sign-in", "anomaly"], "license": "MIT",
        "input": tensors("features", [-1, 4]), "output": tensors("risk", [-1, 1]),
        "runtime": "onnx", "requires": { "memory_bytes": 256 << 20, "cpu_milli": 250 },
        "channels": [], "parameters": {
            "epochs": { "type": "integer", "default": 20, "description": "How often." },
        },
        "stages": [], "figures": [
            figure("accuracy_ppm", 975_000, "claimed"),
            figure("latency_p50_us", 120, "measured"),
            figure("memory_peak_bytes", 60 << 20, "measured"),
        ],
        "examples": [], "documentation": "# Sign-in risk\n\nWhat it does.\n",
    })
}

fn item() -> Value {
    json!({
        "id": id("item", 1), "account": "acme", "name": "my-risk", "kind": "model", "newest": 2,
        "sharing": { "with": "accounts", "accounts": ["bolt"] }, "generation": 3,
        "created_at_ms": AT_MS, "listing": listing(),
    })
}

fn version() -> Value {
    json!({
        "item": id("item", 1), "reference": "acme/my-risk@2", "kind": "model", "number": 2,
        "listing": listing(), "created_at_ms": AT_MS, "package_sha256": digest(),
        "package_bytes": 5_120, "object": id("obj", 1),
        "files": [{ "path": "model.onnx", "bytes": 900, "sha256": digest() }],
        "signature": "00", "signed_by": "11",
        "lineage": {
            "algorithm": "acme/signin-risk@1", "algorithm_sha256": digest(),
            "data": [{ "channel": "training", "dataset": "acme/signins@1", "sha256": digest() }],
            "parameters": { "epochs": 20 },
        },
    })
}

fn endpoint() -> Value {
    json!({
        "id": id("ep", 1), "account": "acme", "name": "risk", "state": "ready",
        "source": "acme/my-risk@2", "instance_type": "nano", "sharing": { "with": "nobody" },
        "stages": [{ "source": "acme/my-risk@2", "state": "ready", "engine": "tract" }],
        "input": tensors("features", [-1, 4]), "output": tensors("risk", [-1, 1]),
        "generation": 7, "created_at_ms": AT_MS, "modes_number": 0,
        "variants": [{ "variant": "main", "mode": "production", "share_bp": 0,
            "source": "acme/my-risk@2", "state": "ready" }],
    })
}

/// A trigger of live events, and one of replays.
fn triggers() -> Value {
    let seen = json!({
        "variant": "next", "judgement": "not_known", "requests": 12, "failures": 1,
        "words": "errors_ppm has 12 events, which is not enough: it takes 20; at least 20000 is watched for",
    });
    let live = json!({
        "name": "failing", "variant": "next", "on": "live", "window_ms": 300_000,
        "when": { "is": { "metric": "errors_ppm", "at_least": 20_000 } },
        "then": [{ "kind": "out" }, { "kind": "webhook", "url": "https://ops.example.org/hooks" }],
    });
    let replay = json!({
        "name": "worse", "on": "replay",
        "when": { "is": { "metric": "accuracy_ppm", "scope": "each_region", "at_most": 900_000 } },
        "then": [{ "kind": "deploy", "variant": "old", "mode": "bake", "share_bp": 1_000, "for_ms": 1_800_000 }],
    });
    let row = |spec: Value, state: &str, now: Value| json!({ "spec": spec, "state": state, "now": now, "created_by": "acme", "created_at_ms": AT_MS });
    let burn =
        json!({ "objective_ppm": 999_000, "period_ms": 2_592_000_000_u64, "budget_ppm": 20_000 });
    let burning = json!({
        "name": "burning", "on": "live", "window_ms": 3_600_000, "when": { "burns": burn },
        "then": [{ "kind": "replay", "stream": "signins", "variants": ["main", "next"] }],
    });
    json!({
        "triggers": [
            row(burning, "armed", Value::Null),
            row(live, "fired", seen),
            row(replay, "blocked", Value::Null),
        ],
        "webhook_secret": "whsec_abc",
    })
}

fn firing() -> Value {
    let did = |kind: &str, outcome: &str, words: &str| json!({ "action": { "kind": kind }, "outcome": outcome, "words": words });
    json!({
        "number": 3, "trigger": "failing", "at_ms": AT_MS, "window_ms": 300_000,
        "saw": {
            "variant": "next", "judgement": "holds", "requests": 600, "failures": 30,
            "lower": 25_000, "upper": 90_000,
            "words": "errors_ppm is between 25000 and 90000; at least 20000 is watched for",
        },
        "did": [
            did("out", "done", "next is in mode test, by change 4"),
            did("revert", "waiting", "main is starting: what answers has to be ready"),
        ],
    })
}

/// What a gate says of a run.
fn judgement() -> Value {
    let line = |condition: u64, judgement: &str, words: &str| json!({ "condition": condition, "judgement": judgement, "words": words });
    json!({
        "variant": "next", "holds": false, "reason": "a condition fails",
        "lines": [
            line(1, "holds", "condition 1 holds: errors_ppm is 100; at most 1000 is wanted"),
            line(2, "fails", "condition 2 fails: accuracy_ppm in no is 1; at least 2 is wanted"),
        ],
    })
}

fn training(state: &str) -> Value {
    let mut training = json!({
        "id": id("train", 1), "state": state, "progress_ppm": 1_000_000, "created_at_ms": AT_MS,
        "request": {
            "algorithm": "acme/signin-risk", "data": { "training": "acme/signins" },
            "parameters": { "epochs": 20 }, "model": "my-risk",
        },
        "ended_at_ms": AT_MS + 2_000,
    });
    match state {
        "succeeded" => training["model"] = json!("acme/my-risk@2"),
        "cancelled" => {
            training["error"] = json!("run: cancelled by its owner");
            training["error_code"] = json!("cancelled");
        }
        _ => {
            training["error"] = json!("run: every event is an attack");
            training["error_code"] = json!("training_failed");
        }
    }
    training
}

fn line(seq: u64, source: &str, level: &str, text: &str) -> Value {
    json!({ "seq": seq, "at_ms": AT_MS, "source": source, "level": level, "text": text })
}

fn status() -> Value {
    let feature = |name: &str, held: bool| {
        json!({
            "name": name, "held": held, "matters": "why it matters",
            "detail": if held { "" } else { "how to get it" },
        })
    };
    json!({
        "version": "0.1.0", "database": "sqlite", "objects": "folder", "items": 4, "endpoints": 1,
        "instances": 1, "hosts": [{
            "id": id("host", 1), "name": "local", "fleet": "cold", "alive": true,
            "cpu_milli": 2_000,
            "cpu_milli_free": 1_750, "memory_bytes": 4_u64 << 30, "memory_bytes_free": 3_u64 << 30,
            "instances": 1,
            "features": [feature("landlock", true), feature("onnxruntime", false)],
        }],
    })
}

fn found() -> Value {
    json!({
        "item": item(), "score_milli": 24_700, "reasons": ["takes exactly your data", "small"],
    })
}

/// What serves, and what nearly does.
fn suggested() -> Value {
    let mut other = found();
    other["item"]["name"] = json!("large-risk");
    other["reasons"] = json!(["takes exactly your data"]);
    let misses = ["needs 512 MiB of memory, not 256 MiB", "has no latency figure"];
    json!({ "found": [found()], "near": [{ "found": other, "misses": misses }] })
}

/// Where everything goes well.
pub(super) fn world() -> Answers {
    let publish = json!({
        "id": id("pub", 1), "object": id("obj", 1), "state": "published", "step": "list",
        "name": "my-risk", "version": "acme/my-risk@2", "created_at_ms": AT_MS,
    });
    let object = json!({
        "id": id("obj", 1), "bytes": 4_096, "sha256": digest(),
        "media_type": "application/x-tar", "created_at_ms": AT_MS,
    });
    let published = json!({ "ended": true, "lines": [
        line(1, "receive", "info", "4096 bytes"),
        line(2, "check", "warning", "no unit tests"),
        line(3, "version", "info", "acme/my-risk@2, signed"),
    ] });
    let trained = json!({ "ended": true, "lines": [line(1, "stdout", "info", "epoch 1 of 20")] });
    let served = json!({ "ended": false, "lines": [] });
    let (publish_path, train_path) =
        (format!("/v1/publishes/{}", id("pub", 1)), format!("/v1/trainings/{}", id("train", 1)));
    let task =
        json!([{ "name": "endpoints", "kind": "reconciler", "status": { "steps_done": 0 } }]);
    let usage = json!({ "requests": 12, "failures": 1, "trainings": 0, "accounts": 2 });
    let created =
        json!({ "account": account(), "token": { "token": token(1), "secret": "fh_secret" } });
    let answers: Vec<(String, Value)> = vec![
        ("GET /v1/whoami".into(), json!({ "account": account(), "token": token(1) })),
        ("GET /v1/accounts".into(), page(&[account()])),
        ("POST /v1/accounts".into(), created),
        ("GET /v1/tokens".into(), page(&[token(1), token(2), token(3)])),
        ("POST /v1/tokens".into(), json!({ "token": token(2), "secret": "fh_secret" })),
        (format!("DELETE /v1/tokens/{}", id("token", 2)), Value::Null),
        ("GET /v1/items".into(), page(&[item()])),
        ("GET /v1/items/acme/my-risk".into(), item()),
        ("GET /v1/items/acme/my-risk/versions/2".into(), version()),
        ("GET /v1/items/acme/my-risk/usage".into(), usage),
        ("PUT /v1/items/acme/my-risk/sharing".into(), item()),
        ("GET /v1/search".into(), json!({ "found": [found()], "near": [] })),
        ("POST /v1/suggest".into(), suggested()),
        ("GET /v1/endpoints".into(), page(&[endpoint()])),
        ("POST /v1/endpoints".into(), endpoint()),
        ("GET /v1/endpoints/risk".into(), endpoint()),
        ("GET /v2/models/risk/ready".into(), json!({ "name": "risk", "ready": true })),
        ("PUT /v1/endpoints/risk".into(), endpoint()),
        ("PUT /v1/endpoints/risk/sharing".into(), endpoint()),
        ("GET /v1/endpoints/risk/triggers".into(), triggers()),
        ("GET /v1/endpoints/risk/firings".into(), page(&[firing()])),
        ("POST /v1/endpoints/risk/gate/judgement".into(), judgement()),
        ("DELETE /v1/endpoints/risk".into(), Value::Null),
        ("GET /v1/endpoints/risk/log".into(), served),
        ("POST /v1/objects/missing".into(), json!({ "missing": [] })),
        ("POST /v1/objects".into(), object),
        ("POST /v1/publishes".into(), publish.clone()),
        (format!("GET {publish_path}"), publish),
        (format!("GET {publish_path}/log"), published),
        ("GET /v1/trainings".into(), page(&[training("succeeded")])),
        ("POST /v1/trainings".into(), training("succeeded")),
        (format!("GET {train_path}"), training("succeeded")),
        (format!("GET {train_path}/log"), trained),
        (format!("POST {train_path}/cancel"), training("cancelled")),
        ("GET /v1/status".into(), status()),
        ("GET /v1/tasks".into(), task),
        ("POST /endpoints/risk/invocations".into(), json!({ "outputs": { "risk": [[0.9]] } })),
        ("POST /endpoints/bolt.risk/invocations".into(), json!({ "predictions": [0.1] })),
    ];
    answers.into_iter().map(|(line, value)| (line, (200, value))).collect()
}

/// Where what is begun fails.
pub(super) fn failing() -> Answers {
    let mut answers = world();
    let publish = json!({
        "id": id("pub", 1), "object": id("obj", 1), "state": "failed", "step": "check",
        "error": "check: model.onnx: not a model; export it again",
        "error_code": "model_invalid", "created_at_ms": AT_MS,
    });
    answers.insert(format!("GET /v1/publishes/{}", id("pub", 1)), (200, publish));
    let path = format!("GET /v1/trainings/{}", id("train", 1));
    answers.insert(path, (200, training("failed")));
    let mut broken = endpoint();
    broken["state"] = json!("failed");
    broken["error"] = json!("the model needs 3 GiB");
    answers.insert("GET /v1/endpoints/risk".into(), (200, broken));
    answers
}
