//! Least cost: the window that would have cost least over the gaps seen lately.
//!
//! A cold start costs what it is worth in idle time; an instance warmed ahead is idle while it
//! starts. With the gaps in order, what happens before the window and what happens after it can
//! be counted apart, so that all windows between two gaps are compared in one pass. The best one is
//! then widened by what gaps not seen yet may be.
//!
//! Always true: exact integers; the choice is that of trying every window, and costs no more than
//! any fixed time over the same gaps; gaps that are all equal leave no idle time once they are many.
//! Absent on purpose: functions that are like this one, and times of day.

use super::{HORIZON_MS, Window};

/// Latest gaps that count.
pub const GAPS_MAX: usize = 200;
/// With fewer gaps there is no spread to tell how far the next one may lie off.
pub const GAPS_MIN: usize = 2;
/// The mean gap, in milliseconds, at which a cold start is worth what the stakes say; and those at
/// which it is worth a third of that, at the least, and three times, at the most.
const USUAL_GAP_MS: u64 = 20 * 60_000;
const SHORT_GAP_MS: u64 = USUAL_GAP_MS / 9;
const LONG_GAP_MS: u64 = USUAL_GAP_MS * 9;
/// The part of a lone gap by which the next one is expected to lie off at most.
const MARGIN: u64 = 8;
/// With so many gaps they tell by themselves how far the next one may lie off.
pub const SETTLED: usize = 50;
/// A gap counts half as much once so many came after it, and ever less in proportion: a function
/// that has changed is followed within twice as many calls, one that has not is known by all gaps.
pub const FRESH: usize = 16;
/// What the weights of gaps are parts of: even the oldest one's is exact to a hundredth.
const WEIGHTS: usize = 1 << 16;
/// A window is chosen anew after so small a part of the gaps is new, or when one missed it.
const NEW_PART: usize = 16;

/// What a choice weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stakes {
    /// What one cold start is worth, in idle milliseconds ([`super::worth_ms`]).
    pub worth_ms: u64,
    /// How long a start takes, in milliseconds: what it costs to warm one ahead.
    pub start_ms: u64,
}

/// The gaps of one function, or of one class of its instances.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The place to be written next is `seen % GAPS_MAX`. Milliseconds; the horizon fits.
    latest: Vec<u32>,
    /// All of them together.
    total_ms: u64,
    seen: usize,
    /// Gaps since the window was chosen.
    new: usize,
    window: Option<Window>,
}

impl Gaps {
    /// Counts a gap; one beyond the horizon as just beyond it.
    pub fn learn(&mut self, gap_ms: u64) {
        let gap = u32::try_from(gap_ms.min(HORIZON_MS + 1)).unwrap_or(u32::MAX);
        self.total_ms += u64::from(gap);
        if self.latest.len() < GAPS_MAX {
            self.latest.push(gap);
        } else {
            let oldest = std::mem::replace(&mut self.latest[self.seen % GAPS_MAX], gap);
            self.total_ms -= u64::from(oldest);
        }
        self.seen = if self.seen + 1 == 2 * GAPS_MAX { GAPS_MAX } else { self.seen + 1 };
        self.new += 1;
        let hit = |window: &Window| window.warm_ms <= gap_ms && gap_ms <= window.end_ms();
        if self.new * NEW_PART > self.latest.len() || !self.window.as_ref().is_some_and(hit) {
            self.window = None;
        }
    }

    /// The window after the next call; what no gap tells about yet is kept for a cold start's worth.
    ///
    /// The stakes are those of the first asking until a gap brings the next choice.
    pub fn window(&mut self, stakes: Stakes) -> Window {
        if let Some(window) = self.window {
            return window;
        }
        let mut gaps: Vec<Gap> = (0..self.latest.len()).map(|place| self.weighed(place)).collect();
        gaps.sort_unstable_by_key(|gap| gap.ms);
        let window = choose(&gaps, stakes);
        self.window = Some(window);
        self.new = 0;
        window
    }

    /// What a cold start of a function with these gaps is worth: more where it is called seldom, by
    /// the square root of the mean gap; what the stakes say where too few gaps were seen.
    ///
    /// Who minds how many calls are cold holds each of them for worth the same. Who minds a
    /// function's share of cold calls holds one for worth the more the fewer calls there are, in
    /// proportion to the gap. The root stands between both. What is called more seldom still is
    /// cold for most of its callers anyway, and what is called all the time is warm anyway.
    pub fn worth_ms(&self, worth_ms: u64) -> u64 {
        let worth_ms = worth_ms.min(HORIZON_MS);
        let seen = u64::try_from(self.latest.len()).unwrap_or(u64::MAX);
        if self.latest.len() < GAPS_MIN {
            return worth_ms;
        }
        let mean_ms = (self.total_ms / seen).clamp(SHORT_GAP_MS, LONG_GAP_MS);
        // The worth is below 2^30 and the gap below 2^24, so that the product fits.
        let square = u128::from(worth_ms).pow(2) * u128::from(mean_ms);
        let seldom_ms = (square / u128::from(USUAL_GAP_MS)).isqrt();
        u64::try_from(seldom_ms).unwrap_or(u64::MAX).max(1)
    }

    fn weighed(&self, place: usize) -> Gap {
        let newest = self.seen.saturating_sub(1) % GAPS_MAX;
        let age = (newest + GAPS_MAX - place) % GAPS_MAX;
        let weight = u32::try_from(WEIGHTS / (age + FRESH)).unwrap_or(1);
        Gap { ms: self.latest[place], weight }
    }
}

/// A gap, and how much it counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Its length, in milliseconds.
    pub ms: u32,
    /// At least 1.
    pub weight: u32,
}

/// Gaps that a window covers, from the first to the last: places in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Covered {
    /// `None`: an instance stays from the end of the call on.
    first: Option<usize>,
    last: usize,
}

/// Chooses a window for gaps in rising order.
///
/// Who knows nothing of what comes keeps for a cold start's worth, and never pays more than twice
/// the least by that. After a lone gap the next one is taken to be like it.
pub fn choose(gaps: &[Gap], stakes: Stakes) -> Window {
    match gaps {
        [] => return Window::keep(stakes.worth_ms),
        [lone] => return after_one(u64::from(lone.ms), stakes),
        _ => {}
    }
    let Some(covered) = cheapest(gaps, stakes) else {
        return Window::keep(0);
    };
    let end_ms = widened_end_ms(gaps, covered, stakes);
    match covered.first.map(|first| widened_start_ms(gaps, first, covered.last, stakes)) {
        Some(warm_ms) if warm_ms > stakes.start_ms => Window::between(warm_ms, end_ms),
        // What would be started again before it has gone may as well stay.
        _ => Window::keep(end_ms),
    }
}

/// The window after a single gap: an instance stays where the gap is not much more than a cold
/// start's worth, and else is warm around it.
fn after_one(gap_ms: u64, stakes: Stakes) -> Window {
    let stay_ms = stakes.worth_ms.saturating_add(stakes.worth_ms / 2);
    if gap_ms > HORIZON_MS {
        return Window::keep(stakes.worth_ms);
    }
    let margin_ms = gap_ms / MARGIN;
    let end_ms = gap_ms + margin_ms;
    if end_ms <= stay_ms || gap_ms - margin_ms <= stakes.start_ms {
        return Window::keep(end_ms.max(stakes.worth_ms));
    }
    Window::between(gap_ms - margin_ms, end_ms)
}

/// The window from one gap to another that costs least; `None` where keeping nothing does.
///
/// With `W` for weights, `S` for sums of weighted gaps, `L` and `c` for the stakes, a window from
/// gap `i` to gap `j` costs `L W(<i) + S(i..=j) - g(i) W(i..=j) + c W(>=i) + (L + g(j) - g(i))
/// W(>j)`. That is a part in which only `i` stands and one in which only `j` stands.
fn cheapest(gaps: &[Gap], stakes: Stakes) -> Option<Covered> {
    let (worth, start) = (i128::from(stakes.worth_ms), i128::from(stakes.start_ms));
    let all: i128 = gaps.iter().map(|gap| i128::from(gap.weight)).sum();
    let total: i128 = gaps.iter().map(|gap| i128::from(gap.weight) * i128::from(gap.ms)).sum();
    let mut after = (0, 0);
    let mut best_end: Option<(i128, usize)> = None;
    let mut best: Option<(i128, Covered)> = None;
    for (place, gap) in gaps.iter().enumerate().rev() {
        let (ms, weight) = (i128::from(gap.ms), i128::from(gap.weight));
        let is = |other: Option<&Gap>| other.is_some_and(|other| other.ms == gap.ms);
        let possible = u64::from(gap.ms) <= HORIZON_MS;
        let (weight_after, sum_after) = after;
        if possible && !is(gaps.get(place + 1)) {
            let cost = total - sum_after + weight_after * (worth + ms);
            if best_end.is_none_or(|(least, _)| cost < least) {
                best_end = Some((cost, place));
            }
        }
        after = (weight_after + weight, sum_after + weight * ms);
        if let Some((end_cost, last)) = best_end
            && !is(place.checked_sub(1).map(|before| &gaps[before]))
        {
            let (weight_from, sum_from) = after;
            let start_cost =
                worth * (all - weight_from) - (total - sum_from) - (ms - start) * weight_from;
            let cost = start_cost + end_cost;
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, Covered { first: Some(place), last }));
            }
        }
    }
    // To stay from the end of the call on, and to keep nothing, are looked at last.
    let (end_cost, last) = best_end?;
    let (mut cost, mut covered) = best?;
    if end_cost <= cost {
        (cost, covered) = (end_cost, Covered { first: None, last });
    }
    (cost < worth * all).then_some(covered)
}

/// The start of a window, before its first gap by what gaps not seen yet may be shorter.
///
/// Were the shortest of `n` gaps taken by chance, one in `n + 1` would be shorter, by a length that
/// falls off with the mean distance `d` of gaps. A margin `m` costs `m` idle time a call, and saves
/// a cold start in all but `exp(-m / d)` of these: least at `m = d ln(L / ((n + 1) d))`. Few gaps
/// may lie nearer to each other than to the next one ([`margin_ms`]).
fn widened_start_ms(gaps: &[Gap], first: usize, last: usize, stakes: Stakes) -> u64 {
    let start_ms = u64::from(gaps[first].ms);
    let margin_ms = margin_ms(gaps, first);
    let distance_ms = distance_ms(gaps, first, last);
    if distance_ms == 0 {
        return start_ms - margin_ms;
    }
    let seen = u64::try_from(gaps.len()).unwrap_or(u64::MAX);
    let odds = stakes.worth_ms / seen.saturating_add(1).saturating_mul(distance_ms);
    let doublings = u64::from(u64::BITS - odds.leading_zeros());
    start_ms.saturating_sub(margin_ms.max(distance_ms * doublings * 7 / 10))
}

/// The end of a window, after its last gap by what gaps not seen yet may be longer.
///
/// Before a longer gap that was left out on purpose, that is the mean distance of gaps. After the
/// longest of all only calls that are late pay for more: it is once more the whole spread, and at
/// least a cold start's worth, as where nothing is known.
fn widened_end_ms(gaps: &[Gap], covered: Covered, stakes: Stakes) -> u64 {
    let Covered { first, last } = covered;
    let first = first.unwrap_or(0);
    let end_ms = u64::from(gaps[last].ms);
    let margin_ms = margin_ms(gaps, last);
    if last + 1 < gaps.len() {
        return end_ms.saturating_add(margin_ms.max(distance_ms(gaps, first, last)));
    }
    let spread_ms = end_ms - u64::from(gaps[first].ms);
    let wider_ms = margin_ms.max(spread_ms.min(stakes.worth_ms));
    end_ms.saturating_add(wider_ms).max(stakes.worth_ms)
}

/// By how much the next gap may lie off this one though all that were seen lie nearer: the fewer
/// gaps were seen, the more. It is idle time, a half of a gap in all until they are settled.
fn margin_ms(gaps: &[Gap], place: usize) -> u64 {
    if gaps.len() >= SETTLED {
        return 0;
    }
    let seen = u64::try_from(gaps.len()).unwrap_or(u64::MAX);
    u64::from(gaps[place].ms) / MARGIN.saturating_mul(seen.max(1))
}

/// The mean distance between neighbouring gaps of a window, rounded up.
fn distance_ms(gaps: &[Gap], first: usize, last: usize) -> u64 {
    let neighbours = u64::try_from(last - first).unwrap_or(0);
    u64::from(gaps[last].ms - gaps[first].ms).div_ceil(neighbours.max(1))
}

#[cfg(test)]
mod tests;
