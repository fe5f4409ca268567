//! Events of real machines, where they stand beside the checkout: imported, sealed and selected.
#![allow(clippy::print_stderr, reason = "tests skip aloud")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use events::import::{Format, Options, Summary};
use events::{Selected, Selection, Settings, Stream};
use tempfile::TempDir;
use workflow::{Clock, Tasks};

/// A file of the recorded events; none, and said aloud, where they are not there.
fn recorded(name: &str) -> Option<PathBuf> {
    let Some(folder) = std::env::var_os("FREEHOLD_TEST_EVENTS").map(PathBuf::from) else {
        eprintln!("SKIPPED: there are no recorded events: FREEHOLD_TEST_EVENTS names their folder");
        return None;
    };
    Some(folder.join(name))
}

/// A stream of a file, which is sealed then, and imported again.
async fn imported(path: &Path, format: Format, options: Options) -> (Summary, Stream, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (clock, tasks) = (Clock::system(), Tasks::new());
    let stream = Stream::open(folder.path(), Settings::default(), clock, &tasks).await.unwrap();
    let mut summaries = Vec::new();
    for _ in 0..2 {
        let (to, file, options) = (stream.clone(), File::open(path).unwrap(), options.clone());
        let importing = move || to.import(format, file, &options);
        summaries.push(tokio::task::spawn_blocking(importing).await.unwrap().unwrap());
        stream.seal().await.unwrap();
    }
    let [first, again] = summaries.try_into().unwrap();
    assert_eq!((first.stored, first.known), (first.events, 0));
    assert_eq!((again.stored, again.known), (0, first.events));
    assert!(stream.select(&Selection::default()).unwrap().count() as u64 == first.events);
    (first, stream, folder)
}

fn all(stream: &Stream) -> Vec<Selected> {
    stream.select(&Selection::default()).unwrap().map(Result::unwrap).collect()
}

fn json(selected: &Selected) -> serde_json::Value {
    serde_json::from_slice(&selected.event.data).unwrap()
}

/// Half of its neighbours go backwards: selected, none does.
#[tokio::test(flavor = "multi_thread")]
async fn a_web_log_out_of_order_is_selected_in_order() {
    let Some(path) = recorded("elastic-apache/apache_logs") else { return };
    let (summary, stream, _folder) = imported(&path, Format::WebLog, Options::default()).await;
    assert_eq!((summary.read, summary.events, summary.refused), (10_000, 10_000, 0));
    let (stats, _) = stream.stats(&Selection::default()).unwrap();
    assert_eq!((stats.events, stats.stream_disordered), (10_000, 4_915));
    assert_eq!(stats.groups.top[0].0, "GET");
    let all = all(&stream);
    let times: Vec<(u64, u64)> = all.iter().map(|it| (it.event.time_ns, it.sequence)).collect();
    assert!(times.is_sorted());
    // As a plain sort of its lines has them.
    let text = fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| formats::weblog::parse(line).unwrap());
    let mut wanted: Vec<(u64, u64)> = lines.zip(1..).map(|(it, at)| (it.time_ns, at)).collect();
    wanted.sort_unstable();
    assert_eq!(times, wanted);
    let errors = Selection { filter: "status=500".parse().unwrap(), ..Selection::default() };
    assert_eq!(stream.select(&errors).unwrap().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_are_those_that_were_found_by_another_hand() {
    let Some(path) = recorded("elastic-auth/auth.log") else { return };
    let Some(table) = recorded("derived/ssh_signins.csv") else { return };
    let options = Options { year: 2017, ..Options::default() };
    let (summary, stream, _folder) = imported(&path, Format::Sshd, options).await;
    assert_eq!((summary.events, summary.read), (1_042 + 226, 7_121));
    assert_eq!(summary.passed_over, 7_121 - 943);
    let options = Options {
        mapping: "time=time,subject=user,group=method".parse().unwrap(),
        ..Options::default()
    };
    let (summary, other, _other) = imported(&table, Format::Csv, options).await;
    assert_eq!((summary.events, summary.refused), (943, 0));
    let mut wanted = Vec::new();
    for selected in all(&other) {
        let row = json(&selected);
        let named = |name: &str| row[name].to_string();
        let facts = (named("pid"), named("outcome"), named("src_ip"), named("src_port"));
        let times = usize::try_from(row["repeat"].as_u64().unwrap()).unwrap();
        let (time_ns, subject) = (selected.event.time_ns, selected.event.subject);
        let fact = (time_ns, subject, selected.event.group, facts);
        wanted.extend(std::iter::repeat_n(fact, times));
    }
    let mut told: Vec<_> = all(&stream)
        .into_iter()
        .map(|selected| {
            let row = json(&selected);
            let named = |name: &str| row[name].to_string();
            let facts = (named("pid"), named("outcome"), named("address"), named("port"));
            (selected.event.time_ns, selected.event.subject, selected.event.group, facts)
        })
        .collect();
    wanted.sort();
    told.sort();
    assert_eq!(told, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_inferences_are_imported_with_their_times() {
    let Some(path) = recorded("azure-llm-2023/AzureLLMInferenceTrace_code.csv") else { return };
    let options = Options { mapping: "time=TIMESTAMP".parse().unwrap(), ..Options::default() };
    let (summary, stream, _folder) = imported(&path, Format::Csv, options).await;
    assert_eq!((summary.read, summary.refused), (8_819, 0));
    let (stats, _) = stream.stats(&Selection::default()).unwrap();
    assert_eq!(stats.events, 8_819);
    assert_eq!(stats.first_ns, Some(1_700_158_623_979_960_000));
    assert_eq!(stats.rate_peak_per_s, 67);
    assert_eq!(stats.rate_mean_uhz.unwrap() / 10_000, 256);
    let first = json(&all(&stream)[0]);
    assert_eq!(
        (first["ContextTokens"].as_u64(), first["GeneratedTokens"].as_u64()),
        (Some(4_808), Some(10))
    );
}
