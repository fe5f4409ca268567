//! Dispatch: whether a call of a function goes to an idle instance, waits for one, or has one made.
//!
//! A call waits for an instance that is busy where that is expected to take less time than to make
//! another one. An instance that is being made belongs to the call that has waited the longest, so
//! a burst makes as many as it needs and no more.
//!
//! Always true: an idle instance is used at once; no more instances are being made than calls
//! wait; limits are kept; a call is refused only where it could neither wait nor have one made.
//! Absent on purpose: which idle instance, when one ends, hosts.

/// What a function has on this host, and what it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Instances {
    /// That wait for work.
    pub idle: u32,
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
    /// It goes to an idle instance.
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
    if has.idle > 0 {
        return Dispatch::Use;
    }
    let instances = has.busy.saturating_add(has.starting);
    let allowed = instances < limits.instances_max;
    if allowed && limits.room > 0 && has.starting <= has.waiting && worth_making(has) {
        return Dispatch::Make;
    }
    // Somebody has to come free for whoever waits.
    if instances > 0 && has.waiting < limits.waiting_max {
        return Dispatch::Wait;
    }
    if allowed && limits.room > 0 && has.starting <= has.waiting {
        return Dispatch::Make;
    }
    if allowed { Dispatch::Full } else { Dispatch::Throttled }
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
    let wait_ms = (call_us * u128::from(has.waiting) / instances).div_ceil(1_000);
    u64::try_from(wait_ms).unwrap_or(u64::MAX).clamp(RETRY_MS_MIN, RETRY_MS_MAX)
}

/// Whether a new instance can be expected to work before a busy one is free for this call.
fn worth_making(has: &Instances) -> bool {
    let (Some(call_us), Some(start_us)) = (has.call_us, has.start_us) else { return true };
    if has.busy == 0 {
        return true;
    }
    // Those ahead that no instance in the making is for; then this one.
    let ahead = u128::from(has.waiting.saturating_sub(has.starting)) + 1;
    // Busy instances come free one after the other, evenly over the time of a call.
    let wait_us = u128::from(call_us) * ahead / u128::from(has.busy);
    wait_us > u128::from(start_us)
}

#[cfg(test)]
mod tests;
