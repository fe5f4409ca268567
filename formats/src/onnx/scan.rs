//! A walk over the bytes of a model that counts its parts, before any memory is given to them.
//!
//! An empty node is two bytes in the file and some two hundred in memory; without this count, a
//! small file could take all memory there is. Lengths are believed only within what surrounds them.
//!
//! Source: Protocol Buffers, encoding.

use super::{Error, PARTS_MAX};

/// Deepest nesting, as `prost` has it.
const DEPTH_MAX: usize = 100;
/// Bytes of the sizes of one tensor: some hundred dimensions.
const SIZES_BYTES_MAX: usize = 1_024;

/// The messages of `onnx.proto3`, as far as they repeat.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    Value,
    Type,
    TensorType,
    Shape,
    Function,
    /// A message or text within which nothing repeats.
    Leaf,
    /// The sizes of a tensor, eight times as large in memory as here.
    Sizes,
}

impl Kind {
    /// What field `number` holds, where that is read.
    fn field(self, number: u64) -> Option<Self> {
        Some(match (self, number) {
            (Self::Model, 7) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 25) => Self::Function,
            (Self::Graph, 1) | (Self::Function, 7) => Self::Node,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            (Self::Graph, 11 | 12) => Self::Value,
            (Self::Node, 5) => Self::Attribute,
            (Self::Value, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Tensor, 1) => Self::Sizes,
            (Self::Model, 8 | 14)
            | (Self::Node, 1 | 2)
            | (Self::Tensor, 13)
            | (Self::Shape, 1)
            | (Self::Function, 4 | 5) => Self::Leaf,
            _ => return None,
        })
    }
}

/// Counts the parts of a model.
///
/// # Errors
///
/// When there are too many, or the bytes are not of the format.
pub(super) fn count_parts(bytes: &[u8]) -> Result<(), Error> {
    let mut left = PARTS_MAX;
    walk(bytes, Kind::Model, 0, &mut left)
}

fn walk(mut bytes: &[u8], kind: Kind, depth: usize, left: &mut usize) -> Result<(), Error> {
    let broken = || Error::NotOnnx { problem: "its fields are broken".to_owned() };
    if depth > DEPTH_MAX {
        return Err(Error::NotOnnx { problem: "its graphs are nested too deeply".to_owned() });
    }
    while !bytes.is_empty() {
        let tag = varint(&mut bytes).ok_or_else(broken)?;
        let skip_bytes = match tag & 7 {
            0 => {
                varint(&mut bytes).ok_or_else(broken)?;
                if kind.field(tag >> 3).is_some() {
                    *left = left.checked_sub(1).ok_or(Error::TooManyParts)?;
                }
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes).ok_or_else(broken)?,
            5 => 4,
            _ => return Err(broken()),
        };
        let skip = usize::try_from(skip_bytes).map_err(|_| broken())?;
        let (content, rest) = bytes.split_at_checked(skip).ok_or_else(broken)?;
        bytes = rest;
        if tag & 7 != 2 {
            continue;
        }
        if let Some(inner) = kind.field(tag >> 3) {
            *left = left.checked_sub(1).ok_or(Error::TooManyParts)?;
            match inner {
                Kind::Leaf => {}
                Kind::Sizes if content.len() > SIZES_BYTES_MAX => {
                    let problem = "a tensor has too many dimensions".to_owned();
                    return Err(Error::NotOnnx { problem });
                }
                Kind::Sizes => {}
                _ => walk(content, inner, depth + 1, left)?,
            }
        }
    }
    Ok(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}
