//! Writing bodies: one pass over the numbers, binary data taken as it is.

use bytes::Bytes;
use serde::ser::{Error as _, Serialize, Serializer};
use serde_json::Value;

use half::{bf16, f16};
use types::{Datatype, Tensor};

use super::elements::next_bytes;
use super::{Error, Parameters, Problem, Request, Response};

/// A body whose tensor data is not yet put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The JSON.
    pub json: Bytes,
    /// The data of the binary tensors, in order, as they came.
    pub blobs: Vec<Bytes>,
    is_binary: bool,
}

impl Parts {
    /// The value of the header [`super::HEADER_LENGTH`]; none where there is no binary tensor.
    pub fn header_length(&self) -> Option<usize> {
        self.is_binary.then_some(self.json.len())
    }

    /// Bytes of the whole body.
    pub fn body_bytes(&self) -> usize {
        self.json.len() + self.blobs.iter().map(Bytes::len).sum::<usize>()
    }

    /// The whole body in one piece: a copy of all parts, where there is more than one.
    pub fn into_body(self) -> Bytes {
        if self.blobs.iter().all(Bytes::is_empty) {
            return self.json;
        }
        let mut body = Vec::with_capacity(self.body_bytes());
        body.extend_from_slice(&self.json);
        for blob in &self.blobs {
            body.extend_from_slice(blob);
        }
        body.into()
    }
}

/// Writes a response; `binary` says which outputs go in binary, by name.
///
/// Returns the body, and the value of the header [`super::HEADER_LENGTH`] where one is needed.
///
/// # Errors
///
/// [`Problem::Unsayable`] for an output that JSON cannot carry and that is not asked for in binary.
pub fn write_response(
    response: &Response,
    binary: impl Fn(&str) -> bool,
) -> Result<(Bytes, Option<usize>), Error> {
    let parts = write_response_parts(response, binary)?;
    let header_length = parts.header_length();
    Ok((parts.into_body(), header_length))
}

/// Writes a response as [`write_response`] does, without copying the binary data.
///
/// # Errors
///
/// As [`write_response`].
pub fn write_response_parts(
    response: &Response,
    binary: impl Fn(&str) -> bool,
) -> Result<Parts, Error> {
    let outputs = Tensors::sort("output", &response.outputs, binary)?;
    let header = ResponseHeader {
        model_name: &response.model_name,
        model_version: response.model_version.as_deref(),
        id: response.id.as_deref(),
        parameters: &response.parameters,
        outputs: &outputs.headers,
    };
    Ok(outputs.parts(&header))
}

/// Writes a request, as a client does; `binary` says which inputs go in binary, by name.
///
/// Returns the body, and the value of the header [`super::HEADER_LENGTH`] where one is needed.
///
/// # Errors
///
/// As [`write_response`].
pub fn write_request(
    request: &Request,
    binary: impl Fn(&str) -> bool,
) -> Result<(Bytes, Option<usize>), Error> {
    let inputs = Tensors::sort("input", &request.inputs, binary)?;
    let mut parameters = request.parameters.clone();
    if request.binary_output_default {
        parameters.insert("binary_data_output".to_owned(), Value::Bool(true));
    } else {
        parameters.remove("binary_data_output");
    }
    let asked = request.outputs.iter().map(|output| OutputHeader {
        name: &output.name,
        parameters: output.binary.map(|binary_data| OutputParameters { binary_data }),
    });
    let header = RequestHeader {
        id: request.id.as_deref(),
        parameters: &parameters,
        inputs: &inputs.headers,
        outputs: asked.collect(),
    };
    let parts = inputs.parts(&header);
    let header_length = parts.header_length();
    Ok((parts.into_body(), header_length))
}

#[derive(serde::Serialize)]
struct ResponseHeader<'t> {
    model_name: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    model_version: Option<&'t str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'t str>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: &'t Parameters,
    outputs: &'t [TensorHeader<'t>],
}

#[derive(serde::Serialize)]
struct RequestHeader<'t> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'t str>,
    #[serde(skip_serializing_if = "Parameters::is_empty")]
    parameters: &'t Parameters,
    inputs: &'t [TensorHeader<'t>],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    outputs: Vec<OutputHeader<'t>>,
}

#[derive(serde::Serialize)]
struct OutputHeader<'t> {
    name: &'t str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<OutputParameters>,
}

#[derive(serde::Serialize)]
struct OutputParameters {
    binary_data: bool,
}

#[derive(serde::Serialize)]
struct TensorHeader<'t> {
    name: &'t str,
    datatype: Datatype,
    shape: &'t [u64],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<TensorParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'t>>,
}

#[derive(serde::Serialize)]
struct TensorParameters {
    binary_data_size: usize,
}

/// Tensors told apart into JSON and binary.
struct Tensors<'t> {
    headers: Vec<TensorHeader<'t>>,
    blobs: Vec<Bytes>,
    json_bytes_likely: usize,
    is_binary: bool,
}

impl<'t> Tensors<'t> {
    fn sort(
        role: &'static str,
        tensors: &'t [Tensor],
        binary: impl Fn(&str) -> bool,
    ) -> Result<Self, Error> {
        let headers = Vec::with_capacity(tensors.len());
        let mut sorted = Self { headers, blobs: vec![], json_bytes_likely: 256, is_binary: false };
        for tensor in tensors {
            let (parameters, data) = if binary(&tensor.name) {
                sorted.is_binary = true;
                sorted.blobs.push(tensor.data.clone());
                (Some(TensorParameters { binary_data_size: tensor.data.len() }), None)
            } else {
                check_sayable(tensor)
                    .map_err(|problem| Error::tensor(role, &tensor.name, problem))?;
                sorted.json_bytes_likely += 3 * tensor.data.len();
                (None, Some(Data(tensor)))
            };
            sorted.json_bytes_likely += 128 + tensor.name.len();
            sorted.headers.push(TensorHeader {
                name: &tensor.name,
                datatype: tensor.datatype,
                shape: &tensor.shape,
                parameters,
                data,
            });
        }
        Ok(sorted)
    }

    /// The parts of a body with this header.
    fn parts(&self, header: &impl Serialize) -> Parts {
        let mut json = Vec::with_capacity(self.json_bytes_likely);
        serde_json::to_writer(&mut json, header)
            .expect("keys are text, data was checked, and memory takes every write");
        Parts { json: json.into(), blobs: self.blobs.clone(), is_binary: self.is_binary }
    }
}

/// Whether JSON can carry a tensor.
fn check_sayable(tensor: &Tensor) -> Result<(), Problem> {
    match tensor.datatype {
        Datatype::Fp16 | Datatype::Bf16 => {
            Err(Problem::Unsayable { what: tensor.datatype.to_string() })
        }
        Datatype::Bytes => {
            let mut left: &[u8] = &tensor.data;
            let mut index = 0_u64;
            while let Some(element) = next_bytes(&mut left) {
                if std::str::from_utf8(element).is_err() {
                    let what = format!("element {index}, which is not UTF-8,");
                    return Err(Problem::Unsayable { what });
                }
                index += 1;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The elements of a tensor as a flat JSON array.
struct Data<'t>(&'t Tensor);

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let data: &[u8] = &self.0.data;
        match self.0.datatype {
            Datatype::Bool => serializer.collect_seq(data.iter().map(|&byte| byte != 0)),
            Datatype::Uint8 => serializer.collect_seq(data),
            Datatype::Int8 => numbers(serializer, data, i8::from_le_bytes),
            Datatype::Uint16 => numbers(serializer, data, u16::from_le_bytes),
            Datatype::Int16 => numbers(serializer, data, i16::from_le_bytes),
            Datatype::Uint32 => numbers(serializer, data, u32::from_le_bytes),
            Datatype::Int32 => numbers(serializer, data, i32::from_le_bytes),
            Datatype::Uint64 => numbers(serializer, data, u64::from_le_bytes),
            Datatype::Int64 => numbers(serializer, data, i64::from_le_bytes),
            Datatype::Fp16 => numbers(serializer, data, |bytes| f16::from_le_bytes(bytes).to_f32()),
            Datatype::Bf16 => {
                numbers(serializer, data, |bytes| bf16::from_le_bytes(bytes).to_f32())
            }
            Datatype::Fp32 => numbers(serializer, data, f32::from_le_bytes),
            Datatype::Fp64 => numbers(serializer, data, f64::from_le_bytes),
            Datatype::Bytes => {
                use serde::ser::SerializeSeq as _;
                let (mut left, mut texts) = (data, serializer.serialize_seq(None)?);
                while let Some(element) = next_bytes(&mut left) {
                    let text = std::str::from_utf8(element).map_err(S::Error::custom)?;
                    texts.serialize_element(text)?;
                }
                texts.end()
            }
        }
    }
}

fn numbers<S: Serializer, T: Serialize, const N: usize>(
    serializer: S,
    data: &[u8],
    from_le_bytes: impl Fn([u8; N]) -> T,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(data.as_chunks::<N>().0.iter().map(|chunk| from_le_bytes(*chunk)))
}
