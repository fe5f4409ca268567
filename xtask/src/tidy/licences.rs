//! Licences of everything that is built in, and crates that must never be.

use std::iter::Peekable;
use std::vec::IntoIter;

use serde_json::Value;

use super::{Finding, Tree};

/// Licences that go with Apache-2.0 OR MIT. Keep `deny.toml` alike.
const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    // Data: the list of certificate authorities in webpki-roots.
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "MPL-2.0",
    "Unicode-3.0",
    "Zlib",
];

/// Crates that must not come in by any way: the TLS provider is ring.
const REFUSED: [&str; 3] = ["aws-lc-rs", "aws-lc-sys", "openssl-sys"];

/// Checks every crate of the lock file, and every licence of what is built for this platform.
pub(super) fn check(tree: &Tree, metadata: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lock = tree.text("Cargo.lock").unwrap_or_default();
    for name in REFUSED {
        if lock.contains(&format!("name = \"{name}\"")) {
            let text = format!("{name} is in it: find who pulls it in with cargo tree -i {name}");
            findings.push(Finding::new("Cargo.lock", 0, text));
        }
    }
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let licence = package["license"].as_str().unwrap_or_default();
        if !is_allowed(licence) {
            let text = format!("{name} has the licence {licence:?}, which is not on the list");
            findings.push(Finding::new("Cargo.lock", 0, text));
        }
    }
    findings
}

/// Of the web console, what reaches a browser, and what only builds it.
const CONSOLE_ALLOWED: [&str; 5] = ["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"];
const CONSOLE_BUILD_ALLOWED: [&str; 1] = ["Python-2.0"];

/// Checks every package of the console's lock file, on all platforms.
pub(super) fn check_console(tree: &Tree) -> Vec<Finding> {
    const LOCK: &str = "console/package-lock.json";
    let Some(text) = tree.text(LOCK) else { return Vec::new() };
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let mut findings = Vec::new();
    if lock["packages"].as_object().is_none_or(serde_json::Map::is_empty) {
        findings.push(Finding::new(LOCK, 0, "it lists no packages: run npm install in console/"));
    }
    for (name, package) in lock["packages"].as_object().into_iter().flatten() {
        let licence = package["license"].as_str().unwrap_or_default();
        let builds = package["dev"] == true || package["devOptional"] == true;
        let is_one_of = |allowed: &[&str]| {
            let inner = licence.trim_start_matches('(').trim_end_matches(')');
            inner.split(" OR ").any(|one| allowed.contains(&one))
        };
        let fine = is_one_of(&CONSOLE_ALLOWED) || builds && is_one_of(&CONSOLE_BUILD_ALLOWED);
        if !fine {
            let text = format!("{name} has the licence {licence:?}, which is not on the list");
            findings.push(Finding::new(LOCK, 0, text));
        }
    }
    findings
}

/// Whether an SPDX expression can be met with allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<String> = spaced.split_whitespace().map(str::to_owned).collect();
    let mut words = words.into_iter().peekable();
    any(&mut words) && words.next().is_none()
}

type Words = Peekable<IntoIter<String>>;

/// `a OR b`: both are read, one must do.
fn any(words: &mut Words) -> bool {
    let mut allowed = all(words);
    while words.next_if(|word| word == "OR").is_some() {
        allowed |= all(words);
    }
    allowed
}

/// `a AND b`: both must do.
fn all(words: &mut Words) -> bool {
    let mut allowed = one(words);
    while words.next_if(|word| word == "AND").is_some() {
        allowed &= one(words);
    }
    allowed
}

/// A licence, perhaps with an exception, or an expression in parentheses.
fn one(words: &mut Words) -> bool {
    let Some(word) = words.next() else { return false };
    if word == "(" {
        let allowed = any(words);
        return words.next().is_some_and(|word| word == ")") && allowed;
    }
    let licence = match words.next_if(|word| word == "WITH") {
        None => word,
        Some(_) => format!("{word} WITH {}", words.next().unwrap_or_default()),
    };
    ALLOWED.contains(&licence.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_of_the_console_has_a_licence_of_the_list() {
        let found = |lock: &str| check_console(&Tree::of(&[("console/package-lock.json", lock)]));
        let fine = r#"{"packages": {"a": {"license": "MIT"},
            "b": {"license": "(GPL-3.0 OR MIT)"}, "c": {"license": "Python-2.0", "dev": true}}}"#;
        assert_eq!(found(fine), []);
        let wrong = r#"{"packages": {"a": {"license": "Python-2.0"}, "b": {"dev": true},
            "c": {"license": "GPL-3.0", "dev": true}}}"#;
        assert_eq!(found(wrong).len(), 3);
        assert_eq!(found("").len(), 1);
    }

    #[test]
    fn expressions_are_read_as_spdx_says() {
        for allowed in [
            "MIT",
            "MIT/Apache-2.0",
            "MIT / Apache-2.0",
            "GPL-3.0 OR MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ] {
            assert!(is_allowed(allowed), "{allowed}");
        }
        for refused in
            ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "GPL-2.0 WITH Classpath-exception-2.0"]
        {
            assert!(!is_allowed(refused), "{refused}");
        }
    }
}
