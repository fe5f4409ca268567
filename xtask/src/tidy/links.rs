//! Links: what a Markdown page points to inside the checkout is there.

use std::path::{Component, Path, PathBuf};

use super::{Finding, Tree};

/// Checks every relative link of every page.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for page in tree.ending(".md") {
        for (line, target) in targets(&page.text) {
            let path = target.split(['#', '?']).next().unwrap_or_default();
            if path.is_empty() || path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let folder = Path::new(&page.path).parent().unwrap_or(Path::new(""));
            if !resolved(folder, path).is_some_and(|path| there(tree, &path)) {
                findings.push(Finding::new(&page.path, line, format!("{target} is not there")));
            }
        }
    }
    findings
}

/// Whether it is a file, or a folder with a file in it.
fn there(tree: &Tree, path: &str) -> bool {
    let below = format!("{path}/");
    path.is_empty()
        || tree.paths.contains(path)
        || tree.paths.range(below.clone()..).next().is_some_and(|next| next.starts_with(&below))
}

/// The path relative to the checkout; none where it leaves it.
fn resolved(folder: &Path, path: &str) -> Option<String> {
    let whole = match path.strip_prefix('/') {
        Some(path) => PathBuf::from(path),
        None => folder.join(path),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            _ => {}
        }
    }
    Some(parts.join("/"))
}

/// The targets of `[text](target)` and `[text]: target`, outside code.
fn targets(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (line, at) in text.lines().zip(1..) {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            found.push((at, target.trim()));
        }
        // Backticks cut a line into prose and code, in turn.
        for prose in line.split('`').step_by(2) {
            let ends = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
            found.extend(ends.map(|target| (at, target)));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_link_is_found_and_code_is_not_read() {
        let page = "\
[one](two.md) and [`three`](../a/four.md#part), [gone](gone.md), [far](https://x.y/z)
`[code](nowhere.md)` [folder](../a) [out](../../etc)
```
[code](nowhere.md)
```
[six]: two.md
";
        let tree = Tree::of(&[("docs/page.md", page), ("docs/two.md", ""), ("a/four.md", "")]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["docs/page.md:1: gone.md is not there", "docs/page.md:2: ../../etc is not there"]
        );
    }
}
