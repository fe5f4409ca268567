//! A recorded trace that comes in bursts: sent as it was recorded, and held at a rate.

use std::fs::{self, File};
use std::io::Read as _;

use api::endpoints::{DeployRequest, EndpointState};
use api::functions::CreateFunction;
use api::runs::{Load, Run, RunOutcome, RunRecords, RunSpec};
use api::streams::{CreateStream, ImportQuery, SelectionQuery, StreamSpec};
use bytes::Bytes;
use testkit::wait::until;
use testkit::{Account, Cloud, Package};
use types::{Concurrency, FunctionRuntime, Name};

use crate::clients::given;
use crate::functions::has_python;
use crate::replays::{WAIT_S, run_of, valid};
use crate::world::{PROGRAM, http, name, strangers};

/// Requests to a language model, as one service had them. Source: the Azure LLM inference trace of
/// 2023, CC-BY 4.0.
const TRACE: &str = "azure-llm-2023/AzureLLMInferenceTrace_code.csv";
/// What it takes some time over, for many at a time, as the trace's model did.
const CODE: &str = r#"
import time

def handler(event, context):
    time.sleep(0.2)
    return {"tokens": event["GeneratedTokens"]}
"#;
/// The part with the busiest second: some have none, and one of them 64.
const SINCE: &str = "2023-11-16T18:31:10Z";
const UNTIL: &str = "2023-11-16T18:31:50Z";
const EVENTS: u64 = 583;
const PEAK: usize = 64;
/// How many tokens an event of the larger kind has at least.
const LARGE: u64 = 4_000;
const SECOND_NS: u64 = 1_000_000_000;

/// A request of the trace.
struct Asked {
    /// When it came, in nanoseconds of its day.
    at_ns: u64,
    tokens: u64,
}

/// The requests of the part, read by another hand than the stream's.
fn asked(text: &str) -> Vec<Asked> {
    let line = |line: &str| {
        let cells: Vec<&str> = line.split(',').collect();
        let [time, tokens, _] = cells.as_slice() else { panic!("{line}") };
        let clock: Vec<u64> =
            time[11..].split([':', '.']).map(|part| part.parse().unwrap()).collect();
        let [hours, minutes, seconds, parts] = clock.as_slice() else { panic!("{line}") };
        let at_ns = ((hours * 60 + minutes) * 60 + seconds) * SECOND_NS + parts * 100;
        Asked { at_ns, tokens: tokens.parse().unwrap() }
    };
    let all: Vec<Asked> = text.lines().skip(1).map(line).collect();
    let minute_ns = (18 * 60 + 31) * 60 * SECOND_NS;
    let part = minute_ns + 10 * SECOND_NS..minute_ns + 50 * SECOND_NS;
    all.into_iter().filter(|it| part.contains(&it.at_ns)).collect()
}

/// How many there are in each second since the first one.
fn by_second(times_ns: &[u64]) -> Vec<usize> {
    let mut counts = Vec::new();
    for at_ns in times_ns {
        let second = usize::try_from((at_ns - times_ns[0]) / SECOND_NS).unwrap();
        counts.resize(counts.len().max(second + 1), 0);
        counts[second] += 1;
    }
    counts
}

async fn begin(owner: &Account, file: &mut File) -> Name {
    let package = Package::empty().file("app.py", CODE);
    let object = owner.send(&package).await.unwrap().id;
    let wanted = CreateFunction {
        handler: "app.handler".to_owned(),
        timeout_ms: Some(10_000),
        concurrency: Some(Concurrency::try_from(64).unwrap()),
        ..CreateFunction::new("tokens".parse().unwrap(), FunctionRuntime::Python3, object)
    };
    owner.client.function_create(&wanted).await.unwrap();
    let source = "function:tokens".parse().unwrap();
    let wanted = DeployRequest { name: name("risk"), source, instance_type: None };
    owner.client.endpoint_create(&wanted).await.unwrap();
    until(WAIT_S, "the endpoint to be ready", || async {
        let endpoint = owner.client.endpoint_fetch(&name("risk")).await.unwrap();
        (endpoint.state == EndpointState::Ready).then_some(())
    })
    .await;
    let wanted = CreateStream { name: name("llm"), spec: StreamSpec::default() };
    let stream = owner.client.stream_create(&wanted).await.unwrap().name;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    let query = ImportQuery {
        format: "csv".to_owned(),
        map: Some("time=TIMESTAMP".to_owned()),
        ..ImportQuery::default()
    };
    let pieces = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes))]);
    let imported = owner.client.stream_import(&stream, &query, pieces).await.unwrap();
    assert_eq!((imported.records, imported.stored, imported.refused), (8_819, 8_819, 0));
    stream
}

/// A run of what is selected that may be believed, with the time of each send and of its event, in
/// the order in which they were intended.
async fn sent(cloud: &Cloud, owner: &Account, spec: RunSpec) -> (RunOutcome, Vec<(u64, u64)>) {
    let (Run { id, .. }, outcome) = valid(owner, &spec).await;
    let url = format!("{}/v1/runs/{id}/records?limit=10000", cloud.http());
    let records = http().get(&url).bearer_auth(&owner.token).send().await.unwrap();
    let records: RunRecords = records.json().await.unwrap();
    let day_ns = 86_400 * SECOND_NS;
    let times = |it: &api::runs::RunRecord| (it.offset_ns, it.happened_ns.unwrap() % day_ns);
    let mut sent: Vec<(u64, u64)> = records.records.iter().map(times).collect();
    sent.sort_unstable();
    assert_eq!(sent.len() as u64, outcome.schedule.sends);
    (outcome, sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn bursts_are_sent_as_they_were_recorded_and_a_rate_is_held_without_them() {
    let Some(folder) = given("FREEHOLD_TEST_EVENTS") else { return };
    let Ok(mut file) = File::open(folder.join(TRACE)) else {
        eprintln!("SKIPPED: there is no {TRACE} in {}", folder.display());
        return;
    };
    if !has_python() {
        return;
    }
    let asked = asked(&fs::read_to_string(folder.join(TRACE)).unwrap());
    let cloud = Cloud::one(PROGRAM).await;
    let (owner, _) = strangers(&cloud).await;
    let stream = begin(&owner, &mut file).await;
    let spec = |load: Load, filter: Option<String>| RunSpec {
        selection: SelectionQuery {
            since: Some(SINCE.to_owned()),
            until: Some(UNTIL.to_owned()),
            filter,
            ..SelectionQuery::default()
        },
        load,
        ..run_of(&["main"], &stream)
    };

    // Twice as fast: every send is where its event was, and so is every burst.
    let (outcome, quick) = sent(&cloud, &owner, spec(Load::Speed { milli: 2_000 }, None)).await;
    assert_eq!((outcome.schedule.sends, outcome.schedule.omitted), (EVENTS, 0));
    let first_ns = asked[0].at_ns;
    let recorded: Vec<u64> = asked.iter().map(|it| it.at_ns).collect();
    let wanted: Vec<_> = recorded.iter().map(|at_ns| ((at_ns - first_ns) / 2, *at_ns)).collect();
    assert_eq!(quick, wanted);
    let bursts: Vec<u64> = quick.iter().map(|(offset_ns, _)| offset_ns * 2).collect();
    let bursts = by_second(&bursts);
    assert_eq!(bursts, by_second(&recorded));
    assert_eq!((bursts.iter().min(), bursts.iter().max()), (Some(&0), Some(&PEAK)));

    // At a rate there are none, and no stretch of the recording has more than its part.
    let rate = spec(Load::Rate { uhz: 50_000_000 }, None);
    let (outcome, even) = sent(&cloud, &owner, RunSpec { for_ms: Some(10_000), ..rate }).await;
    let sends = 500;
    assert_eq!((outcome.schedule.sends, outcome.schedule.duplicates), (sends, 0));
    for (place, (offset_ns, _)) in (0..).zip(&even) {
        assert!(offset_ns.abs_diff(place * SECOND_NS / 50) <= 1_000, "{place}: {offset_ns}");
    }
    for (place, at_ns) in (1..).zip(&recorded) {
        let so_far = even.iter().filter(|(_, happened_ns)| happened_ns <= at_ns).count() as u64;
        assert!((so_far * EVENTS).abs_diff(place * sends) < EVENTS, "{place}: {so_far}");
    }

    // Those that a condition selects, and no others.
    let large = format!("data.ContextTokens>={LARGE}");
    let (_, some) = sent(&cloud, &owner, spec(Load::Speed { milli: 4_000 }, Some(large))).await;
    let some: Vec<u64> = some.into_iter().map(|(_, happened_ns)| happened_ns).collect();
    let wanted: Vec<u64> =
        asked.iter().filter(|it| it.tokens >= LARGE).map(|it| it.at_ns).collect();
    assert_eq!((some.len(), some), (92, wanted));
    cloud.close().await;
}
