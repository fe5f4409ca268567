//! Pauses between the tries of a call that control did not take.
//!
//! Always true: a pause doubles up to the longest one, and is cut short when the agent stops.

use tokio_util::sync::CancellationToken;
use workflow::Clock;

/// The first pause, in milliseconds: shorter than a person notices.
const MS_MIN: u64 = 100;
/// The longest pause, in milliseconds: control that is back is found within it.
const MS_MAX: u64 = 5_000;

/// The pauses of one series of tries.
#[derive(Debug)]
pub(crate) struct Pauses {
    next_ms: u64,
}

impl Pauses {
    /// Before the first try.
    pub(crate) fn new() -> Self {
        Self { next_ms: MS_MIN }
    }

    /// A try has worked: the next pause is the first again.
    pub(crate) fn reset(&mut self) {
        *self = Self::new();
    }

    /// Whether the pauses have grown to the longest.
    pub(crate) fn are_longest(&self) -> bool {
        self.next_ms == MS_MAX
    }

    /// Waits before the next try; false where the agent stops meanwhile.
    pub(crate) async fn wait(&mut self, clock: &Clock, stopping: &CancellationToken) -> bool {
        let pause_ms = self.next_ms;
        self.next_ms = (pause_ms * 2).min(MS_MAX);
        tokio::select! {
            biased;
            () = stopping.cancelled() => false,
            () = clock.sleep_ms(pause_ms) => true,
        }
    }
}
