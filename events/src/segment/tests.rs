use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;
use workflow::{Clock, Tasks};

use super::*;
use crate::key::Folder;
use crate::labels::Labels;
use crate::log::tests::{any_event, event, keyed};
use crate::log::{Log, Reader, Stored};
use crate::select::Selection;
use crate::{Error, Event, Label, Settings, Stream};

const HOUR_NS: u64 = policy::segments::HOUR_NS;
const DAY_MS: u64 = 24 * 3_600_000;

pub(crate) struct World {
    pub(crate) folder: TempDir,
    is_encrypted: bool,
    clock: Clock,
    hand: workflow::ManualHandle,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(false)
    }

    /// With a stream that is encrypted, or is not.
    pub(crate) fn of(is_encrypted: bool) -> Self {
        let (clock, hand) = Clock::manual(1_000_000);
        Self { folder: tempfile::tempdir().unwrap(), is_encrypted, clock, hand }
    }

    pub(crate) async fn open(&self) -> Stream {
        self.open_by(keyed(self.folder.path(), self.is_encrypted)).await.unwrap()
    }

    pub(crate) async fn open_by(&self, folder: Folder) -> Result<Stream, Error> {
        Stream::open(folder, Settings::default(), self.clock.clone(), &Tasks::new()).await
    }

    fn files(&self, ending: &str) -> Vec<String> {
        let folder = match ending {
            "log" => self.folder.path().to_path_buf(),
            _ => self.folder.path().join("segments"),
        };
        let names = fs::read_dir(folder).unwrap().map(|it| it.unwrap().file_name());
        let names = names.map(|name| name.into_string().unwrap());
        names.filter(|name| name.ends_with(ending)).collect()
    }
}

/// An event of a subject, at a time.
pub(crate) fn at(time_ns: u64, id: u64, subject: &str) -> Event {
    Event { time_ns, id: id.to_string(), subject: subject.to_owned(), ..event(id) }
}

pub(crate) fn all(stream: &Stream) -> Vec<Stored> {
    let selected = stream.select(&Selection::default()).unwrap().map(Result::unwrap);
    selected
        .map(|it| Stored { sequence: it.sequence, accepted_us: it.accepted_us, event: it.event })
        .collect()
}

/// All events in the order of their numbers, as consumers read them.
fn in_turn(reader: &mut Reader, until: u64, most: usize) -> Vec<Stored> {
    let mut all = Vec::new();
    while reader.next() < until {
        let events = reader.read(until, most).unwrap();
        assert!(events.len() <= most);
        if events.is_empty() {
            break;
        }
        all.extend(events);
    }
    all
}

fn sorted(mut events: Vec<Stored>) -> Vec<Stored> {
    events.sort_by_key(|stored| (stored.event.time_ns, stored.sequence));
    events
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is appended, sealed, left and opened again: each event is there once, as it was
    /// given, in order of time for those who select and in order of numbers for those who read on.
    #[test]
    fn sealing_changes_nothing_of_what_is_read(
        steps in prop::collection::vec(
            (prop::collection::vec(any_event(), 0..6), 0_u8..4), 1..10),
        most in 1_usize..9, from in 1_u64..20, is_encrypted: bool,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let world = World::of(is_encrypted);
            let mut stream = world.open().await;
            let mut model: Vec<Stored> = Vec::new();
            let mut known = BTreeSet::new();
            let (mut early, mut told) = (stream.reader(1), Vec::new());
            for (events, then) in steps {
                for event in &events {
                    if known.insert((event.source.clone(), event.id.clone())) {
                        let (sequence, accepted_us) = (model.len() as u64 + 1, world.clock.now_us());
                        model.push(Stored { sequence, accepted_us, event: event.clone() });
                    }
                }
                stream.append(events).await.unwrap();
                match then {
                    0 => drop(stream.seal().await.unwrap()),
                    1 => {
                        drop(stream);
                        stream = world.open().await;
                    }
                    // One that reads on while it is sealed.
                    2 => {
                        let until = *stream.committed().borrow();
                        told.extend(early.read(until, most).unwrap());
                    }
                    _ => {}
                }
                world.hand.advance_ms(1_000);
                assert_eq!(all(&stream), sorted(model.clone()));
            }
            let until = *stream.committed().borrow();
            assert_eq!(until, model.len() as u64 + 1);
            told.extend(in_turn(&mut early, until, most));
            assert_eq!(&told, &model);
            let later = in_turn(&mut stream.reader(from), until, most);
            let from = usize::try_from(from).unwrap() - 1;
            assert_eq!(&later, &model[from.min(model.len())..]);
            let rows: u64 = stream.segments().iter().map(|it| it.rows).sum();
            let sealed_until = stream.shared.segments.current().sealed_until;
            assert_eq!(rows + 1, sealed_until);
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_hour_has_a_segment_and_the_log_is_cleared() {
    let world = World::new();
    let stream = world.open().await;
    let busy = policy::segments::HOUR_EVENTS_MIN as u64;
    // Two busy hours that alternate, and three quiet ones.
    let hour = |id: u64| if id < 2 * busy { id % 2 } else { 2 + id % 3 };
    let events: Vec<Event> =
        (0..2 * busy + 9).map(|id| at(hour(id) * HOUR_NS + id, id, "a")).collect();
    for events in events.chunks(1_000) {
        stream.append(events.to_vec()).await.unwrap();
    }
    assert_eq!(stream.seal().await.unwrap(), 2 * busy + 10);
    let rows: Vec<u64> = stream.segments().iter().map(|it| it.rows).collect();
    assert_eq!(rows, [busy, busy, 9]);
    assert_eq!(world.files("log"), [format!("{:020}.log", 2 * busy + 10)]);
    let segments = stream.segments();
    assert_eq!(stream.seal().await.unwrap(), 2 * busy + 10);
    assert_eq!(stream.segments(), segments);
    for segment in stream.segments() {
        let bytes = fs::read(world.folder.path().join("segments").join(&segment.file)).unwrap();
        assert_eq!(bytes.len() as u64, segment.bytes);
        assert_eq!(blake3::hash(&bytes).to_hex().as_str(), segment.blake3);
        assert!(segment.file.starts_with("1970-01-01T0"), "{}", segment.file);
    }
    let (stats, _) = stream.stats(&Selection::default()).unwrap();
    assert_eq!((stats.events, stats.stream_disordered), (2 * busy + 9, busy + 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sealed_is_known_again_after_a_restart() {
    let world = World::new();
    let stream = world.open().await;
    stream.append((0..10).map(event).collect()).await.unwrap();
    stream.seal().await.unwrap();
    stream.append(vec![event(10)]).await.unwrap();
    drop(stream);
    let stream = world.open().await;
    let again = stream.append((5..12).map(event).collect()).await.unwrap();
    assert_eq!((again.stored, again.known), (1, 6));
    world.hand.advance_ms(Settings::default().dedupe_window_ms);
    drop(stream);
    let stream = world.open().await;
    assert_eq!(stream.append(vec![event(1)]).await.unwrap().stored, 1);
}

/// What a crash leaves between two steps: files that no manifest lists, and a log that is sealed.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_crash_leaves_is_cleared_by_the_next_opening() {
    let world = World::new();
    let stream = world.open().await;
    stream.append((0..10).map(event).collect()).await.unwrap();
    let part = format!("{:020}.log", 1);
    let log = fs::read(world.folder.path().join(&part)).unwrap();
    stream.seal().await.unwrap();
    let told = all(&stream);
    drop(stream);
    fs::write(world.folder.path().join(&part), log).unwrap();
    let segments = world.folder.path().join("segments");
    for name in ["1970-01-01T00-9-0.parquet", "_a.parquet.unfinished", "__manifest.json.unfinished"]
    {
        fs::write(segments.join(name), b"half").unwrap();
    }
    let stream = world.open().await;
    assert_eq!(all(&stream), told);
    assert_eq!(world.files("log").len(), 1);
    assert_eq!(world.files("unfinished"), Vec::<String>::new());
    assert_eq!(world.files("parquet").len(), 1);
    // Where the whole log is lost, numbers go on.
    drop(stream);
    for name in world.files("log") {
        fs::remove_file(world.folder.path().join(name)).unwrap();
    }
    let stream = world.open().await;
    assert_eq!(stream.append(vec![event(77)]).await.unwrap().first, Some(11));
    assert_eq!(all(&stream).len(), 11);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_segments_go_and_whoever_reads_them_reads_on() {
    let world = World::new();
    let stream = world.open().await;
    for round in 0..4 {
        stream.append((round * 10..round * 10 + 10).map(event).collect()).await.unwrap();
        stream.seal().await.unwrap();
        // What was accepted in a day may share a segment.
        world.hand.advance_ms(2 * DAY_MS);
    }
    let before = stream.select(&Selection::default()).unwrap();
    let retention = policy::segments::Retention { age_ms_max: Some(5 * DAY_MS), bytes_max: None };
    let gone = stream.retain(retention).await.unwrap();
    assert_eq!(gone, Forgotten { events: 20, segments: 2 });
    assert_eq!(before.map(Result::unwrap).count(), 40);
    assert_eq!(world.files("parquet").len(), 2);
    let left: Vec<u64> = all(&stream).iter().map(|it| it.sequence).collect();
    assert_eq!(left, (21..41).collect::<Vec<_>>());
    // Who reads in turn begins with what there is.
    let told = in_turn(&mut stream.reader(1), 41, 7);
    assert_eq!(told.first().unwrap().sequence, 21);
    assert_eq!(told.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_is_forgotten_with_its_labels_and_nobody_else_is() {
    let world = World::new();
    let stream = world.open().await;
    let subject = |id: u64| if id.is_multiple_of(3) { "anna" } else { "ben" };
    let events: Vec<Event> = (0..30).map(|id| at(id, id, subject(id))).collect();
    stream.append(events[..20].to_vec()).await.unwrap();
    stream.seal().await.unwrap();
    // Some are not sealed yet.
    stream.append(events[20..].to_vec()).await.unwrap();
    let label = |id: u64| Label {
        source: "/test".to_owned(),
        id: id.to_string(),
        label: "fraud".to_owned(),
    };
    stream.label(vec![label(3), label(4)]).await.unwrap();
    let forgotten = stream.forget("anna").await.unwrap();
    assert_eq!(forgotten.events, 10);
    let left = stream.select(&Selection::default()).unwrap().map(Result::unwrap);
    let left: Vec<(String, bool)> = left.map(|it| (it.event.subject, it.label.is_some())).collect();
    assert_eq!(left.len(), 20);
    assert!(left.iter().all(|(subject, _)| subject == "ben"));
    assert_eq!(left.iter().filter(|(_, is_labelled)| *is_labelled).count(), 1);
    let told = in_turn(&mut stream.reader(1), 31, 4);
    assert_eq!(told.len(), 20);
    // Nothing of it is in any file.
    for name in world.files("parquet") {
        let bytes = fs::read(world.folder.path().join("segments").join(&name)).unwrap();
        assert!(!bytes.windows(4).any(|it| it == b"anna"), "{name}");
    }
    drop(stream);
    let stream = world.open().await;
    assert_eq!(all(&stream).len(), 20);
    assert_eq!(stream.forget("anna").await.unwrap(), Forgotten::default());
    assert_eq!(stream.forget("ben").await.unwrap().events, 20);
    assert_eq!((all(&stream).len(), world.files("parquet").len()), (0, 0));
    assert_eq!(stream.append(vec![event(99)]).await.unwrap().first, Some(31));
}

/// A stream that is sealed, merged and rid of a subject, step by step, without tasks.
struct Steps {
    folder: Folder,
    log: Log,
    segments: Segments,
    labels: Labels,
}

impl Steps {
    fn open(folder: &Folder) -> Self {
        let segments = Segments::open(folder).unwrap();
        let log = Log::open(folder.clone(), 0, |_| {}).unwrap();
        let labels = Labels::new(folder.clone());
        Self { folder: folder.clone(), log, segments, labels }
    }

    /// Each event by its number, sealed or not, as consumers read it.
    fn found(&self) -> Vec<u64> {
        let events = in_turn(&mut Reader::new(self.folder.clone(), 1), self.log.next(), 5);
        events.iter().map(|stored| stored.sequence).collect()
    }

    /// Each event by its number, of the segments that are listed and the log behind them.
    fn listed(&self) -> Vec<u64> {
        let current = self.segments.current();
        let held: Vec<&Segment> = current.held.iter().map(|held| &held.segment).collect();
        let sealed = read::from(&self.folder, &held, 0).unwrap();
        let sealed = (0..sealed.len()).map(|at| sealed.get(at).unwrap().sequence);
        let rest = in_turn(
            &mut Reader::new(self.folder.clone(), current.sealed_until),
            self.log.next(),
            5,
        );
        let mut all: Vec<u64> = sealed.chain(rest.iter().map(|stored| stored.sequence)).collect();
        all.sort_unstable();
        all
    }

    /// Seals and removes, until it ends; says whether the subject is gone.
    fn work(&mut self) -> Result<(), Error> {
        self.segments.seal()?;
        self.segments.forget("gone", &self.labels)?;
        let retention = policy::segments::Retention { age_ms_max: Some(0), bytes_max: None };
        // Those of the first commit were accepted long ago.
        self.segments.retain(&retention, 2_000)?;
        Ok(())
    }
}

/// Wherever sealing, merging and removing end: each event is there once, what is to go is there whole
/// or not at all, and the next opening finishes it.
#[test]
fn wherever_it_ends_nothing_is_lost_and_nothing_is_there_twice() {
    for is_encrypted in [false, true] {
        walked(is_encrypted);
    }
}

fn walked(is_encrypted: bool) {
    let subject = |id: u64| if id.is_multiple_of(5) { "gone" } else { "kept" };
    for places in 0.. {
        let folder = tempfile::tempdir().unwrap();
        let mut steps = Steps::open(&keyed(folder.path(), is_encrypted));
        for commit in 0..4_u64 {
            let ids = commit * 10..commit * 10 + 10;
            let events: Vec<Event> = ids.map(|id| at(id % 3 * HOUR_NS, id, subject(id))).collect();
            // The first commit is older than a day: nothing is merged with it; with the second is.
            let accepted_us = if commit == 0 { 0 } else { 2 * DAY_MS * 1_000 };
            steps.log.commit(&events, accepted_us).unwrap();
            steps.log.roll().unwrap();
            if commit < 2 {
                steps.segments.seal().unwrap();
            }
        }
        steps.log.commit(&[at(1, 40, "kept")], 2 * DAY_MS * 1_000).unwrap();
        faults::tests::end_after(Some(places));
        let worked = steps.work();
        drop(steps);
        faults::tests::end_after(None);
        let mut steps = Steps::open(&keyed(folder.path(), is_encrypted));
        let all: Vec<u64> = (1..=41).collect();
        let is_kept = |sequence: &u64| subject(*sequence - 1) == "kept" || *sequence == 41;
        let kept: Vec<u64> = all.iter().copied().filter(is_kept).collect();
        let young: Vec<u64> = kept.iter().copied().filter(|sequence| *sequence > 10).collect();
        let found = steps.found();
        assert!([&all, &kept, &young].contains(&&found), "after {places} places: {found:?}");
        assert_eq!(steps.listed(), found, "after {places} places");
        steps.work().unwrap();
        assert_eq!(
            (steps.found(), steps.listed()),
            (young.clone(), young),
            "after {places} places"
        );
        let current = steps.segments.current();
        let files = fs::read_dir(folder.path().join("segments")).unwrap().count();
        assert_eq!(files, current.held.len() + 1, "after {places} places");
        if worked.is_ok() {
            assert!(places > 30, "it passes {places} places only");
            break;
        }
    }
}
