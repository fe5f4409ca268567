//! Sweeps: the largest rate at which a condition holds.
//!
//! The rate is doubled while the condition holds; between the largest rate at which it held and the
//! smallest at which it did not, the geometric middle is asked, until both are near enough.
//!
//! Always true: what is found held, and what is told as missed did not; a condition that holds up to
//! one rate and not above it is found to within what was asked for; a search ends, also where a rate
//! cannot be told. Absent on purpose: the condition.

use super::UHZ;

/// Between which rates, and how finely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first that is asked; nothing below it is.
    pub from_uhz: u64,
    /// The largest that is asked.
    pub to_uhz: u64,
    /// The answer may be so many thousandths below the largest rate that holds.
    pub within_milli: u64,
}

/// A search, and what it knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Search {
    range: Range,
    held: Option<u64>,
    missed: Option<u64>,
    untold: Option<u64>,
}

impl Search {
    /// A search that knows nothing; none where the range is empty, or would be cut without an end.
    pub fn new(range: Range) -> Option<Self> {
        let Range { from_uhz, to_uhz, within_milli } = range;
        let is_range = 0 < from_uhz && from_uhz <= to_uhz && within_milli > 0;
        is_range.then_some(Self { range, held: None, missed: None, untold: None })
    }

    /// The rate that is to be tried next; none where the answer is known.
    pub fn next_uhz(&self) -> Option<u64> {
        let Range { from_uhz, to_uhz, within_milli } = self.range;
        if self.untold.is_some() {
            return None;
        }
        match (self.held, self.missed) {
            (None, None) => Some(from_uhz),
            (None, Some(_)) => None,
            (Some(held), None) => (held < to_uhz).then(|| held.saturating_mul(2).min(to_uhz)),
            (Some(held), Some(missed)) => {
                let (low, high) = (u128::from(held), u128::from(missed));
                let is_near = high * 1_000 <= low * (1_000 + u128::from(within_milli));
                let middle = u64::try_from((low * high).isqrt()).unwrap_or(missed);
                (!is_near && held < middle && middle < missed).then_some(middle)
            }
        }
    }

    /// Learns whether the condition held at the rate that was to be tried; of another one it learns
    /// nothing.
    pub fn tell(&mut self, rate_uhz: u64, holds: bool) {
        if self.next_uhz() != Some(rate_uhz) {
            return;
        }
        let known = if holds { &mut self.held } else { &mut self.missed };
        *known = Some(rate_uhz);
    }

    /// Learns that it cannot be told whether the condition holds at the rate that was to be tried. It
    /// ends there: at another rate it could not be told why.
    pub fn give_up(&mut self, rate_uhz: u64) {
        if self.next_uhz() == Some(rate_uhz) {
            self.untold = Some(rate_uhz);
        }
    }

    /// The rate at which it could not be told.
    pub fn untold_uhz(&self) -> Option<u64> {
        self.untold
    }

    /// The largest rate at which it held so far.
    pub fn held_uhz(&self) -> Option<u64> {
        self.held
    }

    /// The smallest rate at which it did not hold so far.
    pub fn missed_uhz(&self) -> Option<u64> {
        self.missed
    }
}

/// For how long a rate is sent, in milliseconds, so that there are so many requests; at least as long
/// as was asked for.
pub fn duration_ms(rate_uhz: u64, least_ms: u64, requests: u64) -> u64 {
    let needed = u128::from(requests) * u128::from(UHZ) * 1_000;
    let needed = needed.div_ceil(u128::from(rate_uhz.max(1)));
    u64::try_from(needed).unwrap_or(u64::MAX).max(least_ms)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ranges() -> impl Strategy<Value = Range> {
        (1..1_u64 << 40, 0..1_u64 << 40, 1_u64..500).prop_map(|(from_uhz, more, within_milli)| {
            Range { from_uhz, to_uhz: from_uhz + more, within_milli }
        })
    }

    proptest! {
        #[test]
        fn a_limit_is_found(range in ranges(), limit in 0..1_u64 << 42) {
            let mut search = Search::new(range).unwrap();
            let mut asked = Vec::new();
            while let Some(rate) = search.next_uhz() {
                prop_assert!((range.from_uhz..=range.to_uhz).contains(&rate));
                prop_assert!(!asked.contains(&rate), "{rate} again after {asked:?}");
                asked.push(rate);
                prop_assert!(asked.len() <= 100);
                search.tell(rate, rate <= limit);
            }
            match search.held_uhz() {
                None => prop_assert!(limit < range.from_uhz),
                Some(held) => {
                    prop_assert!(held <= limit);
                    let largest = u128::from(limit.min(range.to_uhz));
                    let milli = 1_000 + u128::from(range.within_milli);
                    // Where rates are so small that none lies between two, those are neighbours.
                    let is_near = largest * 1_000 <= u128::from(held) * milli;
                    prop_assert!(is_near || largest <= u128::from(held) + 1, "{held} of {largest}");
                }
            }
        }

        #[test]
        fn whatever_is_told_a_search_ends(range in ranges(), told in proptest::collection::vec(any::<bool>(), 120)) {
            let mut search = Search::new(range).unwrap();
            let mut told = told.into_iter();
            while let Some(rate) = search.next_uhz() {
                let holds = told.next();
                prop_assert!(holds.is_some(), "it goes on: {search:?}");
                search.tell(rate, holds == Some(true));
            }
            if let (Some(held), Some(missed)) = (search.held_uhz(), search.missed_uhz()) {
                prop_assert!(held < missed);
            }
        }

        #[test]
        fn there_are_as_many_requests_as_needed(rate in 1..1_u64 << 40, least in 0..1_u64 << 40, requests in 0..1_u64 << 20) {
            let ms = duration_ms(rate, least, requests);
            prop_assert!(ms >= least);
            let sent = u128::from(ms) * u128::from(rate) / (u128::from(UHZ) * 1_000);
            prop_assert!(sent >= u128::from(requests));
        }
    }

    #[test]
    fn what_cannot_be_told_ends_a_search_and_is_not_missed() {
        let range = Range { from_uhz: UHZ, to_uhz: 100 * UHZ, within_milli: 10 };
        let mut search = Search::new(range).unwrap();
        search.tell(UHZ, true);
        search.give_up(3 * UHZ);
        assert_eq!(search.next_uhz(), Some(2 * UHZ), "that one was not to be tried");
        search.give_up(2 * UHZ);
        assert_eq!((search.next_uhz(), search.untold_uhz()), (None, Some(2 * UHZ)));
        assert_eq!((search.held_uhz(), search.missed_uhz()), (Some(UHZ), None));
    }

    #[test]
    fn what_is_no_range_is_refused() {
        let good = Range { from_uhz: UHZ, to_uhz: UHZ, within_milli: 1 };
        assert!(Search::new(good).is_some());
        for bad in [
            Range { from_uhz: 0, ..good },
            Range { to_uhz: UHZ - 1, ..good },
            Range { within_milli: 0, ..good },
        ] {
            assert_eq!(Search::new(bad), None);
        }
    }
}
