//! Dispatch: whether a call goes to an instance that has a place, waits, or has an instance made.
//!
//! A call waits for a place where that takes less time than to make an instance, the time included for
//! which every call before it has had to wait. The places of an instance that is being made belong to
//! the calls that have waited the longest, so a burst makes as many as it needs and no more.
//!
//! Always true: a place is used at once, in the fullest instance that has one; no more instances are
//! being made than have a call that waits; limits are kept; only a call is refused that could neither
//! wait nor have an instance made. Absent on purpose: which of equally full instances, when one ends.

use types::Concurrency;

/// What a function has on this host, and what it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    /// How many calls each may have at a time.
    pub concurrency: Concurrency,
    /// Calls that could be taken at once, by those that wait for work and by those that work.
    pub places: u32,
    /// That work.
    pub busy: u32,
    /// That are being made.
    pub starting: u32,
    /// Calls that wait, without the one in question.
    pub waiting: u32,
    /// How long a call usually takes, in microseconds; none where none has ended yet.
    pub call_us: Option<u64>,
    /// How long it usually takes until a new instance can work, in microseconds; none where none
    /// was made yet.
    pub start_us: Option<u64>,
    /// For how long no call has found a place, or since an instance was made for one that did not,
    /// in microseconds.
    pub full_us: u64,
}

/// Most of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Instances of this function, by its owner's wish.
    pub instances_max: u32,
    /// More instances that fit this host now.
    pub room: u32,
    /// Calls that wait.
    pub waiting_max: u32,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatch {
    /// It goes to an instance that has a place.
    Use,
    /// It waits, and an instance is made.
    Make,
    /// It waits.
    Wait,
    /// It is refused, since as many instances work as the owner allows, and enough calls wait.
    Throttled,
    /// It is refused, since nothing more fits this host, and enough calls wait.
    Full,
}

/// Says what becomes of a call.
pub fn dispatch(has: &Instances, limits: &Limits) -> Dispatch {
    if has.places > 0 {
        return Dispatch::Use;
    }
    let instances = has.busy.saturating_add(has.starting);
    let allowed = instances < limits.instances_max;
    let wanted = has.coming() <= u64::from(has.waiting);
    if allowed && limits.room > 0 && wanted && worth_making(has) {
        return Dispatch::Make;
    }
    // Some place has to come free for whoever waits.
    if instances > 0 && has.waiting < limits.waiting_max {
        return Dispatch::Wait;
    }
    if allowed && limits.room > 0 && wanted {
        return Dispatch::Make;
    }
    if allowed { Dispatch::Full } else { Dispatch::Throttled }
}

/// The instance that a call goes to, of those that have so many calls: the fullest that has a place,
/// and of equals the last; none where all are full.
pub fn fullest(calls: impl IntoIterator<Item = u32>, concurrency: Concurrency) -> Option<usize> {
    let open = calls.into_iter().enumerate().filter(|(_, calls)| *calls < concurrency.get());
    open.max_by_key(|(_, calls)| *calls).map(|(at, _)| at)
}

/// Shortest time after which a refused call is told to try again, in milliseconds: what `Retry-After`
/// can say.
pub const RETRY_MS_MIN: u64 = 1_000;
/// Longest: who waits longer has no idea of what has changed meanwhile.
pub const RETRY_MS_MAX: u64 = 60_000;

/// When a call that was refused may be tried again, in milliseconds: once those that wait now are
/// likely to have run.
pub fn retry_ms(has: &Instances) -> u64 {
    let call_us = u128::from(has.call_us.unwrap_or(0));
    let instances = u128::from(has.busy.saturating_add(has.starting).max(1));
    let places = instances * u128::from(has.concurrency.get());
    let wait_ms = (call_us * u128::from(has.waiting)).div_ceil(places * 1_000);
    u64::try_from(wait_ms).unwrap_or(u64::MAX).clamp(RETRY_MS_MIN, RETRY_MS_MAX)
}

impl Instances {
    /// Places of instances that are being made.
    fn coming(&self) -> u64 {
        u64::from(self.starting) * u64::from(self.concurrency.get())
    }
}

/// Whether a new instance can be expected to work before a place comes free for this call.
fn worth_making(has: &Instances) -> bool {
    let (Some(call_us), Some(start_us)) = (has.call_us, has.start_us) else { return true };
    if has.busy == 0 {
        return true;
    }
    // Those ahead that no place in the making is for; then this one.
    let ahead = u128::from(u64::from(has.waiting).saturating_sub(has.coming())) + 1;
    // Places come free one after the other, evenly over the time of a call.
    let places = u128::from(has.busy) * u128::from(has.concurrency.get());
    let wait_us = u128::from(call_us) * ahead / places;
    wait_us + u128::from(has.full_us) > u128::from(start_us)
}

#[cfg(test)]
mod tests;
