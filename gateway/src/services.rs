//! Services: APIs made of functions, called by users with keys.
//!
//! Always true: a request that does not fit its schema calls nothing, and an answer that does not
//! fit its own is not given; a user learns nothing of the functions behind an operation; whatever a
//! service costs is its account's, by key.
//! Absent on purpose: who made a service, and of what, which control has checked.

mod answer;
mod document;
mod page;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use api::internal::functions::{ServiceKeyRoute, ServiceRoute};
use api::services::{Operation, OperationMethod, ServiceSpec};
use formats::schema::Schema;

pub(crate) use answer::answer;

/// A service as routes tell it.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) told: ServiceRoute,
    versions: Arc<BTreeMap<u32, Version>>,
    /// By the digest of the secret.
    keys: HashMap<[u8; 32], ServiceKeyRoute>,
}

/// A version of a service, ready to be asked.
#[derive(Debug)]
struct Version {
    operations: Vec<Prepared>,
}

/// An operation with what it is checked by.
#[derive(Debug)]
struct Prepared {
    told: Operation,
    segments: Vec<Segment>,
    input: Option<Schema>,
    output: Option<Schema>,
}

/// Names, and what stands in their place in a path, still encoded.
type Parameters<'o, 'p> = Vec<(&'o str, &'p str)>;

/// A part of an operation's path.
#[derive(Debug, PartialEq, Eq)]
enum Segment {
    Fixed(String),
    Parameter(String),
}

impl Service {
    /// Builds it; what was prepared before is taken over where it is the same.
    pub(crate) fn build(told: ServiceRoute, before: Option<&Arc<Self>>) -> Self {
        let same = before.filter(|before| before.told.versions == told.versions);
        let prepared = || {
            let all = told.versions.iter();
            Arc::new(all.map(|(number, spec)| (*number, Version::of(spec))).collect())
        };
        let versions = same.map_or_else(prepared, |before| Arc::clone(&before.versions));
        let keys = told.keys.iter().map(|key| (key.secret_sha256.0, key.clone())).collect();
        Self { told, versions, keys }
    }

    fn spec(&self, version: u32) -> Option<&ServiceSpec> {
        self.told.versions.get(&version)
    }
}

impl Version {
    fn of(spec: &ServiceSpec) -> Self {
        Self { operations: spec.operations.iter().map(Prepared::of).collect() }
    }

    /// The operation that a request asks for, with the parameters of its path.
    ///
    /// # Errors
    ///
    /// The methods that the path takes; empty where it is none.
    fn find<'p>(
        &self,
        method: &http::Method,
        path: &'p str,
    ) -> Result<(&Prepared, Parameters<'_, 'p>), Vec<OperationMethod>> {
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let mut fitting: Vec<_> = self
            .operations
            .iter()
            .filter_map(|operation| Some((operation, operation.parameters(&parts)?)))
            .collect();
        // Of two that fit, the one that says more: `/a/b` before `/a/{b}`.
        fitting.sort_by_key(|(_, parameters)| parameters.len());
        let methods = fitting.iter().map(|(operation, _)| operation.told.method).collect();
        let asked = fitting.into_iter().find(|(it, _)| it.told.method.as_str() == method.as_str());
        asked.ok_or(methods)
    }
}

impl Prepared {
    fn of(told: &Operation) -> Self {
        // Control has read them before.
        let schema = |text: &Option<serde_json::Value>| {
            text.as_ref().and_then(|text| Schema::read(text).ok())
        };
        let (input, output) = (schema(&told.input), schema(&told.output));
        Self { segments: segments(&told.path), input, output, told: told.clone() }
    }

    /// The parameters in these parts of a path; none where it is another path.
    fn parameters<'p>(&self, parts: &[&'p str]) -> Option<Parameters<'_, 'p>> {
        if parts.len() != self.segments.len() {
            return None;
        }
        let mut parameters = Vec::new();
        for (segment, part) in self.segments.iter().zip(parts) {
            match segment {
                Segment::Fixed(text) if text == part => {}
                Segment::Parameter(name) if !part.is_empty() => {
                    parameters.push((name.as_str(), *part));
                }
                _ => return None,
            }
        }
        Some(parameters)
    }
}

fn segments(path: &str) -> Vec<Segment> {
    let segment = |text: &str| match text.strip_prefix('{').and_then(|it| it.strip_suffix('}')) {
        Some(name) => Segment::Parameter(name.to_owned()),
        None => Segment::Fixed(text.to_owned()),
    };
    path.trim_start_matches('/').split('/').map(segment).collect()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn operation(method: OperationMethod, path: &str) -> Operation {
        Operation {
            method,
            path: path.to_owned(),
            function: "f".parse().unwrap(),
            qualifier: String::new(),
            summary: String::new(),
            input: None,
            output: None,
        }
    }

    #[test]
    fn an_operation_is_found_by_method_and_path() {
        let operations = vec![
            operation(OperationMethod::Post, "/a/{b}"),
            operation(OperationMethod::Post, "/a/c"),
            operation(OperationMethod::Get, "/a/{b}"),
        ];
        let version = Version::of(&ServiceSpec { operations, ..ServiceSpec::default() });
        let found = |method: Method, path: &'static str| {
            let (operation, parameters) = version.find(&method, path)?;
            Ok((operation.told.path.clone(), parameters.len()))
        };
        assert_eq!(found(Method::POST, "/a/c"), Ok(("/a/c".to_owned(), 0)));
        assert_eq!(found(Method::POST, "/a/d"), Ok(("/a/{b}".to_owned(), 1)));
        assert_eq!(found(Method::GET, "/a/c"), Ok(("/a/{b}".to_owned(), 1)));
        let methods = vec![OperationMethod::Post, OperationMethod::Get];
        assert_eq!(found(Method::PUT, "/a/d"), Err(methods));
        for none in ["/", "/a", "/a/", "/a/b/c", "a//"] {
            assert_eq!(found(Method::POST, none), Err(Vec::new()), "{none}");
        }
    }
}
