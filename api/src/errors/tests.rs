use std::collections::BTreeSet;
use std::path::Path;

use super::*;

#[test]
fn every_code_is_a_word_with_a_page_that_says_what_to_try() {
    for known in ERROR_CODES {
        let word = known.code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        assert!(word, "{}", known.code);
        let head = format!("# `{}`: {}\n", known.code, known.title);
        assert!(known.page.starts_with(&head), "{} does not start with {head}", known.code);
        assert!(known.page.contains("\n## What to try\n- "), "{}", known.code);
        let lines = known.page.lines().count();
        assert!((8..=24).contains(&lines), "{} has {lines} lines", known.code);
    }
}

#[test]
fn no_code_stands_twice_and_no_page_without_a_code() {
    let codes: BTreeSet<_> = ERROR_CODES.iter().map(|known| known.code.to_owned()).collect();
    assert_eq!(codes.len(), ERROR_CODES.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
    let pages: BTreeSet<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, pages);
}

#[test]
fn every_status_of_an_error_has_a_known_code() {
    for status in 400..600 {
        assert!(find(code_of_status(status)).is_some(), "{status}");
    }
}
