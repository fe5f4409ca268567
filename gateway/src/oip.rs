//! The Open Inference Protocol v2: what its REST and gRPC forms have in common.
//!
//! Always true: both forms tell the same of a model. With batches, metadata shapes carry the
//! leading -1 and the configuration's do not, which is how measuring tools read them.
//! Absent on purpose: shared memory, sequences, loading and unloading (see `/v1`).
//! Source: Open Inference Protocol v2; Triton's extensions for binary tensors, model configuration,
//! statistics and the repository index.

mod contents;
pub(crate) mod grpc;
pub(crate) mod rest;

use types::{Datatype, TensorSpec};

use crate::error::Error;
use crate::routes::Endpoint;

/// What this server is called in its metadata.
const SERVER_NAME: &str = "freehold";

/// Its version.
const SERVER_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The extensions of the protocol that are served.
const EXTENSIONS: [&str; 4] =
    ["binary_tensor_data", "model_configuration", "model_repository(index)", "statistics"];

/// A model, as both forms tell of it.
struct Model<'a> {
    name: &'a str,
    endpoint: &'a Endpoint,
    inputs: &'a [TensorSpec],
    outputs: &'a [TensorSpec],
}

impl<'a> Model<'a> {
    /// What is known of an endpoint, that the caller named so.
    ///
    /// # Errors
    ///
    /// [`Error::NotReady`] while neither an instance nor the listing told its tensors.
    fn of(name: &'a str, endpoint: &'a Endpoint) -> Result<Self, Error> {
        let missing = || Error::NotReady { model: name.to_owned() };
        let inputs = endpoint.inputs().ok_or_else(missing)?;
        let outputs = endpoint.outputs().ok_or_else(missing)?;
        Ok(Self { name, endpoint, inputs, outputs })
    }

    /// Most rows of a batch; 0 where the first dimension is no batch.
    fn batch_max(&self) -> u32 {
        let batched = |spec: &TensorSpec| spec.shape.first() == Some(&-1);
        let all = self.inputs.iter().chain(self.outputs).all(batched);
        if all { self.endpoint.batch_max() } else { 0 }
    }

    /// The dimensions of a tensor as the configuration tells them.
    fn dims<'s>(&self, spec: &'s TensorSpec) -> &'s [i64] {
        match spec.shape.split_first() {
            Some((_, rest)) if self.batch_max() > 0 => rest,
            _ => &spec.shape,
        }
    }
}

/// The name of a datatype in a model's configuration.
const fn config_type(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "TYPE_BOOL",
        Datatype::Uint8 => "TYPE_UINT8",
        Datatype::Uint16 => "TYPE_UINT16",
        Datatype::Uint32 => "TYPE_UINT32",
        Datatype::Uint64 => "TYPE_UINT64",
        Datatype::Int8 => "TYPE_INT8",
        Datatype::Int16 => "TYPE_INT16",
        Datatype::Int32 => "TYPE_INT32",
        Datatype::Int64 => "TYPE_INT64",
        Datatype::Fp16 => "TYPE_FP16",
        Datatype::Bf16 => "TYPE_BF16",
        Datatype::Fp32 => "TYPE_FP32",
        Datatype::Fp64 => "TYPE_FP64",
        Datatype::Bytes => "TYPE_STRING",
    }
}

/// The state of an endpoint in the repository's index, and why it is in it.
fn index_state(endpoint: &Endpoint) -> (&'static str, &'static str) {
    if endpoint.ready() { ("READY", "") } else { ("UNAVAILABLE", "its instances are starting") }
}
