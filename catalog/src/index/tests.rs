use proptest::collection::vec;
use proptest::prelude::*;
use uuid::Uuid;

use crate::listing::Requires;

use super::*;

fn account(number: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(number))
}

fn entry(number: u128, title: &str, visibility: Visibility) -> Entry {
    let listing = Listing {
        title: title.to_owned(),
        summary: String::new(),
        category: "security".to_owned(),
        subcategory: String::new(),
        tags: vec![],
        license: String::new(),
        input: None,
        output: None,
        runtime: None,
        requires: Requires { memory_bytes: 1, cpu_milli: 1, processes: 1, scratch_bytes: 1 },
        channels: vec![],
        parameters: serde_json::Value::Null,
        stages: vec![],
        figures: vec![],
        examples: vec![],
        documentation: String::new(),
    };
    Entry {
        item: ItemId::new(Uuid::from_u128(number)),
        account: account(1),
        account_name: "acme".parse().unwrap(),
        name: format!("item-{number}").parse().unwrap(),
        kind: ItemKind::Model,
        newest: 1,
        generation: 1,
        created_at_ms: 0,
        visibility,
        listing,
        uses: 0,
    }
}

fn find(index: &Index, viewer: u128, text: &str) -> Vec<String> {
    let query = Query { text: text.to_owned(), limit: 10, ..Query::default() };
    index.find(account(viewer), &query).iter().map(|hit| hit.entry.listing.title.clone()).collect()
}

#[test]
fn all_words_stand_before_some_and_none_is_not_found() {
    let index = Index::new();
    index.put(entry(1, "sign-in risk", Visibility::Everybody));
    index.put(entry(2, "credit risk", Visibility::Everybody));
    index.put(entry(3, "image labels", Visibility::Everybody));
    assert_eq!(find(&index, 2, "Risk of SIGN-INs"), ["sign-in risk", "credit risk"]);
    assert_eq!(find(&index, 2, "nothing"), Vec::<String>::new());
}

#[test]
fn a_newer_state_takes_the_place_of_the_older() {
    let index = Index::new();
    index.put(entry(1, "old words", Visibility::Everybody));
    index.put(entry(1, "new words", Visibility::Everybody));
    assert_eq!(find(&index, 2, "old"), Vec::<String>::new());
    assert_eq!(find(&index, 2, "new"), ["new words"]);
    index.remove(ItemId::new(Uuid::from_u128(1)));
    assert_eq!((index.count(), find(&index, 2, "new")), (0, vec![]));
}

#[test]
fn what_misses_little_is_near_and_says_what() {
    let index = Index::new();
    for (number, memory_bytes, category) in
        [(1, 10, "security"), (2, 30, "security"), (3, 10, "text"), (4, 30, "text")]
    {
        let mut entry = entry(number, "risk", Visibility::Everybody);
        entry.listing.requires.memory_bytes = memory_bytes;
        category.clone_into(&mut entry.listing.category);
        index.put(entry);
    }
    let wish = Wish {
        category: Some("security".to_owned()),
        memory_bytes_max: Some(20),
        ..Wish::default()
    };
    let query = Query { wish, limit: 10, ..Query::default() };
    let found = index.suggest(account(2), &query);
    let name = |hit: &Hit| hit.entry.name.to_string();
    assert_eq!(found.hits.iter().map(name).collect::<Vec<_>>(), ["item-1"]);
    let near: Vec<_> =
        found.near.iter().map(|near| (name(&near.hit), near.misses.join("; "))).collect();
    let (memory, category) =
        ("needs 30 bytes of memory, not 20 bytes", "is in category text, not security");
    let wanted = [
        ("item-2".to_owned(), memory.to_owned()),
        ("item-3".to_owned(), category.to_owned()),
        ("item-4".to_owned(), format!("{category}; {memory}")),
    ];
    assert_eq!(near, wanted);
    let one = index.suggest(account(2), &Query { limit: 1, ..query });
    assert_eq!((one.hits.len(), one.near.len()), (1, 1));
}

fn visibilities() -> impl Strategy<Value = Visibility> {
    prop_oneof![
        Just(Visibility::Owner),
        Just(Visibility::Everybody),
        vec(1..4_u128, 0..3)
            .prop_map(|ids| Visibility::Accounts(ids.into_iter().map(account).collect())),
    ]
}

proptest! {
    /// Nobody finds what is not shared with them, whatever they ask, nor is told that it is near;
    /// what is shared with them is found or near, and what others keep moves nothing.
    #[test]
    fn what_may_not_be_seen_is_never_found(
        shared in vec((visibilities(), 0..3_u64), 1..8),
        viewer in (1..5_u128).prop_map(account),
        text in "(risk|one|two| ){0,3}",
        bytes_max in prop::option::of(0..3_u64),
        limit in 1..9_usize,
    ) {
        let (all, seen) = (Index::new(), Index::new());
        for (number, (visibility, memory_bytes)) in shared.into_iter().enumerate() {
            let mut entry = entry(number as u128 + 1, "risk one two", visibility);
            entry.listing.requires.memory_bytes = memory_bytes;
            if entry.visible_to(viewer) {
                seen.put(entry.clone());
            }
            all.put(entry);
        }
        let wish = Wish { memory_bytes_max: bytes_max, ..Wish::default() };
        let query = Query { text: text.clone(), limit, wish, ..Query::default() };
        let found = all.suggest(viewer, &query);
        prop_assert!(found.hits.len() <= limit && found.near.len() <= limit);
        for near in &found.near {
            prop_assert!((1..=ranking::MISSES_MAX).contains(&near.misses.len()));
        }
        let near = || found.near.iter().map(|near| &near.hit);
        for hit in found.hits.iter().chain(near()) {
            prop_assert!(hit.entry.visible_to(viewer));
        }
        let fits = |hit: &Hit| {
            bytes_max.is_none_or(|most| hit.entry.listing.requires.memory_bytes <= most)
        };
        prop_assert!(found.hits.iter().all(fits) && !near().any(fits));
        let told = found.hits.len() + found.near.len();
        if limit >= seen.count() && (told > 0 || text.trim().is_empty()) {
            prop_assert_eq!(told, seen.count(), "all have the same words");
        }
    }

    /// The same entries give the same answers, in whatever order they came and with whatever was
    /// there before.
    #[test]
    fn the_order_of_coming_tells_nothing(
        mut numbers in vec(1..30_u128, 1..10),
        passing in vec(30..40_u128, 0..5),
    ) {
        let title = |number: u128| format!("risk {} {}", number % 3, number % 5);
        let (one, other) = (Index::new(), Index::new());
        for &number in &numbers {
            one.put(entry(number, &title(number), Visibility::Everybody));
        }
        for &number in &passing {
            other.put(entry(number, "risk of passing", Visibility::Everybody));
        }
        numbers.reverse();
        for &number in &numbers {
            other.put(entry(number, &title(number), Visibility::Everybody));
        }
        for &number in &passing {
            other.remove(ItemId::new(Uuid::from_u128(number)));
        }
        for text in ["", "risk", "risk 1", "2 4"] {
            prop_assert_eq!(find(&one, 9, text), find(&other, 9, text));
        }
    }
}
