//! ONNX models: what goes in, what comes out, and whether the graph can be trusted to load.
//!
//! Only the fields that say so are read; weights stay where they are. [`read`] refuses what is not
//! a model, [`findings`] says what is wrong with one.
//!
//! Always true: memory stays near the size of the model, whatever its bytes; every tensor listed is
//! of a datatype the protocol can carry; initialisers are not inputs.
//! Absent on purpose: running the model, and judging operators. The engine does both.
//! Source: ONNX intermediate representation specification, `onnx.proto3`.

mod external;
mod graph;
mod proto;
mod scan;

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message as _;

use types::{Datatype, ErrorKind, TensorSpec};

use crate::archive::Entry;

/// Largest model file: the limit of protocol buffers. Larger weights stand in files beside it.
pub const BYTES_MAX: u64 = (2 << 30) - 1;
/// Most nodes, values and texts in one model; each takes some 200 bytes of memory while reading.
pub const PARTS_MAX: usize = 2_000_000;
/// Most findings told; a broken model has one cause, not thousands.
pub const FINDINGS_MAX: usize = 50;

/// The code of bytes that are not a model.
pub const CODE_INVALID: &str = "model_invalid";

/// What a model says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// Version of the intermediate representation.
    pub ir_version: i64,
    /// The operator sets it uses.
    pub opsets: Vec<Opset>,
    /// The tool that made it, with its version; empty where unknown.
    pub producer: String,
    /// The graph's name.
    pub graph: String,
    /// What must be given to run it.
    pub inputs: Vec<TensorSpec>,
    /// What comes out.
    pub outputs: Vec<TensorSpec>,
    /// Nodes in the main graph.
    pub nodes: usize,
    /// Numbers in its initialisers and constants.
    pub weights: u64,
    /// Keys and values its producer added.
    pub metadata: BTreeMap<String, String>,
    /// Weights that stand in other files.
    pub external: Vec<External>,
    /// What is wrong with the graph itself.
    pub defects: Vec<Finding>,
}

/// A set of operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opset {
    /// Whose operators; empty for ONNX itself.
    pub domain: String,
    /// Its version.
    pub version: i64,
}

/// Weights that stand in another file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// The tensor.
    pub tensor: String,
    /// The file, relative to the model's folder, as the model says it.
    pub location: String,
    /// Where in the file they start, in bytes; none where that is not a number.
    pub offset: Option<u64>,
    /// How many bytes they take; none to the end of the file.
    pub length: Option<u64>,
}

/// Something wrong with a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether the model cannot be published with it.
    pub fatal: bool,
    /// What it is about: a node, a tensor, a file.
    pub subject: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub cure: &'static str,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}; {}", self.subject, self.problem, self.cure)
    }
}

/// Why bytes are not a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file is too large.
    #[error(
        "the model has {bytes} bytes, above the limit of {BYTES_MAX}; save its weights as \
        external data"
    )]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The bytes are not of the ONNX format.
    #[error("this is not an ONNX model ({problem}); export it again as .onnx")]
    NotOnnx {
        /// What does not fit.
        problem: String,
    },
    /// There are too many nodes or values.
    #[error("the model has more than {PARTS_MAX} nodes and values; simplify the graph")]
    TooManyParts,
}

impl Error {
    /// What the error means to a caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::NotOnnx { .. } | Self::TooManyParts => ErrorKind::BadRequest,
        }
    }

    /// The word clients match on.
    pub fn code(&self) -> &'static str {
        CODE_INVALID
    }
}

/// Reads a model.
///
/// # Errors
///
/// When the bytes are no ONNX model, or pass a limit. What is wrong within a model is told by
/// [`findings`].
pub fn read(bytes: impl Into<Bytes>) -> Result<Model, Error> {
    let bytes = bytes.into();
    if bytes.len() as u64 > BYTES_MAX {
        return Err(Error::TooLarge { bytes: bytes.len() as u64 });
    }
    let not_onnx = |problem: &str| Error::NotOnnx { problem: problem.to_owned() };
    scan::count_parts(&bytes)?;
    let model = proto::Model::decode(bytes).map_err(|error| not_onnx(&error.to_string()))?;
    let Some(graph) = &model.graph else { return Err(not_onnx("it has no graph")) };
    if model.ir_version <= 0 {
        return Err(not_onnx("it has no version"));
    }
    let mut defects = Vec::new();
    graph::check(&model, graph, &mut defects);
    let given: std::collections::BTreeSet<&str> =
        graph.initializers().map(|tensor| tensor.name.as_str()).collect();
    let needed = graph.input.iter().filter(|input| !given.contains(input.name.as_str()));
    let inputs = needed.filter_map(|input| spec(input, "input", &mut defects)).collect();
    let outputs =
        graph.output.iter().filter_map(|output| spec(output, "output", &mut defects)).collect();
    let external = external::collect(&model, graph);
    defects.truncate(FINDINGS_MAX);
    Ok(Model {
        ir_version: model.ir_version,
        opsets: model
            .opset_import
            .iter()
            .map(|set| Opset { domain: set.domain.clone(), version: set.version })
            .collect(),
        producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
        graph: graph.name.clone(),
        inputs,
        outputs,
        nodes: graph.node.len(),
        weights: graph.weights(),
        metadata: model
            .metadata_props
            .iter()
            .map(|prop| (prop.key.clone(), prop.value.clone()))
            .collect(),
        external,
        defects,
    })
}

/// What is wrong with a model that stands at `path` among the `files` of a package: its graph, and
/// weights in files that are not there or lead out of the package. At most [`FINDINGS_MAX`].
pub fn findings(model: &Model, path: &str, files: &[Entry]) -> Vec<Finding> {
    let mut findings = model.defects.clone();
    external::check(&model.external, path, files, &mut findings);
    findings.truncate(FINDINGS_MAX);
    findings
}

fn spec(value: &proto::ValueInfo, role: &str, defects: &mut Vec<Finding>) -> Option<TensorSpec> {
    let mut refuse = |problem: String, cure: &'static str| {
        let subject = format!("{role} {:?}", value.name);
        defects.push(Finding { fatal: true, subject, problem, cure });
    };
    let value_type = value.r#type.as_ref().and_then(|of| of.tensor_type.as_ref());
    let Some(tensor) = value_type else {
        let cure = "export the model so that it has tensors only (scikit-learn: zipmap=False)";
        refuse("it is a sequence or map, not a tensor".to_owned(), cure);
        return None;
    };
    let Some(datatype) = datatype_of(tensor.elem_type) else {
        let problem = format!("its element type {} cannot be sent", tensor.elem_type);
        refuse(problem, "convert it to a type of the Open Inference Protocol inside the model");
        return None;
    };
    let Some(shape) = &tensor.shape else {
        let cure = "run ONNX shape inference, or declare the shape when exporting";
        refuse("its number of dimensions is unknown".to_owned(), cure);
        return None;
    };
    let sizes = shape.dim.iter().map(|dim| dim.dim_value.filter(|&size| size >= 0).unwrap_or(-1));
    let shape: Vec<i64> = sizes.collect();
    if shape.len() > types::frame::RANK_MAX {
        let problem = format!("it has {} dimensions", shape.len());
        refuse(problem, "reshape it inside the model to at most 8");
        return None;
    }
    Some(TensorSpec { name: value.name.clone(), datatype, shape })
}

/// The datatype of an ONNX element type; none where the protocol has no such type.
/// Source: `TensorProto.DataType`.
fn datatype_of(element: i32) -> Option<Datatype> {
    Some(match element {
        1 => Datatype::Fp32,
        2 => Datatype::Uint8,
        3 => Datatype::Int8,
        4 => Datatype::Uint16,
        5 => Datatype::Int16,
        6 => Datatype::Int32,
        7 => Datatype::Int64,
        8 => Datatype::Bytes,
        9 => Datatype::Bool,
        10 => Datatype::Fp16,
        11 => Datatype::Fp64,
        12 => Datatype::Uint32,
        13 => Datatype::Uint64,
        16 => Datatype::Bf16,
        _ => return None,
    })
}
