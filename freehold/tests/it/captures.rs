//! Live requests and answers of functions as events, and functions that are fed from streams.

use api::endpoints::captures::{Capture, CaptureSpec, Captured};
use api::functions::CreateFunction;
use api::functions::events::{EventSettings, EventSettingsQuery};
use api::functions::sources::{CreateSource, Source, SourceSpec, UpdateSource};
use api::pages::{LogQuery, PageQuery};
use api::runs::Judged;
use api::streams::{CreateStream, EventsQuery, SelectionQuery, StreamSpec};
use bytes::Bytes;
use serde_json::{Value, json};
use testkit::wait::until;
use testkit::{Account, Cloud, Package, Process};
use types::{FunctionRuntime, Name};

use crate::functions::has_python;
use crate::replays::{ended, endpoint, run_of};
use crate::world::{PROGRAM, http, name, strangers};

const WAIT_S: u64 = 60;
/// Requests of a story.
const REQUESTS: u64 = 40;

async fn stream(account: &Account, called: &str) -> Name {
    let wanted = CreateStream { name: name(called), spec: StreamSpec::default() };
    account.client.stream_create(&wanted).await.unwrap().name
}

/// The events of a stream that a filter lets through.
pub(crate) async fn events(account: &Account, stream: &Name, filter: &str) -> Vec<Value> {
    let filter = Some(filter.to_owned()).filter(|filter| !filter.is_empty());
    let selection = SelectionQuery { filter, ..SelectionQuery::default() };
    let query = EventsQuery::default();
    let mut pieces = account.client.stream_events(stream, &selection, &query).await.unwrap();
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await.unwrap() {
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8(text).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One live request of a customer.
async fn ask(cloud: &Cloud, account: &Account, endpoint: &str, customer: u64) -> u16 {
    let url = format!("{}/endpoints/{endpoint}/invocations", cloud.http());
    let request = http().post(url).bearer_auth(&account.token);
    let request = request
        .header("x-request-id", format!("request-{customer}"))
        .header("x-customer", format!("customer-{customer}"))
        .header("freehold-region", if customer.is_multiple_of(2) { "no" } else { "se" });
    let answer = request.json(&json!({ "amount": customer * 3 })).send().await.unwrap();
    answer.status().as_u16()
}

async fn counted(account: &Account, wanted: u64) -> Capture {
    until(WAIT_S, "the requests are counted", || async {
        let capture = account.client.capture_fetch(&name("risk")).await.unwrap();
        (capture.kept >= wanted).then_some(capture)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn live_requests_are_replayed_to_a_candidate() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner, "requests").await;
    endpoint(&owner).await;
    let spec = CaptureSpec {
        stream: stream.clone(),
        what: Captured::Both,
        share_bp: 10_000,
        key: Some("x-customer".to_owned()),
    };
    let capture = owner.client.capture_put(&name("risk"), &spec).await.unwrap();
    assert_eq!((capture.spec, capture.kept), (spec.clone(), 0));
    let asked = (0..REQUESTS).map(|customer| ask(&cloud, &owner, "risk", customer));
    let statuses = futures::future::join_all(asked).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    let capture = counted(&owner, REQUESTS).await;
    assert_eq!((capture.kept, capture.no_room, capture.failed), (REQUESTS, 0, 0));

    let kept = events(&owner, &stream, "subject=customer-31").await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0]["id"], "request-31");
    assert_eq!(
        (&kept[0]["source"], &kept[0]["type"]),
        (&json!("/endpoints/risk"), &json!("freehold.request"))
    );
    assert_eq!((&kept[0]["region"], &kept[0]["variant"]), (&json!("se"), &json!("main")));
    assert_eq!((&kept[0]["status"], &kept[0]["data"]), (&json!("200"), &json!({ "amount": 93 })));
    let answer: Value = serde_json::from_str(kept[0]["answer"].as_str().unwrap()).unwrap();
    assert_eq!(answer, json!({ "score": 1.0 }));

    // What production saw goes to a candidate as it is, and is not seen as live again.
    let run = api::runs::RunSpec {
        judged: Judged { prediction: Some("/score".to_owned()), ..Judged::default() },
        ..run_of(&["better", "main"], &stream)
    };
    let (_, outcome) = ended(&owner, &run).await;
    assert_eq!(outcome.facts.sent, 2 * REQUESTS, "{outcome:?}");
    let answered: Vec<u64> = outcome.variants.iter().map(|it| it.answered).collect();
    assert_eq!(answered, [REQUESTS, REQUESTS]);
    assert_eq!(events(&owner, &stream, "").await.len() as u64, REQUESTS);
    // The stream stays as long as something is put into it.
    let refused = owner.client.stream_delete(&stream).await.unwrap_err();
    assert_eq!(refused.code(), "conflict");
    owner.client.capture_delete(&name("risk")).await.unwrap();
    assert_eq!(ask(&cloud, &owner, "risk", REQUESTS).await, 200);
    assert_eq!(events(&owner, &stream, "").await.len() as u64, REQUESTS);
    owner.client.stream_delete(&stream).await.unwrap();
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_functions_answer_and_fail_are_events() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let (answers, failures) = (stream(&owner, "answers").await, stream(&owner, "failures").await);
    crate::replays::function(&owner, "old").await;
    let of = EventSettingsQuery::default();
    let wanted = EventSettings {
        retries: Some(0),
        age_s: None,
        on_success: Some("stream:answers".to_owned()),
        on_failure: Some("stream:failures".to_owned()),
    };
    let function = "old".parse().unwrap();
    let nowhere = EventSettings { on_success: Some("stream:nowhere".to_owned()), ..wanted.clone() };
    let refused = owner.client.event_settings_put(&function, &of, &nowhere).await.unwrap_err();
    assert_eq!(refused.code(), "bad_request");
    let shown = owner.client.event_settings_put(&function, &of, &wanted).await.unwrap();
    assert_eq!(shown.settings, wanted);
    for event in [json!({ "amount": 95 }), json!({ "sum": 1 })] {
        let sent = owner.client.function_event(&function, None, Bytes::from(event.to_string()));
        sent.await.unwrap();
    }
    for (stream, kind, data) in [
        (&answers, "freehold.function.answered", json!({ "score": 1.0 })),
        // What failed can be sent again as it came.
        (&failures, "freehold.function.failed", json!({ "sum": 1 })),
    ] {
        let events = until(WAIT_S, "the event is there", || async {
            let events = events(&owner, stream, "").await;
            (!events.is_empty()).then_some(events)
        })
        .await;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!((&events[0]["type"], &events[0]["data"]), (&json!(kind), &data));
        assert_eq!(events[0]["function"], "old");
    }
    let failed = events(&owner, &failures, "error=Function.KeyError").await;
    assert_eq!((failed.len(), &failed[0]["condition"]), (1, &json!("RetriesExhausted")));
    cloud.close().await;
}

/// Takes batches of events, and says of each what was in it; one of 13 it fails.
const FED: &str = r#"
import base64, json, time

def handler(event, context):
    time.sleep(0.05)
    records = event["Records"]
    assert all(it["eventSource"] == "aws:kinesis" for it in records)
    amounts = [json.loads(base64.b64decode(it["kinesis"]["data"]))["amount"] for it in records]
    if 13 in amounts:
        raise ValueError("unlucky")
    print("TOOK", *amounts, flush=True)
"#;
/// Events that a function is fed with.
const FED_EVENTS: u64 = 40;

async fn fed_function(account: &Account) -> types::FunctionName {
    let object = account.send(&Package::empty().file("app.py", FED)).await.unwrap().id;
    let name: types::FunctionName = "fed".parse().unwrap();
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        memory_mib: Some(128),
        timeout_ms: Some(10_000),
        ..CreateFunction::new(name.clone(), FunctionRuntime::Python3, object)
    };
    account.client.function_create(&wanted).await.unwrap();
    name
}

async fn append(account: &Account, stream: &Name, amounts: std::ops::Range<u64>) {
    let event = |amount: u64| {
        json!({
            "specversion": "1.0", "id": format!("e{amount}"), "source": "/shop", "type": "sale",
            "datacontenttype": "application/json", "data": { "amount": amount },
        })
    };
    let events: Vec<Value> = amounts.map(event).collect();
    account.client.stream_append(stream, &events).await.unwrap();
}

/// Amounts that the function took, in order, with when it said so.
async fn took(account: &Account, function: &types::FunctionName) -> Vec<(u64, u64)> {
    let (mut took, mut after) = (Vec::new(), None);
    loop {
        let query = LogQuery { after, wait_ms: None };
        let lines = account.client.function_log(function, &query).await.unwrap().lines;
        let Some(last) = lines.last() else { return took };
        after = Some(last.seq);
        for line in &lines {
            let Some(amounts) = line.text.strip_prefix("TOOK ") else { continue };
            took.extend(amounts.split(' ').map(|amount| (line.at_ms, amount.parse().unwrap())));
        }
    }
}

/// The source, once it is as far as this event.
async fn fed_until(account: &Account, function: &types::FunctionName, next: u64) -> Source {
    until(WAIT_S, "the function is fed", || async {
        let page = PageQuery::default();
        let all = account.client.sources_list(function, &page).await.unwrap();
        all.items.into_iter().find(|source| source.next_event >= next)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_fed_in_order_and_nothing_is_lost() {
    if !has_python() {
        return;
    }
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner, "sales").await;
    let function = fed_function(&owner).await;
    append(&owner, &stream, 0..30).await;
    let spec = SourceSpec { batch: 10, bisect: true, retries: Some(0), ..SourceSpec::default() };
    let wanted = CreateSource { stream: stream.clone(), qualifier: String::new(), spec };
    let made = owner.client.source_create(&function, &wanted).await.unwrap();
    assert_eq!((made.delivered, made.next_event), (0, 0));
    // What comes later is fed as it comes.
    append(&owner, &stream, 30..FED_EVENTS).await;
    let fed = fed_until(&owner, &function, FED_EVENTS + 1).await;
    assert_eq!((fed.delivered, fed.given_up), (FED_EVENTS - 1, 1), "{fed:?}");
    let expected: Vec<u64> = (0..FED_EVENTS).filter(|amount| *amount != 13).collect();
    until(WAIT_S, "what it took is in its log, in order", || async {
        let took: Vec<u64> = took(&owner, &function).await.into_iter().map(|it| it.1).collect();
        (took == expected).then_some(())
    })
    .await;
    // What was given up, and nobody is told of, is dead, and can be driven again.
    let page = PageQuery::default();
    let dead = owner.client.dead_events_list(&function, &page).await.unwrap().items;
    assert_eq!(dead.len(), 1, "{dead:?}");
    assert_eq!(dead[0].payload["Records"][0]["kinesis"]["sequenceNumber"], "14");
    assert_eq!(dead[0].failures[0].error, "Function.ValueError");
    // Paused, it stays where it is; a stream that feeds is not removed.
    let spec = SourceSpec { enabled: false, ..fed.spec };
    let wanted = UpdateSource { spec: spec.clone(), generation: fed.generation };
    let paused = owner.client.source_update(&function, fed.id, &wanted).await.unwrap();
    append(&owner, &stream, 50..52).await;
    assert_eq!(owner.client.stream_delete(&stream).await.unwrap_err().code(), "conflict");
    let wanted =
        UpdateSource { spec: SourceSpec { enabled: true, ..spec }, generation: paused.generation };
    owner.client.source_update(&function, fed.id, &wanted).await.unwrap();
    let fed = fed_until(&owner, &function, FED_EVENTS + 3).await;
    assert_eq!(fed.delivered, FED_EVENTS + 1, "{fed:?}");
    owner.client.source_delete(&function, fed.id).await.unwrap();
    owner.client.stream_delete(&stream).await.unwrap();
    cloud.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_is_fed_on_from_where_it_was_killed() {
    if !has_python() {
        return;
    }
    let mut cloud = Cloud::one(PROGRAM).await;
    // What was under way when it was killed.
    cloud.expect("went away");
    let (owner, _) = strangers(&cloud).await;
    let stream = stream(&owner, "sales").await;
    let function = fed_function(&owner).await;
    append(&owner, &stream, 100..100 + FED_EVENTS).await;
    let spec = SourceSpec { batch: 1, ..SourceSpec::default() };
    let wanted = CreateSource { stream, qualifier: String::new(), spec };
    owner.client.source_create(&function, &wanted).await.unwrap();
    let before = fed_until(&owner, &function, 10).await;
    cloud.kill_and_start(Process::Up).await;
    cloud.ready().await;
    let killed_at_ms = until(WAIT_S, "the log begins anew", || async {
        let took = took(&owner, &function).await;
        took.last().filter(|last| last.1 == 99 + FED_EVENTS)?;
        // The greatest pause is that of the restart.
        let pauses = took.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[1].0));
        pauses.max().map(|(_, at_ms)| at_ms)
    })
    .await;
    let took = took(&owner, &function).await;
    let after: Vec<u64> = took.iter().filter(|it| it.0 >= killed_at_ms).map(|it| it.1).collect();
    // The first event has the number 1 and is of 100.
    let first = after[0];
    assert!(first >= 99 + before.next_event, "{first} comes again after {before:?}");
    assert!(after.iter().copied().eq(first..100 + FED_EVENTS), "{after:?}");
    let fed = fed_until(&owner, &function, FED_EVENTS + 1).await;
    assert_eq!(fed.given_up, 0, "{fed:?}");
    cloud.close().await;
}
