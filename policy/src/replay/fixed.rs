//! Fixed: a logarithm and a sine in integers, so that all machines have the same ones to the bit.
//!
//! Always true: each is off by less than the bound it states. Absent on purpose: floats, whose
//! functions differ from one machine's library to another's.

use crate::backoff::mix;

/// What `SplitMix64` adds to its state for each number.
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
/// The natural logarithm of 2, in 2^-63.
const LN_2: u128 = 6_393_154_322_601_327_830;
/// The circle's number, in 2^-62.
const PI: u128 = 14_488_038_916_154_245_685;
/// One by it, in 2^-64.
const PI_INVERSE: u128 = 5_871_781_006_564_002_453;
/// Terms of a logarithm: what they leave is below 2^-44.
const TERMS: usize = 13;
/// 1, 1/3, 1/5 and so on, in 2^-63.
const ODD_INVERSES: [u128; TERMS] = {
    let mut inverses = [0; TERMS];
    let mut at = 0;
    while at < TERMS {
        inverses[at] = (1 << 63) / (2 * at as u128 + 1);
        at += 1;
    }
    inverses
};
/// 1/(2*3), 1/(4*5) and so on, in 2^-64; what the terms of a sine after them leave is below 2^-66.
const PAIR_INVERSES: [u128; 12] = {
    let mut inverses = [0; 12];
    let mut at = 0;
    while at < 12 {
        let even = 2 * at as u128 + 2;
        inverses[at] = (1 << 64) / (even * (even + 1));
        at += 1;
    }
    inverses
};

/// The `number`th of a seed's words, each of which is as likely as every other.
///
/// Source: `SplitMix64`, Steele, Lea and Flood, 2014.
pub fn word(seed: u64, number: u64) -> u64 {
    mix(seed.wrapping_add(number.wrapping_mul(GAMMA)))
}

/// The logarithm -ln(w / 2^64) of a word, in 2^-32, to 2^-32: exponentially distributed with mean
/// 1 where words are even. That of 0 is taken for that of 1.
///
/// Source: ln m = 2 artanh((m - 1) / (m + 1)), and the series of artanh.
pub(super) fn exponential_q32(word: u64) -> u64 {
    let word = word.max(1);
    let doublings = u128::from(word.leading_zeros()) + 1;
    let mantissa = u128::from(word << word.leading_zeros());
    let one = 1_u128 << 63;
    let ratio = ((mantissa - one) << 63) / (mantissa + one);
    let square = (ratio * ratio) >> 63;
    let series = ODD_INVERSES.iter().rev().fold(0, |sum, inverse| inverse + ((sum * square) >> 63));
    let logarithm = (2 * ratio * series) >> 63;
    let whole = (doublings * LN_2).saturating_sub(logarithm);
    u64::try_from((whole + (1 << 30)) >> 31).unwrap_or(u64::MAX)
}

/// The square of the sine of half a turn's part `rest / whole`, in 2^-62, to 2^-58.
///
/// `rest` is at most `whole`, which is below 2^63 and not 0. Source: the sine's Taylor series.
pub(super) fn half_turn_sine_squared_q62(rest: u64, whole: u64) -> u64 {
    let nearer = rest.min(whole - rest);
    let angle = (PI * ((u128::from(nearer) << 64) / u128::from(whole))) >> 64;
    let square = (angle * angle) >> 62;
    let one = 1_u128 << 62;
    let series = PAIR_INVERSES.iter().rev().fold(one, |sum, inverse| {
        let part = (square * sum) >> 62;
        one - ((part * inverse) >> 64)
    });
    let sine = ((angle * series) >> 62).min(one);
    u64::try_from((sine * sine) >> 62).unwrap_or(u64::MAX)
}

/// A number by the circle's; it is below 2^120.
pub(super) fn by_pi(number: u128) -> u128 {
    times_q(number, PI_INVERSE, 64)
}

/// A number below 2^120 times a fraction below 2^64 of `bits` bits, at most 64, that is at most 1.
pub(super) fn times_q(number: u128, fraction: u128, bits: u32) -> u128 {
    let (high, low) = (number >> 64, number & u128::from(u64::MAX));
    ((high * fraction) << (64 - bits)) + ((low * fraction) >> bits)
}

#[cfg(test)]
mod tests;
