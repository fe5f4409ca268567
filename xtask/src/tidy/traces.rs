//! Traces of the machine something was written on, of where its packages came from, or of who asked
//! for it.
//!
//! Always true: the words looked for are put together here, so that this file does not find itself.

use super::{Finding, Tree};

/// What no file may hold, and why.
const TRACES: [(&str, &str); 14] = [
    (concat!("/wor", "k/main"), "a path of one machine"),
    (concat!("/wor", "k/shared"), "a path of one machine"),
    (concat!("/wor", "k/."), "a path of one machine"),
    (concat!("/tmp", "/brief"), "a path of one machine"),
    (concat!("/tmp", "/fh-"), "a path of one machine"),
    (concat!("issues", " show"), "a tool of one workplace"),
    (concat!("/ro", "ot/."), "a path of one machine"),
    (concat!("index.", "crates.io"), "a registry's host"),
    (concat!("static.", "crates.io"), "a registry's host"),
    (concat!("pypi", ".org"), "a registry's host"),
    (concat!("files.", "pythonhosted.org"), "a registry's host"),
    (concat!("deb.", "debian.org"), "a registry's host"),
    (concat!("registry.", "npmjs.org"), "a registry's host"),
    (concat!("proxy.", "golang.org"), "a registry's host"),
];

/// Checks every file but the lock file, whose words are cargo's.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !file.path.ends_with("Cargo.lock")) {
        for (trace, what) in TRACES {
            for (_, at) in file.text.lines().zip(1..).filter(|(line, _)| line.contains(trace)) {
                findings.push(Finding::new(&file.path, at, format!("{trace} is {what}")));
            }
        }
        for (line, at) in file.text.lines().zip(1..) {
            if names_an_issue(line) {
                let text =
                    "the number of an issue: say what it was about, or write a mark for later";
                findings.push(Finding::new(&file.path, at, text));
            }
        }
    }
    findings
}

/// Whether a number follows the word `issue`.
fn names_an_issue(line: &str) -> bool {
    let lower = line.to_ascii_lowercase();
    let after = lower.split("issue ").skip(1).map(|rest| rest.trim_start_matches('#'));
    after.filter_map(|rest| rest.bytes().next()).any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_found_with_its_line() {
        let text = concat!("fine\nsee pypi", ".org\n");
        let tree = Tree::of(&[("a.md", text), ("Cargo.lock", text)]);
        let found = check(&tree);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].path.as_str(), found[0].line), ("a.md", 2));
    }

    #[test]
    fn the_number_of_an_issue_is_found_and_other_issues_are_not() {
        for found in [concat!("as iss", "ue 12 says"), concat!("see Iss", "ue #3")] {
            assert!(names_an_issue(found), "{found}");
        }
        assert!(!names_an_issue("authorities issue certificates; an issue of trust"));
    }
}
