//! Whether what came out of a test case is what its producer expects.

use serde_json::Value;

use types::Tensor;

use crate::oip::elements::{Element, Elements};

use super::{Expect, ExpectedOutput};

/// The first difference between what was expected of an output and what came.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("output {output:?}: expected {expected}, got {actual}")]
pub struct Mismatch {
    /// The output.
    pub output: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub actual: String,
}

impl Expect {
    /// Whether anything may come out.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.files.is_empty()
    }

    /// Holds outputs against what is expected of them. Outputs that are not named may be anything.
    ///
    /// # Errors
    ///
    /// The first [`Mismatch`].
    pub fn compare(&self, outputs: &[Tensor]) -> Result<(), Mismatch> {
        for expected in &self.outputs {
            let Some(actual) = outputs.iter().find(|output| output.name == expected.name) else {
                let names: Vec<&str> = outputs.iter().map(|output| output.name.as_str()).collect();
                let actual = match names[..] {
                    [] => "none".to_owned(),
                    _ => format!("only {}", names.join(", ")),
                };
                return Err(expected.mismatch("an output of this name".to_owned(), actual));
            };
            expected.compare(actual)?;
        }
        Ok(())
    }
}

impl ExpectedOutput {
    fn mismatch(&self, expected: String, actual: String) -> Mismatch {
        Mismatch { output: self.name.clone(), expected, actual }
    }

    fn compare(&self, actual: &Tensor) -> Result<(), Mismatch> {
        if let Some(datatype) = self.datatype
            && datatype != actual.datatype
        {
            return Err(self.mismatch(datatype.to_string(), actual.datatype.to_string()));
        }
        if let Some(shape) = &self.shape
            && *shape != actual.shape
        {
            let (shape, actual) = (format!("shape {shape:?}"), format!("{:?}", actual.shape));
            return Err(self.mismatch(shape, actual));
        }
        let Some(data) = &self.data else { return Ok(()) };
        let mut wanted = Vec::new();
        flatten(data, &mut wanted);
        let elements = Elements::of(actual);
        let count = elements.clone().count();
        if wanted.len() != count {
            let (wanted, count) = (format!("{} elements", wanted.len()), count.to_string());
            return Err(self.mismatch(wanted, count));
        }
        let tolerance = self.tolerance.unwrap_or(0.0);
        for (index, (value, element)) in wanted.into_iter().zip(elements).enumerate() {
            if !agrees(value, &element, tolerance) {
                let wanted = format!("{value} at {index} (tolerance {tolerance})");
                return Err(self.mismatch(wanted, element.to_string()));
            }
        }
        Ok(())
    }
}

fn flatten<'v>(value: &'v Value, into: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        other => into.push(other),
    }
}

#[expect(clippy::cast_precision_loss, reason = "with a tolerance, numbers are compared as floats")]
fn agrees(wanted: &Value, actual: &Element<'_>, tolerance: f64) -> bool {
    let near = |actual: f64| {
        wanted.as_f64().is_some_and(|wanted| {
            (wanted - actual).abs() <= tolerance || wanted.to_bits() == actual.to_bits()
        })
    };
    match actual {
        Element::Bool(actual) => wanted.as_bool() == Some(*actual),
        Element::Bytes(actual) => wanted.as_str().is_some_and(|text| text.as_bytes() == *actual),
        Element::Float(actual) => near(*actual),
        Element::Integer(actual) => {
            let exact = wanted.as_i64().map(i128::from).or(wanted.as_u64().map(i128::from));
            exact == Some(*actual) || near(*actual as f64)
        }
    }
}
