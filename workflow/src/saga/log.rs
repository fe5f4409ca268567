//! Where records are stored, as the driver needs it; and a log in memory for tests.
//!
//! Always true: a save lands only on the generation just before its own, so of two drivers that
//! advance one record, one stores its advance and the other learns that it did not.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use types::SagaId;

use super::Error;
use super::record::Record;

/// The stored records.
pub trait Log: Send + Sync + 'static {
    /// Up to `limit` records that have not ended and whose `due_at_ms` is at most `now_ms`, the
    /// longest due first, then by id.
    fn due(&self, now_ms: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, Error>>;

    /// Every record that has not ended and has this owner.
    fn owned<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<Vec<Record>, Error>>;

    /// One record.
    fn fetch(&self, id: SagaId) -> BoxFuture<'_, Result<Option<Record>, Error>>;

    /// Stores `record` where the stored generation is `record.generation - 1`; false where it is
    /// another, and nothing is stored.
    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<bool, Error>>;
}

/// A log in memory, for tests.
#[derive(Debug, Default)]
pub struct MemoryLog {
    records: Mutex<BTreeMap<SagaId, Record>>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a new record, as the caller's transaction would.
    pub fn insert(&self, record: Record) {
        self.records.lock().insert(record.id, record);
    }

    /// A copy of every record, in the order of their ids.
    pub fn records(&self) -> Vec<Record> {
        self.records.lock().values().cloned().collect()
    }

    fn open(&self, pick: impl Fn(&Record) -> bool) -> Vec<Record> {
        let records = self.records.lock();
        records.values().filter(|one| !one.phase.ended() && pick(one)).cloned().collect()
    }

    fn store(&self, record: &Record) -> bool {
        let mut records = self.records.lock();
        match records.get_mut(&record.id) {
            Some(stored) if stored.generation + 1 == record.generation => {
                *stored = record.clone();
                true
            }
            _ => false,
        }
    }
}

impl Log for MemoryLog {
    fn due(&self, now_ms: u64, limit: usize) -> BoxFuture<'_, Result<Vec<Record>, Error>> {
        let mut due = self.open(|record| record.due_at_ms <= now_ms);
        due.sort_by_key(|record| (record.due_at_ms, record.id));
        due.truncate(limit);
        async { Ok(due) }.boxed()
    }

    fn owned<'a>(&'a self, owner: &'a str) -> BoxFuture<'a, Result<Vec<Record>, Error>> {
        let held = self.open(|record| record.owner.as_deref() == Some(owner));
        async { Ok(held) }.boxed()
    }

    fn fetch(&self, id: SagaId) -> BoxFuture<'_, Result<Option<Record>, Error>> {
        let found = self.records.lock().get(&id).cloned();
        async { Ok(found) }.boxed()
    }

    fn save<'a>(&'a self, record: &'a Record) -> BoxFuture<'a, Result<bool, Error>> {
        let saved = self.store(record);
        async move { Ok(saved) }.boxed()
    }
}
