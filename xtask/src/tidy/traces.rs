//! Traces of the machine something was written on, or of where its packages came from.
//!
//! Always true: the words looked for are put together here, so that this file does not find itself.

use super::{Finding, Tree};

/// What no file may hold, and why.
const TRACES: [(&str, &str); 11] = [
    (concat!("/wor", "k/main"), "a path of one machine"),
    (concat!("/wor", "k/shared"), "a path of one machine"),
    (concat!("/tmp", "/brief"), "a path of one machine"),
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
    }
    findings
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
}
