use std::os::unix::fs::FileExt as _;

use proptest::prelude::*;

use super::*;
use crate::frame;

prop_compose! {
    pub(crate) fn any_event()(
        time_ns in 0..u64::MAX / 2,
        texts in prop::collection::vec("[a-z0-9é]{1,12}", 6),
        attributes in prop::collection::btree_map("[a-z]x{1,7}", ".{0,16}", 0..4),
        data in prop::collection::vec(any::<u8>(), 0..200),
    ) -> Event {
        let [id, source, kind, subject, region, group] = <[String; 6]>::try_from(texts).unwrap();
        let content_type = "application/json".to_owned();
        let data = data.into();
        Event { time_ns, id, source, kind, subject, region, group, attributes, content_type, data }
    }
}

pub(crate) fn event(id: u64) -> Event {
    let (source, kind) = ("/test".to_owned(), "sign-in".to_owned());
    Event { time_ns: id, id: id.to_string(), source, kind, ..Event::default() }
}

/// The folder, encrypted or not.
pub(crate) fn keyed(path: &Path, is_encrypted: bool) -> Folder {
    let key = is_encrypted.then(|| Key::new([7; 32]));
    Folder { path: path.to_path_buf(), key }
}

fn open(folder: impl Into<Folder>, since_us: u64) -> (Log, Vec<Stored>) {
    let mut all = Vec::new();
    let log = Log::open(folder, since_us, |stored| all.push(stored.clone())).unwrap();
    (log, all)
}

/// Everything that a reader finds below this number.
fn read(folder: impl Into<Folder>, from: u64, until: u64, most: usize) -> Vec<Stored> {
    let (mut reader, mut all) = (Reader::new(folder, from), Vec::new());
    loop {
        let events = reader.read(until, most).unwrap();
        if events.is_empty() {
            return all;
        }
        assert!(events.len() <= most);
        all.extend(events);
    }
}

/// A log of small files with these commits, each of so many events.
fn written(folder: impl Into<Folder>, commits: &[Vec<Event>]) -> Log {
    let (mut log, _) = open(folder, 0);
    log.file_bytes_max = 600;
    for (at_us, events) in (1..).zip(commits) {
        log.commit(events, at_us).unwrap();
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_committed_is_read_in_its_order_by_every_reader(
        commits in prop::collection::vec(prop::collection::vec(any_event(), 1..6), 1..12),
        from in 1_u64..40, most in 1_usize..9, since_us in 0_u64..14, is_encrypted: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let place = || keyed(folder.path(), is_encrypted);
        let next = written(place(), &commits).next();
        let all: Vec<(u64, &Event)> =
            (1..).zip(&commits).flat_map(|(at, events)| events.iter().map(move |it| (at, it))).collect();
        prop_assert_eq!(next, all.len() as u64 + 1);
        let told = read(place(), from, next, most);
        let expected = all.iter().zip(1..).skip(usize::try_from(from).unwrap() - 1);
        let expected: Vec<Stored> = expected
            .map(|(&(accepted_us, event), sequence)| Stored { sequence, accepted_us, event: event.clone() })
            .collect();
        prop_assert_eq!(&told, &expected);
        // Opened again it goes on, and has handed over what was accepted since.
        let (mut log, found) = open(place(), since_us);
        let wanted = all.iter().filter(|(at_us, _)| *at_us >= since_us).count();
        prop_assert!(found.len() >= wanted);
        prop_assert_eq!(log.commit(&[event(1)], 99).unwrap(), next);
    }

    /// Wherever the power goes while a commit is written, what was committed before is there.
    #[test]
    fn a_torn_tail_costs_nothing_that_was_committed(
        events in prop::collection::vec(any_event(), 1..6), torn in any_event(), cut: prop::sample::Index,
        noise in prop::collection::vec(any::<u8>(), 0..40), is_encrypted: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let place = || keyed(folder.path(), is_encrypted);
        let (mut log, _) = open(place(), 0);
        log.commit(&events, 1).unwrap();
        let (path, bytes) = (log.part.path.clone(), log.bytes);
        let mut tail = Vec::new();
        log.form.write(&mut tail, &torn, (2, log.next));
        drop(log);
        tail.truncate(cut.index(tail.len()));
        tail.extend(noise);
        OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&tail, bytes).unwrap();
        let (log, found) = open(place(), 0);
        prop_assert!(found.iter().map(|it| &it.event).take(events.len()).eq(&events));
        prop_assert!(found.len() <= events.len() + 1);
        prop_assert_eq!(fs::metadata(&path).unwrap().len(), log.bytes);
    }
}

/// How many events a reader gives below this number before it says that something is wrong; and what.
fn until_an_error(folder: &Path, next: u64) -> (u64, Error) {
    let (mut reader, mut before) = (Reader::new(folder, 1), 0);
    loop {
        match reader.read(next, 1_000) {
            Ok(events) => before += events.len() as u64,
            Err(error) => return (before, error),
        }
    }
}

#[test]
fn damage_among_committed_events_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let commits: Vec<Vec<Event>> = (0..40).map(|id| vec![event(id)]).collect();
    let log = written(folder.path(), &commits);
    let found = parts(folder.path()).unwrap();
    assert!(found.len() > 2, "{found:?}");
    let damaged = &found[1].path;
    let file = OpenOptions::new().write(true).open(damaged).unwrap();
    file.write_all_at(b"x", 20).unwrap();
    let error = Log::open(folder.path(), 0, |_| {}).unwrap_err();
    assert!(matches!(&error, Error::Damaged { path, offset: 0 } if path == damaged), "{error}");
    let (before, error) = until_an_error(folder.path(), log.next());
    assert_eq!(before + 1, found[1].first);
    assert!(matches!(&error, Error::Damaged { path, offset: 0 } if path == damaged), "{error}");
}

/// A file that was cut between two events ends well: only the next one tells that some are missing.
#[test]
fn events_that_are_missing_between_two_files_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let commits: Vec<Vec<Event>> = (0..40).map(|id| vec![event(id)]).collect();
    let log = written(folder.path(), &commits);
    let found = parts(folder.path()).unwrap();
    assert!(found.len() > 2, "{found:?}");
    let cut = &found[1].path;
    let (Form::Plain, length, next) = scan((&found[1], None), false, |_| {}).unwrap() else {
        panic!("it is not encrypted");
    };
    let mut frame = Vec::new();
    log.form.write(&mut frame, &event(next - 2), (next - 1, next - 1));
    let length = length - frame.len() as u64;
    OpenOptions::new().write(true).open(cut).unwrap().set_len(length).unwrap();
    let is_told = |error: Error| match error {
        Error::Damaged { path, offset } => path == *cut && offset == length,
        _ => false,
    };
    assert!(is_told(Log::open(folder.path(), 0, |_| {}).unwrap_err()));
    let (before, error) = until_an_error(folder.path(), log.next());
    assert_eq!(before, next - 2);
    assert!(is_told(error));
    // As the error says, one may go on without them.
    for part in &found[..2] {
        fs::remove_file(&part.path).unwrap();
    }
    let (log, _) = open(folder.path(), 0);
    assert_eq!(read(folder.path(), 1, log.next(), 100)[0].sequence, found[2].first);
}

#[test]
fn a_reader_never_gives_what_was_not_committed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path(), 0);
    log.commit(&[event(1), event(2)], 1).unwrap();
    // As a commit that fails in its middle leaves it, for a moment.
    let mut tail = Vec::new();
    frame::write(&mut tail, &event(3), 2);
    log.file.write_all_at(&tail, log.bytes).unwrap();
    let mut reader = Reader::new(folder.path(), 1);
    assert_eq!(reader.read(3, 1).unwrap()[0].event, event(1));
    assert_eq!(reader.read(3, 9).unwrap()[0].event, event(2));
    assert_eq!(reader.read(3, 9).unwrap(), []);
    log.commit(&[event(4)], 3).unwrap();
    assert_eq!(reader.read(4, 9).unwrap()[0].event, event(4));
}

#[test]
fn a_reader_that_comes_too_late_begins_with_the_oldest_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let commits: Vec<Vec<Event>> = (0..40).map(|id| vec![event(id)]).collect();
    let next = written(folder.path(), &commits).next();
    let found = parts(folder.path()).unwrap();
    fs::remove_file(&found[0].path).unwrap();
    let told = read(folder.path(), 1, next, 100);
    assert_eq!(told[0].sequence, found[1].first);
    assert_eq!(told.last().unwrap().sequence, next - 1);
}

#[test]
fn what_the_disk_refuses_is_not_there_and_the_next_is() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path(), 0);
    log.commit(&[event(1)], 1).unwrap();
    let good = std::mem::replace(&mut log.file, File::open(&log.part.path).unwrap());
    // A file that may only be read refuses to be cut too, so nothing is promised of it any more.
    assert!(matches!(log.commit(&[event(2)], 2), Err(Error::Io { action: "write", .. })));
    assert!(matches!(log.commit(&[event(2)], 2), Err(Error::Broken)));
    (log.file, log.broken) = (good, false);
    assert_eq!(log.commit(&[event(3)], 3).unwrap(), 2);
    let events: Vec<Event> = read(folder.path(), 1, 3, 9).into_iter().map(|it| it.event).collect();
    assert_eq!(events, [event(1), event(3)]);
}

/// Where the next file cannot be begun and something of it is left, nothing more is taken: it would lie
/// in a file that sealing takes for full and removes.
#[test]
fn a_file_that_could_not_be_begun_costs_no_event() {
    let folder = tempfile::tempdir().unwrap();
    let (mut log, _) = open(folder.path(), 0);
    log.commit(&[event(1)], 1).unwrap();
    // In its way lies what is no file.
    let way = folder.path().join(format!("{:020}.{SUFFIX}", log.next()));
    fs::create_dir(&way).unwrap();
    assert!(matches!(log.roll(), Err(Error::Io { .. })));
    assert!(matches!(log.commit(&[event(2)], 2), Err(Error::Broken)));
    fs::remove_dir(&way).unwrap();
    let (mut log, found) = open(folder.path(), 0);
    assert_eq!((found.len(), log.next()), (1, 2));
    log.roll().unwrap();
    log.commit(&[event(2)], 3).unwrap();
    assert_eq!(read(folder.path(), 1, log.next(), 10).len(), 2);
}
