//! Promises: every row of a table in `SPECIFICATION.md` names, in its last column, the test or
//! benchmark that holds it, and that one exists.
//!
//! A test is named as `room::path::test_name`, of which the room and the last word are looked up; a
//! benchmark as `bench name`; a check of this program as `xtask verb`. A limit that the first column
//! names has the number of the second.

use super::{Finding, Tree, numbers, quoted, rows};
use crate::bench;

const PAGE: &str = "SPECIFICATION.md";

/// Checks every row of every table.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.text(PAGE) else {
        return vec![Finding::new(PAGE, 0, "missing: it names every promised number")];
    };
    let all: Vec<(usize, Vec<&str>)> = rows(text).collect();
    let heads_end = |at: usize| all.get(at + 1).is_some_and(|(_, cells)| is_rule(cells));
    let mut findings = Vec::new();
    for (at, (line, cells)) in all.iter().enumerate() {
        if is_rule(cells) || heads_end(at) {
            continue;
        }
        let mut held = quoted(cells.last().copied().unwrap_or_default()).peekable();
        if held.peek().is_none() {
            let text = "no `test` or `bench name` in the last column holds this promise";
            findings.push(Finding::new(PAGE, *line, text));
        }
        for name in held.filter(|name| !exists(tree, name)) {
            findings.push(Finding::new(PAGE, *line, format!("there is no {name:?}")));
        }
        let [promise, number, ..] = cells[..] else { continue };
        let limits = quoted(promise).filter(|limit| limit.contains("::"));
        let wrong = limits.filter_map(|limit| numbers::differs(tree, limit, number));
        findings.extend(wrong.map(|text| Finding::new(PAGE, *line, text)));
    }
    findings
}

fn is_rule(cells: &[&str]) -> bool {
    cells.iter().all(|cell| cell.starts_with('-') || cell.starts_with(":-"))
}

fn exists(tree: &Tree, name: &str) -> bool {
    let name = name.strip_prefix("cargo xtask ").unwrap_or(name);
    if let Some(name) = name.strip_prefix("bench ") {
        return bench::names().any(|known| known == name);
    }
    if let Some(verb) = name.strip_prefix("xtask ") {
        return crate::VERBS.iter().any(|(known, ..)| *known == verb);
    }
    let words: Vec<&str> = name.split("::").collect();
    let [room, .., test] = words[..] else { return false };
    let start = format!("{room}/");
    let example = format!("examples/{room}/");
    tree.ending(".rs")
        .filter(|file| file.path.starts_with(&start) || file.path.starts_with(&example))
        .any(|file| has_test(&file.text, test))
}

/// Whether a test of this name is declared: a function under `#[test]` or the like, or one of the
/// list of a macro that declares tests, `name;`.
fn has_test(text: &str, name: &str) -> bool {
    let declared = format!("fn {name}(");
    let entry = format!("{name};");
    let mut is_test = false;
    text.lines().any(|line| {
        let line = line.trim_start();
        let found = is_test && line.contains(&declared) || line == entry;
        let between = line.starts_with("#[") || line.starts_with("//") || line.is_empty();
        is_test =
            line.starts_with("#[test]") || line.starts_with("#[tokio::test") || is_test && between;
        found
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_without_a_test_is_found() {
        let page = "\
| promise | number | held by |
| --- | --- | --- |
| kept | 1 | `store::it::rows_stay` and `examples-room::seed` |
| renamed | 2 | `store::it::rows_go` |
| bare | 3 | by hand |
| measured | 4 | `bench nothing` |
";
        let tree = Tree::of(&[
            (PAGE, page),
            ("store/tests/it/main.rs", "both! {\n    rows_stay;\n}\nfn rows_go() {}"),
            ("examples/examples-room/src/main.rs", "#[test]\n// Why.\nasync fn seed() {}"),
        ]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), 3, "{found:#?}");
        assert!(found[0].contains("store::it::rows_go") && found[2].contains("bench nothing"));
    }
}
