//! Worse: whether a variant is surely worse than another one, by answers to the same events.
//!
//! Always true: a variant as good as all others is found worse than one of them in one of twenty
//! replays at most, however many others there are.
//! Absent on purpose: which others it is held against.

use std::fmt;

use crate::evidence::paired::Pairs;
use crate::evidence::verdict::Answer;
use crate::gates::Judgement;
use crate::gates::paired::{BOUND_PPM, verdict};

/// How another variant answered the same events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The other variant.
    pub name: String,
    /// Answers to events that both had: the candidate is the one that is watched.
    pub pairs: Pairs,
}

/// What was found of a variant beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worse {
    found: Vec<(Beside, Answer)>,
}

/// Judges a variant: it is worse where it is than one of the others, and surely not where it is than
/// none of them.
pub fn worse(others: Vec<Beside>) -> (Judgement, Worse) {
    let count = u32::try_from(others.len()).unwrap_or(u32::MAX).max(1);
    // The sum over all of them is the bound.
    let bound_ppm = (BOUND_PPM / count).max(1);
    let answer = |it: Beside| {
        let (answer, _) = verdict(it.pairs, bound_ppm);
        (it, answer)
    };
    let found: Vec<_> = others.into_iter().map(answer).collect();
    let judgement = if found.iter().any(|(_, answer)| *answer == Answer::Revert) {
        Judgement::Holds
    } else if !found.is_empty() && found.iter().all(|(_, answer)| *answer == Answer::Promote) {
        Judgement::Fails
    } else {
        Judgement::NotKnown
    };
    (judgement, Worse { found })
}

impl fmt::Display for Worse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.found.is_empty() {
            return f.write_str("it was held against no other variant on the same events");
        }
        for (place, (Beside { name, pairs }, answer)) in self.found.iter().enumerate() {
            if place > 0 {
                f.write_str("; ")?;
            }
            let Pairs { events, candidate_only, incumbent_only } = pairs;
            write!(
                f,
                "of {events} answers only it got {candidate_only} wrong, and only {name} \
                 {incumbent_only}: it is "
            )?;
            f.write_str(match answer {
                Answer::Revert => "worse",
                Answer::Promote => "no worse",
                Answer::KeepSampling | Answer::Inconclusive => "not known which is worse",
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn beside(name: &str, wrong: u64, other_wrong: u64) -> Beside {
        let pairs = Pairs { events: 1_000, candidate_only: wrong, incumbent_only: other_wrong };
        Beside { name: name.to_owned(), pairs }
    }

    #[test]
    fn one_that_is_surely_better_is_enough() {
        let (judgement, told) = worse(vec![beside("last", 20, 20), beside("next", 200, 2)]);
        assert_eq!(judgement, Judgement::Holds);
        let words = told.to_string();
        assert!(words.ends_with("only it got 200 wrong, and only next 2: it is worse"), "{words}");
    }

    #[test]
    fn of_nobody_and_of_few_events_nothing_is_known() {
        let few = Beside { name: "next".to_owned(), pairs: Pairs::default() };
        for others in [vec![], vec![few], vec![beside("next", 2, 1)]] {
            assert_eq!(worse(others).0, Judgement::NotKnown);
        }
    }

    #[test]
    fn it_is_surely_not_worse_where_it_is_than_none() {
        assert_eq!(worse(vec![beside("next", 2, 200), beside("last", 1, 300)]).0, Judgement::Fails);
        assert_eq!(
            worse(vec![beside("next", 2, 200), beside("last", 2, 2)]).0,
            Judgement::NotKnown
        );
    }

    proptest! {
        /// Others that say nothing never make a variant worse, and never hide that it is surely.
        #[test]
        fn others_make_it_no_easier(wrong in 0_u64..400, other in 0_u64..400, more in 0_usize..7) {
            let alone = worse(vec![beside("next", wrong, other)]).0;
            let silent = |_| Beside { name: "silent".to_owned(), pairs: Pairs::default() };
            let others = std::iter::once(beside("next", wrong, other));
            let among = worse(others.chain((0..more).map(silent)).collect()).0;
            prop_assert!(among != Judgement::Holds || alone == Judgement::Holds);
            prop_assert!(among != Judgement::Fails || more == 0);
        }
    }
}
