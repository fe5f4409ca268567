//! Turns: which of two threads reads, and when the other takes its place.
//!
//! One thread leads: it waits for events and acts on them. While it runs the model nobody reads;
//! so a run begins a little time after which the other thread takes the lead, reads on, and keeps
//! deadlines. A short run is over by then, and no thread was woken for it.
//!
//! States: led (a thread leads and reads), running (the thread that leads runs the model).
//! Always true: one thread leads at a time; no run keeps what comes from being read for longer
//! than [`HANDOVER_US`], and the time it takes to wake a thread.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::timer::Timer;

/// A run that takes longer has the other thread read on.
const HANDOVER_US: u64 = 300;

/// Whose turn it is.
#[derive(Debug)]
pub(crate) struct Turns {
    running: AtomicBool,
    handover: Timer,
}

impl Turns {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { running: AtomicBool::new(false), handover: Timer::waited_for()? })
    }

    /// The thread that leads begins to run the model.
    pub(crate) fn begin_run(&self) {
        self.running.store(true, Ordering::Release);
        self.handover.set_us(HANDOVER_US);
    }

    /// Waits for the lead.
    pub(crate) fn wait_for_lead(&self) -> io::Result<()> {
        loop {
            self.handover.wait()?;
            // Often the run is long over: nobody stops the timer.
            if self.end_run() {
                return Ok(());
            }
        }
    }

    /// The run is over, or the other thread reads on: whether whoever asks leads now.
    ///
    /// Told before anybody else can begin a run, so that no later run is taken for this one.
    pub(crate) fn end_run(&self) -> bool {
        self.running.compare_exchange(true, false, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}
