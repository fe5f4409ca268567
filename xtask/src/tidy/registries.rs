//! Registries: every saga, every reconciler and every module of routes is in its registry, where
//! the tests that walk it find it.
//!
//! A registry is the file `sagas.rs`, `reconcilers.rs` or `http.rs` above the folder of its name.

use super::{Finding, Tree, is_test, without_tests};

/// A trait, and the folder whose registry holds everything that has it.
const TRAITS: [(&str, &str); 2] = [("Saga", "sagas"), ("Reconciler", "reconcilers")];

/// Checks that nothing is left out.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.ending(".rs").filter(|file| !is_test(&file.path)) {
        let text = without_tests(&file.text);
        for (line, at) in text.lines().zip(1..) {
            for (name, folder) in TRAITS {
                let Some(of) = implementor(line, name) else { continue };
                let registry = registry(&file.path, folder);
                let listed = tree.text(&registry).is_some_and(|text| {
                    let (_, list) = text.split_once("fn registry(").unwrap_or_default();
                    list.contains(&format!("{of}::"))
                });
                if !listed {
                    let text = format!("{of} is not in the registry of {registry}");
                    findings.push(Finding::new(&file.path, at, text));
                }
            }
        }
        findings.extend(routes(tree, &file.path, text));
    }
    findings
}

/// A module of routes is merged into the router.
fn routes(tree: &Tree, path: &str, text: &str) -> Option<Finding> {
    let (folder, name) = path.strip_suffix(".rs")?.rsplit_once('/')?;
    let router = tree.text(&format!("{folder}.rs"))?;
    let makes = folder.ends_with("/http") && text.contains("fn routes(");
    if !makes || router.contains(&format!("{name}::routes()")) {
        return None;
    }
    Some(Finding::new(path, 0, format!("its routes are not merged in {folder}.rs")))
}

/// The type of `impl Trait for Type {`, without parameters of its own.
fn implementor<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let rest = line.strip_prefix("impl ")?.strip_prefix(name)?.strip_prefix(" for ")?;
    rest.split([' ', '<']).next()
}

/// The registry of a file's room.
fn registry(path: &str, folder: &str) -> String {
    let room = path.split('/').next().unwrap_or_default();
    format!("{room}/src/{folder}.rs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_no_registry_is_found() {
        let tree = Tree::of(&[
            ("control/src/sagas.rs", "fn registry() {\n    .with(train::TrainSaga::new())\n}"),
            ("control/src/sagas/train.rs", "impl Saga for TrainSaga {"),
            ("control/src/sagas/publish.rs", "//! x\nimpl Saga for PublishSaga {"),
            ("control/src/sagas/tests.rs", "impl Saga for Fake {"),
            ("agent/src/watch.rs", "#[cfg(test)]\nmod tests;\nimpl Reconciler for Watch {\n"),
            ("control/src/http.rs", "router.merge(items::routes())"),
            ("control/src/http/items.rs", "pub fn routes() -> Router {"),
            ("control/src/http/hosts.rs", "pub fn routes() -> Router {"),
        ]);
        let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "control/src/sagas/publish.rs:2: PublishSaga is not in the registry of \
                 control/src/sagas.rs",
                "agent/src/watch.rs:3: Watch is not in the registry of agent/src/reconcilers.rs",
                "control/src/http/hosts.rs: its routes are not merged in control/src/http.rs",
            ]
        );
    }
}
