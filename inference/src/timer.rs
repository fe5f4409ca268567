//! A timer that wakes whoever waits for events (timerfd).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

/// Goes off once each time it is set.
#[derive(Debug)]
pub(crate) struct Timer(OwnedFd);

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// Lets it go off after so many microseconds, whatever it was set to before.
    pub(crate) fn set_us(&self, us: u64) {
        // Of 0 the kernel thinks "never"; what it cannot count to, nobody waits for.
        let after = Duration::from_micros(us).max(Duration::from_nanos(1));
        let Ok(it_value) = Timespec::try_from(after) else { return };
        let once = Itimerspec { it_interval: Timespec::default(), it_value };
        // Refuses times that are none, and this is one.
        let set = timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once);
        debug_assert!(set.is_ok(), "{set:?}");
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
