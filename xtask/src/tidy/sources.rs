//! Sources: their length, their first words, their names, and what they leave for later.

use super::{Finding, Tree};

/// A file of more lines holds a second noun.
const LINES_MAX: usize = 700;

/// A file of more lines is worth a look.
const LINES_NOTED: usize = 400;

/// The longest header, in lines.
const HEADER_LINES_MAX: usize = 10;

/// Files that may be longer than [`LINES_MAX`]. This list only shrinks.
const LONG_FILES: [&str; 0] = [];

/// Modules whose names say nothing.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "misc", "manager"];

/// Checks every source file.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending(".rs") {
        let lines = file.text.lines().count();
        let listed = LONG_FILES.contains(&file.path.as_str());
        if lines > LINES_MAX && !listed {
            let text = format!("{lines} lines, above {LINES_MAX}: what is the second noun in it?");
            findings.push(Finding::new(&file.path, 0, text));
        }
        if lines <= LINES_MAX && listed {
            let text = "no longer long: take it off LONG_FILES in xtask/src/tidy/sources.rs";
            findings.push(Finding::new(&file.path, 0, text));
        }
        findings.extend(header(&file.path, &file.text));
        findings.extend(name(&file.path));
    }
    for file in tree.files.iter().filter(|file| needs_first_words(&file.path)) {
        findings.extend(first_words(&file.path, &file.text));
    }
    for end in [".rs", ".py", ".sql", ".sh", ".toml"] {
        for file in tree.ending(end) {
            findings.extend(later(&file.path, &file.text));
        }
    }
    findings
}

/// Files that are worth a look, though nothing is wrong with them.
pub(super) fn long(tree: &Tree) -> Vec<String> {
    let lines = tree.ending(".rs").map(|file| (file.text.lines().count(), &file.path));
    let long = lines.filter(|(lines, path)| *lines > LINES_NOTED && !path.ends_with("tests.rs"));
    long.map(|(lines, path)| format!("{path} has {lines} lines")).collect()
}

/// A file says first what it is for. Unit tests beside their module need not: its name says it.
fn header(path: &str, text: &str) -> Option<Finding> {
    if path.ends_with("/tests.rs") {
        return None;
    }
    let header = text.lines().take_while(|line| line.starts_with("//!")).count();
    let problem = match header {
        0 => "no header: say with //! what the file is for and what is always true in it".into(),
        1..=HEADER_LINES_MAX => return None,
        _ => format!("a header of {header} lines: {HEADER_LINES_MAX} are enough"),
    };
    Some(Finding::new(path, 1, problem))
}

/// Scripts and migrations; a single statement needs no more than its name.
fn needs_first_words(path: &str) -> bool {
    match path.rsplit_once('.') {
        Some((_, "py" | "sh")) => true,
        Some((_, "sql")) => path.contains("/migrations/"),
        _ => path.starts_with(".ci/"),
    }
}

/// What is no Rust says it in a comment, or what Python takes for one.
fn first_words(path: &str, text: &str) -> Option<Finding> {
    let line = text.lines().find(|line| !line.starts_with("#!"))?;
    let said = ["#", "--", "\"\"\""].iter().any(|start| line.starts_with(start));
    (!said).then(|| Finding::new(path, 1, "no header: say in a comment what the file is for"))
}

fn name(path: &str) -> Option<Finding> {
    let empty = |part: &str| EMPTY_NAMES.contains(&part.trim_end_matches(".rs"));
    let part = path.split('/').find(|part| empty(part))?;
    Some(Finding::new(path, 0, format!("{part:?} says nothing: name it by its noun")))
}

/// What is left for later names the issue that it is left to.
fn later(path: &str, text: &str) -> Vec<Finding> {
    const MARK: &str = concat!("TO", "DO");
    let bare = |line: &str| {
        line.split(MARK).skip(1).any(|rest| {
            let number = rest.strip_prefix("(#").and_then(|rest| rest.split(')').next());
            !number.is_some_and(|number| {
                !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
            })
        })
    };
    let lines = text.lines().zip(1..).filter(|(line, _)| bare(line));
    lines.map(|(_, at)| Finding::new(path, at, format!("write {MARK}(#123), or do it"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_in_order_is_passed_over() {
        let long = format!("//! x\n{}", "\n".repeat(699));
        let later = concat!("//! x\n// TO", "DO(#7): more\n");
        let files =
            [("a/src/b.rs", long.as_str()), ("a/src/b/tests.rs", "use x;"), ("c.rs", later)];
        assert_eq!(texts(&files), Vec::<String>::new());
    }

    #[test]
    fn each_rule_finds_its_breach() {
        let long = format!("//! x\n{}", "\n".repeat(700));
        let later = concat!("//! x\n// TO", "DO: more\n");
        let header = "//! x\n".repeat(11);
        let files = [
            ("a/long.rs", long.as_str()),
            ("a/bare.rs", "fn x() {}\n"),
            ("a/utils/mod.rs", "//! x\n"),
            ("a/helpers.rs", "//! x\n"),
            ("a/later.rs", later),
            ("a/header.rs", header.as_str()),
            ("a/train.py", "#!/usr/bin/python3\nimport os\n"),
            ("a/migrations/0001.sql", "CREATE TABLE x"),
            ("a/fetch.sql", "SELECT 1"),
        ];
        let found = texts(&files);
        assert_eq!(found.len(), 8, "{found:#?}");
        assert!(found[0].starts_with("a/long.rs: 701 lines"), "{found:#?}");
        assert!(found[4].starts_with("a/header.rs:1: a header of 11"), "{found:#?}");
        assert!(found[6].starts_with("a/migrations/0001.sql:1: no header"), "{found:#?}");
        assert!(found[7].starts_with("a/later.rs:2: "), "{found:#?}");
    }
}
