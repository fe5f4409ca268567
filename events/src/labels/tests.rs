use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::log::tests::{event, keyed};
use crate::segment::tests::World;
use crate::select::Selection;

fn label(source: &str, id: &str, label: &str) -> Label {
    Label { source: source.to_owned(), id: id.to_owned(), label: label.to_owned() }
}

prop_compose! {
    fn any_label()(source in "[s]{0,1}", id in "[a-d]", told in "[xy]{0,1}") -> Label {
        label(&source, &id, &told)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// The last one counts, one with a source first, also after the file is read again, and
    /// whatever a crash left at its end.
    #[test]
    fn the_last_label_counts(
        calls in prop::collection::vec(prop::collection::vec(any_label(), 1..5), 0..12),
        noise in prop::collection::vec(any::<u8>(), 0..30), gone in "[a-d]",
        is_encrypted: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let open = || Labels::new(keyed(folder.path(), is_encrypted));
        let mut labels = open();
        let mut model = BTreeMap::new();
        for (call, number) in calls.iter().zip(0..) {
            labels.append(call).unwrap();
            for label in call {
                model.insert((label.source.clone(), label.id.clone()), label.label.clone());
            }
            if number % 3 == 2 {
                let mut file = OpenOptions::new().append(true).open(folder.path().join(NAME)).unwrap();
                file.write_all(&noise).unwrap();
                labels = open();
            }
        }
        let told = |model: &BTreeMap<(String, String), String>, source: &str, id: &str| {
            let of = |source: &str| model.get(&(source.to_owned(), id.to_owned()));
            let of = |source: &str| of(source).filter(|it| !it.is_empty()).cloned();
            of(source).or_else(|| of(""))
        };
        for (source, id) in ["s", "t"].into_iter().flat_map(|it| ["a", "b", "c", "d", "e"].map(|id| (it, id))) {
            let found = labels.known().unwrap().of(source, id).map(|it| it.to_string());
            prop_assert_eq!(found, told(&model, source, id));
        }
        labels.forget(&[key("s", &gone), key("", &gone)].into()).unwrap();
        model.retain(|(_, id), _| *id != gone);
        for id in ["a", "b", "c", "d"] {
            let found = labels.known().unwrap().of("s", id).map(|it| it.to_string());
            prop_assert_eq!(found, told(&model, "s", id));
        }
    }
}

#[test]
fn a_file_of_many_that_count_no_more_is_written_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(NAME);
    let bytes = || fs::metadata(&path).unwrap().len();
    let call = |round: usize| -> Vec<Label> {
        (0..1_000).map(|id| label("s", &id.to_string(), ["x", "y"][round % 2])).collect()
    };
    // As it is opened.
    let mut frames = Vec::new();
    for label in (0..13).flat_map(call) {
        write(&mut frames, &label, (None, 0));
    }
    fs::write(&path, &frames).unwrap();
    let labels = Labels::new(folder.path());
    assert_eq!(labels.known().unwrap().of("s", "999").as_deref(), Some("x"));
    let after = bytes();
    assert_eq!(after * 13, frames.len() as u64);
    // And as more are told: there are a thousand already.
    for round in 1..9 {
        labels.append(&call(round)).unwrap();
    }
    assert_eq!(bytes(), after * 9);
    labels.append(&call(9)).unwrap();
    assert_eq!(bytes(), after);
    labels.append(&[label("s", "7", "z")]).unwrap();
    for known in [labels.known().unwrap(), Labels::new(folder.path()).known().unwrap()] {
        assert_eq!(known.of("s", "7").as_deref(), Some("z"));
        assert_eq!(known.of("s", "8").as_deref(), Some("y"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_cannot_be_kept_are_refused_whole() {
    let world = World::new();
    let stream = world.open().await;
    stream.append(vec![event(1)]).await.unwrap();
    for (labels, word) in [
        (vec![label("", "1", "a"), label("", "", "a")], "label 2 of 2: it names no event"),
        (vec![label("", "1", &"a".repeat(257))], "its label has 257 bytes; use at most 256"),
        (vec![label("", "1", "a"); 10_001], "at most 10000 labels"),
    ] {
        let refused = stream.label(labels).await.unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
    let texts = (0..TEXTS_MAX).map(|it| it.to_string());
    let texts: Vec<Label> = texts.map(|it| label("", &it, &format!("of {it}"))).collect();
    for texts in texts.chunks(CALL_MAX) {
        stream.label(texts.to_vec()).await.unwrap();
    }
    let refused = stream.label(vec![label("", "1", "one more")]).await.unwrap_err().to_string();
    assert!(refused.contains("65536 different texts"), "{refused}");
    let mut selected = stream.select(&Selection::default()).unwrap();
    assert_eq!(selected.next().unwrap().unwrap().label.as_deref(), Some("of 1"));
}

#[test]
fn damage_among_labels_that_were_told_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let labels = Labels::new(folder.path());
    let call: Vec<Label> =
        (0..CALL_MAX).map(|id| label(&"s".repeat(300), &id.to_string(), "x")).collect();
    labels.append(&call).unwrap();
    labels.append(&call).unwrap();
    let path = folder.path().join(NAME);
    let mut bytes = fs::read(&path).unwrap();
    bytes[20] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = Labels::new(folder.path()).known().unwrap_err();
    assert!(matches!(error, Error::Damaged { offset: 0, .. }), "{error}");
}
