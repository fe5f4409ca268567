//! Placement: which host runs an instance.
//!
//! Always true: an instance is placed only where both its processor time and its memory are free;
//! of equal hosts the one with the smallest id is taken.
//! Absent on purpose: moving instances, and taking room from others.

use types::HostId;

/// A host and what is free on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// The host.
    pub id: HostId,
    /// Free processor time, in thousandths of one processor.
    pub free_cpu_milli: u32,
    /// Free memory, in bytes.
    pub free_memory_bytes: u64,
    /// Whether the package lies in its cache.
    pub holds_package: bool,
}

/// What an instance needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Processor time, in thousandths of one processor.
    pub cpu_milli: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
}

/// Why there is no host for an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No host is there at all.
    #[error("no host is ready; start an agent and enrol it")]
    NoHost,
    /// None of the hosts has enough free.
    #[error(
        "none of {hosts} hosts has {cpu_milli} thousandths of a processor and {memory_bytes} bytes \
         of memory free: {short_of_cpu} lack processor time (at most {free_cpu_milli_most} free), \
         {short_of_memory} lack memory (at most {free_memory_bytes_most} free); choose a smaller \
         instance type, delete an endpoint, or add a host",
        cpu_milli = need.cpu_milli, memory_bytes = need.memory_bytes
    )]
    NoRoom {
        /// What was needed.
        need: Need,
        /// How many hosts there are.
        hosts: usize,
        /// How many have too little processor time free.
        short_of_cpu: usize,
        /// How many have too little memory free.
        short_of_memory: usize,
        /// The most processor time free on one host.
        free_cpu_milli_most: u32,
        /// The most memory free on one host.
        free_memory_bytes_most: u64,
    },
}

/// The order of preference, most important field first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    must_fetch_package: bool,
    left_over_memory_bytes: u64,
    left_over_cpu_milli: u32,
    id: HostId,
}

/// Picks the host for an instance.
///
/// Prefers a host that already holds the package, then the tightest fit.
///
/// # Errors
///
/// [`Refusal`] with what was lacking.
pub fn pick(hosts: &[Host], need: &Need) -> Result<HostId, Refusal> {
    let best = hosts.iter().filter_map(|host| rank(host, need)).min();
    best.map(|rank| rank.id).ok_or_else(|| refusal(hosts, need))
}

fn rank(host: &Host, need: &Need) -> Option<Rank> {
    Some(Rank {
        must_fetch_package: !host.holds_package,
        left_over_memory_bytes: host.free_memory_bytes.checked_sub(need.memory_bytes)?,
        left_over_cpu_milli: host.free_cpu_milli.checked_sub(need.cpu_milli)?,
        id: host.id,
    })
}

fn refusal(hosts: &[Host], need: &Need) -> Refusal {
    if hosts.is_empty() {
        return Refusal::NoHost;
    }
    let lacks_cpu = |host: &&Host| host.free_cpu_milli < need.cpu_milli;
    let lacks_memory = |host: &&Host| host.free_memory_bytes < need.memory_bytes;
    Refusal::NoRoom {
        need: *need,
        hosts: hosts.len(),
        short_of_cpu: hosts.iter().filter(lacks_cpu).count(),
        short_of_memory: hosts.iter().filter(lacks_memory).count(),
        free_cpu_milli_most: hosts.iter().map(|host| host.free_cpu_milli).max().unwrap_or(0),
        free_memory_bytes_most: hosts.iter().map(|host| host.free_memory_bytes).max().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests;
