//! Control groups, version 1 and 2, where this process may write them.
//!
//! Always true: a controller counts as usable only where a group with it could be made; a group
//! bears its executor's and its instance's name, and is removed with the instance, or by the next
//! executor that starts after this one is gone, once its processes are; what is frozen can be killed.
//! Absent on purpose: systemd's interfaces. What is delegated to us is used; else we watch. Version
//! 1's freezer: a process that it has stopped cannot be killed, and would outlive a killed executor.

mod find;

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use types::Limits;

use crate::launch::Overhead;

/// What every group's name starts with.
const PREFIX: &str = "freehold-";
/// The period over which processor time is shared out, in microseconds; measured best for short
/// requests together with a burst of one quota.
const CPU_PERIOD_US: u64 = 100_000;
/// How often groups of executors that are gone are looked for again, in milliseconds, and how many
/// times: a process that is killed is gone within a second, also on a busy machine within some.
const SWEEP_MS: u64 = 100;
const SWEEPS_MAX: u32 = 300;
/// Longest file of a group that is read, in bytes: the longest has some sixty lines.
const FILE_BYTES_MAX: usize = 8 << 10;
/// Smallest quota that the kernel takes, in microseconds.
const CPU_QUOTA_US_MIN: u64 = 1_000;

/// Where groups can be made, by controller. In version 2 all three are the same folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cgroups {
    /// Whether these are of version 2.
    unified: bool,
    memory: Option<PathBuf>,
    pids: Option<PathBuf>,
    cpu: Option<PathBuf>,
    /// Counts processor time; in version 1 a controller of its own.
    account: Option<PathBuf>,
    /// Stops processes. Always of version 2, which may be there beside version 1.
    freeze: Option<PathBuf>,
}

impl Cgroups {
    /// Looks and tries, the first time; then remembers.
    pub(crate) fn get() -> &'static Self {
        static CGROUPS: OnceLock<Cgroups> = OnceLock::new();
        CGROUPS.get_or_init(|| {
            let found = find::find();
            if found.sweep() > 0 {
                // Of an executor that was killed a moment ago, processes are still dying.
                let again = found.clone();
                let thread = std::thread::Builder::new().name("freehold-sweep".to_owned());
                let _ = thread.spawn(move || again.sweep_on());
            }
            found
        })
    }

    /// No groups at all, as on a machine that delegates none.
    pub(crate) fn none() -> &'static Self {
        static NONE: OnceLock<Cgroups> = OnceLock::new();
        NONE.get_or_init(Self::default)
    }

    /// Whether memory can be limited.
    pub(crate) fn memory(&self) -> bool {
        self.memory.is_some()
    }

    /// Whether the number of processes can be limited.
    pub(crate) fn pids(&self) -> bool {
        self.pids.is_some()
    }

    /// Whether processor time can be limited.
    pub(crate) fn cpu(&self) -> bool {
        self.cpu.is_some()
    }

    /// Where each instance has a group.
    fn folders(&self) -> Vec<&PathBuf> {
        let all = [&self.memory, &self.pids, &self.cpu, &self.account, &self.freeze];
        let mut folders: Vec<_> = all.into_iter().flatten().collect();
        folders.sort();
        folders.dedup();
        folders
    }

    /// Removes groups whose executor is gone, also those that an OCI runtime has made at the top of
    /// other hierarchies; gives how many are left because their processes are still dying.
    fn sweep(&self) -> usize {
        let tops = find::tops();
        let mut folders: Vec<&PathBuf> = self.folders().into_iter().chain(&tops).collect();
        folders.sort();
        folders.dedup();
        let groups =
            folders.into_iter().flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
        let left = groups.flatten().filter(|group| {
            let name = group.file_name().to_string_lossy().into_owned();
            let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
            let owner = owner.and_then(|owner| owner.parse::<u32>().ok());
            let gone = owner.is_some_and(|owner| !Path::new(&format!("/proc/{owner}")).exists());
            gone && fs::remove_dir(group.path()).is_err() && group.path().exists()
        });
        left.count()
    }

    /// Sweeps until nothing is left, or what is left stays.
    fn sweep_on(&self) {
        for _ in 0..SWEEPS_MAX {
            std::thread::sleep(Duration::from_millis(SWEEP_MS));
            if self.sweep() == 0 {
                return;
            }
        }
        tracing::info!("control groups of executors that are gone are still in use");
    }

    /// Makes an instance's groups and sets its limits, but for that of processor time.
    pub(crate) fn make(
        &'static self,
        name: &str,
        limits: &Limits,
        overhead: Overhead,
    ) -> io::Result<Group> {
        let name = format!("{PREFIX}{}-{name}", std::process::id());
        let group = Group { cgroups: self, name, overhead };
        for folder in self.folders() {
            match fs::create_dir(folder.join(&group.name)) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        group.limit_memory(limits)?;
        // The sandbox's own two processes come on top.
        let processes = (u64::from(group.held(limits).processes) + 2).to_string();
        group.set(self.pids.as_ref(), "pids.max", &processes)?;
        Ok(group)
    }
}

/// The groups of one instance. Dropping them removes them, once they are empty.
#[derive(Debug)]
pub(crate) struct Group {
    cgroups: &'static Cgroups,
    name: String,
    /// What the sandbox in them needs above the limits.
    overhead: Overhead,
}

impl Group {
    /// The files of version 1 into which a process of one thread writes itself to be in these
    /// groups. `tasks` and not `cgroup.procs`, for which the kernel would wait until no processor
    /// is about to fork: some 15 ms each, during which nothing on the machine forks.
    pub(crate) fn join(&self) -> Vec<PathBuf> {
        if self.cgroups.unified {
            return Vec::new();
        }
        let folders = self.cgroups.folders().into_iter();
        let old = folders.filter(|folder| Some(*folder) != self.cgroups.freeze.as_ref());
        old.map(|folder| folder.join(&self.name).join("tasks")).collect()
    }

    /// The group of version 2 in which the sandbox's first process is to be born.
    pub(crate) fn birthplace(&self) -> Option<PathBuf> {
        let of = self.cgroups;
        let folder = if of.unified { of.folders().first().copied() } else { of.freeze.as_ref() };
        folder.map(|folder| folder.join(&self.name))
    }

    /// The limits that are held where these are the instance's: what its sandbox needs comes on top.
    pub(crate) fn held(&self, limits: &Limits) -> Limits {
        Limits {
            memory_bytes: limits.memory_bytes.saturating_add(self.overhead.memory_bytes),
            processes: limits.processes.saturating_add(self.overhead.processes),
            ..*limits
        }
    }

    /// Limits memory, in place of an earlier limit.
    pub(crate) fn limit_memory(&self, limits: &Limits) -> io::Result<()> {
        // The scratch folder lies in memory, so it comes on top.
        let bytes = self.held(limits).memory_bytes;
        let bytes = bytes.saturating_add(limits.scratch_bytes).to_string();
        let memory = self.cgroups.memory.as_ref();
        if self.cgroups.unified {
            self.set(memory, "memory.max", &bytes)?;
            self.try_set(memory, "memory.swap.max", "0");
            self.try_set(memory, "memory.oom.group", "1");
        } else {
            // Memory alone is never allowed more than memory and swap: one of these two fails, and
            // which depends on whether the limit grows.
            self.try_set(memory, "memory.memsw.limit_in_bytes", &bytes);
            self.set(memory, "memory.limit_in_bytes", &bytes)?;
            self.try_set(memory, "memory.memsw.limit_in_bytes", &bytes);
            self.try_set(memory, "memory.swappiness", "0");
        }
        Ok(())
    }

    /// Limits processor time, in thousandths of one processor, in place of an earlier limit.
    pub(crate) fn limit_cpu(&self, cpu_milli: u32) -> io::Result<()> {
        let quota_us = u64::from(cpu_milli) * CPU_PERIOD_US / 1_000;
        let quota_us = quota_us.max(CPU_QUOTA_US_MIN);
        let (cpu, burst) = (self.cgroups.cpu.as_ref(), quota_us.to_string());
        let burst_file = if self.cgroups.unified { "cpu.max.burst" } else { "cpu.cfs_burst_us" };
        // A burst may not be larger than the quota, so an earlier one has to go first.
        self.try_set(cpu, burst_file, "0");
        if self.cgroups.unified {
            self.set(cpu, "cpu.max", &format!("{quota_us} {CPU_PERIOD_US}"))?;
        } else {
            self.set(cpu, "cpu.cfs_period_us", &CPU_PERIOD_US.to_string())?;
            self.set(cpu, "cpu.cfs_quota_us", &quota_us.to_string())?;
        }
        self.try_set(cpu, burst_file, &burst);
        Ok(())
    }

    /// Whether the kernel can stop all processes of these groups at once.
    pub(crate) fn freezes(&self) -> bool {
        self.cgroups.freeze.is_some()
    }

    /// Stops all processes, or lets them go on.
    pub(crate) fn freeze(&self, frozen: bool) -> io::Result<()> {
        let value = if frozen { "1" } else { "0" };
        self.set(self.cgroups.freeze.as_ref(), "cgroup.freeze", value)
    }

    fn set(&self, folder: Option<&PathBuf>, file: &str, value: &str) -> io::Result<()> {
        folder.map_or(Ok(()), |folder| fs::write(folder.join(&self.name).join(file), value))
    }

    /// For files that not every kernel has, and that only sharpen a limit.
    fn try_set(&self, folder: Option<&PathBuf>, file: &str, value: &str) {
        let _ = self.set(folder, file, value);
    }

    fn read(&self, folder: Option<&PathBuf>, file: &str) -> Option<String> {
        let file = fs::File::open(folder?.join(&self.name).join(file)).ok()?;
        // The kernel tells no length of it, and writes it anew for every piece that is asked for.
        let mut text = String::with_capacity(FILE_BYTES_MAX);
        file.take(FILE_BYTES_MAX as u64).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Memory that the processes themselves hold (not files, not scratch), in bytes.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        let text = self.read(self.cgroups.memory.as_ref(), "memory.stat")?;
        field(&text, if self.cgroups.unified { "anon" } else { "total_rss" })
    }

    /// How often the kernel killed a process for memory.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        let file = if self.cgroups.unified { "memory.events" } else { "memory.oom_control" };
        field(&self.read(self.cgroups.memory.as_ref(), file)?, "oom_kill")
    }

    /// Processor time, in microseconds.
    pub(crate) fn cpu_us(&self) -> Option<u64> {
        let account = self.cgroups.account.as_ref();
        if self.cgroups.unified {
            return field(&self.read(account, "cpu.stat")?, "usage_usec");
        }
        let ns: u64 = self.read(account, "cpuacct.usage")?.trim().parse().ok()?;
        Some(ns / 1_000)
    }

    /// Whether processor time is limited by the kernel.
    pub(crate) fn limits_cpu(&self) -> bool {
        self.cgroups.cpu()
    }

    /// Whether the number of processes is limited by the kernel.
    pub(crate) fn limits_pids(&self) -> bool {
        self.cgroups.pids()
    }

    /// Whether the kernel limits memory, processes and processor time.
    pub(crate) fn limits_all(&self) -> bool {
        self.cgroups.memory() && self.cgroups.pids() && self.cgroups.cpu()
    }

    /// Processes and threads, the sandbox's own included.
    pub(crate) fn tasks(&self) -> Option<u64> {
        self.read(self.cgroups.pids.as_ref(), "pids.current")?.trim().parse().ok()
    }

    /// Every process still in these groups.
    pub(crate) fn processes(&self) -> Vec<i32> {
        let folders = self.cgroups.folders().into_iter();
        let texts = folders.map(|folder| folder.join(&self.name).join("cgroup.procs"));
        texts
            .filter_map(|path| fs::read_to_string(path).ok())
            .flat_map(|text| text.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>())
            .collect()
    }

    /// Removes them, where they are empty.
    pub(crate) fn remove(&self) {
        for folder in self.cgroups.folders() {
            if let Err(error) = fs::remove_dir(folder.join(&self.name))
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(group = %self.name, %error, "could not remove a control group");
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The number after a name at the start of a line.
fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        if key == name { value.trim().parse().ok() } else { None }
    })
}

/// Whether a folder is one in which groups can be made: tries one.
fn takes_groups(folder: &Path, needs: &str) -> bool {
    let trial = folder.join(format!("{PREFIX}{}-trial", std::process::id()));
    let made = fs::create_dir(&trial).is_ok() && trial.join(needs).exists();
    let _ = fs::remove_dir(&trial);
    made
}

#[cfg(test)]
mod held;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "anon_thp 5\nanon 7\nfile 9\n";
        assert_eq!(field(text, "anon"), Some(7));
        assert_eq!(field(text, "fil"), None);
    }

    #[test]
    fn a_group_takes_its_limits_and_goes_away() {
        let cgroups = Cgroups::get();
        if cgroups.folders().is_empty() {
            eprintln!("SKIPPED: no control group can be made here");
            return;
        }
        let limits = Limits {
            timeout_ms: 1,
            memory_bytes: 64 << 20,
            cpu_milli: 500,
            processes: 5,
            scratch_bytes: 1 << 20,
        };
        let group = cgroups.make("test", &limits, Overhead::default()).unwrap();
        group.limit_cpu(limits.cpu_milli).unwrap();
        // A smaller limit, whose burst is smaller too, and a larger one.
        for (memory_bytes, cpu_milli) in [(32 << 20, 100), (128 << 20, 2_000)] {
            group.limit_cpu(cpu_milli).unwrap();
            group.limit_memory(&Limits { memory_bytes, ..limits }).unwrap();
        }
        let paths: Vec<_> = group.join().into_iter().chain(group.birthplace()).collect();
        assert!(!paths.is_empty() && paths.iter().all(|path| path.exists()), "{paths:?}");
        assert_eq!(group.processes(), Vec::<i32>::new());
        if cgroups.memory() {
            assert_eq!(group.memory_bytes(), Some(0));
            assert_eq!(group.oom_kills(), Some(0));
        }
        drop(group);
        assert!(paths.iter().all(|path| !path.exists()));
    }
}
