//! SQL: statements stand in `store` only, and all of those about a table in one module of it.
//!
//! A statement is about the first table it names after `FROM`, `INTO` or `UPDATE`; it may join
//! others. A module is a file of `store/src` and the folder of its name.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Tree, is_test, without_tests};

const STORE: &str = "store/src/";
const MIGRATIONS: &str = "store/src/migrations/";
/// How a statement begins, in a text or a file of its own.
const BEGINNINGS: [&str; 6] =
    ["SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "WITH ", "CREATE TABLE "];

/// Where statements about a table stand: module, then path and line of the first and their number.
type Places<'t> = BTreeMap<&'t str, (&'t str, usize, usize)>;

/// Checks every statement.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let tables = tables(tree);
    let mut findings = Vec::new();
    let mut about: BTreeMap<&str, Places<'_>> = BTreeMap::new();
    for file in tree.files.iter().filter(|file| !file.path.starts_with(MIGRATIONS)) {
        let found = match file.path.rsplit_once('.') {
            Some((_, "rs")) if !is_test(&file.path) => of_source(&file.text),
            Some((_, "sql")) => vec![(1, file.text.as_str())],
            _ => continue,
        };
        for (line, statement) in found {
            let Some(table) = first_table(statement, &tables) else { continue };
            let Some(module) = module(&file.path) else {
                let text = format!("a statement about {table}: SQL stands in store only");
                findings.push(Finding::new(&file.path, line, text));
                continue;
            };
            let places = about.entry(table).or_default();
            places.entry(module).or_insert((&file.path, line, 0)).2 += 1;
        }
    }
    for (table, places) in &about {
        let Some((home, _)) = places.iter().max_by_key(|(_, (.., count))| count) else { continue };
        for (_, (path, line, _)) in places.iter().filter(|(module, _)| *module != home) {
            let text = format!("a statement about {table}, which store/src/{home}.rs holds");
            findings.push(Finding::new(path, *line, text));
        }
    }
    findings
}

fn module(path: &str) -> Option<&str> {
    let rest = path.strip_prefix(STORE)?;
    rest.split(['/', '.']).next()
}

/// Every table that a migration makes.
fn tables(tree: &Tree) -> BTreeSet<&str> {
    let migrations = tree.ending(".sql").filter(|file| file.path.starts_with(MIGRATIONS));
    let made = migrations.flat_map(|file| file.text.split("CREATE TABLE ").skip(1));
    made.filter_map(|rest| words(rest.trim_start_matches("IF NOT EXISTS ")).next()).collect()
}

/// The statements among the texts of a source file, without its own tests.
fn of_source(text: &str) -> Vec<(usize, &str)> {
    let text = without_tests(text);
    let mut found = Vec::new();
    for (at, _) in text.match_indices('"') {
        let rest = &text[at + 1..];
        if BEGINNINGS.iter().any(|beginning| rest.starts_with(beginning)) {
            let line = 1 + text[..at].matches('\n').count();
            found.push((line, rest.split('"').next().unwrap_or_default()));
        }
    }
    found
}

fn first_table<'t>(statement: &str, tables: &BTreeSet<&'t str>) -> Option<&'t str> {
    let mut words = words(statement).peekable();
    while let Some(word) = words.next() {
        if !matches!(word, "FROM" | "INTO" | "UPDATE") {
            continue;
        }
        if let Some(table) = words.peek().and_then(|next| tables.get::<str>(next)) {
            return Some(table);
        }
    }
    None
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_in_the_wrong_place_is_found() {
        let items =
            "let text = \"SELECT id FROM items JOIN hosts ON 1\";\nlet b = \"UPDATE items\";";
        let stray = "let text = \"DELETE FROM items WHERE id = $1\";";
        let tree = Tree::of(&[
            ("store/src/migrations/0001.sql", "CREATE TABLE items (\nCREATE TABLE hosts ("),
            ("store/src/items.rs", items),
            ("store/src/items/fetch.sql", "WITH w AS (SELECT 1 FROM w)\nSELECT 1 FROM items"),
            ("store/src/hosts/move.sql", "INSERT INTO items (id)"),
            ("store/src/hosts/list.sql", "SELECT 1\nFROM hosts"),
            ("store/tests/it/items.rs", stray),
            ("control/src/items.rs", stray),
            ("control/src/hosts.rs", "let text = \"SELECT something else\";"),
        ]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "control/src/items.rs:1: a statement about items: SQL stands in store only",
                "store/src/hosts/move.sql:1: a statement about items, which store/src/items.rs holds",
            ]
        );
    }
}
