//! Placing: in which fleet a function is, and which host a call of it is given to next.
//!
//! Always true: `policy::fleet` decides, from the calls that this gateway has given, and from what
//! hosts told with their last answers; where it knows of no host with room they are asked all the
//! same, since each knows itself best. An account with hosts of its own runs nowhere else, and
//! nobody else runs there. With one host nothing is decided.
//! Absent on purpose: other gateways, each of which sees its own calls.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::internal::functions::{Called, HostLeft};
use parking_lot::Mutex;
use policy::fleet::heat::Heat;
use policy::fleet::{self, Code, Place, standing};
use types::{HostId, RevisionId};
use uuid::Uuid;

use super::Function;
use super::hosts::Host;
use super::provisioned::Calls;

/// For how long what a host told of its memory is taken for true, in milliseconds: after that it
/// may have ended what it had.
pub(super) const TOLD_MS: u64 = 10_000;
/// Of how many starts the usual time is the mean, later ones counting more.
const USUAL_OF: u64 = 4;

/// What this gateway has seen of a function's calls; outlives a table.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    state: Mutex<State>,
    /// What was given to provisioned instances.
    pub(super) provisioned: Calls,
}

#[derive(Debug, Default)]
struct State {
    heat: Heat,
    fleet: fleet::Fleet,
    /// How long a start usually takes, in milliseconds; 0 until one was seen.
    cold_ms: u64,
    /// Idle instances, by host and revision.
    idle: BTreeMap<(HostId, RevisionId), Idle>,
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    count: u32,
    until_ms: u64,
}

/// A call that is to be placed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placing {
    pub(super) revision: RevisionId,
    /// Memory of an instance, in KiB.
    pub(super) memory_kib: u64,
    /// One of each call.
    pub(super) seed: u64,
    pub(super) now_ms: u64,
}

/// The hosts that may be given a call, without those that were asked in vain.
#[derive(Debug)]
pub(super) struct Choice {
    fleet: fleet::Fleet,
    key: u64,
    own: Vec<Arc<Host>>,
    cold: Vec<Arc<Host>>,
}

/// A host that is to be given a call.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) host: Arc<Host>,
    /// Its instance ends with the burst.
    pub(super) burst: bool,
    /// In a word, how it was chosen.
    pub(super) how: &'static str,
}

impl Seen {
    /// Counts a call, and says among which hosts it is placed; none for whom no host is there.
    pub(super) fn begin(&self, function: &Function, all: &[Arc<Host>], now_ms: u64) -> Choice {
        let key = folded(function.told.function.uuid());
        let own =
            of(all, |fleet| *fleet == types::Fleet::Dedicated(function.account_name().clone()));
        let dedicated = !own.is_empty();
        let fleet = {
            let mut state = self.state.lock();
            state.heat = state.heat.called(now_ms);
            let code = Code { heat: state.heat, cold_ms: state.cold_ms, dedicated };
            let (fleet, reason) = fleet::fleet(&code, state.fleet, now_ms);
            if fleet != std::mem::replace(&mut state.fleet, fleet) {
                let (function, from) = (&function.told.name, function.account_name());
                tracing::info!(%function, account = %from, ?fleet, ?reason, "a function changes fleet");
            }
            fleet
        };
        if dedicated {
            return Choice { fleet, key, own, cold: Vec::new() };
        }
        let hot = of(all, |fleet| *fleet == types::Fleet::Hot);
        let cold = of(all, |fleet| *fleet == types::Fleet::Cold);
        let (own, cold) = standing(hot, cold);
        Choice { fleet, key, own, cold }
    }

    /// Counts a call on its way to a host: it takes an idle instance, where one is there.
    pub(super) fn given(&self, host: HostId, revision: RevisionId) {
        if let Some(idle) = self.state.lock().idle.get_mut(&(host, revision)) {
            idle.count = idle.count.saturating_sub(1);
        }
    }

    /// Learns from an answer.
    pub(super) fn answered(
        &self,
        host: HostId,
        revision: RevisionId,
        called: &Called,
        now_ms: u64,
    ) {
        let mut state = self.state.lock();
        if let Some(start) = called.start {
            let us = start.code_us.saturating_add(start.sandbox_us).saturating_add(start.init_us);
            let (ms, before) = (us.div_ceil(1_000), state.cold_ms);
            let usual = before - before / USUAL_OF + ms / USUAL_OF;
            state.cold_ms = if before == 0 { ms } else { usual };
        }
        state.idle.retain(|_, idle| idle.until_ms > now_ms);
        if let Some(HostLeft { idle: count, kept_ms, .. }) = called.left {
            let until_ms = now_ms.saturating_add(kept_ms);
            state.idle.insert((host, revision), Idle { count, until_ms });
        }
    }

    fn is_idle(&self, host: HostId, placing: &Placing) -> bool {
        let state = self.state.lock();
        let idle = state.idle.get(&(host, placing.revision));
        idle.is_some_and(|idle| idle.count > 0 && idle.until_ms > placing.now_ms)
    }
}

impl Choice {
    /// Takes out the host that the call is given to next; none where all were asked.
    pub(super) fn next(&mut self, seen: &Seen, placing: &Placing) -> Option<Chosen> {
        let Placing { memory_kib, seed, .. } = *placing;
        let call = fleet::Call { key: self.key, memory_kib, seed };
        let (own, cold) =
            (self.told(&self.own, seen, placing), self.told(&self.cold, seen, placing));
        let (id, burst, how) = match fleet::place(self.fleet, &call, &own, &cold) {
            Place::Pinned(id) => (id, false, "pinned"),
            Place::Packed(id) => (id, false, "packed"),
            Place::Overflow(id) => (id, true, "overflow"),
            Place::Nowhere => {
                let least = own.iter().chain(&cold).min_by_key(|host| (host.calls, host.id))?;
                (least.id, false, "asked")
            }
        };
        let mut all = self.own.iter().chain(&self.cold);
        let host = Arc::clone(all.find(|host| folded(host.told.host.uuid()) == id)?);
        self.own.retain(|other| !Arc::ptr_eq(other, &host));
        self.cold.retain(|other| !Arc::ptr_eq(other, &host));
        Some(Chosen { host, burst, how })
    }

    /// Hosts as the policy sees them; those that rest only where all do.
    fn told(&self, hosts: &[Arc<Host>], seen: &Seen, placing: &Placing) -> Vec<fleet::Host> {
        let all = || self.own.iter().chain(&self.cold);
        let all_rest = all().all(|host| host.rests(placing.now_ms));
        let awake = hosts.iter().filter(|host| all_rest || !host.rests(placing.now_ms));
        awake
            .map(|host| fleet::Host {
                id: folded(host.told.host.uuid()),
                calls: host.calls.load(Ordering::Relaxed),
                free_kib: host.free_kib(placing.now_ms),
                idle: seen.is_idle(host.told.host, placing),
            })
            .collect()
    }
}

fn of(all: &[Arc<Host>], is: impl Fn(&types::Fleet) -> bool) -> Vec<Arc<Host>> {
    all.iter().filter(|host| is(&host.told.fleet)).map(Arc::clone).collect()
}

/// A UUID as one number.
pub(super) fn folded(uuid: Uuid) -> u64 {
    let (one, other) = uuid.as_u64_pair();
    one ^ other
}
