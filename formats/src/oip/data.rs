//! Tensor data in JSON, read straight into little-endian bytes.
//!
//! The text is known to be valid JSON: serde has walked over it. So this reader only tells
//! elements, brackets and commas apart. Numbers are read by the standard library, which rounds
//! right; a whole number may be written as `3.0` or `3e0`.
//!
//! Always true: no more memory is taken than twice what the elements read so far need.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use types::Datatype;
use types::frame::RANK_MAX;

use super::{Problem, elements};

/// What the data must be.
pub(super) struct Wanted<'s> {
    pub(super) datatype: Datatype,
    pub(super) shape: &'s [u64],
    pub(super) elements: u64,
    /// Whether the texts of `BYTES` are base64.
    pub(super) is_base64: bool,
}

/// Why one element cannot be read.
enum Bad {
    Value,
    Range,
}

/// Reads the data of one tensor.
pub(super) fn parse(json: &str, wanted: &Wanted<'_>) -> Result<Bytes, Problem> {
    match wanted.datatype {
        Datatype::Bool => walk(json, wanted, |text, out| {
            out.push(match text {
                "true" | "1" => 1,
                "false" | "0" => 0,
                _ => return Err(Bad::Value),
            });
            Ok(())
        }),
        Datatype::Uint8 => integers::<u8, 1>(json, wanted, u8::to_le_bytes),
        Datatype::Uint16 => integers::<u16, 2>(json, wanted, u16::to_le_bytes),
        Datatype::Uint32 => integers::<u32, 4>(json, wanted, u32::to_le_bytes),
        Datatype::Uint64 => integers::<u64, 8>(json, wanted, u64::to_le_bytes),
        Datatype::Int8 => integers::<i8, 1>(json, wanted, i8::to_le_bytes),
        Datatype::Int16 => integers::<i16, 2>(json, wanted, i16::to_le_bytes),
        Datatype::Int32 => integers::<i32, 4>(json, wanted, i32::to_le_bytes),
        Datatype::Int64 => integers::<i64, 8>(json, wanted, i64::to_le_bytes),
        Datatype::Fp32 => walk(json, wanted, |text, out| {
            let number: f32 = number(text, f32::NAN, f32::is_infinite)?;
            out.extend_from_slice(&number.to_le_bytes());
            Ok(())
        }),
        Datatype::Fp64 => walk(json, wanted, |text, out| {
            let number: f64 = number(text, f64::NAN, f64::is_infinite)?;
            out.extend_from_slice(&number.to_le_bytes());
            Ok(())
        }),
        Datatype::Bytes => walk(json, wanted, |text, out| push_text(text, wanted.is_base64, out)),
        Datatype::Fp16 | Datatype::Bf16 => Err(Problem::BinaryOnly { datatype: wanted.datatype }),
    }
}

fn integers<T, const N: usize>(
    json: &str,
    wanted: &Wanted<'_>,
    to_le_bytes: impl Fn(T) -> [u8; N],
) -> Result<Bytes, Problem>
where
    T: std::str::FromStr + TryFrom<i64>,
{
    walk(json, wanted, |text, out| {
        let value = match text.parse() {
            Ok(value) => value,
            Err(_) => whole(text)?,
        };
        out.extend_from_slice(&to_le_bytes(value));
        Ok(())
    })
}

/// A whole number that is written with a fraction or exponent, or does not fit.
#[expect(clippy::cast_possible_truncation, reason = "the number is whole and below 2^53")]
fn whole<T: TryFrom<i64>>(text: &str) -> Result<T, Bad> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    if !is_number(text) {
        return Err(Bad::Value);
    }
    let number: f64 = text.parse().map_err(|_| Bad::Value)?;
    if number.fract() != 0.0 {
        return Err(Bad::Value);
    }
    if number.abs() > EXACT_MAX {
        return Err(Bad::Range);
    }
    T::try_from(number as i64).map_err(|_| Bad::Range)
}

fn number<T>(text: &str, not_a_number: T, is_infinite: impl Fn(T) -> bool) -> Result<T, Bad>
where
    T: Copy + std::str::FromStr,
{
    if !is_number(text) {
        return if text == "null" { Ok(not_a_number) } else { Err(Bad::Value) };
    }
    let number: T = text.parse().map_err(|_| Bad::Value)?;
    if is_infinite(number) { Err(Bad::Range) } else { Ok(number) }
}

fn is_number(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
}

fn push_text(json: &str, is_base64: bool, out: &mut Vec<u8>) -> Result<(), Bad> {
    let plain = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    let plain = plain.ok_or(Bad::Value)?;
    let text: Cow<'_, str> = if plain.contains('\\') {
        serde_json::from_str::<String>(json).map_err(|_| Bad::Value)?.into()
    } else {
        plain.into()
    };
    if is_base64 {
        let bytes = STANDARD.decode(text.as_bytes()).map_err(|_| Bad::Value)?;
        return elements::push_bytes(&bytes, out).map_err(|_| Bad::Range);
    }
    elements::push_bytes(text.as_bytes(), out).map_err(|_| Bad::Range)
}

/// Where a walk is.
struct Walk<'s> {
    wanted: &'s Wanted<'s>,
    /// Elements so far.
    count: u64,
    depth: usize,
    deepest: usize,
    /// At which depth elements stand; they all stand at one.
    leaf_depth: Option<usize>,
    /// Items so far in the open array of each depth.
    items: [u64; RANK_MAX + 2],
}

/// Walks over the elements of a JSON value, and puts each through `push`.
fn walk(
    json: &str,
    wanted: &Wanted<'_>,
    push: impl Fn(&str, &mut Vec<u8>) -> Result<(), Bad>,
) -> Result<Bytes, Problem> {
    // An element takes two characters at least, so a false shape takes no memory.
    let likely = usize::try_from(wanted.elements).unwrap_or(usize::MAX).min(json.len() / 2 + 1);
    let mut out = Vec::with_capacity(likely * wanted.datatype.element_bytes().unwrap_or(8));
    let (depth, count, items) = (0, 0, [0; RANK_MAX + 2]);
    let mut walk = Walk { wanted, count, depth, deepest: 0, leaf_depth: None, items };
    let bytes = json.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'[' => {
                walk.open()?;
                at += 1;
            }
            b']' => {
                walk.close()?;
                at += 1;
            }
            b',' | b' ' | b'\n' | b'\r' | b'\t' => at += 1,
            _ => {
                let end = at + element_bytes(&bytes[at..]);
                let text = json.get(at..end).unwrap_or_default();
                walk.element()?;
                push(text, &mut out).map_err(|bad| walk.explain(&bad, text))?;
                at = end;
            }
        }
    }
    walk.finish()?;
    Ok(out.into())
}

/// Bytes of the element that `bytes` start with.
fn element_bytes(bytes: &[u8]) -> usize {
    if bytes[0] != b'"' {
        let ends = |byte: &u8| matches!(byte, b',' | b']' | b' ' | b'\n' | b'\r' | b'\t');
        return bytes.iter().position(ends).unwrap_or(bytes.len());
    }
    let mut at = 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

impl Walk<'_> {
    fn nesting(&self) -> Problem {
        Problem::Nesting { shape: self.wanted.shape.to_vec() }
    }

    fn open(&mut self) -> Result<(), Problem> {
        self.items[self.depth] += 1;
        self.depth += 1;
        self.deepest = self.deepest.max(self.depth);
        let is_leaf_level = self.leaf_depth.is_some_and(|leaf_depth| self.depth > leaf_depth);
        if self.depth > self.wanted.shape.len().max(1) || is_leaf_level {
            return Err(self.nesting());
        }
        self.items[self.depth] = 0;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Problem> {
        let is_nested = self.deepest > 1;
        let size = self.depth.checked_sub(1).and_then(|above| self.wanted.shape.get(above));
        if is_nested && size != Some(&self.items[self.depth]) {
            return Err(self.nesting());
        }
        self.depth -= 1;
        Ok(())
    }

    fn element(&mut self) -> Result<(), Problem> {
        let leaf_depth = *self.leaf_depth.get_or_insert(self.depth);
        if leaf_depth != self.depth || self.depth < self.deepest {
            return Err(self.nesting());
        }
        if self.count == self.wanted.elements {
            return Err(self.miscount(format!("more than {}", self.count)));
        }
        self.items[self.depth] += 1;
        self.count += 1;
        Ok(())
    }

    fn finish(&self) -> Result<(), Problem> {
        let rank = self.wanted.shape.len();
        if self.deepest > 1 && self.count > 0 && self.deepest != rank {
            return Err(self.nesting());
        }
        if self.count != self.wanted.elements {
            return Err(self.miscount(self.count.to_string()));
        }
        Ok(())
    }

    fn miscount(&self, have: String) -> Problem {
        let (wanted, shape) = (self.wanted.elements, self.wanted.shape.to_vec());
        Problem::Count { have, wanted, shape }
    }

    fn explain(&self, bad: &Bad, text: &str) -> Problem {
        let (index, datatype) = (self.count - 1, self.wanted.datatype);
        let value = text.chars().take(40).collect();
        match bad {
            Bad::Value => Problem::Value { index, value, datatype },
            Bad::Range => Problem::Range { index, value, datatype },
        }
    }
}
