//! Tensors in gRPC messages: raw, or element by element in the field of their type.
//!
//! Always true: raw data is taken from the message and given to it without a copy; a tensor that is
//! returned has the bytes that its datatype and shape say.

use bytes::Bytes;
use formats::oip::check_tensor;
use formats::oip::elements::{Element, Elements, push_bytes};
use types::{Datatype, Tensor};

use crate::error::Error;
use crate::proto::InferTensorContents;
use crate::proto::ModelInferRequest;
use crate::proto::model_infer_request::InferInputTensor;

/// Takes the inputs out of a request.
///
/// # Errors
///
/// [`Error::BadRequest`] and [`Error::WrongTensor`], which name the input.
pub(super) fn take_inputs(request: &mut ModelInferRequest) -> Result<Vec<Tensor>, Error> {
    let inputs = std::mem::take(&mut request.inputs);
    let raw = std::mem::take(&mut request.raw_input_contents);
    if !raw.is_empty() && raw.len() != inputs.len() {
        let (raw, inputs) = (raw.len(), inputs.len());
        let reason = format!(
            "there are {raw} raw_input_contents for {inputs} inputs; send one for each, or none"
        );
        return Err(Error::BadRequest { reason });
    }
    let mut raw = raw.into_iter();
    inputs.into_iter().map(|input| read(input, raw.next())).collect()
}

fn read(input: InferInputTensor, raw: Option<Bytes>) -> Result<Tensor, Error> {
    let wrong = |what: String| {
        let name: String = input.name.chars().take(80).collect();
        Error::WrongTensor { reason: format!("input {name:?}: {what}") }
    };
    if input.parameters.contains_key("shared_memory_region") {
        let what = "it is in shared memory, which this server does not offer; send the data";
        return Err(wrong(what.to_owned()));
    }
    let datatype: Datatype = input.datatype.parse().map_err(|error| wrong(format!("{error}")))?;
    let size = |&size: &i64| {
        let negative = || wrong(format!("its shape has the size {size}; send the real one"));
        u64::try_from(size).map_err(|_| negative())
    };
    let shape = input.shape.iter().map(size).collect::<Result<Vec<_>, _>>()?;
    let contents = input.contents.as_ref().filter(|contents| !is_empty(contents));
    let data = match (raw, contents) {
        (Some(_), Some(_)) => {
            let what = "it has contents and raw_input_contents; send one of them";
            return Err(wrong(what.to_owned()));
        }
        (Some(raw), None) => raw,
        (None, Some(contents)) => pack(contents, datatype).map_err(wrong)?,
        (None, None) => Bytes::new(),
    };
    let tensor = Tensor { name: input.name, datatype, shape, data };
    check_tensor(&tensor)?;
    Ok(tensor)
}

fn is_empty(contents: &InferTensorContents) -> bool {
    *contents == InferTensorContents::default()
}

/// The bytes of elements that came in the field of their type.
fn pack(contents: &InferTensorContents, datatype: Datatype) -> Result<Bytes, String> {
    let it = contents;
    Ok(match datatype {
        Datatype::Bool => it.bool_contents.iter().map(|&value| u8::from(value)).collect(),
        Datatype::Int8 => narrow(&it.int_contents, i8::try_from, i8::to_le_bytes)?,
        Datatype::Int16 => narrow(&it.int_contents, i16::try_from, i16::to_le_bytes)?,
        Datatype::Int32 => it.int_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        Datatype::Int64 => it.int64_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        Datatype::Uint8 => narrow(&it.uint_contents, u8::try_from, u8::to_le_bytes)?,
        Datatype::Uint16 => narrow(&it.uint_contents, u16::try_from, u16::to_le_bytes)?,
        Datatype::Uint32 => it.uint_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        Datatype::Uint64 => it.uint64_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        Datatype::Fp32 => it.fp32_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        Datatype::Fp64 => it.fp64_contents.iter().flat_map(|it| it.to_le_bytes()).collect(),
        Datatype::Bytes => {
            let mut out = Vec::new();
            for element in &it.bytes_contents {
                push_bytes(element, &mut out).map_err(|_| "an element is too long".to_owned())?;
            }
            out.into()
        }
        Datatype::Fp16 | Datatype::Bf16 => {
            return Err(format!("{datatype} has no field; send it in raw_input_contents"));
        }
    })
}

fn narrow<W: Copy + std::fmt::Display, T, E, const N: usize>(
    wide: &[W],
    cut: impl Fn(W) -> Result<T, E>,
    to_le_bytes: impl Fn(T) -> [u8; N],
) -> Result<Bytes, String> {
    let mut out = Vec::with_capacity(wide.len() * N);
    for &value in wide {
        let narrow = cut(value).map_err(|_| format!("{value} does not fit in its datatype"))?;
        out.extend(to_le_bytes(narrow));
    }
    Ok(out.into())
}

/// Whether a tensor can travel in the field of its type.
pub(super) fn has_field(datatype: Datatype) -> bool {
    !matches!(datatype, Datatype::Fp16 | Datatype::Bf16)
}

/// The elements of a tensor in the field of their type.
pub(super) fn unpack(tensor: &Tensor) -> InferTensorContents {
    let mut out = InferTensorContents::default();
    let data = &tensor.data;
    match tensor.datatype {
        Datatype::Bool => out.bool_contents = data.iter().map(|&byte| byte != 0).collect(),
        Datatype::Int8 => {
            out.int_contents = numbers(data, |bytes: [u8; 1]| i8::from_le_bytes(bytes).into());
        }
        Datatype::Int16 => {
            out.int_contents = numbers(data, |bytes| i16::from_le_bytes(bytes).into());
        }
        Datatype::Int32 => out.int_contents = numbers(data, i32::from_le_bytes),
        Datatype::Int64 => out.int64_contents = numbers(data, i64::from_le_bytes),
        Datatype::Uint8 => out.uint_contents = data.iter().map(|&byte| byte.into()).collect(),
        Datatype::Uint16 => {
            out.uint_contents = numbers(data, |bytes| u16::from_le_bytes(bytes).into());
        }
        Datatype::Uint32 => out.uint_contents = numbers(data, u32::from_le_bytes),
        Datatype::Uint64 => out.uint64_contents = numbers(data, u64::from_le_bytes),
        Datatype::Fp32 => out.fp32_contents = numbers(data, f32::from_le_bytes),
        Datatype::Fp64 => out.fp64_contents = numbers(data, f64::from_le_bytes),
        Datatype::Bytes => {
            let texts = Elements::of(tensor).filter_map(|element| match element {
                Element::Bytes(bytes) => Some(Bytes::copy_from_slice(bytes)),
                _ => None,
            });
            out.bytes_contents = texts.collect();
        }
        Datatype::Fp16 | Datatype::Bf16 => {}
    }
    out
}

fn numbers<T, const N: usize>(data: &[u8], from_le_bytes: impl Fn([u8; N]) -> T) -> Vec<T> {
    data.as_chunks::<N>().0.iter().map(|chunk| from_le_bytes(*chunk)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datatype_with_a_field_survives_it() {
        for datatype in Datatype::ALL.into_iter().filter(|&datatype| has_field(datatype)) {
            let data: Vec<u8> = match datatype {
                Datatype::Bytes => vec![1, 0, 0, 0, 9, 0, 0, 0, 0],
                Datatype::Bool => vec![1, 0],
                _ => (1_u8..).take(2 * datatype.element_bytes().unwrap()).collect(),
            };
            let name = "x".to_owned();
            let tensor = Tensor { name, datatype, shape: vec![2], data: data.into() };
            let contents = unpack(&tensor);
            assert_eq!(pack(&contents, datatype).as_ref(), Ok(&tensor.data), "{datatype}");
            let input = InferInputTensor {
                name: "x".to_owned(),
                datatype: datatype.to_string(),
                shape: vec![2],
                contents: Some(contents),
                ..InferInputTensor::default()
            };
            assert_eq!(read(input, None).unwrap(), tensor);
        }
        let wide = InferTensorContents { int_contents: vec![300], ..Default::default() };
        assert!(pack(&wide, Datatype::Int8).is_err());
        assert!(pack(&wide, Datatype::Fp16).is_err());
    }
}
