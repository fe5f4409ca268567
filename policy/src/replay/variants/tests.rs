use proptest::prelude::*;

use super::*;

proptest! {
    /// Over any two rounds every variant is twice at each place, and of two of them each is as often
    /// before the other.
    #[test]
    fn nobody_is_favoured(first in 0..u64::MAX / 2, variants in 1..8_usize) {
        let mut places = vec![vec![0; variants]; variants];
        let mut before = vec![vec![0; variants]; variants];
        let rounds = 2 * u64::try_from(variants).unwrap();
        // From the beginning of a round, whichever.
        let first = first / rounds * rounds;
        for number in first..first + rounds {
            let order: Vec<usize> = order(number, variants).collect();
            prop_assert_eq!(order.len(), variants);
            for (place, variant) in order.iter().enumerate() {
                places[*variant][place] += 1;
                order[place + 1..].iter().for_each(|later| before[*variant][*later] += 1);
            }
        }
        prop_assert!(places.iter().flatten().all(|times| *times == 2), "{places:?}");
        for (one, other) in (0..variants).flat_map(|one| (0..one).map(move |other| (one, other))) {
            prop_assert_eq!(before[one][other], variants, "{} before {}", one, other);
            prop_assert_eq!(before[other][one], variants, "{} before {}", other, one);
        }
    }
}

#[test]
fn three_variants_have_all_their_orders() {
    let orders: Vec<Vec<usize>> = (0..6).map(|number| order(number, 3).collect()).collect();
    let expected = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0], [1, 0, 2], [0, 2, 1]];
    assert_eq!(orders, expected);
    assert_eq!(order(7, 0).count(), 0);
}
