//! `NumPy`'s `.npy` files, versions 1 to 3, as tensors and back.
//!
//! Always true: little-endian data in C order is a slice of the file, not a copy; a file that
//! [`write()`] makes, [`read`] reads as the same tensor.
//! Absent on purpose: `.npz`, pickled objects, structured and date types.
//! Source: `NumPy` enhancement proposal 1, `numpy.lib.format`.

use bytes::Bytes;

use types::{Datatype, ErrorKind, Tensor};

use crate::oip::count_elements;
use crate::oip::elements::{Element, Elements, push_bytes};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// Longest header; `NumPy` writes some hundred bytes.
const HEADER_BYTES_MAX: usize = 64 << 10;
/// Data starts at a multiple of this.
const ALIGN_BYTES: usize = 64;
/// Largest array of texts written; all elements take as much room as the longest.
const TEXT_BYTES_MAX: u64 = 1 << 30;

/// The code of an array that cannot be read or written.
pub const CODE_INVALID: &str = "wrong_tensor";

/// Why an array cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the NumPy array cannot be used: {problem}")]
pub struct Error {
    /// What is wrong, and the cure.
    pub problem: String,
}

impl Error {
    /// What the error means to a caller.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    /// The word clients match on.
    pub fn code(&self) -> &'static str {
        CODE_INVALID
    }
}

fn error(problem: impl Into<String>) -> Error {
    Error { problem: problem.into() }
}

/// What an array's header says.
struct Header {
    descr: String,
    is_fortran: bool,
    shape: Vec<u64>,
}

/// How elements are laid out.
struct Layout {
    datatype: Datatype,
    /// Bytes of one element in the file.
    bytes: usize,
    is_big_endian: bool,
    /// Texts as four-byte characters, not as bytes.
    is_unicode: bool,
}

/// Reads an array as the tensor `name`.
///
/// # Errors
///
/// When the bytes are not such a file, or its type has no datatype here.
pub fn read(file: &Bytes, name: &str) -> Result<Tensor, Error> {
    let (text, start) = split(file)?;
    let header = parse_header(text).ok_or_else(|| {
        error("its header is broken, or of a structured type; save it again with numpy.save")
    })?;
    let layout = layout_of(&header.descr)?;
    let elements = count_elements(&header.shape).map_err(|problem| error(problem.to_string()))?;
    let data = file.slice(start..);
    let wanted = elements.saturating_mul(layout.bytes as u64);
    if wanted != data.len() as u64 {
        let have = data.len();
        return Err(error(format!(
            "it has {have} bytes of data but needs {wanted}; send it whole"
        )));
    }
    let data = if header.is_fortran && header.shape.len() > 1 {
        to_c_order(&data, &header.shape, layout.bytes).into()
    } else {
        data
    };
    let data = match layout.datatype {
        Datatype::Bytes => texts(&data, &layout)?,
        _ if layout.is_big_endian => swapped(&data, layout.bytes),
        _ => data,
    };
    Ok(Tensor { name: name.to_owned(), datatype: layout.datatype, shape: header.shape, data })
}

/// The header's text, and where the data starts.
fn split(file: &[u8]) -> Result<(&str, usize), Error> {
    let rest = file
        .strip_prefix(MAGIC)
        .ok_or_else(|| error("it does not start as .npy does; save it with numpy.save"))?;
    let ends = || error("it ends within its header; send it whole");
    let (version, rest) = rest.split_first_chunk::<2>().ok_or_else(ends)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(ends)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(ends)?;
            (usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX), rest)
        }
        other => return Err(error(format!("its version is {other}; save it with numpy.save"))),
    };
    if length > HEADER_BYTES_MAX {
        let limit = HEADER_BYTES_MAX;
        return Err(error(format!("its header has {length} bytes, above the limit of {limit}")));
    }
    let text = rest.get(..length).ok_or_else(ends)?;
    let text = std::str::from_utf8(text).map_err(|_| error("its header is not text"))?;
    Ok((text, file.len() - rest.len() + length))
}

/// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
fn parse_header(text: &str) -> Option<Header> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let (mut descr, mut is_fortran, mut shape) = (None, None, None);
    while !rest.is_empty() {
        let (key, value) = quoted(rest)?;
        let value = value.trim_start().strip_prefix(':')?.trim_start();
        let after = match key {
            "descr" => {
                let (text, after) = quoted(value)?;
                descr = Some(text.to_owned());
                after
            }
            "fortran_order" => {
                let after = value.strip_prefix("True").or_else(|| value.strip_prefix("False"))?;
                is_fortran = Some(value.starts_with('T'));
                after
            }
            "shape" => {
                let (sizes, after) = value.strip_prefix('(')?.split_once(')')?;
                let sizes = sizes.split(',').map(str::trim).filter(|size| !size.is_empty());
                let sizes = sizes.map(|size| size.trim_end_matches('L').parse().ok());
                shape = Some(sizes.collect::<Option<Vec<u64>>>()?);
                after
            }
            _ => return None,
        };
        rest = after.trim_start();
        rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
    }
    Some(Header { descr: descr?, is_fortran: is_fortran?, shape: shape? })
}

/// A text in quotes, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '\'' | '"'))?;
    text[1..].split_once(quote)
}

fn layout_of(descr: &str) -> Result<Layout, Error> {
    let unknown = || {
        let shown: String = descr.chars().take(40).collect();
        error(format!("its type {shown:?} cannot be sent; convert it with astype, as to float32"))
    };
    let order = descr.chars().next().filter(char::is_ascii).ok_or_else(unknown)?;
    let (order, code) = match order {
        '<' | '>' | '|' | '=' => (order, &descr[1..]),
        _ => ('|', descr),
    };
    let datatype = match code {
        "b1" => Datatype::Bool,
        "u1" => Datatype::Uint8,
        "u2" => Datatype::Uint16,
        "u4" => Datatype::Uint32,
        "u8" => Datatype::Uint64,
        "i1" => Datatype::Int8,
        "i2" => Datatype::Int16,
        "i4" => Datatype::Int32,
        "i8" => Datatype::Int64,
        "f2" => Datatype::Fp16,
        "f4" => Datatype::Fp32,
        "f8" => Datatype::Fp64,
        _ if code.starts_with(['S', 'U']) => Datatype::Bytes,
        _ => return Err(unknown()),
    };
    let is_unicode = code.starts_with('U');
    let bytes = if let Some(bytes) = datatype.element_bytes() {
        bytes
    } else {
        let width: usize = code[1..].parse().map_err(|_| unknown())?;
        let bytes = width.checked_mul(if is_unicode { 4 } else { 1 });
        bytes.filter(|&bytes| bytes > 0).ok_or_else(unknown)?
    };
    Ok(Layout { datatype, bytes, is_big_endian: order == '>', is_unicode })
}

/// The data with its first dimension outermost.
fn to_c_order(data: &[u8], shape: &[u64], element_bytes: usize) -> Vec<u8> {
    // The data is there, so every product of sizes fits.
    let sizes: Vec<usize> =
        shape.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect();
    let mut steps = Vec::with_capacity(sizes.len());
    let mut step = element_bytes;
    for &size in &sizes {
        steps.push(step);
        step = step.saturating_mul(size);
    }
    let mut out = Vec::with_capacity(data.len());
    let mut index = vec![0; sizes.len()];
    let mut from = 0;
    while out.len() < data.len() {
        out.extend_from_slice(&data[from..from + element_bytes]);
        for axis in (0..sizes.len()).rev() {
            index[axis] += 1;
            from += steps[axis];
            if index[axis] < sizes[axis] {
                break;
            }
            from -= steps[axis] * sizes[axis];
            index[axis] = 0;
        }
    }
    out
}

fn swapped(data: &[u8], element_bytes: usize) -> Bytes {
    let mut data = data.to_vec();
    data.chunks_exact_mut(element_bytes).for_each(<[u8]>::reverse);
    data.into()
}

/// Texts of one width as elements of `BYTES`, without the zeros that fill them up.
fn texts(data: &[u8], layout: &Layout) -> Result<Bytes, Error> {
    let mut out = Vec::with_capacity(data.len());
    for cell in data.chunks_exact(layout.bytes) {
        let text = if layout.is_unicode {
            let codes = cell.as_chunks::<4>().0.iter().map(|code| {
                if layout.is_big_endian {
                    u32::from_be_bytes(*code)
                } else {
                    u32::from_le_bytes(*code)
                }
            });
            let text: Option<String> = codes.map(char::from_u32).collect();
            text.ok_or_else(|| error("one of its texts is not Unicode"))?.into_bytes()
        } else {
            cell.to_vec()
        };
        let end = text.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        push_bytes(&text[..end], &mut out).map_err(|_| error("one of its texts is too long"))?;
    }
    Ok(out.into())
}

/// Writes a tensor as a file of version 1.
///
/// # Errors
///
/// When `NumPy` has no such type (`BF16`), or a text is not UTF-8 or ends in a zero.
pub fn write(tensor: &Tensor) -> Result<Bytes, Error> {
    let (descr, data) = match tensor.datatype {
        Datatype::Bytes => write_texts(tensor)?,
        Datatype::Bf16 => return Err(error("NumPy has no BF16; ask for binary OIP")),
        datatype => (descr_of(datatype).to_owned(), tensor.data.clone()),
    };
    let mut sizes = String::new();
    for size in &tensor.shape {
        sizes += &format!("{size}, ");
    }
    let sizes =
        if tensor.shape.len() == 1 { sizes.trim_end() } else { sizes.trim_end_matches(", ") };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sizes}), }}");
    let before = MAGIC.len() + 4;
    let end = (before + header.len() + 1).next_multiple_of(ALIGN_BYTES);
    header.extend(std::iter::repeat_n(' ', end - before - header.len() - 1));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| error("its shape is too long"))?;
    let mut file = Vec::with_capacity(end + data.len());
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&[1, 0]);
    file.extend_from_slice(&length.to_le_bytes());
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(&data);
    Ok(file.into())
}

fn descr_of(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "|b1",
        Datatype::Uint8 => "|u1",
        Datatype::Uint16 => "<u2",
        Datatype::Uint32 => "<u4",
        Datatype::Uint64 => "<u8",
        Datatype::Int8 => "|i1",
        Datatype::Int16 => "<i2",
        Datatype::Int32 => "<i4",
        Datatype::Int64 => "<i8",
        Datatype::Fp16 | Datatype::Bf16 => "<f2",
        Datatype::Fp32 => "<f4",
        Datatype::Fp64 | Datatype::Bytes => "<f8",
    }
}

fn write_texts(tensor: &Tensor) -> Result<(String, Bytes), Error> {
    let mut texts = Vec::new();
    for element in Elements::of(tensor) {
        let Element::Bytes(bytes) = element else { continue };
        let text = std::str::from_utf8(bytes)
            .map_err(|_| error("an output is not UTF-8; ask for binary OIP"))?;
        if text.ends_with('\0') {
            return Err(error("an output ends in a zero, which NumPy drops; ask for binary OIP"));
        }
        texts.push(text);
    }
    let width = texts.iter().map(|text| text.chars().count()).max().unwrap_or(0).max(1);
    let total_bytes = (width as u64).saturating_mul(4).saturating_mul(texts.len() as u64);
    if total_bytes > TEXT_BYTES_MAX {
        return Err(error("its texts differ too much in length; ask for JSON"));
    }
    let mut data = Vec::new();
    for text in texts {
        let end = data.len() + 4 * width;
        for found in text.chars() {
            data.extend_from_slice(&u32::from(found).to_le_bytes());
        }
        data.resize(end, 0);
    }
    Ok((format!("<U{width}"), data.into()))
}
