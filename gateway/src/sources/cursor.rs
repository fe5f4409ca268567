//! Where a source goes on: a number in a file of its own, beside the streams.
//!
//! Always true: what was written is there after the power went, or what was before it is.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::functions::sources::SourceStart;
use api::internal::functions::sources::SourceRoute;
use types::SourceId;

use super::Seen;
use crate::error::Error;
use crate::hub::Hub;
use crate::streams::blocking;

/// Where a source goes on, or begins.
pub(super) struct Place {
    /// The number of the first event that is not done.
    pub(super) next: u64,
    /// Events that were accepted before this time, in microseconds, are not its to have; none where
    /// all that come are.
    pub(super) begins_us: Option<u64>,
}

/// Where a source goes on; where it begins, where it has not.
///
/// # Errors
///
/// Where the disk fails, or has something there that is no number.
pub(super) async fn read(
    hub: &Hub,
    told: &Arc<SourceRoute>,
    stream: &events::Stream,
) -> Result<Place, Error> {
    let path = path(hub, told.source)?;
    let (stream, told, seen) = (stream.clone(), Arc::clone(told), hub.sources.seen(told));
    blocking(move || {
        let next = match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                failed(io::Error::other(format!("{} has no number of an event", path.display())))
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let first = first(&stream, &told, &seen)?;
                put(&path, first)?;
                first
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Place { next, begins_us: begins_us(&stream, &told, next)? })
    })
    .await
}

/// The number of the event with which a source begins that has no place here.
fn first(stream: &events::Stream, told: &SourceRoute, seen: &Seen) -> Result<u64, Error> {
    // Its place was lost with the disk, and is in control's keeping. So may be the stream's last
    // events: then their numbers are given again, to others, which are its to have.
    if told.next_event > 0 {
        return Ok(told.next_event.min(seen.opened_with));
    }
    match (told.spec.start, seen.source_with) {
        (SourceStart::Oldest, _) => first_since(stream, 0),
        // By the number, since control's clock and this one differ.
        (SourceStart::Next, Some(number)) => Ok(number),
        (SourceStart::Next, None) => {
            let first = first_since(stream, told.created_at_ms.saturating_mul(1_000))?;
            Ok(first.min(seen.opened_with))
        }
        (SourceStart::AtMs(at_ms), _) => first_since(stream, at_ms.saturating_mul(1_000)),
    }
}

/// The time that a source waits for which has not come yet, in microseconds.
fn begins_us(stream: &events::Stream, told: &SourceRoute, next: u64) -> Result<Option<u64>, Error> {
    let SourceStart::AtMs(at_ms) = told.spec.start else { return Ok(None) };
    let begins_us = at_ms.saturating_mul(1_000);
    // It has come where an event is done that was accepted since, also if the clock was put back.
    let committed = *stream.committed().borrow();
    let last = stream.reader(next.saturating_sub(1)).read(next.min(committed), 1)?;
    let has_come = last.first().is_some_and(|stored| stored.accepted_us >= begins_us);
    Ok(Some(begins_us).filter(|_| !has_come))
}

/// The number of the first event that was accepted at this time or later. Numbers grow with time, so
/// it is found by halves.
fn first_since(stream: &events::Stream, at_us: u64) -> Result<u64, Error> {
    let committed = *stream.committed().borrow();
    let (mut low, mut high) = (1, committed);
    while at_us > 0 && low < high {
        let middle = low + (high - low) / 2;
        let found = stream.reader(middle).read(committed, 1)?;
        match found.first() {
            Some(event) if event.accepted_us < at_us => low = event.sequence + 1,
            _ => high = middle,
        }
    }
    // What is not kept any more was never its to have.
    let found = stream.reader(low).read(committed, 1)?;
    Ok(found.first().map_or(low, |event| event.sequence))
}

/// Keeps the number of the first event that is not done.
pub(super) async fn write(hub: &Hub, id: SourceId, next: u64) -> Result<(), Error> {
    let path = path(hub, id)?;
    blocking(move || put(&path, next)).await
}

fn put(path: &Path, next: u64) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(path);
    let written = || {
        fs::create_dir_all(folder)?;
        let beside = path.with_extension("new");
        let mut file = File::create(&beside)?;
        writeln!(file, "{next}")?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(failed)
}

/// Forgets where sources were that are there no more, whenever they were removed; not of those that
/// are worked on still.
pub(super) async fn forget(hub: &Hub) {
    let table = hub.table.load_full();
    // Before the first routes, and after the last ones, there is nothing in them.
    if table.generation() == 0 {
        return;
    }
    let Some(folder) = hub.streams.sources_folder() else { return };
    let mut kept: HashSet<SourceId> = table.sources().iter().map(|told| told.source).collect();
    kept.extend(hub.sources.live.lock().iter());
    let removed = blocking(move || remove(&folder, &kept).map_err(failed));
    // What could not be removed was told, and is some bytes that nothing leads to.
    let _ = removed.await;
}

/// Removes all files of sources but of these.
fn remove(folder: &Path, kept: &HashSet<SourceId>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        let id = stem.and_then(|stem| stem.parse::<SourceId>().ok());
        if id.is_some_and(|id| !kept.contains(&id)) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn path(hub: &Hub, id: SourceId) -> Result<PathBuf, Error> {
    let missing = || Error::Stream {
        kind: types::ErrorKind::Unavailable,
        message: "this gateway has no folder for streams".to_owned(),
    };
    Ok(hub.streams.sources_folder().ok_or_else(missing)?.join(id.to_string()))
}

fn failed(error: io::Error) -> Error {
    Error::from(events::Error::Input(error))
}

#[cfg(test)]
mod tests {
    use api::functions::sources::SourceSpec;
    use events::Event;
    use proptest::prelude::*;
    use types::{AccountId, FunctionId, StreamId};
    use uuid::Uuid;
    use workflow::{Clock, Tasks};

    use super::*;

    fn told(start: SourceStart, next_event: u64) -> SourceRoute {
        SourceRoute {
            source: SourceId::new(Uuid::from_u128(1)),
            account: AccountId::new(Uuid::from_u128(2)),
            account_name: "acme".parse().unwrap(),
            function: FunctionId::new(Uuid::from_u128(3)),
            qualifier: String::new(),
            stream: StreamId::new(Uuid::from_u128(4)),
            spec: SourceSpec { start, ..SourceSpec::default() },
            generation: 1,
            created_at_ms: 0,
            next_event,
        }
    }

    fn event(number: u64) -> Event {
        Event {
            id: number.to_string(),
            source: "/shop".to_owned(),
            kind: "sale".to_owned(),
            ..Event::default()
        }
    }

    /// A stream that got an event at each of these times, in milliseconds.
    async fn stream(folder: &Path, tasks: &Tasks, at_ms: &[u64]) -> events::Stream {
        let (clock, time) = Clock::manual(0);
        let stream =
            events::Stream::open(folder, events::Settings::default(), clock.clone(), tasks).await;
        let stream = stream.unwrap();
        for (number, at_ms) in (1..).zip(at_ms) {
            time.advance_ms(at_ms - clock.now_ms());
            stream.append(vec![event(number)]).await.unwrap();
        }
        stream
    }

    #[tokio::test]
    async fn a_time_is_waited_for_until_an_event_of_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let stream = stream(folder.path(), &tasks, &[1_000, 3_000, 4_000]).await;
        let seen = Seen { source_with: None, opened_with: 1 };
        let of = |at_ms: u64| {
            let told = told(SourceStart::AtMs(at_ms), 0);
            let next = first(&stream, &told, &seen).unwrap();
            (next, begins_us(&stream, &told, next).unwrap())
        };
        assert_eq!(of(2_000), (2, Some(2_000_000)));
        assert_eq!(of(9_000), (4, Some(9_000_000)), "it is to come");
        let told = told(SourceStart::AtMs(2_000), 0);
        for (next, waits) in [(1, true), (2, true), (3, false), (4, false)] {
            assert_eq!(begins_us(&stream, &told, next).unwrap().is_some(), waits, "{next}");
        }
        tasks.stop(1_000).await;
    }

    #[tokio::test]
    async fn a_lost_place_is_control_s_within_what_the_stream_had() {
        let folder = tempfile::tempdir().unwrap();
        let tasks = Tasks::new();
        let stream = stream(folder.path(), &tasks, &[1_000, 3_000, 4_000]).await;
        let seen = Seen { source_with: None, opened_with: 3 };
        for start in [SourceStart::Oldest, SourceStart::Next, SourceStart::AtMs(1)] {
            for (next_event, begins) in [(2, 2), (3, 3), (4, 3), (900, 3)] {
                let next = first(&stream, &told(start, next_event), &seen).unwrap();
                assert_eq!(next, begins, "{start:?} {next_event}");
            }
        }
        // One that was never known here begins by time, and not behind what is appended now.
        let far = SourceRoute { created_at_ms: 9_000, ..told(SourceStart::Next, 0) };
        assert_eq!(first(&stream, &far, &seen).unwrap(), 3);
        let near = SourceRoute { created_at_ms: 2_000, ..far };
        assert_eq!(first(&stream, &near, &seen).unwrap(), 2);
        let known = Seen { source_with: Some(1), ..seen };
        assert_eq!(first(&stream, &near, &known).unwrap(), 1, "the number counts");
        tasks.stop(1_000).await;
    }

    proptest! {
        /// Of all files those of sources go that are not kept, and no other.
        #[test]
        fn only_places_that_nobody_needs_are_removed(
            there in prop::collection::btree_set(0_u128..20, 0..20),
            kept in prop::collection::hash_set(0_u128..20, 0..20),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let id = |number: u128| SourceId::new(Uuid::from_u128(number));
            for number in &there {
                for end in ["", ".new"] {
                    let path = folder.path().join(format!("{}{end}", id(*number)));
                    fs::write(path, "1").unwrap();
                }
            }
            fs::write(folder.path().join("another"), "1").unwrap();
            let ids = kept.iter().copied().map(id).collect();
            remove(folder.path(), &ids).unwrap();
            let left = fs::read_dir(folder.path()).unwrap().count();
            prop_assert_eq!(left, 1 + 2 * there.iter().filter(|it| kept.contains(it)).count());
        }
    }
}
