//! The elements of a tensor, one by one.
//!
//! Always true: of data that does not fit its datatype, the elements that are whole come out.

use std::fmt;

use half::{bf16, f16};

use types::{Datatype, Tensor};

use super::Problem;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'t> {
    /// Of `BOOL`.
    Bool(bool),
    /// Of the integer types.
    Integer(i128),
    /// Of the floating-point types.
    Float(f64),
    /// Of `BYTES`.
    Bytes(&'t [u8]),
}

impl fmt::Display for Element<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Bytes(value) => write!(f, "{:?}", String::from_utf8_lossy(value)),
        }
    }
}

/// The elements of a tensor, in order.
#[derive(Clone, Debug)]
pub struct Elements<'t> {
    datatype: Datatype,
    left: &'t [u8],
}

impl<'t> Elements<'t> {
    /// The elements of `tensor`.
    pub fn of(tensor: &'t Tensor) -> Self {
        Self { datatype: tensor.datatype, left: &tensor.data }
    }

    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.left.split_first_chunk()?;
        self.left = rest;
        Some(*chunk)
    }
}

impl<'t> Iterator for Elements<'t> {
    type Item = Element<'t>;

    fn next(&mut self) -> Option<Element<'t>> {
        Some(match self.datatype {
            Datatype::Bool => Element::Bool(self.chunk::<1>()? != [0]),
            Datatype::Uint8 => Element::Integer(u8::from_le_bytes(self.chunk()?).into()),
            Datatype::Uint16 => Element::Integer(u16::from_le_bytes(self.chunk()?).into()),
            Datatype::Uint32 => Element::Integer(u32::from_le_bytes(self.chunk()?).into()),
            Datatype::Uint64 => Element::Integer(u64::from_le_bytes(self.chunk()?).into()),
            Datatype::Int8 => Element::Integer(i8::from_le_bytes(self.chunk()?).into()),
            Datatype::Int16 => Element::Integer(i16::from_le_bytes(self.chunk()?).into()),
            Datatype::Int32 => Element::Integer(i32::from_le_bytes(self.chunk()?).into()),
            Datatype::Int64 => Element::Integer(i64::from_le_bytes(self.chunk()?).into()),
            Datatype::Fp16 => Element::Float(f16::from_le_bytes(self.chunk()?).into()),
            Datatype::Bf16 => Element::Float(bf16::from_le_bytes(self.chunk()?).into()),
            Datatype::Fp32 => Element::Float(f32::from_le_bytes(self.chunk()?).into()),
            Datatype::Fp64 => Element::Float(f64::from_le_bytes(self.chunk()?)),
            Datatype::Bytes => Element::Bytes(next_bytes(&mut self.left)?),
        })
    }
}

/// Takes the next element off the data of a `BYTES` tensor; none at its end, or where it is broken.
pub fn next_bytes<'t>(left: &mut &'t [u8]) -> Option<&'t [u8]> {
    let (length, rest) = left.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (element, rest) = rest.split_at_checked(length)?;
    *left = rest;
    Some(element)
}

/// Appends an element to the data of a `BYTES` tensor.
///
/// # Errors
///
/// When the element is longer than its length can say; `out` is then as it was.
pub fn push_bytes(element: &[u8], out: &mut Vec<u8>) -> Result<(), std::num::TryFromIntError> {
    let length = u32::try_from(element.len())?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(element);
    Ok(())
}

/// Whether the data of a `BYTES` tensor is `wanted` elements and nothing else.
pub(super) fn check_bytes(data: &[u8], wanted: u64, shape: &[u64]) -> Result<(), Problem> {
    let (mut left, mut count) = (data, 0_u64);
    while next_bytes(&mut left).is_some() {
        count += 1;
    }
    if !left.is_empty() && count < wanted {
        return Err(Problem::ElementLength { index: count });
    }
    if !left.is_empty() || count != wanted {
        let have = if count > wanted || !left.is_empty() {
            format!("more than {wanted}")
        } else {
            count.to_string()
        };
        return Err(Problem::Count { have, wanted, shape: shape.to_vec() });
    }
    Ok(())
}
