//! Imports: the table in `ARCHITECTURE.md`, held against what cargo knows.
//!
//! A room may depend on what its row names and on nothing else of this workspace; its tests also on
//! `testkit`. Packages under `examples/` are known to no room, and know none.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Finding, Tree, quoted, rows};
use crate::Failure;

const MAP: &str = "ARCHITECTURE.md";
/// The room that tests of every room may use.
const TESTS: &str = "testkit";

/// A room's row: where it stands, and what it may import.
struct Row {
    line: usize,
    imports: BTreeSet<String>,
}

/// A package of the workspace and the packages it depends on: name, and whether for tests only.
struct Package {
    folder: String,
    needs: Vec<(String, bool)>,
}

/// Checks every package of the workspace.
pub(super) fn check(tree: &Tree, metadata: &Value) -> Result<Vec<Finding>, Failure> {
    let Some(text) = tree.text(MAP) else {
        return Ok(vec![Finding::new(MAP, 0, "missing: it holds the table of imports")]);
    };
    let packages = packages(metadata)?;
    let mut findings = Vec::new();
    let table = table(text, &mut findings);
    if table.is_empty() {
        findings.push(Finding::new(MAP, 0, "no table | room | holds | may import |"));
    }
    for (name, package) in &packages {
        findings.extend(check_package(name, package, &packages, &table));
    }
    for (name, row) in &table {
        if !packages.contains_key(name) {
            let text = format!("the table has a room {name:?}, and the workspace has none");
            findings.push(Finding::new(MAP, row.line, text));
        }
    }
    Ok(findings)
}

fn check_package(
    name: &str,
    package: &Package,
    packages: &BTreeMap<String, Package>,
    table: &BTreeMap<String, Row>,
) -> Vec<Finding> {
    let path = format!("{}/Cargo.toml", package.folder);
    let finding = |text: String| Finding::new(&path, 0, text);
    let is_example = |name: &str| {
        packages.get(name).is_some_and(|package| package.folder.starts_with("examples/"))
    };
    let mut findings = Vec::new();
    let row = table.get(name);
    if row.is_none() && !is_example(name) && package.folder != "fuzz" {
        findings.push(finding(format!("the room {name:?} has no row in the table of {MAP}")));
    }
    let of_workspace = package.needs.iter().filter(|(need, _)| packages.contains_key(need));
    for (need, for_tests) in of_workspace {
        let allowed = row.is_some_and(|row| row.imports.contains(need))
            || *for_tests && need == TESTS && row.is_some();
        if is_example(need) {
            findings.push(finding(format!("knows the example {need:?}: no room does")));
        } else if is_example(name) {
            findings.push(finding(format!("an example knows the room {need:?}: none may")));
        } else if row.is_some() && !allowed {
            findings.push(finding(format!("imports {need:?}, which the table of {MAP} refuses")));
        }
    }
    findings
}

/// The rows of the table whose first column is headed `room` and whose last `may import`.
fn table(text: &str, findings: &mut Vec<Finding>) -> BTreeMap<String, Row> {
    let mut table: BTreeMap<String, Row> = BTreeMap::new();
    let mut inside = false;
    let mut before = 0;
    for (line, cells) in rows(text) {
        inside &= line == before + 1;
        before = line;
        if cells.first() == Some(&"room") && cells.last() == Some(&"may import") {
            inside = true;
            continue;
        }
        let (Some(first), Some(last)) = (cells.first(), cells.last()) else { continue };
        if !inside || first.starts_with('-') {
            continue;
        }
        let Some(room) = quoted(first).next() else {
            findings.push(Finding::new(MAP, line, "the row names no `room`"));
            continue;
        };
        let imports = match *last {
            "–" | "-" | "" => BTreeSet::new(),
            "all of the above" => table.keys().cloned().collect(),
            names => {
                names.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()
            }
        };
        table.insert(room.to_owned(), Row { line, imports });
    }
    let known: BTreeSet<&String> = table.keys().collect();
    for row in table.values() {
        for name in row.imports.iter().filter(|name| !known.contains(name)) {
            findings.push(Finding::new(MAP, row.line, format!("{name:?} is no room of the table")));
        }
    }
    table
}

fn packages(metadata: &Value) -> Result<BTreeMap<String, Package>, Failure> {
    let wrong = || Failure::new("cargo metadata is not as expected");
    let root = metadata["workspace_root"].as_str().ok_or_else(wrong)?;
    let listed = metadata["packages"].as_array().ok_or_else(wrong)?;
    let package = |package: &Value| {
        let name = package["name"].as_str()?.to_owned();
        let manifest = package["manifest_path"].as_str()?.strip_suffix("/Cargo.toml")?;
        let folder = manifest.strip_prefix(root)?.trim_start_matches('/').to_owned();
        let need = |need: &Value| {
            need["path"].as_str()?;
            Some((need["name"].as_str()?.to_owned(), need["kind"] == "dev"))
        };
        let needs = package["dependencies"].as_array()?.iter().filter_map(need).collect();
        Some((name, Package { folder, needs }))
    };
    listed.iter().map(|listed| package(listed).ok_or_else(wrong)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
| word | meaning |
| --- | --- |
| room | a crate |

| room | holds | may import |
| --- | --- | --- |
| `types` | ids | – |
| `store` | rows | types |
| `testkit` | a cloud | all of the above |
";

    /// A package that is needed, and for what kind of use: none, or `dev`.
    type Need = (&'static str, Option<&'static str>);

    fn findings(packages: &[(&str, &[Need])]) -> Vec<String> {
        let package = |(folder, needs): &(&str, &[Need])| {
            let need = |(name, kind): &(&str, Option<&str>)| json!({ "name": name, "kind": kind, "path": format!("/x/{name}") });
            json!({
                "name": folder.rsplit('/').next(),
                "manifest_path": format!("/x/{folder}/Cargo.toml"),
                "dependencies": needs.iter().map(need).collect::<Vec<_>>(),
            })
        };
        let packages: Vec<Value> = packages.iter().map(package).collect();
        let metadata = json!({ "workspace_root": "/x", "packages": packages });
        let tree = Tree::of(&[("ARCHITECTURE.md", TEXT)]);
        check(&tree, &metadata).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_the_table_allows_is_allowed() {
        let found = findings(&[
            ("types", &[("testkit", Some("dev"))]),
            ("store", &[("types", None)]),
            ("testkit", &[("store", None), ("types", None)]),
            ("examples/algorithm", &[]),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn what_it_does_not_is_found() {
        let found = findings(&[
            ("types", &[("store", None), ("algorithm", Some("dev"))]),
            ("store", &[("testkit", None)]),
            ("testkit", &[]),
            ("cellar", &[]),
            ("examples/algorithm", &[("types", None)]),
        ]);
        assert_eq!(
            found,
            [
                "examples/algorithm/Cargo.toml: an example knows the room \"types\": none may",
                "cellar/Cargo.toml: the room \"cellar\" has no row in the table of ARCHITECTURE.md",
                "store/Cargo.toml: imports \"testkit\", which the table of ARCHITECTURE.md refuses",
                "types/Cargo.toml: imports \"store\", which the table of ARCHITECTURE.md refuses",
                "types/Cargo.toml: knows the example \"algorithm\": no room does",
            ]
        );
    }

    #[test]
    fn a_row_without_a_room_is_found() {
        let found = findings(&[("types", &[]), ("store", &[])]);
        let row = "ARCHITECTURE.md:9: the table has a room \"testkit\", and the workspace has none";
        assert_eq!(found, [row]);
    }
}
