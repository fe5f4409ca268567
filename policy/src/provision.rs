//! Provisioned concurrency: which hosts keep how many instances of a version warm, called or not.
//!
//! What is placed stays where it is; what is missing goes where the fewest of its kind, others of its
//! function, and the most memory are. What an alias no longer means stays, where there is room, until
//! what it means is there.
//!
//! Always true: no host keeps more than its part of memory, nor what is another account's; no more
//! are kept than are wanted; the same arguments give the same plan, and one that is carried out stays.
//! Absent on purpose: clocks, and where calls go that no such instance waits for.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use types::{FunctionId, HostId, Name, RevisionId};

use crate::alias::{Routing, Version, WHOLE_BP};

/// The part of a host's memory for functions that is left to calls without provisioned instances.
const LEFT_PART: u64 = 4;
/// Instances that a host starts at the same time to be kept: more would take the processors from
/// calls.
pub const STARTING_MAX: u32 = 4;

/// What an owner wants of one version or alias.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// A version's number, or an alias.
    pub qualifier: String,
    /// Where its calls go.
    pub routing: Routing,
    /// How many instances.
    pub instances: u32,
}

/// Why instances cannot be wanted so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// What changes in place is kept by nobody.
    #[error(
        "{qualifier} means the latest, which changes in place, and provisioned concurrency is of \
         published versions only: publish it first"
    )]
    Latest {
        /// What was named.
        qualifier: String,
    },
    /// Two would count for one version.
    #[error(
        "version {version} has provisioned concurrency by {one} already: remove that, before it \
         has it by {other}"
    )]
    Twice {
        /// Its number.
        version: u64,
        /// Who names it.
        one: String,
        /// Who else does.
        other: String,
    },
}

/// How many instances each version of a function is to have, and by which qualifier.
///
/// # Errors
///
/// Where one of them means the latest, or two the same version.
pub fn by_version(settings: &[Setting]) -> Result<BTreeMap<u64, (&str, u32)>, Refusal> {
    let mut versions: BTreeMap<u64, (&str, u32)> = BTreeMap::new();
    for setting in settings {
        let qualifier = setting.qualifier.as_str();
        for (version, instances) in divided(&setting.routing, setting.instances) {
            let Version::Numbered(version) = version else {
                return Err(Refusal::Latest { qualifier: qualifier.to_owned() });
            };
            if let Some((one, _)) = versions.insert(version, (qualifier, instances)) {
                let (one, other) = (one.to_owned(), qualifier.to_owned());
                return Err(Refusal::Twice { version, one, other });
            }
        }
    }
    Ok(versions)
}

/// How instances are divided where calls are: by their share, rounded, and at least one for each
/// version that has calls, where there are two.
fn divided(routing: &Routing, instances: u32) -> Vec<(Version, u32)> {
    let first = routing.version();
    let Some(second) = routing.additional() else { return vec![(first, instances)] };
    let (whole, share) = (u64::from(WHOLE_BP), u64::from(second.share_bp.min(WHOLE_BP)));
    let rounded = (u64::from(instances) * share + whole / 2) / whole;
    let rounded = u32::try_from(rounded).unwrap_or(instances);
    let other = match second.share_bp {
        0 => 0,
        WHOLE_BP.. => instances,
        _ if instances < 2 => rounded,
        _ => rounded.clamp(1, instances - 1),
    };
    vec![(first, instances - other), (second.version, other)]
}

/// A version that is to be kept warm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// What is run.
    pub revision: RevisionId,
    /// Whose revision it is.
    pub function: FunctionId,
    /// Whose function it is.
    pub account: Name,
    /// How many instances.
    pub instances: u32,
    /// Memory of each, in KiB.
    pub memory_kib: u64,
}

/// A host that runs functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Which one it is.
    pub id: HostId,
    /// Memory for functions, in KiB.
    pub memory_kib: u64,
    /// The account that it is there for alone.
    pub dedicated: Option<Name>,
}

/// What a host has been told to keep, and has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// What is run.
    pub revision: RevisionId,
    /// Whose revision it is.
    pub function: FunctionId,
    /// Where.
    pub host: HostId,
    /// How many instances it is to keep.
    pub wanted: u32,
    /// How many it has.
    pub ready: u32,
    /// Memory of each, in KiB.
    pub memory_kib: u64,
}

/// Which hosts are to keep what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many instances of a revision a host is to keep; never 0.
    pub keep: BTreeMap<(RevisionId, HostId), u32>,
    /// How many instances of a revision have room nowhere; never 0.
    pub short: BTreeMap<RevisionId, u32>,
}

/// Says which hosts are to keep what, where those earlier in the list have room first.
pub fn plan(wants: &[Want], hosts: &[Host], kept: &[Kept]) -> Plan {
    let mut planning = Planning::new(hosts, kept);
    // The rest of each, after what stays where it is.
    let mut missing: Vec<u32> = wants.iter().map(|want| want.instances).collect();
    for (want, missing) in wants.iter().zip(&mut missing) {
        let mut mine: Vec<&Kept> =
            kept.iter().filter(|kept| kept.revision == want.revision).collect();
        mine.sort_by_key(|kept| (Reverse(kept.ready), kept.host));
        for there in mine {
            *missing -= planning.stay(want, there.host, there.wanted.min(*missing));
        }
    }
    for (want, missing) in wants.iter().zip(&mut missing) {
        while *missing > 0 && planning.add(want) {
            *missing -= 1;
        }
        if *missing > 0 {
            planning.plan.short.insert(want.revision, *missing);
        }
    }
    for there in kept {
        if leaves_later(wants, kept, there) {
            planning.leave_later(there);
        }
    }
    planning.plan
}

/// Whether it is wanted no more, but others of its function are being started in its place.
fn leaves_later(wants: &[Want], kept: &[Kept], there: &Kept) -> bool {
    let wanted = wants.iter().any(|want| want.revision == there.revision);
    let awaited = |want: &Want| {
        let ready = kept.iter().filter(|kept| kept.revision == want.revision);
        let ready = ready.fold(0, |sum: u32, kept| sum.saturating_add(kept.ready.min(kept.wanted)));
        want.function == there.function && ready < want.instances
    };
    !wanted && wants.iter().any(awaited)
}

/// A plan in the making.
struct Planning<'a> {
    hosts: &'a [Host],
    /// Where something of a function was kept before: there it can follow what answers now.
    before: BTreeSet<(FunctionId, HostId)>,
    room_kib: BTreeMap<HostId, u64>,
    plan: Plan,
}

impl<'a> Planning<'a> {
    fn new(hosts: &'a [Host], kept: &[Kept]) -> Self {
        let room = |host: &Host| (host.id, host.memory_kib - host.memory_kib.div_ceil(LEFT_PART));
        let before = kept.iter().map(|kept| (kept.function, kept.host)).collect();
        let (room_kib, plan) = (hosts.iter().map(room).collect(), Plan::default());
        Self { hosts, before, room_kib, plan }
    }

    /// Whether a host is there for this account: its own ones, where it has such.
    fn takes(&self, host: HostId, account: &Name) -> bool {
        let own = |host: &Host| host.dedicated.as_ref() == Some(account);
        let owns = self.hosts.iter().any(own);
        let found = self.hosts.iter().find(|other| other.id == host);
        found.is_some_and(|host| if owns { own(host) } else { host.dedicated.is_none() })
    }

    /// Has as many stay on a host as have room, and says how many.
    fn stay(&mut self, want: &Want, host: HostId, instances: u32) -> u32 {
        if !self.takes(host, &want.account) {
            return 0;
        }
        self.book((want.revision, host), instances, want.memory_kib)
    }

    fn book(&mut self, key: (RevisionId, HostId), instances: u32, memory_kib: u64) -> u32 {
        let Some(room_kib) = self.room_kib.get_mut(&key.1) else { return 0 };
        let fit = *room_kib / memory_kib.max(1);
        let booked = instances.min(u32::try_from(fit).unwrap_or(u32::MAX));
        if booked > 0 {
            *room_kib -= u64::from(booked) * memory_kib.max(1);
            *self.plan.keep.entry(key).or_default() += booked;
        }
        booked
    }

    /// Places one more, where the fewest of its kind are; of those where others of its function were,
    /// and then where the most room is.
    fn add(&mut self, want: &Want) -> bool {
        let kept = |host: HostId| self.plan.keep.get(&(want.revision, host)).copied().unwrap_or(0);
        let fits = self.room_kib.iter().filter(|(host, room_kib)| {
            **room_kib >= want.memory_kib.max(1) && self.takes(**host, &want.account)
        });
        let best = fits
            .map(|(host, room_kib)| {
                let apart = !self.before.contains(&(want.function, *host));
                (kept(*host), apart, Reverse(*room_kib), *host)
            })
            .min()
            .map(|(.., host)| host);
        best.is_some_and(|host| self.book((want.revision, host), 1, want.memory_kib) == 1)
    }

    fn leave_later(&mut self, there: &Kept) {
        let instances = there.wanted.min(there.ready);
        self.book((there.revision, there.host), instances, there.memory_kib);
    }
}

/// Where what an owner wants stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Instances are being started.
    InProgress,
    /// All are there.
    Ready,
    /// Some have room nowhere.
    Short,
    /// Some do not start.
    Troubled,
}

/// What is known of what an owner wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Instances that are wanted.
    pub wanted: u32,
    /// That have room nowhere.
    pub short: u32,
    /// That hosts have.
    pub ready: u32,
    /// Whether a host says that something is in the way.
    pub troubled: bool,
}

/// Says where it stands.
pub fn standing(found: &Found) -> Standing {
    if found.ready >= found.wanted {
        Standing::Ready
    } else if found.short > 0 {
        Standing::Short
    } else if found.troubled {
        Standing::Troubled
    } else {
        Standing::InProgress
    }
}

/// The instances of a revision that a host has to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// How many there are to be.
    pub wanted: u32,
    /// That wait for calls or run them.
    pub ready: u32,
    /// That are being started.
    pub starting: u32,
}

/// What a host does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// There are as many as there are to be, or enough are being started.
    Rest,
    /// So many more are started.
    Start(u32),
    /// So many are let go, once they are idle.
    LetGo(u32),
}

/// Says what a host does next for one revision.
pub fn step(here: &Here) -> Step {
    let coming = here.ready.saturating_add(here.starting);
    if here.ready > here.wanted {
        return Step::LetGo(here.ready - here.wanted);
    }
    let more = here.wanted.saturating_sub(coming);
    match more.min(STARTING_MAX.saturating_sub(here.starting)) {
        0 => Step::Rest,
        more => Step::Start(more),
    }
}

/// A host's provisioned instances of a revision, as a gateway sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// Where.
    pub host: HostId,
    /// How many are ready.
    pub instances: u32,
    /// Calls that were given to them and are under way.
    pub calls: u32,
}

/// The host where the most of them wait for a call; none where none waits.
pub fn waiting(hosts: &[Ready]) -> Option<HostId> {
    let free = |ready: &&Ready| ready.instances.saturating_sub(ready.calls);
    let with_one = hosts.iter().filter(|ready| free(ready) > 0);
    with_one.min_by_key(|ready| (Reverse(free(ready)), ready.host)).map(|it| it.host)
}

#[cfg(test)]
mod tests;
