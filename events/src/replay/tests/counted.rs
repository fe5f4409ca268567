//! What runs count of answers that do not come, and what they come to after interruptions.

use std::sync::Arc;

use policy::replay::validity::{Facts, Reason};

use super::super::accuracy::{Accuracy, Agreement, Terms};
use super::*;

/// The same events with the label that the server's good answers predict, or with another one.
fn labelled(
    count: u64,
    label: &'static str,
) -> impl Iterator<Item = Result<(Event, Labelled), Box<dyn std::error::Error + Send + Sync>>> {
    events(count).map(move |it| {
        let (event, labelled) = it?;
        Ok((event, Labelled { label: Some(label.into()), ..labelled }))
    })
}

fn reads() -> FromJson {
    FromJson { score: None, class: Some("/class".to_owned()) }
}

#[test]
fn what_is_not_answered_well_is_wrong_where_there_is_a_label() {
    const EVENTS: u64 = 160;
    let folder = TempDir::new().unwrap();
    let servers = [Manner::Answer, Manner::Hang, Manner::Fail, Manner::Turns].map(Server::tcp);
    let mut variants: Vec<Variant> = ["good", "hangs", "fails", "turns"]
        .iter()
        .zip(&servers)
        .map(|(name, it)| it.variant(name))
        .collect();
    let mut gone = servers[0].variant("gone");
    gone.address = Address::Unix(folder.path().join("nobody"));
    variants.push(gone);
    let plan = plan(folder.path(), variants, 1_000);
    let posts = Posts { form: Form::CloudEvents };
    let run = Run::start(plan, &Clock::system(), labelled(EVENTS, "yes"), posts, reads()).unwrap();
    let records = assert_accounted(&run.wait().unwrap(), folder.path());
    let terms = Arc::new(Terms::new(None, None));
    let mut counted = vec![Accuracy::new(Arc::clone(&terms)); 5];
    let mut pairs = Agreement::new(0, 1, terms);
    for record in &records {
        assert_eq!(record.label.as_deref(), Some("yes"), "{record:?}");
        assert_eq!(record.right == Some(false), record.outcome != Outcome::Ok, "{record:?}");
        counted[usize::from(record.variant)].add(record);
        pairs.add(record);
    }
    let good = |variant: u16| {
        let of = |it: &&Record| it.variant == variant && it.outcome == Outcome::Ok;
        records.iter().filter(of).count() as u64
    };
    for (variant, accuracy) in (0..).zip(&counted) {
        let classes = accuracy.classes();
        assert_eq!((accuracy.events, classes.events()), (EVENTS, EVENTS), "{variant}");
        assert_eq!(classes.right(), good(variant), "{variant}");
    }
    assert_eq!((good(1), good(2), good(4)), (0, 0, 0));
    assert!((1..EVENTS).contains(&good(3)) && good(0) > 0, "{} {}", good(0), good(3));
    assert_eq!((pairs.counts.pairs.events, pairs.counts.pairs.candidate_only), (EVENTS, good(0)));
}

#[test]
fn what_fails_quickly_has_no_quick_percentile() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Fail));
    let finished = finish(plan(folder.path(), vec![server.variant("a")], 2_000), 600);
    let summary = finished.summaries().remove(0);
    assert_eq!((summary.recorded, summary.response.count, summary.latency.count), (600, 0, 600));
    for percentile in [summary.response.p50, summary.response.p99] {
        assert_eq!((percentile.seen_ns, percentile.lower_ns), (None, None));
        assert_eq!(percentile.bound_ns, policy::sketch::Bound::Beyond);
    }
    assert!(summary.latency.p99.seen_ns.is_some());
}

/// As where the program was killed before anybody had heard what the run had come to.
#[test]
fn a_run_that_is_over_comes_to_the_same_again_and_sends_nothing() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let first = finish(plan(folder.path(), vec![server.variant("a")], 1_000), 200);
    let mut again = plan(folder.path(), vec![server.variant("a")], 1_000);
    again.resume = true;
    let second = finish(again, 200);
    assert_eq!(server.seen().len(), 200);
    assert_accounted(&second, folder.path());
    let known = |facts: Facts| Facts { busy_milli: 0, ..facts };
    assert_eq!((second.proof, known(second.facts)), (first.proof, known(first.facts)));
    assert_eq!(second.totals, first.totals);
    assert_eq!(second.validity.disclosed, first.validity.disclosed);
    let rate =
        |it: &Finished| it.validity.reasons.iter().any(|it| matches!(it, Reason::Rate { .. }));
    assert_eq!(rate(&second), rate(&first));
}

#[test]
fn a_run_whose_events_have_changed_ends_where_it_was_and_says_so() {
    let (folder, server) = (TempDir::new().unwrap(), Server::tcp(Manner::Answer));
    let run = start(plan(folder.path(), vec![server.variant("a")], 1_000), 1_500);
    until(|| run.progress().issued > 100);
    run.stop();
    let stopped = run.wait().unwrap();
    let sent = server.seen().len() as u64;
    // As where events are drawn by their labels, and those were told meanwhile.
    let resumed = |others: bool| {
        let mut rest = plan(folder.path(), vec![server.variant("a")], 1_000);
        rest.resume = true;
        let posts = Posts { form: Form::CloudEvents };
        let known = events(1_500).skip(usize::from(others));
        Run::start(rest, &Clock::system(), known, posts, reads()).unwrap().wait().unwrap()
    };
    let ended = resumed(true);
    assert_accounted(&ended, folder.path());
    assert!(ended.facts.stopped && ended.facts.changed);
    assert_eq!((ended.proof.sends, ended.facts.sent), (stopped.proof.sends, sent));
    assert_eq!((ended.proof.digest, ended.totals), (stopped.proof.digest, stopped.totals));
    assert!((1..=stopped.facts.asked_ns).contains(&ended.facts.asked_ns), "{:?}", ended.facts);
    assert!(ended.validity.to_string().contains("labels were told since"), "{}", ended.validity);
    assert_eq!(server.seen().len() as u64, sent, "nothing else was sent");
    // What was written is still that of the run, so that it goes on where its events are as they were.
    let finished = resumed(false);
    assert_eq!((finished.facts.sent, finished.facts.changed), (1_500, false));
}
