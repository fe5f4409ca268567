//! What instances of a run's models use while it lasts, asked of their hosts every second.
//!
//! Always true: what was used before the run, or while it was not sent, is not told as the run's; what
//! no host told is not known; an instance that is gone counts with what was last heard of it.
//! Absent on purpose: functions, whose answers tell what they took.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use api::internal::RunRoute;
use api::internal::instances::{InstanceUsed, InstancesAsked};
use parking_lot::Mutex;
use policy::replay::usage::{Reading, Tally};
use serde::{Deserialize, Serialize};
use types::{HostId, InstanceId, Name};

use crate::hub::Hub;
use crate::streams::blocking;

/// What was read is written down under this name, for a run that goes on after a restart.
const BOOK: &str = "used.json";
/// Between two readings, in milliseconds.
const READ_MS: u64 = 1_000;
/// Instances of a variant that are counted: more than fail one after another in a run.
const INSTANCES_MAX: usize = 1_024;

/// The readings of a run.
pub(super) struct Meters {
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    book: Book,
    /// Variants whose instances were read in this leg: what comes to be known later is new.
    begun: BTreeSet<Name>,
    /// Instances that were there at the first reading of their variant in this leg, also where their
    /// hosts were not heard then: those are not new when they are.
    before: BTreeSet<(InstanceId, u64)>,
    /// When they were read last in this leg, in microseconds.
    read_us: Option<u64>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Book {
    /// By variant, by instance and generation.
    variants: BTreeMap<Name, BTreeMap<String, Tally>>,
    /// Variants that answered live events meanwhile.
    live: BTreeSet<Name>,
    /// The time over which instances were read, in microseconds.
    window_us: u64,
}

/// What a variant's instances used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) cpu_us: Option<u64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) window_us: u64,
    /// Whether nobody but one of the run's arms asked them.
    pub(super) is_own: bool,
}

impl Meters {
    /// Those of a run, with what was read before a restart.
    pub(super) fn open(folder: &Path) -> Self {
        let kept = std::fs::read(folder.join(BOOK)).ok();
        let book = kept.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        let state = State { book, ..State::default() };
        Self { folder: folder.to_owned(), state: Mutex::new(state) }
    }

    /// Reads every second, without end.
    pub(super) async fn follow(&self, hub: &Hub, told: &RunRoute) {
        loop {
            self.read(hub, told).await;
            hub.clock.sleep_ms(READ_MS).await;
        }
    }

    /// Reads what all instances of the run's variants use now.
    pub(super) async fn read(&self, hub: &Hub, told: &RunRoute) {
        let table = hub.table.load_full();
        let account = told.account_name.as_str();
        let variants: BTreeSet<&Name> = told.spec.variants.iter().collect();
        let mut asked: BTreeMap<HostId, Vec<(InstanceId, u64)>> = BTreeMap::new();
        let mut of: BTreeMap<(InstanceId, u64), &Name> = BTreeMap::new();
        let mut live: Vec<Name> = Vec::new();
        for name in &variants {
            let found = table.variant(account, &told.spec.endpoint, name);
            let Some(endpoint) = found.filter(|it| it.function.is_none()) else { continue };
            if table.is_live(account, &told.spec.endpoint, name) {
                live.push((*name).clone());
            }
            for backend in endpoint.stages.iter().flat_map(|stage| &stage.backends) {
                let told = backend.told();
                let key = (told.instance, told.generation);
                asked.entry(told.host).or_default().push(key);
                of.insert(key, name);
            }
        }
        let each = asked.into_iter().filter_map(|(host, instances)| {
            let host = table.hosts().find(host)?;
            let asked = InstancesAsked { instances };
            Some(async move { hub.calls.used(&hub.clock, &host, asked).await })
        });
        for answer in futures::future::join_all(each).await {
            match answer {
                Ok(told) => {
                    for used in told.instances {
                        if let Some(name) = of.get(&(used.instance, used.generation)) {
                            self.see(name, &used);
                        }
                    }
                }
                Err(cause) => tracing::debug!(run = %told.run, %cause, "a host was not heard"),
            }
        }
        self.end_of_reading(hub.clock.now_us(), &of, live);
        let (path, text) = (self.folder.join(BOOK), self.text());
        // It is not worth a wait for the disk: what is lost with the machine is not known.
        let _ = blocking(move || {
            let unfinished = path.with_extension("new");
            let written =
                std::fs::write(&unfinished, text).and_then(|()| std::fs::rename(unfinished, path));
            Ok(written.is_ok())
        })
        .await;
    }

    /// What an instance of a variant uses.
    pub(super) fn see(&self, variant: &Name, used: &InstanceUsed) {
        let reading = Reading {
            cpu_us: used.cpu_us,
            memory_bytes: used.memory_bytes,
            memory_peak_bytes: used.memory_peak_bytes,
        };
        let mut state = self.state.lock();
        let was_there = state.before.contains(&(used.instance, used.generation));
        let began_within = state.begun.contains(variant) && !was_there;
        let known = state.book.variants.entry(variant.clone()).or_default();
        let key = format!("{} {}", used.instance, used.generation);
        if let Some(tally) = known.get_mut(&key) {
            tally.see(&reading);
        } else if known.len() < INSTANCES_MAX {
            known.insert(key, Tally::new(&reading, began_within));
        }
    }

    /// These were asked about, whether they were heard or not.
    fn end_of_reading(
        &self,
        now_us: u64,
        asked: &BTreeMap<(InstanceId, u64), &Name>,
        live: Vec<Name>,
    ) {
        let mut state = self.state.lock();
        let since_us = state.read_us.replace(now_us).unwrap_or(now_us);
        state.book.window_us += now_us.saturating_sub(since_us);
        let fresh = asked.iter().filter(|(_, name)| !state.begun.contains(**name));
        let fresh: Vec<_> = fresh.map(|(instance, _)| *instance).collect();
        state.before.extend(fresh);
        state.begun.extend(asked.values().map(|name| (*name).clone()));
        state.book.live.extend(live);
    }

    /// What the instances of each of a run's variants used so far.
    pub(super) fn all(&self, variants: &[Name]) -> Vec<Usage> {
        let arms = |name: &Name| variants.iter().filter(|it| *it == name).count();
        let one = |name: &Name| {
            let used = self.of(name);
            Usage { is_own: used.is_own && arms(name) == 1, ..used }
        };
        variants.iter().map(one).collect()
    }

    fn of(&self, variant: &Name) -> Usage {
        let state = self.state.lock();
        let all = state.book.variants.get(variant).into_iter().flat_map(BTreeMap::values);
        let sum = |known: Option<u64>, more: Option<u64>| match (known, more) {
            (Some(known), Some(more)) => Some(known.saturating_add(more)),
            (known, more) => known.or(more),
        };
        Usage {
            cpu_us: all.clone().map(Tally::cpu_us).fold(None, sum),
            memory_bytes: all.filter_map(Tally::memory_bytes).max(),
            window_us: state.book.window_us,
            is_own: !state.book.live.contains(variant),
        }
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(&self.state.lock().book).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn used(instance: u128, cpu_us: Option<u64>, memory_bytes: u64) -> InstanceUsed {
        InstanceUsed {
            instance: InstanceId::new(Uuid::from_u128(instance)),
            generation: 1,
            cpu_us,
            memory_bytes: Some(memory_bytes),
            memory_peak_bytes: Some(memory_bytes),
        }
    }

    fn asked<'a>(name: &'a Name, instances: &[u128]) -> BTreeMap<(InstanceId, u64), &'a Name> {
        let key = |instance: &u128| (InstanceId::new(Uuid::from_u128(*instance)), 1);
        instances.iter().map(|instance| (key(instance), name)).collect()
    }

    #[test]
    fn an_instance_that_was_there_and_not_heard_counts_from_when_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let name: Name = "next".parse().unwrap();
        let meters = Meters::open(folder.path());
        // Its host is late.
        meters.end_of_reading(1_000, &asked(&name, &[1]), Vec::new());
        meters.see(&name, &used(1, Some(90_000), 10));
        meters.see(&name, &used(2, Some(50), 10));
        meters.end_of_reading(2_000, &asked(&name, &[1, 2]), Vec::new());
        assert_eq!(meters.of(&name).cpu_us, Some(50));
        meters.see(&name, &used(1, Some(90_007), 10));
        assert_eq!(meters.of(&name).cpu_us, Some(57));
    }

    #[test]
    fn an_instance_that_came_meanwhile_counts_whole_and_one_from_before_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let (next, main): (Name, Name) = ("next".parse().unwrap(), "main".parse().unwrap());
        let meters = Meters::open(folder.path());
        meters.see(&next, &used(1, Some(5_000), 10));
        meters.end_of_reading(1_000, &asked(&next, &[1]), vec![main.clone()]);
        meters.see(&next, &used(1, Some(5_400), 20));
        meters.see(&next, &used(2, Some(700), 15));
        meters.end_of_reading(3_000, &asked(&next, &[1, 2]), Vec::new());
        let told = meters.of(&next);
        assert_eq!((told.cpu_us, told.memory_bytes), (Some(1_100), Some(20)));
        assert_eq!((told.window_us, told.is_own), (2_000, true));
        assert_eq!(meters.of(&main), Usage { window_us: 2_000, ..Usage::default() });
        let twice = meters.all(&[next.clone(), next.clone()]);
        assert_eq!(twice[1], Usage { is_own: false, ..told });

        // After a restart it goes on with what it knew, and leaves the gap out.
        std::fs::write(folder.path().join(BOOK), meters.text()).unwrap();
        let meters = Meters::open(folder.path());
        meters.see(&next, &used(1, Some(5_500), 20));
        meters.see(&next, &used(3, Some(9_000), 12));
        meters.end_of_reading(90_000, &asked(&next, &[1, 3]), Vec::new());
        let told = meters.of(&next);
        assert_eq!((told.cpu_us, told.window_us), (Some(1_200), 2_000));
    }

    #[test]
    fn what_no_host_tells_is_not_known() {
        let folder = tempfile::tempdir().unwrap();
        let name: Name = "next".parse().unwrap();
        let meters = Meters::open(folder.path());
        assert_eq!(meters.of(&name), Usage { is_own: true, ..Usage::default() });
        meters.see(&name, &used(1, None, 10));
        assert_eq!(meters.of(&name).cpu_us, None);
    }
}
