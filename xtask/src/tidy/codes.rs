//! Error codes: every word that clients match on has a page in `docs/errors/`, and every page a
//! word.
//!
//! A code is found where a room writes one: a text in a function named `code`, a constant whose
//! name is or starts with `CODE`, a field `code:` given a text, and the list in `api`.
//! The codes in `policy` are reasons of decisions, not errors, and are passed over.

use std::collections::BTreeMap;

use super::{Finding, Tree};

const PAGES: &str = "docs/errors/";
/// The list of every public code.
const LIST: &str = "api/src/errors.rs";
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
    findings
}

/// Every code with the first place it stands at.
fn codes(tree: &Tree) -> BTreeMap<String, (String, usize)> {
    let mut codes = BTreeMap::new();
    for file in tree.ending(".rs") {
        let outside = ["examples/", "xtask/", "testkit/", "fuzz/", "policy/"];
        let is_test = file.path.contains("/tests/") || file.path.ends_with("tests.rs");
        if is_test || outside.iter().any(|folder| file.path.starts_with(folder)) {
            continue;
        }
        let listed = if file.path == LIST { of_list(&file.text) } else { Vec::new() };
        for (line, code) in of_text(&file.text).into_iter().chain(listed) {
            codes.entry(code).or_insert_with(|| (file.path.clone(), line));
        }
    }
    codes
}

fn of_text(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut end_of_function: Option<String> = None;
    for (line, at) in text.lines().zip(1..) {
        if line == "#[cfg(test)]" {
            break;
        }
        let words = line.trim_start();
        let indent = &line[..line.len() - words.len()];
        let start = words.trim_start_matches("pub ").trim_start_matches("const ");
        if start.starts_with("fn code(") && words.ends_with('{') {
            end_of_function = Some(format!("{indent}}}"));
        }
        if end_of_function.as_deref() == Some(line) {
            end_of_function = None;
        }
        let constant = start.starts_with("CODE") && start.contains(": &str = ");
        let field = words.split("code: \"").skip(1).filter_map(|rest| rest.split('"').next());
        if end_of_function.is_some() || constant {
            let texts = words.split("//").next().unwrap_or_default().split('"').skip(1).step_by(2);
            found.extend(texts.filter(|text| is_code(text)).map(|code| (at, code.to_owned())));
        } else {
            found.extend(field.filter(|text| is_code(text)).map(|code| (at, code.to_owned())));
        }
    }
    found
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
pub const CODE_LIMIT: &str = "too_large";
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
}
#[cfg(test)]
const CODE_OF_TEST: &str = "never";
"#;

    #[test]
    fn codes_are_found_where_they_are_written() {
        let codes: Vec<String> = of_text(SOURCE).into_iter().map(|(_, code)| code).collect();
        assert_eq!(codes, ["too_large", "not_found", "name_taken"]);
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
            ("docs/errors/README.md", ""),
            ("docs/errors/old.md", ""),
        ]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "store/src/error.rs:14: the error code name_taken has no page docs/errors/name_taken.md",
                "docs/errors/old.md: no source has this error code",
            ]
        );
    }
}
