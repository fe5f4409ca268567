//! Keeping: how long an idle instance of a revision stays, and when one is made ahead of a call.
//!
//! Always true: `policy::warmth` decides, from the gaps between this revision's calls and what its
//! starts take; until a start was measured an instance is kept for a fixed time.
//! Absent on purpose: memory that is short (whatever has been idle the longest goes first).

use std::collections::BTreeMap;

use policy::warmth::least_cost::Stakes;
use policy::warmth::{FIXED_MS, HORIZON_MS, Policy, Warmth, Window, worth_ms};

/// The part of a window's end by which it is widened on both sides, and the least.
const MARGIN: u64 = 64;
const MARGIN_MS_MIN: u64 = 1_000;
/// Shortest time for which an instance is let go that will be wanted again.
const AWAY_MS_MIN: u64 = 60_000;

/// What is known of the calls of one revision.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// None until a start was measured.
    warmth: Option<Warmth>,
    start_ms: u64,
    /// When the last call ended of so many that ran at once, itself included.
    ends: BTreeMap<u32, u64>,
    /// When the last call began.
    called_ms: u64,
}

impl Keeping {
    /// Counts a start.
    pub(super) fn started(&mut self, us: u64, memory_bytes: u64) {
        if self.warmth.is_some() {
            return;
        }
        self.start_ms = us.div_ceil(1_000);
        let worth_ms = worth_ms(self.start_ms, memory_bytes >> 10);
        let stakes = Stakes { worth_ms, start_ms: self.start_ms };
        self.warmth = Some(Warmth::new(Policy::LeastCost, stakes));
    }

    /// Counts a call that makes `running` run at once.
    pub(super) fn called(&mut self, running: u32, now_ms: u64) {
        self.called_ms = now_ms;
        if let Some((warmth, end_ms)) = self.warmth.as_mut().zip(self.ends.remove(&running)) {
            warmth.learn(running, now_ms.saturating_sub(end_ms));
        }
    }

    /// Counts a call that shares an instance with others.
    pub(super) fn joined(&mut self, now_ms: u64) {
        self.called_ms = now_ms;
    }

    /// For when an instance is there after a call that was one of `running`.
    pub(super) fn ended(&mut self, running: u32, now_ms: u64) -> Window {
        self.ends.insert(running, now_ms);
        let known = self.warmth.as_mut().map(|warmth| warmth.window(running));
        known.map_or(Window::keep(FIXED_MS), widened)
    }

    /// When an instance is to be made ahead, for a window that begins later.
    pub(super) fn ahead_ms(&self, window: &Window, now_ms: u64) -> Option<u64> {
        let begins = (window.warm_ms > 0).then(|| window.warm_ms.saturating_sub(self.start_ms));
        begins.map(|ms| now_ms.saturating_add(ms))
    }

    /// Whether nothing of it can be of use any more.
    pub(super) fn is_stale(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.called_ms) > HORIZON_MS
    }

    /// When the last call began.
    pub(super) fn called_ms(&self) -> u64 {
        self.called_ms
    }
}

/// The window as this host holds it: callers' clocks are not exact, and an instance that would be
/// away for a moment stays, since ending and making one costs the processors something too.
fn widened(window: Window) -> Window {
    let margin_ms = (window.end_ms() / MARGIN).max(MARGIN_MS_MIN);
    let (from_ms, until_ms) =
        (window.warm_ms.saturating_sub(margin_ms), window.end_ms().saturating_add(margin_ms));
    if from_ms < AWAY_MS_MIN {
        return Window::keep(until_ms);
    }
    Window::between(from_ms, until_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    #[test]
    fn who_has_measured_nothing_keeps_for_a_fixed_time() {
        let mut keeping = Keeping::default();
        keeping.called(1, 5);
        assert_eq!(keeping.ended(1, 9), Window::keep(FIXED_MS));
    }

    #[test]
    fn a_timer_is_met_by_an_instance_made_ahead() {
        let mut keeping = Keeping::default();
        keeping.started(20_000, 128 << 20);
        let mut window = Window::default();
        for round in 0..40 {
            let began_ms = round * 60 * MINUTE_MS;
            keeping.called(1, began_ms);
            window = keeping.ended(1, began_ms + 10);
        }
        assert!(window.warm_ms > 50 * MINUTE_MS, "{window:?}");
        let ahead_ms = keeping.ahead_ms(&window, 0).unwrap();
        assert_eq!(ahead_ms, window.warm_ms - 20);
    }

    #[test]
    fn calls_that_come_all_the_time_find_one() {
        let mut keeping = Keeping::default();
        keeping.started(20_000, 128 << 20);
        let mut window = Window::default();
        for round in 0..40 {
            keeping.called(1, round * 1_000);
            window = keeping.ended(1, round * 1_000 + 10);
        }
        assert_eq!(window.warm_ms, 0);
        assert!(window.keep_ms >= 1_990 && keeping.ahead_ms(&window, 0).is_none(), "{window:?}");
    }
}
