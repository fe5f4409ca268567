use proptest::prelude::*;

use super::*;

/// What a test counts beside a resampling: events and sends of each stratum and of all.
struct Account {
    resample: Resample,
    factor: (i128, i128),
    counts: BTreeMap<u32, (i128, i128)>,
    all: (i128, i128),
}

impl Account {
    fn new(factor: Ratio) -> Self {
        let of = i128::from(factor.of()) * i128::from(WHOLE_PPM);
        let factor_parts = (i128::from(factor.parts()), of);
        Self {
            resample: Resample::new(factor),
            factor: factor_parts,
            counts: BTreeMap::new(),
            all: (0, 0),
        }
    }

    /// Sends an event, and returns what it leaves of the stratum and of the whole, in parts of a
    /// send of which a send has `factor.1`.
    fn event(&mut self, stratum: u32, times_ppm: u32) -> (i128, i128) {
        let copies = i128::from(self.resample.copies(stratum, times_ppm));
        let due = self.factor.0 * i128::from(times_ppm);
        let count = self.counts.entry(stratum).or_default();
        let sent = copies * self.factor.1;
        (count.0, count.1) = (count.0 + due, count.1 + sent);
        self.all = (self.all.0 + due, self.all.1 + sent);
        (count.1 - count.0, self.all.1 - self.all.0)
    }

    /// Both laws, after an event.
    fn holds(&self, (stratum, all): (i128, i128)) -> bool {
        let strata = i128::try_from(self.counts.len()).unwrap();
        stratum.abs() < self.factor.1 && 2 * all.abs() < (strata + 1) * self.factor.1
    }
}

fn factors() -> impl Strategy<Value = Ratio> {
    let small = (1..20_u64, 1..20_u64);
    let any = (1..1_u64 << 40, 1..1_u64 << 40);
    prop_oneof![small, any].prop_map(|(parts, of)| Ratio::new(parts, of).unwrap())
}

proptest! {
    /// The i-th event of a stream of one stratum is sent floor((i+1)k) - floor(ik) times.
    #[test]
    fn one_stratum_is_diffused_by_floors(factor in factors(), events in 1..500_u128) {
        let (parts, of) = (u128::from(factor.parts()), u128::from(factor.of()));
        let mut resample = Resample::new(factor);
        let mut sent = 0;
        for event in 0..events {
            let copies = u128::from(resample.copies(7, 1_000_000));
            prop_assert_eq!(copies, (event + 1) * parts / of - event * parts / of);
            sent += copies;
            prop_assert!((sent * of).abs_diff((event + 1) * parts) < of);
        }
    }

    /// Every stratum within one event, all together within half an event for each stratum and half a
    /// one more, after every event, whatever comes when and however the factor changes.
    #[test]
    fn rate_and_mix_hold_after_every_event(
        factor in factors(),
        events in prop::collection::vec(
            (prop_oneof![0..3_u32, 0..40_u32], prop_oneof![Just(1_000_000_u32), 1..3_000_000_u32]),
            1..600,
        ),
    ) {
        let mut account = Account::new(factor);
        for (stratum, times_ppm) in events {
            let left = account.event(stratum, times_ppm);
            prop_assert!(account.holds(left), "{left:?} of {:?}", account.factor);
        }
    }

    /// The same against one who orders events so that the whole goes wrong.
    #[test]
    fn nobody_can_order_events_so_that_a_law_breaks(
        factor in factors(),
        strata in 1..12_u32,
        ahead: bool,
    ) {
        let mut account = Account::new(factor);
        for _ in 0..200 {
            let worst = (0..strata).max_by_key(|stratum| {
                let before = account.resample.whole;
                let mut tried = account.resample.clone();
                tried.copies(*stratum, 1_000_000);
                let gone = before - tried.whole;
                if ahead { gone } else { -gone }
            });
            let left = account.event(worst.unwrap(), 1_000_000);
            prop_assert!(account.holds(left), "{left:?} of {:?}", account.factor);
        }
    }
}

/// Why the bound on the whole has a part for each stratum: half of the events, each stratum twice,
/// first those whose first event was sent.
#[test]
fn events_can_be_ordered_so_that_the_whole_is_off_by_a_quarter_of_the_strata() {
    let mut account = Account::new(Ratio::new(1, 2).unwrap());
    let (mut sent, mut rest) = (Vec::new(), Vec::new());
    for stratum in 0..64 {
        let (ahead, _) = account.event(stratum, 1_000_000);
        if ahead > 0 { sent.push(stratum) } else { rest.push(stratum) }
    }
    let worst = sent.iter().map(|stratum| account.event(*stratum, 1_000_000).1).min();
    assert_eq!(worst, Some(-64 / 4 * account.factor.1));
    let last = rest.iter().map(|stratum| account.event(*stratum, 1_000_000).1).last();
    assert_eq!(last, Some(0), "and it comes back");
}

/// Where strata come in no order of somebody's, the whole is far better than its bound.
#[test]
fn events_in_no_order_leave_the_whole_within_four() {
    for seed in 0..20 {
        let mut account = Account::new(Ratio::new(3, 7).unwrap());
        let mut worst = 0;
        for number in 0..20_000 {
            let word = crate::backoff::mix(seed << 32 | number);
            // Sixty-four strata, of which the first ones are frequent.
            let stratum = (word % 64).min(word >> 32 & 63);
            let (_, all) = account.event(u32::try_from(stratum).unwrap(), 1_000_000);
            worst = worst.max(all.abs());
        }
        assert!(worst < 4 * account.factor.1, "seed {seed}: {worst} of {}", account.factor.1);
    }
}

#[test]
fn strata_without_number_share_an_account() {
    let mut resample = Resample::new(Ratio::new(1, 2).unwrap());
    let strata_max = u32::try_from(STRATA_MAX).unwrap();
    let sent: u64 = (0..2 * strata_max).map(|stratum| resample.copies(stratum, 1_000_000)).sum();
    assert_eq!(resample.strata.len(), STRATA_MAX);
    assert_eq!(sent, u64::from(strata_max));
    // Those that have one keep it.
    assert!(resample.strata.contains_key(&0) && !resample.strata.contains_key(&strata_max));
}
