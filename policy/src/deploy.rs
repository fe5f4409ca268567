//! Deploy: which of two versions answers a call, while a host changes from the old to the new one.
//!
//! A new version is made beside the old one, answers once it is warm, and is proved after a number
//! of good answers: then the old one drains. Where its starts fail before, it is rolled back.
//!
//! Always true: the new version answers as soon as it is warm; a call that names a version gets
//! that one; the old one answers no later than the alias allows, but where the new one cannot start.
//! Absent on purpose: clocks, fetching, making of instances, shares of calls ([`crate::alias`]).

/// Starts of a new version that may fail in a row before it is rolled back: one may be the host's.
pub const FAILED_STARTS_MAX: u32 = 2;
/// Calls that a new version answers well before the old one drains.
pub const HEALTHY_CALLS: u32 = 10;
/// Longest time, in milliseconds, that an alias may let the old version answer: an hour.
pub const STALE_MS_MAX: u64 = 60 * 60_000;
/// What an alias allows where nobody says otherwise, in milliseconds: it is longer than most code
/// takes to be fetched and started.
pub const STALE_MS: u64 = 60_000;

/// Whether an old version may answer while the new one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It may, for a while after the new one was published.
    StaleWhileDeploy {
        /// The while, in milliseconds; [`STALE_MS_MAX`] at most counts.
        max_stale_ms: u64,
    },
    /// It may not: calls wait for the new one.
    Strict,
}

impl Default for Freshness {
    fn default() -> Self {
        Self::StaleWhileDeploy { max_stale_ms: STALE_MS }
    }
}

/// What a host knows when a call comes for a name whose version has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Situation {
    /// What the alias allows.
    pub freshness: Freshness,
    /// The call names the new version itself.
    pub pinned: bool,
    /// What there is of the old version.
    pub old: Old,
    /// An instance of the new version is warm here.
    pub new_is_warm: bool,
    /// Time since the new version was published, in milliseconds.
    pub published_ago_ms: u64,
    /// How the new version does.
    pub health: Health,
}

/// What there is of an old version on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Old {
    /// Nothing to go back to: the new one is the first, or the old one was deleted.
    #[default]
    Gone,
    /// It can be made.
    Cold,
    /// An instance of it is warm.
    Warm,
}

/// How a new version does on a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Calls that it answered, without a crash and in time.
    pub healthy_calls: u32,
    /// Starts that failed in a row, up to now: code that cannot be loaded, or ends too soon.
    pub failed_starts: u32,
}

/// What happens to the call, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The new version answers.
    Switch(SwitchReason),
    /// The old version answers, and an instance of the new one is made beside it.
    ServeOld {
        /// For so many milliseconds more this may go on.
        left_ms: u64,
    },
    /// The call waits for an instance of the new version.
    Wait(WaitReason),
    /// The new version is given up on this host, and the old one answers, warm or not.
    RollBack {
        /// Starts that failed in a row.
        failed_starts: u32,
    },
}

/// Why the new version answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchReason {
    /// It is warm; the old one stays, should the new one fail.
    Warm,
    /// It is warm and has proved itself: the old one takes no more calls, and its instances end.
    Proved,
}

/// Why a call waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// It names the version.
    Pinned,
    /// The alias wants no old answers.
    Strict,
    /// The new version was published too long ago for old answers.
    Stale,
    /// The old version is not warm either, or there is none.
    NothingWarm,
}

/// Says which version answers a call.
pub fn decide(at: &Situation) -> Decision {
    let proved = is_proved(at.health);
    if at.new_is_warm {
        return Decision::Switch(if proved { SwitchReason::Proved } else { SwitchReason::Warm });
    }
    if at.pinned {
        return Decision::Wait(WaitReason::Pinned);
    }
    // What has proved itself is not to blame for a start that fails later.
    if at.old != Old::Gone && !proved && at.health.failed_starts >= FAILED_STARTS_MAX {
        return Decision::RollBack { failed_starts: at.health.failed_starts };
    }
    let Freshness::StaleWhileDeploy { max_stale_ms } = at.freshness else {
        return Decision::Wait(WaitReason::Strict);
    };
    if at.old != Old::Warm {
        return Decision::Wait(WaitReason::NothingWarm);
    }
    match max_stale_ms.min(STALE_MS_MAX).checked_sub(at.published_ago_ms) {
        None | Some(0) => Decision::Wait(WaitReason::Stale),
        Some(left_ms) => Decision::ServeOld { left_ms },
    }
}

/// Whether a new version has answered enough calls well for the old one to drain.
pub fn is_proved(health: Health) -> bool {
    health.healthy_calls >= HEALTHY_CALLS
}

#[cfg(test)]
mod tests;
