use proptest::prelude::*;

use super::*;

const FIRST: Version = Version::Numbered(1);
const SECOND: Version = Version::Numbered(2);

fn shared(share_bp: u32) -> Routing {
    Routing::new(FIRST, &[Additional { version: SECOND, share_bp }], |_| true).unwrap()
}

proptest! {
    /// Of ten thousand places at equal distances, exactly the share is the second version's.
    #[test]
    fn a_share_is_exact(share_bp in 0..=WHOLE_BP, offset in 0..u64::MAX / 10_000) {
        let step = u64::MAX / u64::from(WHOLE_BP);
        let routing = shared(share_bp);
        let places = (0..u64::from(WHOLE_BP)).map(|number| number * step + offset);
        let second = places.filter(|place| routing.at(*place) == SECOND).count();
        // A place at equal distances may stand a little beside the border it is next to.
        prop_assert!(second.abs_diff(share_bp as usize) <= 1);
    }

    /// Who has moved to the second version stays there while its share grows.
    #[test]
    fn nobody_moves_back_while_a_share_grows(
        share_bp in 0..WHOLE_BP,
        more_bp in 0..WHOLE_BP,
        seed: u64,
    ) {
        let moved = |share_bp: u32| shared(share_bp.min(WHOLE_BP)).choose(seed) == SECOND;
        prop_assert!(!moved(share_bp) || moved(share_bp + more_bp));
    }

    /// Seeds that follow one another are spread as if they did not.
    #[test]
    fn a_row_of_seeds_is_shared_out(share_bp in 0..=WHOLE_BP, first: u64) {
        let routing = shared(share_bp);
        let seeds = (0..10_000).map(|number| first.wrapping_add(number));
        let second = seeds.filter(|seed| routing.choose(*seed) == SECOND).count();
        // Five standard deviations of an even share, which deviates the most.
        prop_assert!(second.abs_diff(share_bp as usize) <= 250);
    }

    /// Nothing is never chosen, and a whole always.
    #[test]
    fn the_ends_are_certain(seed: u64) {
        prop_assert_eq!(shared(0).choose(seed), FIRST);
        prop_assert_eq!(shared(WHOLE_BP).choose(seed), SECOND);
        let alone = Routing::new(Version::Latest, &[], |_| false).unwrap();
        prop_assert_eq!(alone.choose(seed), Version::Latest);
    }
}

#[test]
fn every_refusal_says_what_to_do() {
    let second = |version, share_bp| Additional { version, share_bp };
    let exists = |version| version <= 3;
    let refused = |version, additional: &[Additional]| {
        Routing::new(version, additional, exists).unwrap_err().to_string()
    };
    assert_eq!(
        refused(FIRST, &[second(SECOND, 1), second(Version::Numbered(3), 1)]),
        "an alias sends calls to at most two versions, not to 3: leave some out"
    );
    let unpublished =
        "calls are shared among published versions only: publish the latest one first";
    assert_eq!(refused(FIRST, &[second(Version::Latest, 1)]), unpublished);
    assert_eq!(refused(Version::Latest, &[second(FIRST, 1)]), unpublished);
    let unknown = "version 4 does not exist: publish it, or name another";
    assert_eq!(refused(Version::Numbered(4), &[]), unknown);
    assert_eq!(refused(FIRST, &[second(Version::Numbered(4), 1)]), unknown);
    assert_eq!(
        refused(FIRST, &[second(FIRST, 1)]),
        "version 1 is named twice: name it once, without a share"
    );
    assert_eq!(
        refused(FIRST, &[second(SECOND, 10_001)]),
        "a share of 10001 ten-thousandths is more than all calls: ask for 0 to 10,000"
    );
}
