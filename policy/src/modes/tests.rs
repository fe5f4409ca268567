use proptest::prelude::*;

use super::*;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn used(variant: &str, mode: Mode, share_bp: u32) -> Used {
    let until_ms = (mode == Mode::Bake).then_some(1);
    Used { variant: name(variant), mode, share_bp, from_bp: 0, until_ms }
}

fn modes() -> impl Strategy<Value = Mode> {
    prop_oneof![
        Just(Mode::Test),
        Just(Mode::Shadow),
        Just(Mode::Canary),
        Just(Mode::Bake),
        Just(Mode::Production)
    ]
}

proptest! {
    #[test]
    fn whatever_is_changed_one_variant_is_in_production(
        steps in prop::collection::vec((0..4_usize, modes(), 0..6_000_u32), 0..40),
        key in any::<[u8; 8]>(),
    ) {
        let names = ["a", "b", "c", "d"];
        let mut all: Vec<Used> = names.map(|it| tested(name(it))).to_vec();
        all[0].mode = Mode::Production;
        for (variant, mode, share_bp) in steps {
            let until_ms = (mode == Mode::Bake).then_some(7);
            let to = Change { mode, share_bp, until_ms };
            if let Ok(next) = change(&all, &name(names[variant]), to) {
                all = next;
                prop_assert_eq!(all[variant].mode, mode);
            }
            prop_assert_eq!(check(&all), Ok(()));
            let answers = answering(&all, &key, b"salt").unwrap();
            prop_assert!(!matches!(answers.mode, Mode::Test | Mode::Shadow));
            prop_assert!(watching(&all, &key, b"salt").all(|it| it.mode == Mode::Shadow));
        }
    }

    /// Whoever a candidate answered, it answers as its share grows.
    #[test]
    fn a_share_that_grows_keeps_whom_it_had(
        few in 1..2_500_u32, more in 0..2_500_u32, key in any::<[u8; 8]>(),
    ) {
        let of = |share_bp| {
            let all = [used("main", Mode::Production, 0), used("new", Mode::Canary, share_bp)];
            answering(&all, &key, b"e").unwrap().variant.clone()
        };
        if of(few) == name("new") {
            prop_assert_eq!(of(few + more), name("new"));
        }
    }
}

proptest! {
    /// Shares lie beside each other, whatever is changed; and as long as two candidates are all,
    /// nobody changes from one to the other.
    #[test]
    fn candidates_take_nobody_from_each_other(
        steps in prop::collection::vec((1..5_usize, prop::bool::weighted(0.8), 1..1_250_u32), 1..30),
    ) {
        let names = ["main", "a", "b", "c", "d"];
        let mut all: Vec<Used> = names.map(|it| tested(name(it))).to_vec();
        all[0].mode = Mode::Production;
        for (variant, shares, share_bp) in steps {
            let mode = if shares { Mode::Canary } else { Mode::Test };
            let share_bp = if shares { share_bp } else { 0 };
            let to = Change { mode, share_bp, until_ms: None };
            let next = change(&all, &name(names[variant]), to).unwrap();
            // Four starts are far enough apart for a quarter of 5,000 each.
            for (was, is) in all.iter().zip(&next) {
                let stays = was.mode == Mode::Canary && is.mode == Mode::Canary;
                prop_assert!(!stays || was.from_bp == is.from_bp, "{was:?} {is:?}");
            }
            all = next;
            let mut spans: Vec<(u32, u32)> =
                sharing(&all).map(|it| (it.from_bp, it.from_bp + it.share_bp)).collect();
            spans.sort_unstable();
            prop_assert!(spans.array_windows().all(|[one, next]| one.1 <= next.0), "{spans:?}");
            prop_assert!(spans.iter().all(|(_, until)| *until <= WHOLE_BP));
        }
    }

    /// What two answer together is divided as their shares are.
    #[test]
    fn a_share_is_told_of_what_it_is_compared_with(one in 1..2_500_u32, other in 0..2_500_u32) {
        let all = [
            used("main", Mode::Production, 0),
            used("new", Mode::Bake, one),
            used("other", Mode::Canary, other),
        ];
        let part = u64::from(beside_production_bp(&all, &all[1]));
        let both = u64::from(one + (WHOLE_BP - one - other));
        prop_assert!(part * both <= u64::from(one) * 10_000 && (part + 1) * both > u64::from(one) * 10_000);
    }
}

#[test]
fn shares_are_kept() {
    let all = [
        used("main", Mode::Production, 0),
        used("one", Mode::Canary, 1_000),
        Used { from_bp: 5_000, ..used("two", Mode::Bake, 500) },
        used("dark", Mode::Shadow, 2_000),
    ];
    let (mut one, mut two, mut dark) = (0_u32, 0_u32, 0_u32);
    for key in 0..100_000_u32 {
        let key = key.to_le_bytes();
        let answers = answering(&all, &key, b"e").unwrap();
        one += u32::from(answers.variant == name("one"));
        two += u32::from(answers.variant == name("two"));
        dark += u32::from(watching(&all, &key, b"e").count() == 1);
    }
    // Four standard deviations about 10, 5 and 20 %.
    assert!((9_620..10_380).contains(&one), "{one}");
    assert!((4_724..5_276).contains(&two), "{two}");
    assert!((19_494..20_506).contains(&dark), "{dark}");
}

#[test]
fn what_cannot_be_is_refused_in_words() {
    let all = [used("main", Mode::Production, 0), used("new", Mode::Test, 0)];
    let to = |mode, share_bp, until_ms| Change { mode, share_bp, until_ms };
    let refused = |variant: &str, to| change(&all, &name(variant), to).unwrap_err().to_string();
    let told = [
        refused("other", to(Mode::Test, 0, None)),
        refused("main", to(Mode::Canary, 100, None)),
        refused("new", to(Mode::Canary, 0, None)),
        refused("new", to(Mode::Canary, 5_001, None)),
        refused("new", to(Mode::Shadow, 10_001, None)),
        refused("new", to(Mode::Bake, 100, None)),
        refused("new", to(Mode::Production, 1, None)),
        check(&[]).unwrap_err().to_string(),
    ];
    insta::assert_snapshot!(told.join("\n"));
}
