//! Arms: which variants are sent the same events in one replay, where there are more than it takes.
//!
//! Always true: each variant is in a replay, once; what is in production is in every one, so that
//! each other one is beside it; the variant that is watched comes first where it is.
//! Absent on purpose: what a variant is, and whether it can be asked.

/// The replays, each with at most `most` variants, that all these are sent.
///
/// The first of a replay is set beside each other one. `most` is 2 or more; `others` are neither
/// `production` nor twice the same.
pub fn arms<T: Clone + PartialEq>(
    watched: Option<&T>,
    production: Option<&T>,
    others: &[T],
    most: usize,
) -> Vec<Vec<T>> {
    let mut others = others.to_vec();
    // Stable: but for the one that is watched they stay in their order.
    others.sort_by_key(|it| Some(it) != watched);
    let Some(production) = production else {
        return others.chunks(most).map(<[T]>::to_vec).collect();
    };
    if others.is_empty() {
        return vec![vec![production.clone()]];
    }
    let is_first = watched == Some(production);
    let beside = |chunk: &[T]| {
        let mut replay = chunk.to_vec();
        replay.insert(if is_first { 0 } else { chunk.len() }, production.clone());
        replay
    };
    others.chunks(most.saturating_sub(1).max(1)).map(beside).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_in_one_replay_beside_what_is_in_production(
            count in 0..20_u32, has_production: bool, watched in proptest::option::of(0..=20_u32),
            most in 2..9_usize,
        ) {
            let others: Vec<u32> = (1..=count).collect();
            let production = has_production.then_some(0);
            let all = arms(watched.as_ref(), production.as_ref(), &others, most);
            prop_assert!(all.iter().all(|it| (1..=most).contains(&it.len())));
            let mut seen: Vec<u32> = all.iter().flatten().copied().filter(|it| *it > 0).collect();
            seen.sort_unstable();
            prop_assert_eq!(&seen, &others);
            for replay in &all {
                let times = replay.iter().filter(|it| **it == 0).count();
                prop_assert_eq!(times, usize::from(has_production));
            }
            prop_assert_eq!(all.is_empty(), others.is_empty() && !has_production);
            let there = watched.filter(|it| others.contains(it) || Some(*it) == production);
            if let Some(first) = there {
                prop_assert_eq!(all[0][0], first);
            }
        }
    }
}
