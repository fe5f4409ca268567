//! Changing an instance that runs: stopping it while nobody needs it, giving it other limits, and
//! asking it to end.
//!
//! Always true: a frozen instance uses no processor time and can be ended; to freeze or thaw twice
//! is to do it once; a change of limits that was refused has changed nothing.

use std::io;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, prlimit};

use crate::error::Error;
use crate::instance::{Instance, Running};
use crate::launch::Level;
use crate::plan::data_bytes;

/// Most looks for processes that came while others were being stopped. Each finds only what was
/// forked since the one before, so a program needs luck to be found in the third.
const ROUNDS_MAX: usize = 16;

impl Running {
    /// Stops all its processes until [`Running::thaw`]: by its control group where the kernel can,
    /// else by signals, which a program could notice.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the kernel refuses.
    pub fn freeze(&self) -> Result<(), Error> {
        let mut frozen = self.shared.seen.frozen.lock();
        *frozen = true;
        self.shared.stop(true).map_err(Error::io("freeze an instance"))
    }

    /// Lets its processes go on.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the kernel refuses.
    pub fn thaw(&self) -> Result<(), Error> {
        let mut frozen = self.shared.seen.frozen.lock();
        *frozen = false;
        self.shared.stop(false).map_err(Error::io("thaw an instance"))
    }

    /// Asks every process of it but the sandbox's own to end, by `SIGTERM`. Whether they do, and by
    /// when, is for the caller to see; one that is frozen goes on for that.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where the kernel refuses.
    pub fn terminate(&self) -> Result<(), Error> {
        self.thaw()?;
        let processes = || self.shared.seen.processes();
        signal(processes, Signal::SIGTERM).map_err(Error::io("ask an instance to end"))
    }

    /// Gives it other limits of memory, in bytes, and of processor time, in thousandths of one
    /// processor, while it runs.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] where this machine has no control groups for both, [`Error::Invalid`]
    /// where it uses more memory than that, [`Error::Io`] where the kernel refuses.
    pub fn resize(&self, memory_bytes: u64, cpu_milli: u32) -> Result<(), Error> {
        let (instance, group) = (&self.shared, &self.shared.group);
        if !group.limits_all() {
            return Err(Error::Refused {
                work: "an instance whose limits change while it runs",
                feature: "control groups for memory and processor time",
                why: "they are not delegated to this process".to_owned(),
                cure: "delegate them, or start another instance with the new limits",
            });
        }
        let mut limits = instance.limits.lock();
        let wanted = types::Limits { memory_bytes, cpu_milli, ..*limits };
        let used_bytes = group.memory_bytes().unwrap_or(0);
        if used_bytes > group.held(&wanted).memory_bytes {
            let message = format!(
                "the instance uses {used_bytes} bytes of memory, more than the new limit of \
                 {memory_bytes}; end it, or choose a larger limit"
            );
            return Err(Error::Invalid { message });
        }
        group.limit_memory(&wanted).map_err(Error::io("change the limit of memory"))?;
        if let Err(error) = group.limit_cpu(cpu_milli) {
            let _ = group.limit_memory(&limits);
            return Err(Error::io("change the limit of processor time")(error));
        }
        let more = memory_bytes > limits.memory_bytes;
        *limits = wanted;
        drop(limits);
        // At other levels a process has no such limit of its own.
        if more && instance.level == Level::Process {
            self.raise_data(data_bytes(&wanted));
        }
        Ok(())
    }

    /// Lets each process hold as much private data. A smaller limit is the control group's alone,
    /// since not everybody who lowers a process's own may raise it again.
    fn raise_data(&self, bytes: u64) {
        for pid in self.shared.group.processes() {
            let Some(pid) = rustix::process::Pid::from_raw(pid) else { continue };
            let limit = Rlimit { current: Some(bytes), maximum: Some(bytes) };
            // One that has ended meanwhile, or is not ours to change, keeps what it has.
            let _ = prlimit(Some(pid), Resource::Data, limit);
        }
    }
}

impl Instance {
    /// Holds it to its share of the processors from now on, where the kernel does that.
    pub(crate) fn limit_cpu(&self) {
        let cpu_milli = self.limits.lock().cpu_milli;
        if let Err(error) = self.group.limit_cpu(cpu_milli) {
            tracing::warn!(instance = %self.id, %error, "could not limit processor time");
        }
    }

    /// Lets a frozen instance go on, since it is about to be ended.
    pub(crate) fn thaw_to_end(&self) {
        let mut frozen = self.seen.frozen.lock();
        if std::mem::take(&mut *frozen)
            && let Err(error) = self.stop(false)
        {
            tracing::debug!(instance = %self.id, %error, "could not thaw what is to end");
        }
    }

    fn stop(&self, stop: bool) -> io::Result<()> {
        if self.group.freezes() {
            return self.group.freeze(stop);
        }
        let signalled = if stop { Signal::SIGSTOP } else { Signal::SIGCONT };
        signal(|| self.seen.processes(), signalled)
    }
}

/// Gives this signal once to every process but the first, which only waits.
fn signal(processes: impl Fn() -> Vec<i32>, signal: Signal) -> io::Result<()> {
    let mut told: Vec<i32> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let found = processes().into_iter().skip(1);
        let new: Vec<i32> = found.filter(|pid| !told.contains(pid)).collect();
        if new.is_empty() {
            return Ok(());
        }
        for &pid in &new {
            match kill(Pid::from_raw(pid), signal) {
                // It has ended meanwhile.
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error.into()),
            }
        }
        told.extend(new);
    }
    Ok(())
}
