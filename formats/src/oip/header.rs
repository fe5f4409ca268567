//! Reading bodies: the JSON part by serde, its data left as text until the datatype is known.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use types::frame::TENSORS_MAX;
use types::{Datatype, Tensor};

use super::{
    Error, Parameters, Problem, Request, RequestedOutput, Response, check_data, check_name,
    count_elements, data,
};

#[derive(Deserialize)]
struct RequestHeader<'b> {
    id: Option<String>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    inputs: Vec<TensorHeader<'b>>,
    #[serde(borrow, default)]
    outputs: Vec<OutputHeader<'b>>,
}

#[derive(Deserialize)]
struct ResponseHeader<'b> {
    #[serde(default)]
    model_name: String,
    model_version: Option<String>,
    id: Option<String>,
    parameters: Option<Parameters>,
    #[serde(borrow)]
    outputs: Vec<TensorHeader<'b>>,
}

#[derive(Deserialize)]
struct TensorHeader<'b> {
    #[serde(borrow)]
    name: Cow<'b, str>,
    shape: Vec<i64>,
    #[serde(borrow)]
    datatype: Cow<'b, str>,
    #[serde(borrow)]
    parameters: Option<TensorParameters<'b>>,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
}

#[derive(Deserialize, Default)]
struct TensorParameters<'b> {
    binary_data_size: Option<u64>,
    #[serde(borrow)]
    content_type: Option<Cow<'b, str>>,
    shared_memory_region: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct OutputHeader<'b> {
    #[serde(borrow)]
    name: Cow<'b, str>,
    parameters: Option<OutputParameters>,
}

#[derive(Deserialize, Default)]
struct OutputParameters {
    binary_data: Option<bool>,
    classification: Option<u64>,
    shared_memory_region: Option<IgnoredAny>,
}

/// Reads a request. `header_length` is the value of the header [`super::HEADER_LENGTH`].
///
/// An input of `BYTES` whose parameter `content_type` is `base64` has its data decoded.
///
/// # Errors
///
/// The first thing that is wrong: with the JSON, with a length, or with a tensor.
pub fn parse_request(body: Bytes, header_length: Option<usize>) -> Result<Request, Error> {
    let (json, mut blobs) = split(body, header_length)?;
    let header: RequestHeader<'_> = read_json("request", &json)?;
    let parameters = header.parameters.unwrap_or_default();
    let binary_output_default =
        parameters.get("binary_data_output").and_then(Value::as_bool).unwrap_or(false);
    let inputs = read_tensors("input", header.inputs, &mut blobs)?;
    let outputs = read_outputs(header.outputs)?;
    Ok(Request { id: header.id, parameters, inputs, outputs, binary_output_default })
}

/// Reads a response, as a client does.
///
/// # Errors
///
/// As [`parse_request`].
pub fn parse_response(body: Bytes, header_length: Option<usize>) -> Result<Response, Error> {
    let (json, mut blobs) = split(body, header_length)?;
    let header: ResponseHeader<'_> = read_json("response", &json)?;
    let outputs = read_tensors("output", header.outputs, &mut blobs)?;
    Ok(Response {
        model_name: header.model_name,
        model_version: header.model_version,
        id: header.id,
        parameters: header.parameters.unwrap_or_default(),
        outputs,
    })
}

/// The JSON, and the binary data where there may be some.
fn split(mut body: Bytes, header_length: Option<usize>) -> Result<(Bytes, Option<Bytes>), Error> {
    let Some(header_bytes) = header_length else { return Ok((body, None)) };
    if header_bytes == 0 || header_bytes > body.len() {
        return Err(Error::HeaderLength { header_bytes, body_bytes: body.len() });
    }
    let blobs = body.split_off(header_bytes);
    Ok((body, Some(blobs)))
}

fn read_json<'b, T: Deserialize<'b>>(body: &'static str, json: &'b [u8]) -> Result<T, Error> {
    // Serde takes an array for a struct, too; the protocol does not.
    if json.trim_ascii_start().first() == Some(&b'[') {
        return Err(Error::Json { body, problem: "it is an array, not an object".to_owned() });
    }
    serde_json::from_slice(json).map_err(|error| {
        let mut problem: String = error.to_string().chars().take(400).collect();
        if json.iter().all(u8::is_ascii_whitespace) {
            "it is empty".clone_into(&mut problem);
        } else if error.is_syntax() && has_unsayable_number(json) {
            problem += "; JSON has no NaN or Infinity, send such data in binary";
        }
        Error::Json { body, problem }
    })
}

/// Whether the JSON looks as Python writes NaN and infinity.
fn has_unsayable_number(json: &[u8]) -> bool {
    json.windows(3).any(|letters| letters == b"NaN" || letters == b"Inf")
}

fn read_tensors(
    role: &'static str,
    headers: Vec<TensorHeader<'_>>,
    blobs: &mut Option<Bytes>,
) -> Result<Vec<Tensor>, Error> {
    if headers.len() > TENSORS_MAX {
        return Err(Error::TooMany { role, count: headers.len() });
    }
    let mut tensors: Vec<Tensor> = Vec::with_capacity(headers.len());
    for header in headers {
        let name = header.name.clone();
        let refuse = |problem| Error::tensor(role, &name, problem);
        if tensors.iter().any(|earlier| earlier.name == name) {
            return Err(refuse(Problem::Twice));
        }
        tensors.push(read_tensor(header, blobs).map_err(refuse)?);
    }
    match blobs {
        Some(left) if !left.is_empty() => Err(Error::LeftOver { bytes: left.len() }),
        _ => Ok(tensors),
    }
}

fn read_tensor(header: TensorHeader<'_>, blobs: &mut Option<Bytes>) -> Result<Tensor, Problem> {
    check_name(&header.name)?;
    let datatype: Datatype = header.datatype.parse()?;
    let shape = header
        .shape
        .iter()
        .map(|&size| u64::try_from(size).map_err(|_| Problem::Size { size }))
        .collect::<Result<Vec<u64>, Problem>>()?;
    let elements = count_elements(&shape)?;
    let parameters = header.parameters.unwrap_or_default();
    if parameters.shared_memory_region.is_some() {
        return Err(Problem::SharedMemory);
    }
    let data = match (parameters.binary_data_size, header.data) {
        (Some(_), Some(_)) => return Err(Problem::BothData),
        (None, None) if elements == 0 => Bytes::new(),
        (None, None) => return Err(Problem::NoData),
        (Some(wanted), None) => {
            let blobs = blobs.as_mut().ok_or(Problem::NoHeaderLength)?;
            let left = blobs.len();
            let bytes = usize::try_from(wanted).ok().filter(|&bytes| bytes <= left);
            let data = blobs.split_to(bytes.ok_or(Problem::BodyEnds { wanted, left })?);
            check_data(datatype, &shape, elements, &data)?;
            data
        }
        (None, Some(raw)) => {
            let is_base64 = parameters.content_type.as_deref() == Some("base64");
            data::parse(raw.get(), &data::Wanted { datatype, shape: &shape, elements, is_base64 })?
        }
    };
    Ok(Tensor { name: header.name.into_owned(), datatype, shape, data })
}

fn read_outputs(headers: Vec<OutputHeader<'_>>) -> Result<Vec<RequestedOutput>, Error> {
    if headers.len() > TENSORS_MAX {
        return Err(Error::TooMany { role: "output", count: headers.len() });
    }
    let mut outputs: Vec<RequestedOutput> = Vec::with_capacity(headers.len());
    for header in headers {
        let parameters = header.parameters.unwrap_or_default();
        let name = header.name.into_owned();
        let mut problem = check_name(&name).err();
        if outputs.iter().any(|earlier| earlier.name == name) {
            problem = Some(Problem::Twice);
        } else if parameters.shared_memory_region.is_some() {
            problem = Some(Problem::SharedMemory);
        } else if parameters.classification.is_some_and(|classes| classes > 0) {
            problem = Some(Problem::Classification);
        }
        if let Some(problem) = problem {
            return Err(Error::tensor("output", &name, problem));
        }
        outputs.push(RequestedOutput { name, binary: parameters.binary_data });
    }
    Ok(outputs)
}
