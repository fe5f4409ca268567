//! Usage: what calls of a function really took, by the size of their input.
//!
//! Peaks are counted in steps of an eighth of a power of two, and all of them count half as much
//! after a day, so that a function that has changed is followed.
//!
//! Always true: a told peak is at least the true one, and at most an eighth above it; more calls
//! never make any part forgotten but by time. Absent on purpose: clocks, and where it is measured.

/// In this time what was seen comes to count half as much, in milliseconds.
pub const HALF_MS: u64 = 24 * 60 * 60_000;
/// Classes of inputs: up to 1 KiB, 4 KiB, 16 KiB and so on; the last one has no end.
pub const INPUTS: usize = 8;

/// Steps of each power of two.
const STEPS: u64 = 8;
/// Steps in all: up to 2^44, far more than any KiB or thousandths that a call can take.
const COUNTS: usize = 44 * 8;
/// What one peak counts at first, so that it can be halved for long.
const ONE: u32 = 1 << 10;

/// What one call took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Bytes of its input.
    pub input_bytes: u64,
    /// The most memory that it had, in KiB.
    pub memory_kib: u64,
    /// Processor time by run time, in thousandths.
    pub cpu_milli: u64,
}

/// What the calls of a function took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    memory: [Peaks; INPUTS],
    cpu: [Peaks; INPUTS],
    halved_at_ms: u64,
}

/// Peaks, counted by steps; the vector ends with the highest one seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Peaks {
    counts: Vec<u32>,
    /// Calls, as they count.
    total: u64,
}

impl Usage {
    /// Nothing was seen at that time.
    pub fn new(now_ms: u64) -> Self {
        Self { halved_at_ms: now_ms, ..Self::default() }
    }

    /// Counts a call.
    pub fn learn(&mut self, taken: Taken, now_ms: u64) {
        while now_ms.saturating_sub(self.halved_at_ms) >= HALF_MS {
            let mut all = self.memory.iter_mut().chain(&mut self.cpu);
            if all.all(|peaks| peaks.total == 0) {
                self.halved_at_ms = now_ms;
                break;
            }
            self.memory.iter_mut().chain(&mut self.cpu).for_each(Peaks::halve);
            self.halved_at_ms += HALF_MS;
        }
        let input = input(taken.input_bytes);
        self.memory[input].learn(taken.memory_kib);
        self.cpu[input].learn(taken.cpu_milli);
    }

    /// Calls that count, with inputs of that class or smaller, in whole ones.
    pub fn calls(&self, input_bytes: u64) -> u64 {
        let upto = &self.memory[..=input(input_bytes)];
        upto.iter().map(|peaks| peaks.total).sum::<u64>() / u64::from(ONE)
    }

    /// Memory that so many hundredths of calls with such an input or a smaller one did not exceed,
    /// in KiB.
    pub fn memory_kib(&self, percent: u64, input_bytes: u64) -> Option<u64> {
        at(&self.memory[..=input(input_bytes)], percent)
    }

    /// The same of the processor, in thousandths.
    pub fn cpu_milli(&self, percent: u64, input_bytes: u64) -> Option<u64> {
        at(&self.cpu[..=input(input_bytes)], percent)
    }
}

impl Peaks {
    fn learn(&mut self, peak: u64) {
        let step = step(peak);
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] = self.counts[step].saturating_add(ONE);
        self.total = self.total.saturating_add(u64::from(ONE));
    }

    fn halve(&mut self) {
        self.counts.iter_mut().for_each(|count| *count /= 2);
        self.total = self.counts.iter().map(|count| u64::from(*count)).sum();
        if self.total == 0 {
            self.counts.clear();
        }
    }
}

/// The class of an input: four times as large in each.
fn input(bytes: u64) -> usize {
    let kib = bytes.div_ceil(1024).max(1);
    let doublings = u64::BITS - (kib - 1).leading_zeros();
    usize::try_from(doublings.div_ceil(2)).unwrap_or(INPUTS).min(INPUTS - 1)
}

/// The step of a peak: the number itself up to 8, then eight steps to each power of two.
fn step(peak: u64) -> usize {
    let step = if peak < STEPS {
        peak
    } else {
        let power = u64::from(peak.ilog2()) - 3;
        // What is within a step counts as its end.
        (power + 1) * STEPS + ((peak >> power) - STEPS)
    };
    usize::try_from(step).unwrap_or(COUNTS).min(COUNTS - 1)
}

/// The largest number of a step.
fn end(step: usize) -> u64 {
    let step = step as u64;
    if step < STEPS {
        return step;
    }
    let power = step / STEPS - 1;
    ((step % STEPS + STEPS + 1) << power) - 1
}

/// The end of the step below which so many hundredths of the peaks are.
fn at(peaks: &[Peaks], percent: u64) -> Option<u64> {
    let total: u64 = peaks.iter().map(|peaks| peaks.total).sum();
    let rank = u64::try_from((u128::from(total) * u128::from(percent)).div_ceil(100)).ok()?;
    if total == 0 {
        return None;
    }
    let steps = peaks.iter().map(|peaks| peaks.counts.len()).max().unwrap_or(0);
    let mut below = 0;
    let reached = |step: &usize| {
        let counts = peaks.iter().filter_map(|peaks| peaks.counts.get(*step));
        below += counts.map(|count| u64::from(*count)).sum::<u64>();
        below >= rank.max(1)
    };
    (0..steps).find(reached).map(end)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A peak is told no lower than it was, and no more than an eighth higher.
        #[test]
        fn a_step_holds_its_peaks(peak in 0..1_u64 << 44) {
            let told = end(step(peak));
            prop_assert!(told >= peak && told - peak <= peak / 8);
        }

        /// The share that is told has peaks no higher than is told, and one step lower it has not.
        #[test]
        fn a_part_is_what_so_many_calls_kept_to(
            peaks in vec(0..10_000_000_u64, 1..60),
            percent in 1..=100_u64,
        ) {
            let mut usage = Usage::new(0);
            for memory_kib in &peaks {
                usage.learn(Taken { memory_kib: *memory_kib, ..Taken::default() }, 0);
            }
            let told = usage.memory_kib(percent, 0).unwrap();
            let kept = |kib: u64| peaks.iter().filter(|peak| **peak <= kib).count() as u64 * 100;
            let wanted = percent * peaks.len() as u64;
            prop_assert!(kept(told) >= wanted);
            let lower = step(told).checked_sub(1).map(end);
            prop_assert!(lower.is_none_or(|kib| kept(kib) < wanted));
        }

        /// Small inputs are told by themselves, large ones together with the small.
        #[test]
        fn large_inputs_do_not_raise_small_ones(small in 1..1_000_u64, large in 2_000..9_000_u64) {
            let mut usage = Usage::new(0);
            let taken = |input_bytes, memory_kib| Taken { input_bytes, memory_kib, cpu_milli: 0 };
            usage.learn(taken(10, small), 0);
            usage.learn(taken(1 << 20, large), 0);
            prop_assert!(usage.memory_kib(100, 10).unwrap() < 2_000);
            prop_assert!(usage.memory_kib(100, 1 << 20).unwrap() >= large);
            prop_assert_eq!((usage.calls(10), usage.calls(1 << 20)), (1, 2));
        }
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let mut usage = Usage::new(0);
        let taken = |memory_kib| Taken { memory_kib, ..Taken::default() };
        usage.learn(taken(1_000_000), 0);
        for day in 1..8 {
            for _ in 0..10 {
                usage.learn(taken(1_000), day * HALF_MS);
            }
        }
        assert!(usage.memory_kib(98, 0).unwrap() < 2_000);
        assert!(usage.memory_kib(100, 0).unwrap() >= 1_000_000);
        usage.learn(taken(500), 400 * HALF_MS);
        assert_eq!(usage.calls(0), 1);
    }
}
