//! Tensors: what models eat and answer, as the Open Inference Protocol names and lays them out.
//!
//! Always true: data is little-endian, row-major and unpadded; a `BOOL` is one byte; a `BYTES`
//! element is its length as four little-endian bytes, then the bytes.
//! Source: Open Inference Protocol v2, binary tensor data extension.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The type of a tensor's elements.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Datatype {
    Bool = 1,
    Uint8 = 2,
    Uint16 = 3,
    Uint32 = 4,
    Uint64 = 5,
    Int8 = 6,
    Int16 = 7,
    Int32 = 8,
    Int64 = 9,
    Fp16 = 10,
    Bf16 = 11,
    Fp32 = 12,
    Fp64 = 13,
    Bytes = 14,
}

impl Datatype {
    /// Every datatype, in the order of the protocol's table.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The protocol's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// Bytes of one element; none for `BYTES`, whose elements differ.
    pub const fn element_bytes(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// The datatype with this number in the worker's wire frame.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|datatype| *datatype as u8 == number)
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Datatype {
    type Err = UnknownDatatype;

    fn from_str(text: &str) -> Result<Self, UnknownDatatype> {
        let found = Self::ALL.into_iter().find(|datatype| datatype.as_str() == text);
        found.ok_or_else(|| UnknownDatatype { text: text.chars().take(80).collect() })
    }
}

/// A word that names no datatype.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a datatype: use BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FP16, BF16, FP32, FP64 or BYTES"
)]
pub struct UnknownDatatype {
    /// What was given, cut to 80 characters.
    pub text: String,
}

/// The name, type and shape of a model's input or output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// The tensor's name in the model.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// The size of each dimension; -1 where any size goes.
    pub shape: Vec<i64>,
}

impl TensorSpec {
    /// Whether a tensor of this datatype and shape may stand here.
    pub fn admits(&self, datatype: Datatype, shape: &[u64]) -> bool {
        self.datatype == datatype
            && self.shape.len() == shape.len()
            && self.shape.iter().zip(shape).all(|(&want, &have)| {
                want < 0 || u64::try_from(want).is_ok_and(|want| want == have)
            })
    }
}

/// A tensor with its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// The tensor's name in the model.
    pub name: String,
    /// The type of its elements.
    pub datatype: Datatype,
    /// The size of each dimension.
    pub shape: Vec<u64>,
    /// The elements, laid out as the module says.
    pub data: Bytes,
}

impl Tensor {
    /// How many elements the shape has; none when that number passes 64 bits.
    pub fn elements(&self) -> Option<u64> {
        self.shape.iter().try_fold(1_u64, |product, &size| product.checked_mul(size))
    }
}
