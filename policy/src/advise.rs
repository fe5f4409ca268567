//! Advise: what a function would cost, and how long its calls would take, at other sizes.
//!
//! An instance has processor time by its memory. What a call waited it waits at any size; what it
//! computed takes longer where its share of a processor is smaller, and no less once it has a whole
//! one, since most programs use one at a time. A share is of each period, and the first is free: so
//! a call that computes little is as fast at any size.
//!
//! Always true: a larger size is never slower; no size is advised that calls did not fit.
//! Absent on purpose: prices in money: a cost is memory times time, to which they are in proportion.

/// Memory that comes with a whole processor, in KiB. Source: Lambda gives one with 1,769 MiB.
pub const PROCESSOR_KIB: u64 = 1_769 * 1024;
/// The period of which an instance has its share, in microseconds: the executor's.
pub const PERIOD_US: u64 = 100_000;
/// Sizes that are looked at, in MiB: what functions are commonly given.
pub const SIZES_MIB: [u64; 9] = [64, 128, 256, 512, 1_024, 1_769, 3_008, 5_120, 10_240];
/// Of sizes that cost no more than the cheapest by so many hundredths, the fastest is advised.
pub const DEARER_PERCENT_MAX: u64 = 5;

/// What was measured at one size, of a call in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The size, in KiB.
    pub kib: u64,
    /// How long it took, in microseconds.
    pub call_us: u64,
    /// Processor time that it used, in microseconds.
    pub cpu_us: u64,
    /// Memory below which calls would not fit, in KiB.
    pub needs_kib: u64,
}

/// What is expected at a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The size, in KiB.
    pub kib: u64,
    /// How long a call would take, in microseconds.
    pub call_us: u64,
    /// Memory times time, in KiB and microseconds.
    pub cost: u128,
}

/// What is expected of other sizes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// All that calls fit, smallest first.
    pub sizes: Vec<Expected>,
    /// The size that is advised: nearly the cheapest, and the fastest of those.
    pub best: Expected,
}

/// Advises on the size of a function; none where calls fit no size.
pub fn advise(measured: &Measured) -> Option<Advice> {
    let fits = SIZES_MIB.iter().map(|mib| mib * 1024).filter(|kib| *kib >= measured.needs_kib);
    let sizes: Vec<Expected> = fits.map(|kib| expected(measured, kib)).collect();
    let cheapest = sizes.iter().map(|size| size.cost).min()?;
    let limit = cheapest + cheapest * u128::from(DEARER_PERCENT_MAX) / 100;
    let near = sizes.iter().filter(|size| size.cost <= limit);
    let best = *near.min_by_key(|size| (size.call_us, size.cost, size.kib))?;
    Some(Advice { sizes, best })
}

/// What is expected of a call at a size.
pub fn expected(measured: &Measured, kib: u64) -> Expected {
    let Measured { call_us, cpu_us, .. } = *measured;
    let waited_us = call_us.checked_sub(run_us(cpu_us, measured.kib));
    // One that was faster than its share allows was not held to it: its size made no difference.
    let call_us = waited_us.map_or(call_us, |us| us.saturating_add(run_us(cpu_us, kib)));
    Expected { kib, call_us, cost: u128::from(kib) * u128::from(call_us) }
}

/// How long so much processor time takes at a size, in microseconds.
fn run_us(cpu_us: u64, kib: u64) -> u64 {
    let share_kib = kib.clamp(1, PROCESSOR_KIB);
    let free_us = PERIOD_US * share_kib / PROCESSOR_KIB;
    let held_us = cpu_us.saturating_sub(free_us);
    let us = u128::from(held_us) * u128::from(PROCESSOR_KIB) / u128::from(share_kib);
    u64::try_from(us).unwrap_or(u64::MAX).saturating_add(cpu_us.min(free_us))
}

#[cfg(test)]
mod tests;
