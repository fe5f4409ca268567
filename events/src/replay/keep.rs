//! Keep: judges answers, counts them, and stores the records.
//!
//! Always true: a record is counted before it is stored; what was sent is never told to be more than
//! it is; where the disk refuses, the run is stopped and says so, and nothing waits for it.
//! Absent on purpose: what a judge thinks.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::error::Error;
use super::files::Writer;
use super::flow::{Done, Shared};
use super::judge::{Answered, Judge};
use super::record::{Outcome, Record};
use super::state::State;
use super::steady;

/// Records are safe after so long at the latest: what a run that is killed loses.
const SAFE_NS_MIN: u64 = 5_000_000_000;
/// The same of a long run, whose files would be too many and too small.
const SAFE_NS_MAX: u64 = 60_000_000_000;
/// A run has so many files, where those of the shortest time would be more.
const PARTS: u64 = 256;
const LOOK: Duration = Duration::from_millis(100);

/// What is kept, and where.
pub(super) struct Keeping<K> {
    pub(super) shared: Arc<Shared>,
    pub(super) kept: Receiver<Vec<Done<K>>>,
    pub(super) folder: PathBuf,
    pub(super) writer: Writer,
    pub(super) state: State,
}

/// What keeping came to.
pub(super) struct Kept {
    pub(super) state: State,
    pub(super) failed: Option<Error>,
    /// The processors' time that it took.
    pub(super) cpu_ns: u64,
}

/// Keeps all records until there will be no more.
pub(super) fn run<K>(keeping: Keeping<K>, mut judge: impl Judge<K>) -> Kept {
    steady::stand_back();
    let Keeping { shared, kept, folder, mut writer, state } = keeping;
    let began_ns = steady::now_ns();
    let (mut safe_ns, mut failed) = (began_ns, None);
    let mut keep = |records: Vec<Record>, failed: &mut Option<Error>| {
        let kept = match failed {
            Some(_) => Ok(()),
            None => records.into_iter().try_for_each(|record| writer.add(record)),
        };
        let now_ns = steady::now_ns();
        let age_ns = (now_ns - began_ns) / PARTS;
        let is_due = now_ns - safe_ns >= age_ns.clamp(SAFE_NS_MIN, SAFE_NS_MAX);
        let made_safe = kept.and_then(|()| {
            if is_due && failed.is_none() {
                safe_ns = now_ns;
                save(&shared, &state, now_ns).write(&folder)?;
                writer.close()?;
            }
            Ok(())
        });
        if let Err(error) = made_safe {
            shared.stop();
            *failed = Some(error);
        }
    };
    loop {
        match kept.recv_timeout(LOOK) {
            Ok(batch) => {
                let records: Vec<Record> =
                    batch.into_iter().map(|done| judged(done, &mut judge)).collect();
                let mut measured = shared.measured.lock();
                for record in &records {
                    measured.add(record);
                }
                drop(measured);
                keep(records, &mut failed);
            }
            Err(RecvTimeoutError::Timeout) => keep(Vec::new(), &mut failed),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let closed = if failed.is_none() { writer.close().err() } else { None };
    let state = save(&shared, &state, steady::now_ns());
    Kept { state, failed: failed.or(closed), cpu_ns: steady::thread_cpu_ns() }
}

/// The record of what is done, as the judge says.
fn judged<K>(done: Done<K>, judge: &mut impl Judge<K>) -> Record {
    let Done { what, mut record, body, is_all } = done;
    if record.outcome.is_sent() {
        record.label = judge.label(&what.kept);
    }
    if record.outcome.is_answered() {
        record.answer_crc = Some(crc32fast::hash(&body));
        let said = judge.judge(&Answered { record: &record, body: &body, is_all });
        (record.score, record.class, record.right) = (said.score, said.class, said.right);
    }
    if record.outcome != Outcome::Ok {
        // Who has no good answer to an event with a label is wrong, whatever else it said.
        record.right = record.label.as_ref().map(|_| false);
    }
    judge.follow(&record);
    record
}

/// How far the run has come by now, added to what earlier legs came to.
fn save(shared: &Shared, before: &State, now_ns: u64) -> State {
    let (mark, pauses) = (*shared.mark.lock(), *shared.pauses.lock());
    let mut state = before.clone();
    if mark.issued > 0 {
        state.issued = mark.issued;
        state.digest = blake3::Hash::from_bytes(mark.digest).to_hex().to_string();
        state.took_ns = mark.took_ns;
    }
    state.at_ns = now_ns.wrapping_add(shared.since_1970);
    state.resumed += pauses.resumed;
    state.gap_ns += pauses.gap_ns;
    state
}
