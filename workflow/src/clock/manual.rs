//! Time in a test's hands: it stands still until advanced, and wakes whoever slept long enough.
//!
//! Always true: a sleeper wakes when its time is reached, not before; a dropped sleeper is
//! forgotten.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

/// How often others may run between two wakings in [`ManualHandle::pass_ms`].
const YIELDS: usize = 64;

/// The time, and who waits for it.
#[derive(Default)]
pub(super) struct Manual {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now_us: u64,
    last_sleeper: u64,
    /// By the time to wake at, then by the order of falling asleep.
    sleepers: BTreeMap<(u64, u64), Waker>,
}

impl Manual {
    pub(super) fn new(now_us: u64) -> Self {
        Self { state: Mutex::new(State { now_us, ..State::default() }) }
    }

    pub(super) fn now_us(&self) -> u64 {
        self.state.lock().now_us
    }

    pub(super) fn sleep_us(this: &Arc<Self>, us: u64) -> Sleep {
        let mut state = this.state.lock();
        state.last_sleeper += 1;
        let key = (state.now_us.saturating_add(us), state.last_sleeper);
        drop(state);
        Sleep { time: Arc::clone(this), key }
    }

    fn advance_to(&self, us: u64) {
        let woken = {
            let mut state = self.state.lock();
            state.now_us = state.now_us.max(us);
            let first_later = (state.now_us + 1, 0);
            let later = state.sleepers.split_off(&first_later);
            std::mem::replace(&mut state.sleepers, later)
        };
        for waker in woken.into_values() {
            waker.wake();
        }
    }
}

/// One sleep.
pub(super) struct Sleep {
    time: Arc<Manual>,
    key: (u64, u64),
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.time.state.lock();
        if state.now_us >= self.key.0 {
            state.sleepers.remove(&self.key);
            return Poll::Ready(());
        }
        state.sleepers.insert(self.key, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.time.state.lock().sleepers.remove(&self.key);
    }
}

/// Moves the time of a manual clock. Cheap to clone.
#[derive(Clone)]
pub struct ManualHandle {
    time: Arc<Manual>,
}

impl ManualHandle {
    pub(super) fn new(time: Arc<Manual>) -> Self {
        Self { time }
    }

    /// Moves time on by `ms` at once, and wakes every sleeper whose time has come.
    ///
    /// The sleepers run when the runtime gets to them; all of them see the new time.
    pub fn advance_ms(&self, ms: u64) {
        self.advance_us(ms.saturating_mul(1_000));
    }

    /// Moves time on by `us` microseconds at once, like [`ManualHandle::advance_ms`].
    pub fn advance_us(&self, us: u64) {
        self.time.advance_to(self.time.now_us().saturating_add(us));
    }

    /// Lets `ms` pass sleeper by sleeper: each wakes at its own time and runs before the next.
    ///
    /// Work that waits for something other than this clock is not waited for.
    pub async fn pass_ms(&self, ms: u64) {
        let end_us = self.time.now_us().saturating_add(ms.saturating_mul(1_000));
        loop {
            for _ in 0..YIELDS {
                tokio::task::yield_now().await;
            }
            match self.next_wake_us() {
                Some(wake_us) if wake_us <= end_us => self.time.advance_to(wake_us),
                _ => break,
            }
        }
        self.time.advance_to(end_us);
    }

    /// How many are asleep.
    pub fn sleepers(&self) -> usize {
        self.time.state.lock().sleepers.len()
    }

    /// When the next sleeper wakes, in Unix milliseconds, rounded up; none when nobody sleeps.
    pub fn next_wake_ms(&self) -> Option<u64> {
        self.next_wake_us().map(|us| us.div_ceil(1_000))
    }

    fn next_wake_us(&self) -> Option<u64> {
        self.time.state.lock().sleepers.keys().next().map(|&(us, _)| us)
    }
}

impl fmt::Debug for ManualHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualHandle").field("now_us", &self.time.now_us()).finish()
    }
}
