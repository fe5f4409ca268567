//! The clock: time and chance for everything that runs.
//!
//! The system clock reads the machine; a manual clock stands still until a test advances it, and
//! draws its chance from a seed.
//!
//! Always true: `now_us` never goes backwards within a process; ids of one clock grow strictly, in
//! the order in which they were made.
//! Absent on purpose: calendars, time zones, formatting.

mod manual;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use uuid::Uuid;

use manual::Manual;
pub use manual::ManualHandle;

/// Longest sleep handed to the timer at once; longer ones are the caller's mistake, not an error.
const SLEEP_MS_MAX: u64 = 365 * 24 * 3_600_000;

/// Time and chance. Cheap to clone; clones are the same clock.
#[derive(Clone)]
pub struct Clock {
    shared: Arc<Shared>,
}

struct Shared {
    source: Source,
    last_id: Mutex<LastId>,
}

enum Source {
    /// The machine's clocks, read together once so that `now_us` can follow the steady one.
    System { started: Instant, started_us: u64 },
    /// A clock that a test advances.
    Manual { time: Arc<Manual>, chance: Box<Mutex<StdRng>> },
}

/// The time and counter of the last id, so that the next one is larger.
#[derive(Default)]
struct LastId {
    ms: u64,
    counter: u16,
}

/// Work that did not end in the time allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not done within {limit_ms} ms")]
pub struct Elapsed {
    /// The time allowed.
    pub limit_ms: u64,
}

impl Clock {
    /// The machine's clock.
    pub fn system() -> Self {
        let started_us = micros(wall());
        Self::over(Source::System { started: Instant::now(), started_us })
    }

    /// A clock that stands at `start_ms` (Unix time) until its handle advances it.
    ///
    /// Its ids and random bytes are the same in every run.
    pub fn manual(start_ms: u64) -> (Self, ManualHandle) {
        let time = Arc::new(Manual::new(start_ms.saturating_mul(1_000)));
        let handle = ManualHandle::new(Arc::clone(&time));
        let chance = Box::new(Mutex::new(StdRng::seed_from_u64(start_ms)));
        (Self::over(Source::Manual { time, chance }), handle)
    }

    fn over(source: Source) -> Self {
        Self { shared: Arc::new(Shared { source, last_id: Mutex::default() }) }
    }

    /// Milliseconds since 1970, by the machine's calendar clock: for what is stored and shown.
    ///
    /// May go backwards when the machine's clock is set; use [`Clock::now_us`] to measure.
    pub fn now_ms(&self) -> u64 {
        match &self.shared.source {
            Source::System { .. } => micros(wall()) / 1_000,
            Source::Manual { time, .. } => time.now_us() / 1_000,
        }
    }

    /// Microseconds that pass steadily, for measuring and for deadlines within this process.
    ///
    /// They start at Unix time, and do not follow when the machine's clock is set.
    pub fn now_us(&self) -> u64 {
        match &self.shared.source {
            Source::System { started, started_us } => {
                started_us.saturating_add(micros(started.elapsed()))
            }
            Source::Manual { time, .. } => time.now_us(),
        }
    }

    /// Sleeps for `ms` milliseconds, at most a year.
    ///
    /// Dropping the future ends the sleep.
    pub async fn sleep_ms(&self, ms: u64) {
        let ms = ms.min(SLEEP_MS_MAX);
        match &self.shared.source {
            Source::System { .. } => tokio::time::sleep(Duration::from_millis(ms)).await,
            Source::Manual { time, .. } => Manual::sleep_us(time, ms * 1_000).await,
        }
    }

    /// Runs `work`, and drops it when it takes longer than `limit_ms` milliseconds.
    ///
    /// # Errors
    ///
    /// [`Elapsed`] when the work was dropped.
    pub async fn within_ms<F: Future>(&self, limit_ms: u64, work: F) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            done = work => Ok(done),
            () = self.sleep_ms(limit_ms) => Err(Elapsed { limit_ms }),
        }
    }

    /// Makes an id: a UUID of version 7 from this clock's time, larger than every one before.
    ///
    /// Source: RFC 9562, section 6.2, method 1: twelve bits count within one millisecond.
    pub fn uuid(&self) -> Uuid {
        let mut bytes = self.random::<10>();
        let (ms, counter) = {
            let start = u16::from_be_bytes([bytes[0], bytes[1]]) & 0x07ff;
            let mut last = self.shared.last_id.lock();
            last.step(self.now_ms(), start);
            (last.ms, last.counter)
        };
        bytes[..2].copy_from_slice(&counter.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(ms, &bytes).into_uuid()
    }

    /// Draws random bytes, good enough for secrets on the system clock.
    pub fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.shared.source {
            Source::System { .. } => rand::rng().fill_bytes(&mut bytes),
            Source::Manual { chance, .. } => chance.lock().fill_bytes(&mut bytes),
        }
        bytes
    }
}

impl LastId {
    /// Moves to the next pair of time and counter; `start` is where a new millisecond begins.
    fn step(&mut self, now_ms: u64, start: u16) {
        if now_ms > self.ms {
            (self.ms, self.counter) = (now_ms, start);
        } else if self.counter < 0x0fff {
            self.counter += 1;
        } else {
            (self.ms, self.counter) = (self.ms + 1, 0);
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now_ms", &self.now_ms()).finish()
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
