use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use types::{Column, ColumnType};

use super::*;
use crate::linking::tests::formats;

prop_compose! {
    fn figures()(
        text_score_milli in prop_oneof![Just(0), 0..20_000_u64],
        accuracy_ppm in prop::option::of(0..=1_000_000_u64),
        accuracy_grade in select(vec![Grade::Claimed, Grade::Measured, Grade::Verified]),
        latency_p50_us in prop::option::of(0..10_000_000_u64),
        memory_peak_bytes in prop::option::of(0..1_u64 << 36),
        requires_memory_bytes in 0..1_u64 << 36,
        requires_cpu_milli in 0..4_000_u32,
        uses in prop_oneof![Just(0), 0..1_000_000_u64],
    ) -> Candidate {
        Candidate {
            key: String::new(),
            kind: ItemKind::Model,
            category: String::new(),
            subcategory: String::new(),
            input: None,
            output: None,
            text_score_milli,
            accuracy_ppm,
            accuracy_grade,
            latency_p50_us,
            memory_peak_bytes,
            requires_memory_bytes,
            requires_cpu_milli,
            uses,
        }
    }
}

prop_compose! {
    fn candidates_of()(
        figures in figures(),
        kind in select(ItemKind::ALL.to_vec()),
        category in select(vec!["security", "Vision"]),
        subcategory in select(vec!["", "fraud"]),
        input in prop::option::of(formats()),
        output in prop::option::of(formats()),
    ) -> Candidate {
        let (category, subcategory) = (category.to_owned(), subcategory.to_owned());
        Candidate { kind, category, subcategory, input, output, ..figures }
    }
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    vec(candidates_of(), 0..12).prop_map(|mut candidates| {
        for (number, candidate) in candidates.iter_mut().enumerate() {
            candidate.key = format!("item-{number:02}");
        }
        candidates
    })
}

prop_compose! {
    fn wishes()(
        kind in prop::option::of(select(ItemKind::ALL.to_vec())),
        category in prop::option::of(select(vec!["SECURITY", "vision"])),
        subcategory in prop::option::of(Just("Fraud")),
        data in prop::option::of(formats()),
        accuracy_ppm_min in prop::option::of(0..=1_000_000_u64),
        latency_us_max in prop::option::of(0..10_000_000_u64),
        memory_bytes_max in prop::option::of(0..1_u64 << 37),
        cpu_milli_max in prop::option::of(0..4_000_u32),
    ) -> Wish {
        Wish {
            kind,
            category: category.map(str::to_owned),
            subcategory: subcategory.map(str::to_owned),
            data,
            accuracy_ppm_min,
            latency_us_max,
            memory_bytes_max,
            cpu_milli_max,
        }
    }
}

fn keys(ranked: &[Ranked], candidates: &[Candidate]) -> Vec<String> {
    ranked.iter().map(|one| candidates[one.index].key.clone()).collect()
}

proptest! {
    /// The order in which candidates are given does not matter.
    #[test]
    fn the_order_of_candidates_does_not_matter(
        (candidates, shuffled) in candidates()
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle())),
        wish in wishes(),
    ) {
        let (one, other) = (suggest(&candidates, &wish), suggest(&shuffled, &wish));
        prop_assert_eq!(keys(&one.answers, &candidates), keys(&other.answers, &shuffled));
        let near = |found: &Suggestions, all: &[Candidate]| -> Vec<_> {
            let name = |one: &Near| all[one.ranked.index].key.clone();
            found.near.iter().map(|one| (name(one), one.misses.clone())).collect()
        };
        prop_assert_eq!(near(&one, &candidates), near(&other, &shuffled));
    }

    /// No candidate changes the order of the others.
    #[test]
    fn a_rival_changes_nothing_between_two_others(
        candidates in candidates(),
        wish in wishes(),
        gone: prop::sample::Index,
    ) {
        prop_assume!(!candidates.is_empty());
        let mut fewer = candidates.clone();
        let removed = fewer.remove(gone.index(candidates.len()));
        let mut expected = keys(&rank(&candidates, &wish), &candidates);
        expected.retain(|key| *key != removed.key);
        prop_assert_eq!(keys(&rank(&fewer, &wish), &fewer), expected);
    }

    /// A score is the sum of its reasons, which come in the order of their points; scores fall.
    #[test]
    fn every_rank_is_explained(candidates in candidates(), wish in wishes()) {
        let answers = rank(&candidates, &wish);
        for one in &answers {
            let sum: u64 = one.reasons.iter().map(|reason| reason.points).sum();
            prop_assert_eq!(one.score, sum);
            prop_assert!(one.score <= 100_000);
            prop_assert!(one.reasons.is_sorted_by(|first, next| first.points >= next.points));
        }
        prop_assert!(answers.is_sorted_by(|one, next| one.score >= next.score));
    }

    /// An answer meets every hard part of the wish, one that is near misses one or two, and
    /// whatever meets every part is an answer.
    #[test]
    fn hard_parts_exclude(candidates in candidates(), wish in wishes()) {
        let found = suggest(&candidates, &wish);
        let same = |wanted: &Option<String>, is: &str| {
            wanted.as_ref().is_none_or(|word| word.eq_ignore_ascii_case(is))
        };
        let least = |min: Option<u64>, is: Option<u64>| {
            min.is_none_or(|min| is.is_some_and(|is| is >= min))
        };
        let most = |max: Option<u64>, is: Option<u64>| {
            max.is_none_or(|max| is.is_some_and(|is| is <= max))
        };
        let meets = |one: &Candidate| {
            wish.kind.is_none_or(|kind| kind == one.kind)
                && same(&wish.category, &one.category)
                && same(&wish.subcategory, &one.subcategory)
                && least(wish.accuracy_ppm_min, one.accuracy_ppm)
                && most(wish.latency_us_max, one.latency_p50_us)
                && most(wish.memory_bytes_max, Some(one.requires_memory_bytes))
                && most(wish.memory_bytes_max, Some(one.memory_peak_bytes.unwrap_or(0)))
                && wish.cpu_milli_max.is_none_or(|max| one.requires_cpu_milli <= max)
                && wish.data.as_ref().is_none_or(|data| {
                    !matches!(fit(data, data::wanted_format(one)), Fit::Differs { .. })
                })
        };
        let answers: Vec<_> = found.answers.iter().map(|one| one.index).collect();
        for (index, candidate) in candidates.iter().enumerate() {
            prop_assert_eq!(answers.contains(&index), meets(candidate));
        }
        for near in &found.near {
            prop_assert!((1..=MISSES_MAX).contains(&near.misses.len()));
            prop_assert!(!answers.contains(&near.ranked.index));
            prop_assert!(wish.kind.is_none_or(|kind| kind == candidates[near.ranked.index].kind));
        }
        prop_assert!(found.near.len() <= NEAR_MAX);
        prop_assert!(found.near.is_sorted_by_key(|near| near.misses.len()));
    }

    /// Of two items alike but for one figure, the one with the better figure never ranks lower.
    #[test]
    fn a_better_figure_never_ranks_lower(
        figures in figures(),
        more in 1..1_000_000_u64,
        which in 0..4_u8,
    ) {
        let mut worse = Candidate { key: "a".to_owned(), ..figures };
        worse.accuracy_ppm = worse.accuracy_ppm.or(Some(0));
        worse.latency_p50_us = Some(worse.latency_p50_us.unwrap_or(0) + more);
        let mut better = Candidate { key: "b".to_owned(), ..worse.clone() };
        match which {
            0 => better.text_score_milli += more,
            1 => better.accuracy_ppm = better.accuracy_ppm.map(|ppm| (ppm + more).min(1_000_000)),
            2 => better.latency_p50_us = better.latency_p50_us.map(|us| us - more),
            _ => better.uses += more,
        }
        let ranked = rank(&[worse, better], &Wish::default());
        let scores = |index| ranked.iter().find(|one| one.index == index).unwrap().score;
        prop_assert!(scores(1) >= scores(0));
    }

    /// Data that equals what an item takes fits it; data with more columns covers it.
    #[test]
    fn data_with_more_than_enough_still_fits(format in formats(), place: prop::sample::Index) {
        prop_assert_eq!(fit(&format, Some(&format)), Fit::Equal);
        if let Format::Table { columns } = &format {
            let mut more = columns.clone();
            let extra = Column { name: "extra".to_owned(), column_type: ColumnType::Text };
            more.insert(place.index(columns.len() + 1), extra);
            let data = Format::Table { columns: more };
            prop_assert_eq!(fit(&data, Some(&format)), Fit::Covered { left_over: 1 });
            let lacks = matches!(fit(&format, Some(&data)), Fit::Differs { .. });
            prop_assert!(lacks);
        }
    }
}

fn sign_ins() -> Format {
    let column = |name: &str, column_type| Column { name: name.to_owned(), column_type };
    Format::Table {
        columns: vec![
            column("at", ColumnType::Timestamp),
            column("user", ColumnType::Text),
            column("failures", ColumnType::Integer),
        ],
    }
}

/// A catalogue in small.
fn catalogue() -> Vec<Candidate> {
    let base = Candidate {
        key: "acme/forest".to_owned(),
        kind: ItemKind::Algorithm,
        category: "security".to_owned(),
        subcategory: "sign-in".to_owned(),
        input: Some(sign_ins()),
        output: None,
        text_score_milli: 3_100,
        accuracy_ppm: Some(942_000),
        accuracy_grade: Grade::Measured,
        latency_p50_us: Some(1_250),
        memory_peak_bytes: Some(48 << 20),
        requires_memory_bytes: 256 << 20,
        requires_cpu_milli: 500,
        uses: 1,
    };
    let vary = |key: &str, change: &dyn Fn(&mut Candidate)| {
        let mut one = Candidate { key: key.to_owned(), ..base.clone() };
        change(&mut one);
        one
    };
    let users = Column { name: "user".to_owned(), column_type: ColumnType::Text };
    vec![
        base.clone(),
        vary("acme/tree", &|one| {
            one.input = Some(Format::Table { columns: vec![users.clone()] });
            one.accuracy_grade = Grade::Claimed;
            one.uses = 0;
        }),
        vary("beta/net", &|one| {
            one.accuracy_ppm = Some(900_000);
            one.latency_p50_us = Some(2_400_000);
        }),
        vary("beta/quiet", &|one| {
            one.accuracy_ppm = None;
            one.input = None;
        }),
        vary("gamma/image", &|one| {
            one.input = Some(Format::Media { media_type: "image/png".to_owned() });
            one.requires_memory_bytes = 3 << 30;
        }),
        vary("gamma/data", &|one| one.kind = ItemKind::Dataset),
    ]
}

/// What a requester with sign-in events reads.
#[test]
fn answers_and_near_misses_read_well() {
    let candidates = catalogue();
    let wish = Wish {
        kind: Some(ItemKind::Algorithm),
        category: Some("Security".to_owned()),
        data: Some(sign_ins()),
        accuracy_ppm_min: Some(925_500),
        latency_us_max: Some(50_000),
        memory_bytes_max: Some(1 << 30),
        ..Wish::default()
    };
    let found = suggest(&candidates, &wish);
    let mut text = String::new();
    for one in &found.answers {
        text += &format!("{} {}\n", candidates[one.index].key, one.score);
        for reason in &one.reasons {
            text += &format!("  {reason}\n");
        }
    }
    for near in &found.near {
        text += &format!("nearly {}\n", candidates[near.ranked.index].key);
        for miss in &near.misses {
            text += &format!("  {miss}\n");
        }
    }
    insta::assert_snapshot!(text);
}
