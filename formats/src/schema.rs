//! JSON Schemas: what requests and answers of a service have to be.
//!
//! Draft 2020-12. Patterns are matched in linear time, nothing is fetched, and what a schema comes to
//! with its references in place is limited: so no value takes longer to check than its size and the
//! schema's size say.
//!
//! Always true: `read` refuses whatever `check` could not bear.
//! Absent on purpose: schemas that contain themselves, and references to other documents.

use std::collections::BTreeMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;

/// Largest schema, as JSON.
pub const SCHEMA_BYTES_MAX: usize = 64 << 10;
/// Most schemas in a schema, each as often as it is referred to.
const PARTS_MAX: u64 = 10_000;
/// Largest program that a pattern may become, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;
/// Violations that are told of one value.
const TOLD_MAX: usize = 5;

/// A schema that can be checked against.
#[derive(Debug)]
pub struct Schema {
    text: Value,
    validator: Validator,
}

/// Why a schema is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is too large.
    #[error("the schema has {bytes} bytes; at most {SCHEMA_BYTES_MAX} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// With its references in place it is too large.
    #[error("with its references in place the schema has more than {PARTS_MAX} parts")]
    TooManyParts,
    /// It refers to something else than its own definitions.
    #[error("{reference:?}: refer to definitions of the same schema, as in \"#/$defs/name\"")]
    Reference {
        /// The reference, cut to 160 characters.
        reference: String,
    },
    /// It contains itself.
    #[error("{reference:?} contains itself: schemas that do are not taken")]
    Recursive {
        /// The reference.
        reference: String,
    },
    /// It is no schema.
    #[error("this is no JSON Schema: {reason}")]
    Invalid {
        /// Why not.
        reason: String,
    },
}

/// What of a value does not fit its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where in the value, as a JSON pointer; empty for the whole.
    pub at: String,
    /// What is wrong there.
    pub what: String,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    ///
    /// [`SchemaError`], which says what is wrong with it.
    pub fn read(text: &Value) -> Result<Self, SchemaError> {
        let bytes = text.to_string().len();
        if bytes > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLarge { bytes });
        }
        let mut parts = Parts { whole: text, known: BTreeMap::new(), within: Vec::new() };
        if parts.count(text)? > PARTS_MAX {
            return Err(SchemaError::TooManyParts);
        }
        let patterns =
            PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX);
        let options = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .with_pattern_options(patterns)
            .offline();
        let invalid = |error: jsonschema::ValidationError<'_>| SchemaError::Invalid {
            reason: cut(&error.to_string()),
        };
        let validator = options.build(text).map_err(invalid)?;
        Ok(Self { text: text.clone(), validator })
    }

    /// The schema as it was read.
    pub fn text(&self) -> &Value {
        &self.text
    }

    /// Checks a value.
    ///
    /// # Errors
    ///
    /// The first few violations.
    pub fn check(&self, value: &Value) -> Result<(), Vec<Violation>> {
        if self.validator.is_valid(value) {
            return Ok(());
        }
        let told = |error: jsonschema::ValidationError<'_>| Violation {
            at: error.instance_path().to_string(),
            what: cut(&error.to_string()),
        };
        Err(self.validator.iter_errors(value).take(TOLD_MAX).map(told).collect())
    }

    /// What the text of a parameter is, where the schema has a property of this name: a number or
    /// a boolean where that is wanted and the text is one, else text.
    pub fn parameter(&self, name: &str, text: &str) -> Value {
        let wanted = &self.text["properties"][name]["type"];
        let wants = |kind: &str| match wanted {
            Value::String(one) => one == kind,
            Value::Array(several) => several.iter().any(|one| one == kind),
            _ => false,
        };
        let number = ["integer", "number"].into_iter().any(wants);
        match serde_json::from_str(text) {
            Ok(value @ Value::Number(_)) if number => value,
            Ok(value @ Value::Bool(_)) if wants("boolean") => value,
            _ => text.into(),
        }
    }
}

/// Counts the parts of a schema, with references in place.
struct Parts<'s> {
    whole: &'s Value,
    known: BTreeMap<&'s str, u64>,
    /// The references that are being followed.
    within: Vec<&'s str>,
}

impl<'s> Parts<'s> {
    fn count(&mut self, part: &'s Value) -> Result<u64, SchemaError> {
        let mut sum: u64 = 1;
        match part {
            Value::Array(parts) => {
                for part in parts {
                    sum = sum.saturating_add(self.count(part)?);
                }
            }
            Value::Object(members) => {
                for (name, part) in members {
                    // Definitions count where they are referred to.
                    if matches!(name.as_str(), "$defs" | "definitions") {
                        continue;
                    }
                    let count = match (name.as_str(), part) {
                        ("$ref", Value::String(reference)) => self.referred(reference)?,
                        ("$dynamicRef" | "$recursiveRef" | "$id" | "$anchor", it) => {
                            return Err(SchemaError::Reference { reference: cut(&it.to_string()) });
                        }
                        _ => self.count(part)?,
                    };
                    sum = sum.saturating_add(count);
                }
            }
            _ => {}
        }
        Ok(sum)
    }

    fn referred(&mut self, reference: &'s str) -> Result<u64, SchemaError> {
        if let Some(count) = self.known.get(reference) {
            return Ok(*count);
        }
        let unknown = || SchemaError::Reference { reference: cut(reference) };
        let pointer = reference.strip_prefix('#').ok_or_else(unknown)?;
        let named = pointer.starts_with("/$defs/") || pointer.starts_with("/definitions/");
        let part = self.whole.pointer(pointer).filter(|_| named).ok_or_else(unknown)?;
        if self.within.contains(&reference) {
            return Err(SchemaError::Recursive { reference: cut(reference) });
        }
        self.within.push(reference);
        let count = self.count(part)?;
        self.within.pop();
        self.known.insert(reference, count);
        Ok(count)
    }
}

fn cut(text: &str) -> String {
    text.chars().take(160).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_that_does_not_fit_is_told_where_and_why() {
        let schema = Schema::read(&json!({
            "type": "object",
            "properties": { "amount": { "$ref": "#/$defs/money" } },
            "required": ["amount"],
            "$defs": { "money": { "type": "integer", "minimum": 0 } },
        }));
        let schema = schema.unwrap();
        assert_eq!(schema.check(&json!({ "amount": 3 })), Ok(()));
        let wrong = schema.check(&json!({ "amount": -3 })).unwrap_err();
        assert_eq!(wrong[0].at, "/amount");
        assert!(wrong[0].what.contains("minimum"), "{wrong:?}");
        assert!(schema.check(&json!({})).unwrap_err()[0].what.contains("amount"));
    }

    #[test]
    fn text_becomes_what_the_schema_wants() {
        let schema = Schema::read(&json!({ "properties": {
            "count": { "type": "integer" },
            "share": { "type": ["number", "null"] },
            "dry": { "type": "boolean" },
            "name": { "type": "string" },
        }}));
        let schema = schema.unwrap();
        for (name, text, value) in [
            ("count", "12", json!(12)),
            ("count", "a", json!("a")),
            ("share", "0.5", json!(0.5)),
            ("dry", "true", json!(true)),
            ("name", "12", json!("12")),
            ("other", "12", json!("12")),
        ] {
            assert_eq!(schema.parameter(name, text), value, "{name}={text}");
        }
    }

    #[test]
    fn what_could_not_be_borne_is_refused() {
        let mut doubling =
            json!({ "$defs": { "a0": { "type": "string" } }, "$ref": "#/$defs/a40" });
        for level in 1..=40 {
            let below = json!({ "$ref": format!("#/$defs/a{}", level - 1) });
            doubling["$defs"][format!("a{level}")] = json!({ "allOf": [below.clone(), below] });
        }
        assert_eq!(Schema::read(&doubling).unwrap_err(), SchemaError::TooManyParts);
        let tree =
            json!({ "$ref": "#/$defs/t", "$defs": { "t": { "items": { "$ref": "#/$defs/t" } } } });
        assert!(matches!(Schema::read(&tree), Err(SchemaError::Recursive { .. })));
        for reference in ["https://example.org/s.json", "file:///etc/passwd", "#", "#/$defs/none"] {
            let wrong = Schema::read(&json!({ "$ref": reference }));
            assert!(matches!(wrong, Err(SchemaError::Reference { .. })), "{reference}");
        }
        let pattern = json!({ "pattern": "(a+)+$" });
        let pattern = Schema::read(&pattern).unwrap();
        assert!(pattern.check(&json!("a".repeat(100_000) + "!")).is_err(), "in linear time");
        assert!(Schema::read(&json!({ "pattern": "(?=a)" })).is_err());
        assert!(Schema::read(&json!({ "type": "wrong" })).is_err());
        assert!(Schema::read(&json!({ "title": "x".repeat(SCHEMA_BYTES_MAX) })).is_err());
    }

    fn some_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z#/$]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            let key = prop_oneof![
                "\\$ref|\\$defs|type|items|properties|allOf|pattern|enum",
                "[a-z]{1,3}"
            ];
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map(key, inner, 0..5)
                    .prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever comes as a schema is read or refused, and what was read checks anything.
        #[test]
        fn any_schema_is_read_or_refused(schema in some_json(), value in some_json()) {
            if let Ok(schema) = Schema::read(&schema) {
                let told = schema.check(&value);
                prop_assert!(told.is_ok() || !told.unwrap_err().is_empty());
            }
        }
    }
}
