//! A timer that wakes whoever waits for it (timerfd).

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
    /// One that is watched among other things.
    pub(crate) fn watched() -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, flags)?))
    }

    /// One that a thread waits for.
    pub(crate) fn waited_for() -> io::Result<Self> {
        Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?))
    }

    /// Waits until it goes off.
    pub(crate) fn wait(&self) -> io::Result<()> {
        let mut times = [0; 8];
        loop {
            match rustix::io::read(&self.0, &mut times) {
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
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
