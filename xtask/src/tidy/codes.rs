//! Error codes: every word that clients match on has a page in `docs/errors/`, and every page a
//! word.
//!
//! A code is found where a room writes one: a text in a function named `code`, a constant that is
//! documented as "The code of", a field `code:` or a call that takes a code, and the list in `api`,
//! whose every entry some room gives.
//! The codes in `policy` are reasons of decisions, not errors, and are passed over.

use std::collections::BTreeMap;

use super::{Finding, Tree, is_test, without_tests};

const PAGES: &str = "docs/errors/";
/// The list of every public code.
const LIST: &str = "api/src/errors.rs";
/// Before what the first text is a code.
const GIVEN: [&str; 4] = ["code: ", ".code(", "Failure::permanent(", "ApiError::new("];
/// Pages about the pages.
const NOT_CODES: [&str; 2] = ["README", "index"];

/// Checks codes against pages, both ways.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let codes = codes(tree);
    let mut findings: Vec<Finding> = codes
        .iter()
        .filter(|(code, _)| !tree.paths.contains(&format!("{PAGES}{code}.md")))
        .map(|(code, (path, line))| {
            Finding::new(path, *line, format!("the error code {code} has no page {PAGES}{code}.md"))
        })
        .collect();
    for path in &tree.paths {
        let Some(name) = path.strip_prefix(PAGES).and_then(|name| name.strip_suffix(".md")) else {
            continue;
        };
        if !NOT_CODES.contains(&name) && !codes.contains_key(name) {
            findings.push(Finding::new(path, 0, "no source has this error code"));
        }
    }
    let listed = tree.text(LIST).map(of_list).unwrap_or_default();
    let named = |code: &str| sources(tree).any(|file| file.text.contains(&format!("\"{code}\"")));
    for (line, code) in listed.into_iter().filter(|(_, code)| !named(code)) {
        findings.push(Finding::new(LIST, line, format!("nothing gives the error code {code}")));
    }
    findings
}

/// The files in which codes are given.
fn sources(tree: &Tree) -> impl Iterator<Item = &super::File> {
    let outside = ["examples/", "xtask/", "fuzz/", "policy/", LIST];
    tree.ending(".rs").filter(move |file| {
        !is_test(&file.path) && !outside.iter().any(|folder| file.path.starts_with(folder))
    })
}

/// Every code with the first place it stands at.
fn codes(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut codes = BTreeMap::new();
    for file in sources(tree) {
        for (line, code) in of_text(&file.text) {
            codes.entry(code).or_insert_with(|| (file.path.clone(), line));
        }
    }
    for (line, code) in tree.text(LIST).map(of_list).unwrap_or_default() {
        codes.entry(code).or_insert_with(|| (LIST.to_owned(), line));
    }
    codes
}

fn of_text(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut end_of_function: Option<String> = None;
    let mut documented = false;
    for (line, at) in without_tests(text).lines().zip(1..) {
        let words = line.trim_start();
        let indent = &line[..line.len() - words.len()];
        let start = words.trim_start_matches("pub ").trim_start_matches("const ");
        if start.starts_with("fn code(") && words.ends_with('{') {
            end_of_function = Some(format!("{indent}}}"));
        }
        if end_of_function.as_deref() == Some(line) {
            end_of_function = None;
        }
        let constant = documented && start.contains(": &str = ");
        documented =
            words.starts_with("/// The code of ") || documented && words.starts_with("///");
        if end_of_function.is_some() || constant {
            let texts = words.split("//").next().unwrap_or_default().split('"').skip(1).step_by(2);
            found.extend(texts.filter(|text| is_code(text)).map(|code| (at, code.to_owned())));
        } else {
            found.extend(
                given(words).filter(|text| is_code(text)).map(|code| (at, code.to_owned())),
            );
        }
    }
    found
}

/// What stands first in the quotes after each of [`GIVEN`], unless that is the end of a longer name.
fn given(line: &str) -> impl Iterator<Item = &str> {
    let after = |start: &'static str| {
        let whole = line.match_indices(start).filter(|(at, _)| !line[..*at].ends_with('_'));
        whole.map(|(at, found)| &line[at + found.len()..])
    };
    let texts = GIVEN.iter().flat_map(move |start| after(start));
    texts.filter_map(|rest| rest.split('"').nth(1))
}

/// The entries of the list: `code Kind "title";`.
fn of_list(text: &str) -> Vec<(usize, String)> {
    let entry = |(line, at): (&str, usize)| {
        let mut words = line.trim().strip_suffix("\";")?.splitn(3, ' ');
        let (code, _kind, title) = (words.next()?, words.next()?, words.next()?);
        (is_code(code) && title.starts_with('"')).then(|| (at, code.to_owned()))
    };
    text.lines().zip(1..).filter_map(entry).collect()
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = r#"
/// The code of what is too large.
pub const LIMIT: &str = "too_large";
pub const SHAPE: &str = "square";
impl Error {
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found", // or "gone"
            Self::Other { code, .. } => code,
        }
    }
    fn shape(&self) -> &'static str {
        "round"
    }
    fn invalid() -> Self {
        Self::Other { code: "name_taken", what: "name" }
    }
    fn row(row: &Row) -> Self {
        Self { error_code: row.get("error_code") }
    }
    fn refuse() -> Failure {
        let _ = ApiError::new(StatusCode::CONFLICT, "in_use", "it is used");
        let _ = Failure::permanent("timeout", "it took too long");
        Failure::refused("gone").code("gone")
    }
}
#[cfg(test)]
mod tests {
    /// The code of a test.
    const OF_TEST: &str = "never";
}
"#;

    #[test]
    fn codes_are_found_where_they_are_written() {
        let codes: Vec<String> = of_text(SOURCE).into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes, ["too_large", "not_found", "name_taken", "in_use", "timeout", "gone"]);
    }

    #[test]
    fn codes_and_pages_belong_together() {
        let tree = Tree::of(&[
            ("store/src/error.rs", SOURCE),
            ("api/src/errors.rs", "codes! {\n    forbidden Forbidden \"no\";\n}\n"),
            ("policy/src/ranking.rs", SOURCE),
            ("docs/errors/forbidden.md", ""),
            ("docs/errors/too_large.md", ""),
            ("docs/errors/not_found.md", ""),
            ("docs/errors/in_use.md", ""),
            ("docs/errors/gone.md", ""),
            ("docs/errors/README.md", ""),
            ("docs/errors/old.md", ""),
        ]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "store/src/error.rs:16: the error code name_taken has no page docs/errors/name_taken.md",
                "store/src/error.rs:23: the error code timeout has no page docs/errors/timeout.md",
                "docs/errors/old.md: no source has this error code",
                "api/src/errors.rs:2: nothing gives the error code forbidden",
            ]
        );
    }
}
