use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SETTINGS: Settings = Settings { grace_ms: 100, condemned_ms: 50, acts_max: 8 };

#[test]
fn the_whole_table() {
    let mut table = String::new();
    for references in [0, 1] {
        for (touched, touched_at_ms) in [("long ago", 0), ("within the grace", 950)] {
            for (mark, condemned_at_ms) in [
                ("none", None),
                ("old", Some(900)),
                ("fresh", Some(960)),
                ("older than touch", Some(900)),
            ] {
                let late_touch = mark == "older than touch";
                let touched_at_ms = if late_touch { 900 } else { touched_at_ms };
                let touched = if late_touch { "at the mark" } else { touched };
                let chunk =
                    Chunk { id: Digest([0; 32]), references, touched_at_ms, condemned_at_ms };
                let decision = decide(&chunk, 1_000, &SETTINGS);
                table += &format!(
                    "{references} references, touched {touched}, mark {mark}: {decision:?}\n"
                );
            }
        }
    }
    insta::assert_snapshot!(table);
}

/// What may happen to a chunk while rounds go over it.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// An upload stores it or is told that it is there.
    Touch,
    /// A manifest that names it is committed, within the grace of its touch.
    Commit,
    /// A manifest that names it goes.
    Drop,
    Round,
}

fn happenings() -> impl Strategy<Value = Vec<(u64, Happening)>> {
    let one = prop_oneof![
        2 => Just(Happening::Touch),
        2 => Just(Happening::Commit),
        1 => Just(Happening::Drop),
        4 => Just(Happening::Round),
    ];
    vec((0..120_u64, one), 0..200)
}

proptest! {
    /// Whatever happens in whatever order, a chunk that is referenced, or that an upload was told
    /// is there less than a grace ago, is never deleted; and one that is forgotten goes.
    #[test]
    fn what_somebody_counts_on_stays_and_what_is_forgotten_goes(happenings in happenings()) {
        let id = Digest([7; 32]);
        let mut chunk = Chunk { id, references: 0, touched_at_ms: 0, condemned_at_ms: None };
        let (mut now_ms, mut gone) = (0, false);
        let forgotten = (0..4).map(|_| (151_u64, Happening::Round));
        let all: Vec<_> = happenings.iter().copied().chain(forgotten).collect();
        for (done, (gap_ms, happening)) in all.into_iter().enumerate() {
            now_ms += gap_ms;
            if done == happenings.len() {
                chunk.references = 0;
            }
            match happening {
                Happening::Touch => {
                    if gone {
                        chunk.condemned_at_ms = None;
                        gone = false;
                    }
                    chunk.touched_at_ms = now_ms;
                }
                Happening::Commit if now_ms - chunk.touched_at_ms <= SETTINGS.grace_ms => {
                    prop_assert!(!gone, "an upload lost a chunk that it was told is there");
                    chunk.references += 1;
                }
                Happening::Commit => {}
                Happening::Drop => chunk.references = chunk.references.saturating_sub(1),
                Happening::Round if gone => {}
                Happening::Round => match decide(&chunk, now_ms, &SETTINGS) {
                    Decision::Keep(_) => {}
                    Decision::Spare(_) => chunk.condemned_at_ms = None,
                    Decision::Condemn => chunk.condemned_at_ms = Some(now_ms),
                    Decision::Delete => {
                        prop_assert_eq!(chunk.references, 0);
                        prop_assert!(now_ms - chunk.touched_at_ms > SETTINGS.grace_ms);
                        gone = true;
                    }
                },
            }
        }
        prop_assert!(gone);
    }

    /// A round agrees with the decision on each chunk, keeps to its limit, and is in order.
    #[test]
    fn a_round_is_its_decisions_up_to_its_limit(
        chunks in vec((0..2_u64, 0..400_u64, prop::option::of(0..400_u64)), 0..40),
        now_ms in 0..500_u64,
    ) {
        let named = |(number, (references, touched_at_ms, condemned_at_ms)): (u8, _)| {
            let mut id = [0; 32];
            id[0] = 255 - number;
            Chunk { id: Digest(id), references, touched_at_ms, condemned_at_ms }
        };
        let chunks: Vec<_> = (0..).zip(chunks).map(named).collect();
        let round = round(&chunks, now_ms, &SETTINGS);
        prop_assert!(round.condemn.len() + round.delete.len() <= SETTINGS.acts_max);
        for chunk in &chunks {
            let decision = decide(chunk, now_ms, &SETTINGS);
            let spared = matches!(decision, Decision::Spare(_));
            prop_assert_eq!(round.spare.contains(&chunk.id), spared);
            prop_assert!(!round.condemn.contains(&chunk.id) || decision == Decision::Condemn);
            prop_assert!(!round.delete.contains(&chunk.id) || decision == Decision::Delete);
        }
        for list in [&round.spare, &round.condemn, &round.delete] {
            prop_assert!(list.is_sorted());
        }
    }
}
