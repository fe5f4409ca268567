//! Patterns of events: what has to hold of a JSON document, as `EventBridge` and Lambda's filters of
//! event sources have it.
//!
//! A pattern is an object that is laid over the document: each of its members is an object in turn, or
//! a list of values of which one has to be there. `{"data": {"amount": [{"numeric": [">", 90]}]}}`.
//!
//! Always true: a pattern is read whole or refused with what is wrong; a list in the document matches
//! where one of its values does. Absent on purpose: wildcards and addresses, which are refused.
//! Source: Lambda's guide to event filtering, its table of rule syntax.

use serde_json::{Map, Number, Value};

/// Longest pattern, in bytes. Source: Lambda's limit.
pub const PATTERN_BYTES_MAX: usize = 4_096;
/// Deepest nesting: of a document that people write patterns for.
const DEPTH_MAX: usize = 16;

/// What has to hold of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    root: All,
}

/// Why a text is no pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern is wrong: {problem}")]
pub struct Fault {
    /// What is wrong, and what to do.
    pub problem: String,
}

/// Members that all have to match, and alternatives of which one has to.
#[derive(Clone, Debug, PartialEq)]
struct All {
    members: Vec<(String, Node)>,
    /// `$or`, each time that it stands there.
    alternatives: Vec<Vec<All>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Inside(All),
    Any(Vec<Matcher>),
}

#[derive(Clone, Debug, PartialEq)]
enum Matcher {
    Is(Value),
    IsButForCase(String),
    Prefix(String),
    Suffix(String),
    /// None of these.
    Not(Vec<Matcher>),
    /// All of these comparisons.
    Numeric(Vec<(Comparison, f64)>),
    Exists(bool),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comparison {
    Equal,
    Less,
    NotMore,
    More,
    NotLess,
}

impl std::str::FromStr for Pattern {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(fault(format!("it has more than {PATTERN_BYTES_MAX} bytes")));
        }
        let value: Value =
            serde_json::from_str(text).map_err(|error| fault(format!("it is no JSON: {error}")))?;
        let Value::Object(members) = value else { return Err(fault("it is no object")) };
        if members.is_empty() {
            return Err(fault("it asks nothing: leave it out"));
        }
        Ok(Self { root: all(&members, 0)? })
    }
}

impl Pattern {
    /// Whether a document matches.
    pub fn matches(&self, document: &Value) -> bool {
        self.root.matches(Some(document))
    }
}

fn fault(problem: impl Into<String>) -> Fault {
    Fault { problem: problem.into() }
}

fn all(members: &Map<String, Value>, depth: usize) -> Result<All, Fault> {
    if depth > DEPTH_MAX {
        return Err(fault(format!("it is nested deeper than {DEPTH_MAX}")));
    }
    let mut read = All { members: Vec::new(), alternatives: Vec::new() };
    for (name, value) in members {
        match value {
            Value::Array(some) if name == "$or" => {
                let object = |it: &Value| match it {
                    Value::Object(members) => all(members, depth + 1),
                    _ => Err(fault("$or has something that is no object")),
                };
                read.alternatives.push(some.iter().map(object).collect::<Result<_, _>>()?);
            }
            Value::Array(some) if !some.is_empty() => {
                let matchers = some.iter().map(matcher).collect::<Result<_, _>>()?;
                read.members.push((name.clone(), Node::Any(matchers)));
            }
            Value::Object(inside) => {
                read.members.push((name.clone(), Node::Inside(all(inside, depth + 1)?)));
            }
            _ => {
                let problem = format!("{name:?} is neither an object nor a list of values");
                return Err(fault(problem));
            }
        }
    }
    Ok(read)
}

fn matcher(value: &Value) -> Result<Matcher, Fault> {
    let Value::Object(rule) = value else {
        return match value {
            Value::Array(_) => Err(fault("a list stands in a list")),
            value => Ok(Matcher::Is(value.clone())),
        };
    };
    let mut rules = rule.iter();
    let (Some((name, value)), None) = (rules.next(), rules.next()) else {
        return Err(fault("a rule is an object with one member, such as {\"prefix\": \"a\"}"));
    };
    let text = || {
        let text = value.as_str().map(str::to_owned);
        text.ok_or_else(|| fault(format!("{name} needs a text")))
    };
    match name.as_str() {
        "prefix" => Ok(Matcher::Prefix(text()?)),
        "suffix" => Ok(Matcher::Suffix(text()?)),
        "equals-ignore-case" => Ok(Matcher::IsButForCase(text()?.to_lowercase())),
        "exists" => {
            let wanted = value.as_bool().ok_or_else(|| fault("exists needs true or false"))?;
            Ok(Matcher::Exists(wanted))
        }
        "anything-but" => match value {
            Value::Array(some) => {
                Ok(Matcher::Not(some.iter().map(matcher).collect::<Result<_, _>>()?))
            }
            value => Ok(Matcher::Not(vec![matcher(value)?])),
        },
        "numeric" => numeric(value),
        other => Err(fault(format!(
            "{other:?} is no rule: use prefix, suffix, equals-ignore-case, anything-but, numeric or \
             exists"
        ))),
    }
}

fn numeric(value: &Value) -> Result<Matcher, Fault> {
    let wrong = || fault("numeric needs pairs such as [\">\", 0, \"<=\", 5]");
    let parts = value.as_array().filter(|parts| !parts.is_empty() && parts.len() % 2 == 0);
    let pairs = parts.ok_or_else(wrong)?.chunks(2).map(|pair| {
        let comparison = match pair[0].as_str() {
            Some("=") => Comparison::Equal,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::NotMore,
            Some(">") => Comparison::More,
            Some(">=") => Comparison::NotLess,
            _ => return Err(wrong()),
        };
        Ok((comparison, pair[1].as_f64().ok_or_else(wrong)?))
    });
    Ok(Matcher::Numeric(pairs.collect::<Result<_, _>>()?))
}

impl All {
    fn matches(&self, document: Option<&Value>) -> bool {
        let member = |name: &str| document.and_then(|document| document.get(name));
        let holds = |(name, node): &(String, Node)| match node {
            Node::Inside(all) => all.matches(member(name)),
            Node::Any(some) => some.iter().any(|it| it.matches(member(name))),
        };
        let one = |some: &Vec<Self>| some.iter().any(|it| it.matches(document));
        self.members.iter().all(holds) && self.alternatives.iter().all(one)
    }
}

impl Matcher {
    /// Of a value in the document, or of none.
    fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::Exists(wanted), value) => *wanted == value.is_some(),
            (_, None) => false,
            // None of its values is one of them.
            (Self::Not(_), Some(Value::Array(some))) => some.iter().all(|it| self.holds(it)),
            (_, Some(Value::Array(some))) => some.iter().any(|it| self.holds(it)),
            (_, Some(value)) => self.holds(value),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        let text = || value.as_str().unwrap_or_default();
        match self {
            Self::Is(wanted) => same(wanted, value),
            Self::IsButForCase(wanted) => value.is_string() && text().to_lowercase() == *wanted,
            Self::Prefix(wanted) => value.is_string() && text().starts_with(wanted.as_str()),
            Self::Suffix(wanted) => value.is_string() && text().ends_with(wanted.as_str()),
            Self::Not(some) => !some.iter().any(|it| it.holds(value)),
            Self::Numeric(pairs) => value.as_f64().is_some_and(|number| {
                pairs.iter().all(|(comparison, limit)| comparison.holds(number, *limit))
            }),
            Self::Exists(wanted) => *wanted,
        }
    }
}

/// Whether two values are the same; numbers by what they are, not by how they are written.
fn same(one: &Value, other: &Value) -> bool {
    let number = |value: &Value| value.as_number().and_then(Number::as_f64);
    match (number(one), number(other)) {
        (Some(one), Some(other)) => Comparison::Equal.holds(one, other),
        _ => one == other,
    }
}

impl Comparison {
    fn holds(self, number: f64, limit: f64) -> bool {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let order = number.partial_cmp(&limit);
        match self {
            Self::Equal => order == Some(Equal),
            Self::Less => order == Some(Less),
            Self::NotMore => matches!(order, Some(Less | Equal)),
            Self::More => order == Some(Greater),
            Self::NotLess => matches!(order, Some(Greater | Equal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn matches(pattern: &Value, document: &Value) -> bool {
        pattern.to_string().parse::<Pattern>().unwrap().matches(document)
    }

    /// The examples of Lambda's guide, in our words.
    #[test]
    fn rules_hold_of_what_they_say() {
        let document = json!({
            "partitionKey": "c7", "data": { "amount": 95, "City": "Oslo", "tags": ["a", "b"],
            "empty": "", "none": null, "at": { "x": true } },
        });
        let cases = [
            (json!({ "partitionKey": ["c7", "c8"] }), true),
            (json!({ "partitionKey": ["c8"] }), false),
            (json!({ "data": { "amount": [95.0] } }), true),
            (json!({ "data": { "amount": ["95"] } }), false),
            (json!({ "data": { "amount": [{ "numeric": [">", 90, "<=", 95] }] } }), true),
            (json!({ "data": { "amount": [{ "numeric": ["<", 95] }] } }), false),
            (json!({ "data": { "amount": [1, { "numeric": [">=", 95] }] } }), true),
            (json!({ "data": { "City": [{ "prefix": "Os" }] } }), true),
            (json!({ "data": { "City": [{ "suffix": "Os" }] } }), false),
            (json!({ "data": { "City": [{ "equals-ignore-case": "OSLO" }] } }), true),
            (json!({ "data": { "City": [{ "anything-but": ["Oslo"] }] } }), false),
            (json!({ "data": { "City": [{ "anything-but": { "prefix": "B" } }] } }), true),
            (json!({ "data": { "tags": ["b"] } }), true),
            (json!({ "data": { "tags": [{ "anything-but": "b" }] } }), false),
            (json!({ "data": { "empty": [""], "none": [null] } }), true),
            (json!({ "data": { "at": { "x": [true] } } }), true),
            (json!({ "data": { "other": [{ "exists": false }] } }), true),
            (json!({ "data": { "other": { "deep": [{ "exists": false }] } } }), true),
            (json!({ "data": { "amount": [{ "exists": false }] } }), false),
            (json!({ "data": { "other": [{ "anything-but": "a" }] } }), false),
            (json!({ "$or": [{ "partitionKey": ["x"] }, { "data": { "amount": [95] } }] }), true),
            (json!({ "$or": [{ "partitionKey": ["x"] }], "data": { "amount": [95] } }), false),
        ];
        for (pattern, expected) in cases {
            assert_eq!(matches(&pattern, &document), expected, "{pattern}");
        }
        assert!(!matches(&json!({ "data": { "a": [1] } }), &json!({ "data": "text" })));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        let long = format!("{{\"a\":[\"{}\"]}}", "x".repeat(PATTERN_BYTES_MAX));
        let deep = format!("{}[1]{}", "{\"a\":".repeat(30), "}".repeat(30));
        for wrong in [
            "",
            "[]",
            "{}",
            "{\"a\":1}",
            "{\"a\":[]}",
            "{\"a\":[[1]]}",
            "{\"a\":[{\"wildcard\":\"*\"}]}",
            "{\"a\":[{\"prefix\":1}]}",
            "{\"a\":[{\"prefix\":\"a\",\"suffix\":\"b\"}]}",
            "{\"a\":[{\"numeric\":[\">\"]}]}",
            "{\"a\":[{\"numeric\":[\"~\",1]}]}",
            "{\"a\":[{\"exists\":1}]}",
            "{\"$or\":[1]}",
            &long,
            &deep,
        ] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
