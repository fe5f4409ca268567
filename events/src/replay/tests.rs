//! Runs against servers that do as they should, and against those that do not.

mod counted;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use policy::replay::pace::CatchUp;
use policy::replay::pattern::Pattern;
use policy::replay::schedule::{Arrivals, End, Mode, Settings};
use policy::replay::{Event, Ratio, UHZ};
use proptest::prelude::*;
use tempfile::TempDir;
use workflow::Clock;

use super::*;
use server::{Manner, Server};

const SECOND_NS: u64 = 1_000_000_000;

/// So many events, one each millisecond, of three strata; what comes with one is its own number.
fn events(
    count: u64,
) -> impl Iterator<Item = Result<(Event, Labelled), Box<dyn std::error::Error + Send + Sync>>> {
    (0..count).map(|sequence| {
        let time_ns = 1_700_000_000 * SECOND_NS + sequence * 1_000_000;
        let stratum = u32::try_from(sequence % 3).unwrap();
        let event = crate::Event {
            time_ns,
            id: format!("id-{sequence}"),
            source: "/tests".to_owned(),
            kind: "test".to_owned(),
            region: format!("region-{stratum}"),
            content_type: "application/json".to_owned(),
            data: format!("{{\"number\":{sequence}}}").into(),
            ..crate::Event::default()
        };
        let label = (sequence % 2 == 0).then(|| "even".into());
        Ok((Event { time_ns, sequence, stratum }, Labelled { event, label }))
    })
}

fn settings(rate: u64, factor: (u64, u64)) -> Settings {
    Settings {
        mode: Mode::Constant { rate_uhz: rate * UHZ },
        duration_ns: 60 * SECOND_NS,
        factor: Ratio::new(factor.0, factor.1).unwrap(),
    }
}

fn plan(folder: &Path, variants: Vec<Variant>, rate: u64) -> Plan {
    let mut plan = Plan::new("run-1", folder.join("run"), variants, settings(rate, (1, 1)));
    plan.timeout_ms = 300;
    plan.spin_ns = 0;
    plan
}

/// Sends these events with the headers of `CloudEvents`, and waits until that is over.
fn finish(plan: Plan, count: u64) -> Finished {
    start(plan, count).wait().unwrap()
}

fn start(plan: Plan, count: u64) -> Run {
    let posts = Posts { form: Form::CloudEvents };
    let judge = FromJson { score: Some("/score".to_owned()), class: Some("/class".to_owned()) };
    Run::start(plan, &Clock::system(), events(count), posts, judge).unwrap()
}

/// What is always true of a run that is over: every send has one record and one outcome.
fn assert_accounted(finished: &Finished, folder: &Path) -> Vec<Record> {
    let records: Vec<Record> =
        files::read(&folder.join("run")).unwrap().map(Result::unwrap).collect();
    let Finished { facts, totals, names, lost, .. } = finished;
    assert_eq!(facts.asked, finished.proof.sends * names.len() as u64);
    assert_eq!(facts.asked, facts.sent + facts.skipped + facts.dropped + lost);
    assert_eq!(records.len() as u64 + lost, facts.asked);
    let places: BTreeSet<(u64, u16)> =
        records.iter().map(|record| (record.number, record.variant)).collect();
    assert_eq!(places.len(), records.len(), "a send was recorded twice");
    let mut sum = vec![Cell::default(); names.len()];
    for record in &records {
        sum[usize::from(record.variant)].add(record);
        assert_eq!(record.sent_ns.is_some(), record.outcome.is_sent());
        assert_eq!(record.status.is_some(), record.outcome.is_answered());
        assert!(record.sent_ns.is_none_or(|sent_ns| sent_ns <= record.done_ns));
    }
    assert_eq!(&sum, totals);
    for (variant, total) in (0..).zip(totals) {
        assert_eq!(&finished.cells.together(|of| of.variant == variant), total);
    }
    records
}

fn outcomes(records: &[Record]) -> BTreeMap<Outcome, usize> {
    let mut counts = BTreeMap::new();
    for record in records {
        *counts.entry(record.outcome).or_default() += 1;
    }
    counts
}

#[test]
fn a_run_sends_every_event_once_and_says_what_came_back() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let mut plan = plan(folder.path(), vec![server.variant("a")], 1_000);
    plan.service_header = "x-service-us".to_owned();
    let finished = finish(plan, 300);
    let records = assert_accounted(&finished, folder.path());
    assert_eq!(outcomes(&records), BTreeMap::from([(Outcome::Ok, 300)]));
    assert_eq!(finished.proof.end, Some(End::Events));
    for record in &records {
        assert_eq!((record.status, record.service_us), (Some(200), Some(7)));
        assert_eq!(record.score, Some(0.25));
        assert_eq!(record.class.as_deref(), Some("yes"));
        assert_eq!(record.label.is_some(), record.sequence % 2 == 0);
        assert!(record.first_ns.unwrap() >= record.sent_ns.unwrap());
        assert!(record.bytes_in > 0 && record.bytes_out > 0);
        assert!(record.intended_ns <= record.sent_ns.unwrap());
    }
    let bodies: BTreeSet<String> = server.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies.len(), 300);
}

#[test]
fn whatever_a_target_does_every_send_has_an_outcome() {
    let cases = [
        (Manner::Hang, Outcome::Timeout),
        (Manner::HalfAndHang, Outcome::Timeout),
        (Manner::HalfAndEnd, Outcome::Reset),
        (Manner::Garbage, Outcome::Invalid),
        (Manner::End, Outcome::Reset),
        (Manner::Fail, Outcome::ServerError),
    ];
    for (manner, outcome) in cases {
        let (folder, server) = (TempDir::new().unwrap(), Server::tcp(manner));
        let finished = finish(plan(folder.path(), vec![server.variant("a")], 1_000), 60);
        let records = assert_accounted(&finished, folder.path());
        assert_eq!(outcomes(&records), BTreeMap::from([(outcome, 60)]), "{manner:?}");
    }
}

#[test]
fn a_target_that_does_everything_wrong_in_turn_is_accounted_for() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Turns));
    let finished = finish(plan(folder.path(), vec![server.variant("a")], 1_000), 400);
    let counts = outcomes(&assert_accounted(&finished, folder.path()));
    assert_eq!(counts.values().sum::<usize>(), 400);
    for outcome in [Outcome::Ok, Outcome::Timeout, Outcome::Reset, Outcome::Invalid] {
        assert!(counts[&outcome] > 20, "{counts:?}");
    }
}

#[test]
fn a_target_that_dies_and_one_that_never_was_refuse() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let run = start(plan(folder.path(), vec![server.variant("a")], 1_000), 2_000);
    until(|| run.progress().variants[0].answered > 100);
    server.go();
    let finished = run.wait().unwrap();
    let counts = outcomes(&assert_accounted(&finished, folder.path()));
    assert!(counts[&Outcome::Ok] > 100 && counts[&Outcome::Refused] > 100, "{counts:?}");

    let folder = TempDir::new().unwrap();
    let mut gone = server.variant("a");
    gone.address = Address::Unix(folder.path().join("nobody"));
    let finished = finish(plan(folder.path(), vec![gone], 1_000), 50);
    let records = assert_accounted(&finished, folder.path());
    assert_eq!(outcomes(&records), BTreeMap::from([(Outcome::Refused, 50)]));
}

#[test]
fn connections_are_used_again_and_reopened() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    finish(plan(folder.path(), vec![server.variant("a")], 1_000), 300);
    assert!(server.connections() < 250, "{}", server.connections());

    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::AnswerAndEnd));
    let finished = finish(plan(folder.path(), vec![server.variant("a")], 500), 100);
    let counts = outcomes(&assert_accounted(&finished, folder.path()));
    assert!(counts[&Outcome::Ok] > 50, "{counts:?}");
    assert!(server.connections() > 50);
}

#[test]
fn a_socket_of_the_file_system_is_a_target() {
    let folder = TempDir::new().unwrap();
    let server = Server::unix(&folder.path().join("socket"), Manner::Answer);
    let finished = finish(plan(folder.path(), vec![server.variant("a")], 1_000), 100);
    let records = assert_accounted(&finished, folder.path());
    assert_eq!(outcomes(&records), BTreeMap::from([(Outcome::Ok, 100)]));
}

#[test]
fn what_finds_no_room_is_dropped_and_told() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Hang));
    let mut plan = plan(folder.path(), vec![server.variant("a")], 2_000);
    plan.under_way_max = 5;
    plan.warm = 0;
    let finished = finish(plan, 200);
    let counts = outcomes(&assert_accounted(&finished, folder.path()));
    assert_eq!(counts, BTreeMap::from([(Outcome::Timeout, 5), (Outcome::Dropped, 195)]));
    assert!(!finished.validity.is_valid());
    assert!(finished.validity.to_string().contains("195 sends found no room"));
}

#[test]
fn what_is_late_is_skipped_where_that_is_wanted() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let mut plan = plan(folder.path(), vec![server.variant("a")], 5_000_000);
    plan.catch_up = CatchUp::Window { late_ns: 0 };
    let finished = finish(plan, 3_000);
    assert_accounted(&finished, folder.path());
    assert!(finished.facts.skipped > 1_000, "{:?}", finished.facts);
    assert!(finished.validity.to_string().contains("were late and left out"));
}

#[test]
fn every_variant_has_every_send() {
    let folder = TempDir::new().unwrap();
    let servers = [Manner::Answer, Manner::Fail, Manner::Answer].map(Server::tcp);
    let names = ["a", "b", "c"];
    let variants = servers.iter().zip(names).map(|(server, name)| server.variant(name)).collect();
    let finished = finish(plan(folder.path(), variants, 500), 100);
    let records = assert_accounted(&finished, folder.path());
    let expected = BTreeMap::from([(Outcome::Ok, 200), (Outcome::ServerError, 100)]);
    assert_eq!(outcomes(&records), expected);
    let ids = |server: &Server| -> BTreeSet<String> {
        server.seen().iter().map(|seen| header(seen, "ce-id").unwrap()).collect()
    };
    assert_eq!(ids(&servers[0]).len(), 100);
    assert_eq!(ids(&servers[0]), ids(&servers[1]));
    let traces = |server: &Server| -> BTreeSet<String> {
        server.seen().iter().map(|seen| header(seen, "traceparent").unwrap()).collect()
    };
    assert_eq!(traces(&servers[0]).len(), 100);
    assert!(traces(&servers[0]).is_disjoint(&traces(&servers[1])));
}

#[test]
fn copies_are_events_of_their_own_and_no_evidence() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let mut plan = plan(folder.path(), vec![server.variant("a")], 1_000);
    plan.schedule = settings(1_000, (3, 1));
    let finished = finish(plan, 50);
    let records = assert_accounted(&finished, folder.path());
    assert_eq!((records.len(), finished.proof.duplicates), (150, 100));
    assert_eq!(finished.facts.events, 50);
    let seen = server.seen();
    let ids: BTreeSet<String> = seen.iter().map(|seen| header(seen, "ce-id").unwrap()).collect();
    assert_eq!(ids.len(), 150);
    let originals: BTreeSet<String> = (0..50).map(|number| format!("id-{number}")).collect();
    for seen in &seen {
        let original = header(seen, "ce-replayof");
        let id = original.clone().unwrap_or_else(|| header(seen, "ce-id").unwrap());
        assert!(originals.contains(&id));
        assert_eq!(header(seen, "ce-replayrun").as_deref(), Some("run-1"));
        assert!(header(seen, "ce-intended").is_some() && header(seen, "ce-time").is_some());
        let sequence = header(seen, "ce-replayseq").unwrap();
        assert_eq!(seen.body, format!("{{\"number\":{sequence}}}"));
    }
    let copies = seen.iter().filter(|seen| header(seen, "ce-replayof").is_some());
    assert_eq!(copies.count(), 100);
}

#[test]
fn every_mode_sends_what_belongs_to_its_event() {
    let pattern = "step 400/s for 200ms\nrecorded x 2.5 for 100ms\nramp 100/s to 2000/s for 1s";
    let pattern = Pattern::parse(pattern).unwrap();
    let modes = [
        Mode::Recorded { speed: Ratio::new(3, 2).unwrap() },
        Mode::Poisson { rate_uhz: 900 * UHZ, seed: 3 },
        Mode::Pattern { pattern, arrivals: Arrivals::Even },
    ];
    for mode in modes {
        for factor in [(5, 2), (2, 5), (1, 40)] {
            let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
            let mut plan = plan(folder.path(), vec![server.variant("a")], 1);
            plan.schedule = Settings { mode: mode.clone(), ..settings(1, factor) };
            let finished = finish(plan, 160);
            let records = assert_accounted(&finished, folder.path());
            let mut expected: Vec<String> = records
                .iter()
                .map(|record| format!("{{\"number\":{}}}", record.sequence))
                .collect();
            let mut bodies: Vec<String> = server.seen().into_iter().map(|seen| seen.body).collect();
            expected.sort();
            bodies.sort();
            assert_eq!(bodies, expected, "{mode:?} {factor:?}");
            assert!(!bodies.is_empty());
        }
    }
}

#[test]
fn progress_is_told_by_these_names() {
    let mut cell = Cell::default();
    cell.add(&record::tests::record(0, Outcome::Ok));
    let progress = Progress {
        run: "run-1".to_owned(),
        stage: report::Stage::Sending,
        issued: 1,
        variants: vec![Summary::of("a", 2, &cell)],
    };
    insta::assert_json_snapshot!(progress);
}

#[test]
fn a_run_that_is_resumed_sends_what_it_would_have_sent() {
    let poisson = |folder: &TempDir, server: &Server| {
        let mut plan = plan(folder.path(), vec![server.variant("a")], 1);
        plan.schedule = Settings {
            mode: Mode::Poisson { rate_uhz: 1_500 * UHZ, seed: 7 },
            ..settings(1, (4, 3))
        };
        plan
    };
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let whole = finish(poisson(&folder, &server), 1_500);
    assert_accounted(&whole, folder.path());

    let (folder, again) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let run = start(poisson(&folder, &again), 1_500);
    until(|| run.progress().issued > 100);
    run.stop();
    let stopped = run.wait().unwrap();
    assert_accounted(&stopped, folder.path());
    assert!(stopped.facts.stopped && stopped.proof.end.is_none());
    assert!(stopped.proof.sends < whole.proof.sends);
    let mut rest = poisson(&folder, &again);
    rest.resume = true;
    let resumed = finish(rest, 1_500);
    assert_accounted(&resumed, folder.path());
    assert_eq!(resumed.proof, whole.proof);
    assert_eq!((resumed.facts.resumed, resumed.lost), (1, 0));
    assert!(resumed.validity.to_string().contains("disclosed: resumed 1 times"));
    let sends = |server: &Server| -> Vec<(String, String)> {
        let of = |seen: &server::Seen| {
            (header(seen, "ce-id").unwrap(), header(seen, "ce-intended").unwrap())
        };
        let mut sends: Vec<(String, String)> = server.seen().iter().map(of).collect();
        sends.sort();
        sends
    };
    assert_eq!(sends(&server), sends(&again));
}

#[test]
fn what_a_killed_session_had_not_written_is_told() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let run = start(plan(folder.path(), vec![server.variant("a")], 1_000), 1_500);
    until(|| run.progress().issued > 100);
    run.stop();
    let stopped = run.wait().unwrap();
    // As if it had been killed before its last file had its name.
    let part = folder.path().join("run/records-000000.parquet");
    std::fs::rename(part, folder.path().join("run/records.tmp")).unwrap();
    let mut rest = plan(folder.path(), vec![server.variant("a")], 1_000);
    rest.resume = true;
    let resumed = finish(rest, 1_500);
    assert_accounted(&resumed, folder.path());
    assert_eq!(resumed.lost, stopped.facts.sent);
    assert_eq!(server.seen().len(), 1_500, "nothing was sent twice");
}

#[test]
fn another_run_is_not_resumed_by_mistake() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let a = || vec![server.variant("a")];
    let mut early = plan(folder.path(), a(), 1_000);
    early.resume = true;
    assert!(matches!(begin(early), Err(Error::Nothing { .. })));
    let run = start(plan(folder.path(), a(), 1_000), 1_500);
    until(|| run.progress().issued > 100);
    run.stop();
    run.wait().unwrap();
    assert!(matches!(begin(plan(folder.path(), a(), 1_000)), Err(Error::Taken { .. })));
    let mut named = plan(folder.path(), a(), 1_000);
    (named.resume, named.run) = (true, "run-2".to_owned());
    assert!(matches!(begin(named), Err(Error::Changed { what: "name", .. })));
    let mut varied = plan(folder.path(), vec![server.variant("b")], 1_000);
    varied.resume = true;
    assert!(matches!(begin(varied), Err(Error::Changed { what: "list of variants", .. })));
    let mut quicker = plan(folder.path(), a(), 2_000);
    quicker.resume = true;
    let sent = server.seen().len();
    let ended = begin(quicker).unwrap().wait().unwrap();
    assert!(ended.facts.stopped && ended.facts.changed, "{:?}", ended.facts);
    assert_eq!(server.seen().len(), sent, "nothing else was sent");
}

#[test]
fn a_pause_moves_what_comes_after_it_and_is_told() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let run = start(plan(folder.path(), vec![server.variant("a")], 2_000), 3_000);
    until(|| run.progress().issued > 50);
    run.pause();
    until(|| {
        run.progress().stage == report::Stage::Paused && run.progress().variants[0].under_way == 0
    });
    let paused = server.seen().len();
    assert!(paused < 3_000);
    run.resume();
    let finished = run.wait().unwrap();
    assert_accounted(&finished, folder.path());
    assert_eq!((finished.facts.sent, finished.facts.resumed), (3_000, 1));
    assert!(finished.facts.gap_ns > 0 && !finished.facts.stopped);
}

#[test]
fn events_that_cannot_be_read_end_a_run_with_their_reason() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let broken = events(20).chain(std::iter::once(Err("the disk is gone".into())));
    let plan = plan(folder.path(), vec![server.variant("a")], 1_000);
    let run = Run::start(plan, &Clock::system(), broken, Posts { form: Form::Data }, ()).unwrap();
    let error = run.wait().unwrap_err();
    assert!(workflow::chain(&error).contains("the disk is gone"));
    assert_eq!(files::read(&folder.path().join("run")).unwrap().count(), 20);
}

#[test]
fn a_folder_that_goes_away_ends_a_run_with_its_reason() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let run = start(plan(folder.path(), vec![server.variant("a")], 1_000), 1_000);
    until(|| run.progress().variants[0].answered > 20);
    std::fs::remove_dir_all(folder.path().join("run")).unwrap();
    let error = run.wait().unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error:?}");
}

#[test]
fn plans_out_of_their_limits_are_refused() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let good = || plan(folder.path(), vec![server.variant("a")], 1_000);
    let told = |plan: Plan| begin(plan).unwrap_err().to_string();
    let mut nobody = good();
    nobody.variants.clear();
    assert_eq!(told(nobody), "0 variants: send to at least one and at most 8");
    let mut never = good();
    never.timeout_ms = 0;
    assert_eq!(told(never), "the time for an answer, in ms, is 0: ask for 1 to 3600000");
    let mut still = good();
    still.schedule.mode = Mode::Constant { rate_uhz: 0 };
    assert!(told(still).contains("a rate of 0/s cannot be held"));
}

#[test]
fn what_is_shown_of_a_variant_has_no_secrets() {
    let server = Server::tcp(Manner::Answer);
    let shown = format!("{:?}", server.variant("a"));
    assert!(shown.contains("authorization") && !shown.contains("secret"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// The accounts are right whatever rate, limits, policy and target come together.
    #[test]
    fn accounts_are_always_whole(
        rate in 500..20_000_u64,
        count in 1..250_u64,
        under_way_max in 1..40_usize,
        factor in (1..4_u64, 1..4_u64),
        window in prop::option::of(0..2_000_000_u64),
        second in any::<bool>(),
    ) {
        let folder = TempDir::new().unwrap();
        let (good, bad) = (Server::tcp(Manner::Answer), Server::tcp(Manner::Turns));
        let mut variants = vec![bad.variant("bad")];
        if second {
            variants.push(good.variant("good"));
        }
        let mut plan = plan(folder.path(), variants, rate);
        plan.schedule = settings(rate, factor);
        plan.timeout_ms = 60;
        plan.warm = 0;
        plan.under_way_max = under_way_max;
        plan.catch_up = window.map_or(CatchUp::Burst, |late_ns| CatchUp::Window { late_ns });
        let finished = finish(plan, count);
        assert_accounted(&finished, folder.path());
    }
}

fn begin(plan: Plan) -> Result<Run, Error> {
    Run::start(plan, &Clock::system(), events(300), Posts { form: Form::Data }, ())
}

fn header(seen: &server::Seen, name: &str) -> Option<String> {
    let found = seen.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    found.map(str::to_owned)
}

/// Waits until it is so.
fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}
