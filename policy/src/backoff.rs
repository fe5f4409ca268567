//! Backoff: how long to wait before trying again, and when to stop trying.
//!
//! Always true: a pause lies in the upper half of the doubled minimum and never passes the
//! maximum; the last try begins within the time allowed.
//! Absent on purpose: chance. The seed spreads callers that failed together.

/// How to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The first pause, in milliseconds; it doubles with each further one.
    pub ms_min: u64,
    /// The longest pause, in milliseconds.
    pub ms_max: u64,
    /// Most tries, the first included.
    pub tries_max: u32,
    /// Longest time from the first try to the start of the last, in milliseconds.
    pub age_ms_max: u64,
}

/// The pause in milliseconds after `failures` failures in a row, `age_ms` after the first try
/// began; none when it is time to give up.
///
/// Source: "equal jitter", Exponential Backoff And Jitter, AWS Architecture Blog, 2015.
pub fn next_ms(failures: u32, age_ms: u64, settings: &Settings, seed: u64) -> Option<u64> {
    let ms = pause_ms(failures, settings.ms_min, settings.ms_max, seed);
    let in_time = age_ms.saturating_add(ms) <= settings.age_ms_max;
    (failures < settings.tries_max && in_time).then_some(ms)
}

/// The pause in milliseconds after `failures` failures in a row, for those who never give up.
pub fn pause_ms(failures: u32, ms_min: u64, ms_max: u64, seed: u64) -> u64 {
    let doublings = failures.saturating_sub(1).min(63);
    let whole_ms = ms_min.saturating_mul(1 << doublings).min(ms_max);
    let half_ms = whole_ms / 2;
    whole_ms - mix(seed.wrapping_add(u64::from(failures))) % (half_ms + 1)
}

/// Spreads a seed over all 64 bits. Source: `SplitMix64`, Steele, Lea and Flood, 2014.
pub(crate) fn mix(seed: u64) -> u64 {
    let mut word = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests;
