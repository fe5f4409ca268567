//! The Open Inference Protocol's REST bodies: JSON, with the binary tensor extension, both ways.
//!
//! `FP16` and `BF16` travel only in binary. JSON cannot say NaN or infinity: they are written as
//! `null`, and `null` is read as NaN. Data in JSON may be flat or nested.
//!
//! Always true: a returned tensor's data fits its shape; binary data is sliced out of the body, not
//! copied; memory is at most eight times the body. Unknown keys and parameters are ignored.
//! Absent on purpose: shared memory, classification, sequences.
//! Source: Open Inference Protocol v2, REST; Triton, binary tensor data extension.

mod data;
pub mod elements;
mod header;
mod write;

use bytes::Bytes;
use serde_json::Value;

use types::frame::{RANK_MAX, TENSORS_MAX};
use types::tensor::UnknownDatatype;
use types::{Datatype, ErrorKind, Tensor, TensorSpec};

pub use self::header::{parse_request, parse_response};
pub use self::write::{Parts, write_request, write_response, write_response_parts};

/// The HTTP header that tells how long the JSON before binary data is.
pub const HEADER_LENGTH: &str = "inference-header-content-length";
/// Longest name of a tensor, in bytes; it must fit the worker's frame.
pub const NAME_BYTES_MAX: usize = 1_024;

/// The code of a body that is not of the protocol.
pub const CODE_INVALID: &str = "bad_request";
/// The code of a tensor that does not fit itself or the model.
pub const CODE_TENSOR: &str = "wrong_tensor";
/// The code of an output that JSON cannot carry.
pub const CODE_UNSAYABLE: &str = "not_acceptable";

/// Parameters of a request or response, by name.
pub type Parameters = serde_json::Map<String, Value>;

/// A request to run a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// What the caller calls it; the answer repeats it.
    pub id: Option<String>,
    /// Parameters, those without meaning here included.
    pub parameters: Parameters,
    /// The inputs.
    pub inputs: Vec<Tensor>,
    /// The outputs asked for; all where empty.
    pub outputs: Vec<RequestedOutput>,
    /// Whether outputs come in binary where nothing else is said of them.
    pub binary_output_default: bool,
}

/// An output that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedOutput {
    /// Its name.
    pub name: String,
    /// Whether it comes in binary; as the request's default where none.
    pub binary: Option<bool>,
}

impl Request {
    /// Whether an output is to come in binary.
    pub fn wants_binary(&self, output: &str) -> bool {
        let asked = self.outputs.iter().find(|asked| asked.name == output);
        asked.and_then(|asked| asked.binary).unwrap_or(self.binary_output_default)
    }

    /// The time the caller gives the request, in microseconds: the parameter `timeout`.
    pub fn timeout_us(&self) -> Option<u64> {
        self.parameters.get("timeout").and_then(Value::as_u64).filter(|&timeout_us| timeout_us > 0)
    }
}

/// The answer of a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Response {
    /// The model.
    pub model_name: String,
    /// Its version.
    pub model_version: Option<String>,
    /// What the caller called the request.
    pub id: Option<String>,
    /// Parameters.
    pub parameters: Parameters,
    /// The outputs.
    pub outputs: Vec<Tensor>,
}

/// What is wrong with one tensor, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The datatype is none.
    #[error(transparent)]
    Datatype(#[from] UnknownDatatype),
    /// The name is empty or too long.
    #[error("its name has {bytes} bytes; use 1 to {NAME_BYTES_MAX}")]
    Name {
        /// Bytes in the name.
        bytes: usize,
    },
    /// The name was there before.
    #[error("it is there twice; send it once")]
    Twice,
    /// There are too many dimensions.
    #[error("its shape has {rank} dimensions, above the limit of {RANK_MAX}; reshape it")]
    Rank {
        /// How many.
        rank: usize,
    },
    /// A size is below zero.
    #[error(
        "its shape has the size {size}; -1 stands for any size in a model's metadata, a request \
        needs the real one"
    )]
    Size {
        /// The size.
        size: i64,
    },
    /// The shape is too large to count.
    #[error("its shape {shape:?} has more elements than any body; correct it")]
    Elements {
        /// The shape.
        shape: Vec<u64>,
    },
    /// There is no data.
    #[error("it has no data; send \"data\", or \"binary_data_size\" and the data behind the JSON")]
    NoData,
    /// There is data twice.
    #[error("it has \"data\" and \"binary_data_size\"; send one of them")]
    BothData,
    /// The request does not say where binary data starts.
    #[error(
        "it has \"binary_data_size\", but the header Inference-Header-Content-Length is \
        missing; send it with the length of the JSON"
    )]
    NoHeaderLength,
    /// The body ends before the tensor's data.
    #[error(
        "its \"binary_data_size\" is {wanted}, but {left} bytes are left in the body; send all \
        of it"
    )]
    BodyEnds {
        /// Bytes told.
        wanted: u64,
        /// Bytes left.
        left: usize,
    },
    /// The data is not as long as the shape needs.
    #[error("it has {have} bytes of data, but shape {shape:?} of {datatype} needs {wanted}")]
    Bytes {
        /// Bytes there are.
        have: usize,
        /// Bytes needed.
        wanted: u64,
        /// The shape.
        shape: Vec<u64>,
        /// The datatype.
        datatype: Datatype,
    },
    /// The data has not as many elements as the shape.
    #[error("its data has {have} elements, but shape {shape:?} needs {wanted}")]
    Count {
        /// How many there are, such as `3` or `more than 4`.
        have: String,
        /// How many are needed.
        wanted: u64,
        /// The shape.
        shape: Vec<u64>,
    },
    /// The data is nested, but not as the shape.
    #[error("its data is not nested as shape {shape:?} says; nest it so, or send it flat")]
    Nesting {
        /// The shape.
        shape: Vec<u64>,
    },
    /// An element is of another type.
    #[error("its element {index} is {value}, which is no {datatype}{}", cure_of_value(*datatype))]
    Value {
        /// The element, from 0.
        index: u64,
        /// The element as sent, cut to 40 characters.
        value: String,
        /// The datatype.
        datatype: Datatype,
    },
    /// An element does not fit the datatype.
    #[error("its element {index} is {value}, which does not fit in {datatype}")]
    Range {
        /// The element, from 0.
        index: u64,
        /// The element as sent, cut to 40 characters.
        value: String,
        /// The datatype.
        datatype: Datatype,
    },
    /// The datatype cannot be written in JSON.
    #[error(
        "{datatype} travels only in binary; send it with \"binary_data_size\", or as FP32 where \
        the model takes that"
    )]
    BinaryOnly {
        /// The datatype.
        datatype: Datatype,
    },
    /// The lengths within `BYTES` data are wrong.
    #[error(
        "its element {index} runs past the end of its data; before each element of BYTES stands \
        its length in four bytes, little-endian"
    )]
    ElementLength {
        /// The element, from 0.
        index: u64,
    },
    /// Shared memory is asked for.
    #[error("it is in shared memory, which this server does not offer; send the data in the body")]
    SharedMemory,
    /// The model has no such tensor.
    #[error("the model has none of this name; it has {}", known.join(", "))]
    Unknown {
        /// The names it has.
        known: Vec<String>,
    },
    /// The model needs it.
    #[error("it is missing; the model needs it as {datatype} of shape {shape:?}")]
    Missing {
        /// The datatype needed.
        datatype: Datatype,
        /// The shape needed; -1 for any size.
        shape: Vec<i64>,
    },
    /// The model takes another datatype or shape.
    #[error(
        "it is {datatype} of shape {shape:?}, but the model takes {wanted_datatype} of shape \
        {wanted_shape:?} (-1 is any size)"
    )]
    Misfit {
        /// The datatype sent.
        datatype: Datatype,
        /// The shape sent.
        shape: Vec<u64>,
        /// The datatype needed.
        wanted_datatype: Datatype,
        /// The shape needed.
        wanted_shape: Vec<i64>,
    },
    /// Classes are asked for.
    #[error("the classification extension is not offered; ask for the scores themselves")]
    Classification,
    /// JSON cannot carry the output.
    #[error("{what} cannot be said in JSON; ask for it in binary (\"binary_data\": true)")]
    Unsayable {
        /// What cannot be said.
        what: String,
    },
}

fn cure_of_value(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "; write true or false",
        Datatype::Bytes => "; write a text in quotes",
        Datatype::Fp32 | Datatype::Fp64 => "; write a number",
        _ => "; write a whole number",
    }
}

/// Why a body is not of the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The JSON is broken, or not what the protocol says.
    #[error("the {body} is not of the Open Inference Protocol: {problem}")]
    Json {
        /// `request` or `response`.
        body: &'static str,
        /// What is wrong, and where.
        problem: String,
    },
    /// The header with the length of the JSON is wrong.
    #[error(
        "Inference-Header-Content-Length is {header_bytes}, but the body has {body_bytes} \
        bytes; send the length of the JSON"
    )]
    HeaderLength {
        /// The length told.
        header_bytes: usize,
        /// The length of the body.
        body_bytes: usize,
    },
    /// Binary data is left over.
    #[error("{bytes} bytes follow the data of the last tensor; correct each \"binary_data_size\"")]
    LeftOver {
        /// How many.
        bytes: usize,
    },
    /// There are too many tensors.
    #[error("{count} {role}s, above the limit of {TENSORS_MAX}; send fewer")]
    TooMany {
        /// `input` or `output`.
        role: &'static str,
        /// How many.
        count: usize,
    },
    /// A tensor is wrong.
    #[error("{role} {name:?}: {problem}")]
    Tensor {
        /// `input` or `output`.
        role: &'static str,
        /// Its name, cut to 80 characters.
        name: String,
        /// What is wrong, and the cure.
        problem: Problem,
    },
}

impl Error {
    /// What the error means to a caller.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    /// The word clients match on.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tensor { problem: Problem::Unsayable { .. }, .. } => CODE_UNSAYABLE,
            Self::Tensor { .. } => CODE_TENSOR,
            _ => CODE_INVALID,
        }
    }

    fn tensor(role: &'static str, name: &str, problem: Problem) -> Self {
        Self::Tensor { role, name: name.chars().take(80).collect(), problem }
    }
}

/// Checks that an input's data fits its datatype and shape, as the gRPC form of the protocol needs.
///
/// # Errors
///
/// [`Error::Tensor`] with what does not fit.
pub fn check_tensor(tensor: &Tensor) -> Result<(), Error> {
    let judge = || {
        check_name(&tensor.name)?;
        let elements = count_elements(&tensor.shape)?;
        check_data(tensor.datatype, &tensor.shape, elements, &tensor.data)
    };
    judge().map_err(|problem| Error::tensor("input", &tensor.name, problem))
}

/// Checks that inputs are those a model takes: each there once and none else, with datatypes and
/// shapes that fit.
///
/// # Errors
///
/// [`Error::Tensor`] with the first that does not fit.
pub fn check_inputs(inputs: &[Tensor], wanted: &[TensorSpec]) -> Result<(), Error> {
    for (index, input) in inputs.iter().enumerate() {
        let refuse = |problem| Err(Error::tensor("input", &input.name, problem));
        if inputs[..index].iter().any(|earlier| earlier.name == input.name) {
            return refuse(Problem::Twice);
        }
        let Some(spec) = wanted.iter().find(|spec| spec.name == input.name) else {
            return refuse(Problem::Unknown { known: names(wanted) });
        };
        if !spec.admits(input.datatype, &input.shape) {
            return refuse(Problem::Misfit {
                datatype: input.datatype,
                shape: input.shape.clone(),
                wanted_datatype: spec.datatype,
                wanted_shape: spec.shape.clone(),
            });
        }
    }
    let is_given = |spec: &&TensorSpec| inputs.iter().any(|input| input.name == spec.name);
    match wanted.iter().find(|spec| !is_given(spec)) {
        None => Ok(()),
        Some(spec) => {
            let (datatype, shape) = (spec.datatype, spec.shape.clone());
            Err(Error::tensor("input", &spec.name, Problem::Missing { datatype, shape }))
        }
    }
}

/// Checks that the outputs asked for are those of a model.
///
/// # Errors
///
/// [`Error::Tensor`] with the first that the model does not have.
pub fn check_outputs<'n>(
    asked: impl IntoIterator<Item = &'n str>,
    offered: &[TensorSpec],
) -> Result<(), Error> {
    for name in asked {
        if !offered.iter().any(|spec| spec.name == name) {
            return Err(Error::tensor("output", name, Problem::Unknown { known: names(offered) }));
        }
    }
    Ok(())
}

fn names(specs: &[TensorSpec]) -> Vec<String> {
    specs.iter().map(|spec| spec.name.clone()).collect()
}

fn check_name(name: &str) -> Result<(), Problem> {
    if (1..=NAME_BYTES_MAX).contains(&name.len()) {
        return Ok(());
    }
    Err(Problem::Name { bytes: name.len() })
}

pub(crate) fn count_elements(shape: &[u64]) -> Result<u64, Problem> {
    if shape.len() > RANK_MAX {
        return Err(Problem::Rank { rank: shape.len() });
    }
    // Sizes are multiplied without the zeros, so that no order of them hides an overflow.
    let count = shape.iter().filter(|&&size| size > 0).try_fold(1_u64, |product, &size| {
        product.checked_mul(size).filter(|&product| product <= 1 << 48)
    });
    match count {
        Some(_) if shape.contains(&0) => Ok(0),
        Some(count) => Ok(count),
        None => Err(Problem::Elements { shape: shape.to_vec() }),
    }
}

/// Whether binary data is what the shape needs.
fn check_data(
    datatype: Datatype,
    shape: &[u64],
    elements: u64,
    data: &Bytes,
) -> Result<(), Problem> {
    let Some(element_bytes) = datatype.element_bytes() else {
        return elements::check_bytes(data, elements, shape);
    };
    let wanted = elements * element_bytes as u64;
    if wanted != data.len() as u64 {
        return Err(Problem::Bytes { have: data.len(), wanted, shape: shape.to_vec(), datatype });
    }
    Ok(())
}
