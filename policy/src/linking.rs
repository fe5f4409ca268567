//! Linking: which stages of a pipeline join without an adapter.
//!
//! Tensors are told apart by name, columns by place, since a model finds its inputs by name and a
//! CSV reader by column. A dimension of any size (-1) equals only another of any size.
//!
//! Always true: equality of formats is reflexive, symmetric and transitive, so a chain of equal
//! joints has one meaning. Absent on purpose: adapters, and formats that merely fit.

use std::collections::BTreeMap;
use std::fmt;

use types::{Column, ColumnType, Datatype, Format, TensorSpec};

/// One way in which two formats differ. `left` is the first one given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// They are formats of different kinds.
    #[error("{left} against {right}")]
    Kind {
        /// The kind of the first.
        left: &'static str,
        /// The kind of the second.
        right: &'static str,
    },
    /// A tensor is only in one of them, or more often.
    #[error("tensor {name:?} is only in the {side}")]
    Tensor {
        /// The tensor.
        name: String,
        /// Where it is.
        side: Side,
    },
    /// A tensor has different element types.
    #[error("tensor {name:?} holds {left} against {right}")]
    Datatype {
        /// The tensor.
        name: String,
        /// Its type in the first.
        left: Datatype,
        /// Its type in the second.
        right: Datatype,
    },
    /// A tensor has different shapes.
    #[error("tensor {name:?} has shape {left:?} against {right:?}")]
    Shape {
        /// The tensor.
        name: String,
        /// Its shape in the first.
        left: Vec<i64>,
        /// Its shape in the second.
        right: Vec<i64>,
    },
    /// The tables have different numbers of columns.
    #[error("{left} columns against {right}")]
    Columns {
        /// How many the first has.
        left: usize,
        /// How many the second has.
        right: usize,
    },
    /// The columns at one place have different names.
    #[error("column {place} is {left:?} against {right:?}")]
    ColumnName {
        /// The place, from 1.
        place: usize,
        /// The name in the first.
        left: String,
        /// The name in the second.
        right: String,
    },
    /// A column has different types.
    #[error("column {name:?} holds {} against {}", column_word(*.left), column_word(*.right))]
    ColumnType {
        /// The column.
        name: String,
        /// Its type in the first.
        left: ColumnType,
        /// Its type in the second.
        right: ColumnType,
    },
    /// The JSON schemas differ.
    #[error("the JSON schemas differ")]
    Schema,
    /// The media types differ.
    #[error("media type {left:?} against {right:?}")]
    MediaType {
        /// The first.
        left: String,
        /// The second.
        right: String,
    },
}

/// One of two formats, or one end of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// The first format; in a chain, the output of the stage before.
    Left,
    /// The second format; in a chain, the input of the stage after.
    Right,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Left => "first",
            Self::Right => "second",
        })
    }
}

/// Why stages do not make a chain. Stages count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// There is no stage.
    #[error("a pipeline has at least one stage")]
    Empty,
    /// A stage inside the chain does not say what it gives or takes.
    #[error(
        "stage {} declares no {} format, which stage {} needs to be joined to it",
        stage + 1, side_word(*.side), other_stage(*.stage, *.side) + 1
    )]
    Undeclared {
        /// The stage.
        stage: usize,
        /// `Left` for its output, `Right` for its input, as at the joint.
        side: Side,
    },
    /// A stage gives something else than the next one takes.
    #[error(
        "stage {} gives something else than stage {} takes: {}",
        stage + 1, stage + 2, list(.mismatches)
    )]
    Unequal {
        /// The stage that gives.
        stage: usize,
        /// How they differ; never empty.
        mismatches: Vec<Mismatch>,
    },
}

/// Compares two formats.
///
/// # Errors
///
/// Every way in which they differ, in the order of names or places.
pub fn equal(left: &Format, right: &Format) -> Result<(), Vec<Mismatch>> {
    let mismatches = match (left, right) {
        (Format::Tensors { tensors: left }, Format::Tensors { tensors: right }) => {
            tensors(left, right)
        }
        (Format::Table { columns: left }, Format::Table { columns: right }) => columns(left, right),
        (Format::Json { schema: left }, Format::Json { schema: right }) => {
            if left == right {
                Vec::new()
            } else {
                vec![Mismatch::Schema]
            }
        }
        (Format::Media { media_type: left }, Format::Media { media_type: right }) => {
            media_types(left, right)
        }
        _ => vec![Mismatch::Kind { left: kind_word(left), right: kind_word(right) }],
    };
    if mismatches.is_empty() { Ok(()) } else { Err(mismatches) }
}

/// A stage's input and output.
pub type Stage = (Option<Format>, Option<Format>);

/// Joins stages, each an input and an output, and returns the input and output of the whole.
///
/// # Errors
///
/// [`ChainError`] for the first joint that does not hold.
pub fn chain(stages: &[Stage]) -> Result<Stage, ChainError> {
    let (Some((input, _)), Some((_, output))) = (stages.first(), stages.last()) else {
        return Err(ChainError::Empty);
    };
    for (stage, joint) in stages.windows(2).enumerate() {
        let [(_, gives), (takes, _)] = joint else { continue };
        let gives = gives.as_ref().ok_or(ChainError::Undeclared { stage, side: Side::Left })?;
        let undeclared = ChainError::Undeclared { stage: stage + 1, side: Side::Right };
        let takes = takes.as_ref().ok_or(undeclared)?;
        equal(gives, takes).map_err(|mismatches| ChainError::Unequal { stage, mismatches })?;
    }
    Ok((input.clone(), output.clone()))
}

/// Several mismatches on one line.
pub fn list(mismatches: &[Mismatch]) -> String {
    let texts: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    texts.join("; ")
}

fn tensors(left: &[TensorSpec], right: &[TensorSpec]) -> Vec<Mismatch> {
    let mut by_name: BTreeMap<&str, (Vec<&TensorSpec>, Vec<&TensorSpec>)> = BTreeMap::new();
    for one in left {
        by_name.entry(&one.name).or_default().0.push(one);
    }
    for one in right {
        by_name.entry(&one.name).or_default().1.push(one);
    }
    let mut mismatches = Vec::new();
    for (name, (left, right)) in by_name {
        if left.len() != right.len() {
            let side = if left.len() > right.len() { Side::Left } else { Side::Right };
            mismatches.push(Mismatch::Tensor { name: name.to_owned(), side });
        }
        for (left, right) in left.into_iter().zip(right) {
            mismatches.extend(tensor(left, right));
        }
    }
    mismatches
}

fn tensor(left: &TensorSpec, right: &TensorSpec) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    let name = || left.name.clone();
    if left.datatype != right.datatype {
        let (left, right) = (left.datatype, right.datatype);
        mismatches.push(Mismatch::Datatype { name: name(), left, right });
    }
    // Every negative size means any size.
    let same = |(left, right): (&i64, &i64)| left == right || (*left < 0 && *right < 0);
    let shapes = left.shape.iter().zip(&right.shape);
    if left.shape.len() != right.shape.len() || !shapes.into_iter().all(same) {
        let (left, right) = (left.shape.clone(), right.shape.clone());
        mismatches.push(Mismatch::Shape { name: name(), left, right });
    }
    mismatches
}

fn columns(left: &[Column], right: &[Column]) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    if left.len() != right.len() {
        mismatches.push(Mismatch::Columns { left: left.len(), right: right.len() });
    }
    for (place, (left, right)) in (1..).zip(left.iter().zip(right)) {
        if left.name != right.name {
            let (left, right) = (left.name.clone(), right.name.clone());
            mismatches.push(Mismatch::ColumnName { place, left, right });
        } else if left.column_type != right.column_type {
            let (name, left, right) = (left.name.clone(), left.column_type, right.column_type);
            mismatches.push(Mismatch::ColumnType { name, left, right });
        }
    }
    mismatches
}

/// Media types are compared without regard to case or to blanks around their parts.
///
/// Source: RFC 9110, section 8.3.1.
fn media_types(left: &str, right: &str) -> Vec<Mismatch> {
    let parts = |text: &str| -> Vec<_> {
        text.split(';').map(|part| part.trim().to_ascii_lowercase()).collect()
    };
    if parts(left) == parts(right) {
        return Vec::new();
    }
    vec![Mismatch::MediaType { left: left.to_owned(), right: right.to_owned() }]
}

const fn kind_word(format: &Format) -> &'static str {
    match format {
        Format::Tensors { .. } => "tensors",
        Format::Table { .. } => "a table",
        Format::Json { .. } => "JSON",
        Format::Media { .. } => "media",
    }
}

const fn column_word(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Integer => "integers",
        ColumnType::Number => "numbers",
        ColumnType::Boolean => "booleans",
        ColumnType::Timestamp => "timestamps",
        ColumnType::Text => "text",
    }
}

const fn side_word(side: Side) -> &'static str {
    match side {
        Side::Left => "output",
        Side::Right => "input",
    }
}

const fn other_stage(stage: usize, side: Side) -> usize {
    match side {
        Side::Left => stage + 1,
        Side::Right => stage.saturating_sub(1),
    }
}

#[cfg(test)]
pub(crate) mod tests;
