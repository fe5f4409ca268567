//! Fleet: which hosts serve a function, and to which of them a call goes.
//!
//! What is called often is hot: its calls stay with few hosts, by consistent hashing with a bound
//! on their load. What is called seldom is cold: it is packed tightly, the better of two hosts. A
//! burst that the hot hosts have no room for runs in the cold fleet, on instances that end with it.
//!
//! Always true: a fleet changes only over a gap of two, so that no rate makes it change back and
//! forth; no host takes more than its bound or its memory; the same arguments give the same host.
//! Absent on purpose: clocks, chance (the seed), and how a call reaches its host.
//! Source: V. Mirrokni and others, on consistent hashing with bounded loads, 2018.

pub mod heat;

use crate::backoff::mix;
use heat::Heat;

/// Calls an hour from which a function may be hot: one a minute.
pub const HOT_PER_HOUR: u64 = 60;
/// Time in each hour that callers would wait were every call cold, from which a function is hot, in
/// milliseconds: a minute.
pub const HOT_WAIT_MS: u64 = 60_000;
/// What is hot stays so down to this part of both.
const STAYS: u64 = 2;
/// No host of the hot fleet has more calls than the mean and a quarter of it.
const BOUND: (u64, u64) = (5, 4);

/// What hosts are there for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fleet {
    /// Functions that are called often.
    Hot,
    /// All others.
    #[default]
    Cold,
    /// One account.
    Dedicated,
}

/// A function as its rate shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// How often it was called lately.
    pub heat: Heat,
    /// How long a cold start of it takes, in milliseconds.
    pub cold_ms: u64,
    /// Its account has hosts of its own.
    pub dedicated: bool,
}

/// The fleet that serves a function from now on, and why.
pub fn fleet(code: &Code, now: Fleet, now_ms: u64) -> (Fleet, Reason) {
    if code.dedicated {
        return (Fleet::Dedicated, Reason::OwnHosts);
    }
    let per_hour = code.heat.per_hour(now_ms);
    let wait_ms = per_hour.saturating_mul(code.cold_ms);
    let part = if now == Fleet::Hot { STAYS } else { 1 };
    if per_hour < HOT_PER_HOUR / part {
        (Fleet::Cold, Reason::Seldom { per_hour })
    } else if wait_ms < HOT_WAIT_MS / part {
        (Fleet::Cold, Reason::StartsFast { wait_ms })
    } else {
        (Fleet::Hot, Reason::Often { per_hour })
    }
}

/// Why a fleet serves a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its account has hosts of its own.
    OwnHosts,
    /// It is called so often.
    Often {
        /// Calls an hour.
        per_hour: u64,
    },
    /// It is called too seldom for a host to keep it.
    Seldom {
        /// Calls an hour.
        per_hour: u64,
    },
    /// It is called often, but starts so fast that staying warm would win little.
    StartsFast {
        /// What callers would wait in each hour, in milliseconds.
        wait_ms: u64,
    },
}

/// A host as a router sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// Which one it is.
    pub id: u64,
    /// Calls that run or wait there.
    pub calls: u64,
    /// Memory for more instances, in KiB.
    pub free_kib: u64,
    /// An instance of the function is idle there.
    pub idle: bool,
}

impl Host {
    fn takes(&self, memory_kib: u64) -> bool {
        self.idle || self.free_kib >= memory_kib
    }
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// To a host that keeps the function.
    Pinned(u64),
    /// To a host of the cold fleet.
    Packed(u64),
    /// To a host of the cold fleet, on an instance that ends with the burst.
    Overflow(u64),
    /// Nowhere: it fits no host.
    Nowhere,
}

/// A call that is to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function's key, the same for all of its calls.
    pub key: u64,
    /// Memory of an instance, in KiB.
    pub memory_kib: u64,
    /// One of each call.
    pub seed: u64,
}

/// Places a call of a function that a fleet serves, among that fleet's hosts and the cold ones.
pub fn place(fleet: Fleet, call: &Call, own: &[Host], cold: &[Host]) -> Place {
    match fleet {
        Fleet::Cold => packed(call, cold).map_or(Place::Nowhere, Place::Packed),
        Fleet::Dedicated => pinned(call, own).map_or(Place::Nowhere, Place::Pinned),
        Fleet::Hot => match pinned(call, own) {
            Some(id) => Place::Pinned(id),
            None => packed(call, cold).map_or(Place::Nowhere, Place::Overflow),
        },
    }
}

/// The hosts that stand for the hot and for the cold fleet: the other's, where one has none.
pub fn standing<T: Clone>(hot: Vec<T>, cold: Vec<T>) -> (Vec<T>, Vec<T>) {
    match (hot.is_empty(), cold.is_empty()) {
        (true, false) => (cold.clone(), cold),
        (false, true) => (hot.clone(), hot),
        _ => (hot, cold),
    }
}

/// The first host in the key's own order that is within the bound and has room.
///
/// The order is that of a hash of key and host, so that a host that comes or goes moves only the
/// keys that it takes or had.
fn pinned(call: &Call, hosts: &[Host]) -> Option<u64> {
    let bound = bound(hosts);
    let takes = |host: &&Host| host.calls < bound && host.takes(call.memory_kib);
    let weight = |host: &Host| (mix(call.key ^ mix(host.id)), host.id);
    hosts.iter().filter(takes).map(|host| (weight(host), host.id)).max().map(|(_, id)| id)
}

/// Calls up to which a host takes another one: a quarter above the mean with it, rounded up.
fn bound(hosts: &[Host]) -> u64 {
    let calls: u64 = hosts.iter().map(|host| host.calls).fold(1, u64::saturating_add);
    let hosts = u64::try_from(hosts.len()).unwrap_or(u64::MAX).max(1);
    calls.saturating_mul(BOUND.0).div_ceil(BOUND.1.saturating_mul(hosts))
}

/// The better of two hosts that the seed draws from those with room.
///
/// Better is who has an idle instance, then who is left with less memory: full hosts stay full, and
/// empty ones can be switched off.
fn packed(call: &Call, hosts: &[Host]) -> Option<u64> {
    let with_room: Vec<&Host> = hosts.iter().filter(|host| host.takes(call.memory_kib)).collect();
    let draw = |number: u64| {
        let word = mix(call.seed.wrapping_add(number));
        let places = u128::try_from(with_room.len()).unwrap_or(0);
        let place = usize::try_from((u128::from(word) * places) >> 64).unwrap_or(0);
        with_room.get(place).copied()
    };
    let better = |host: &&Host| (!host.idle, host.free_kib, host.calls, host.id);
    [draw(0), draw(1)].into_iter().flatten().min_by_key(better).map(|host| host.id)
}

#[cfg(test)]
mod tests;
