//! The incomplete beta function, as logarithms that stay exact where its values are tiny.
//!
//! A tail is what a continued fraction gives, by which the powers in front of it fall out of every
//! quotient that an e-process needs. The tail beyond the mean is taken; the other is what it leaves.
//!
//! Always true: for parameters from a half to 10^7 the error of a logarithm is below 10^-7, of one
//! whose tail is beyond the mean below 10^-11, and it takes at most [`TERMS_MAX`] terms.
//! Absent on purpose: parameters that are not positive.

use std::f64::consts::LN_2;

/// Terms of the fraction: it needs about the root of the larger parameter, and this is reached
/// beyond parameters of 10^8 only. What it gives then is still near enough for a decision.
const TERMS_MAX: u32 = 20_000;
/// A term that changes the fraction by less ends it: a tenth of the error that is allowed.
const NEAR: f64 = 1e-13;

/// A point between 0 and 1, with what it leaves of 1, both to full precision.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    part: f64,
    rest: f64,
    part_ln: f64,
    rest_ln: f64,
}

impl Point {
    /// The first of two positive weights as a part of both.
    pub(super) fn of(weight: f64, other: f64) -> Self {
        let (part, rest) = (weight / (weight + other), other / (weight + other));
        let (part_ln, rest_ln) = if part < rest {
            (libm::log(part), libm::log1p(-part))
        } else {
            (libm::log1p(-rest), libm::log(rest))
        };
        Self { part, rest, part_ln, rest_ln }
    }

    /// The other weight as a part of both.
    pub(super) fn turned(self) -> Self {
        Self { part: self.rest, rest: self.part, part_ln: self.rest_ln, rest_ln: self.part_ln }
    }

    /// A number divided in these parts.
    pub(super) fn divided(self, number: f64) -> (f64, f64) {
        (number * self.part, number * self.rest)
    }

    /// The chance of one history with so many events of either kind, as a logarithm.
    pub(super) fn history_ln(self, these: f64, others: f64) -> f64 {
        these * self.part_ln + others * self.rest_ln
    }
}

/// `ln B(a, b)`.
pub(super) fn beta_ln(a: f64, b: f64) -> f64 {
    libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b)
}

/// The integral of `t^(a-1) (1-t)^(b-1)` from `x` to 1, over `x^a (1-x)^b`, as a logarithm.
pub(super) fn above_ln(a: f64, b: f64, x: Point) -> f64 {
    if a * x.rest <= b * x.part {
        return -libm::log(fraction(b, a, x.turned()));
    }
    let all_ln = beta_ln(a, b) - x.history_ln(a, b);
    let below_ln = -libm::log(fraction(a, b, x));
    all_ln + rest_ln(below_ln - all_ln)
}

/// The regularised incomplete beta function `I_x(a, b)`.
pub(super) fn regularised(a: f64, b: f64, x: Point) -> f64 {
    let front_ln = x.history_ln(a, b) - beta_ln(a, b);
    if a * x.rest >= b * x.part {
        return libm::exp(front_ln) / fraction(a, b, x);
    }
    1.0 - libm::exp(front_ln) / fraction(b, a, x.turned())
}

/// `ln (1 - e^ln)` for a logarithm below 0, exact at both ends.
fn rest_ln(ln: f64) -> f64 {
    if ln > -LN_2 { libm::log(-libm::expm1(ln)) } else { libm::log1p(-libm::exp(ln)) }
}

/// The continued fraction `x^a (1-x)^b / (B(a, b) I_x(a, b))`, for `x` up to the mean `a / (a + b)`.
///
/// Didonato and Morris 1992 (ACM Algorithm 708), formula 9, by the method of Lentz.
fn fraction(a: f64, b: f64, x: Point) -> f64 {
    let (part, rest) = (x.part, x.rest);
    let lambda = a * rest - b * part;
    // Divisions are what a term costs: one is shared with the term before.
    let mut odd = 1.0 / (a + 1.0);
    let mut value = a * (lambda + 1.0) * odd;
    let (mut upper, mut lower) = (value, 0.0);
    for term in 1..=TERMS_MAX {
        let n = f64::from(term);
        let next = 1.0 / (a + 2.0 * n + 1.0);
        let common = n * (b - n) * part * odd;
        let numerator = (a + n - 1.0) * (a + b + n - 1.0) * part * common * odd;
        let denominator = n + common + (a + n) * (lambda + 1.0 + n * (1.0 + rest)) * next;
        odd = next;
        lower = 1.0 / (denominator + numerator * lower);
        upper = denominator + numerator / upper;
        let change = upper * lower;
        value *= change;
        if (change - 1.0).abs() <= NEAR {
            break;
        }
    }
    value
}

#[cfg(test)]
mod tests;
