//! The engine tract: in this program, for where ONNX Runtime is not at hand.
//!
//! A model is made ready once with its free dimensions left open. Where that fails, it is made
//! ready for each shape asked for, and the last few are kept.
//! Absent on purpose: stopping a run, BF16, text; tract has none of them.

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tract_onnx::pb::{self, ValueInfoProto, tensor_shape_proto::dimension, type_proto};
use tract_onnx::prelude::*;
use types::{Datatype, TensorSpec};

use super::{Description, Engine, Input, Ran, Stop, describe, ns_since};
use crate::fault::Fault;
use crate::task::Task;

/// The version of the crate that is built in; a test holds it against the lock file.
const VERSION: &str = "0.23";
/// Most shapes for which a ready model is kept; each holds the model's weights in its own layout.
const READY_MAX: usize = 4;

type Plan = Arc<TypedRunnableModel>;

/// A model in tract.
pub(super) struct Tract {
    model: InferenceModel,
    description: Description,
    /// Ready for every shape, where that could be made.
    open: Option<Plan>,
    /// Ready for one shape each, the last used last.
    ready: Vec<(Vec<Vec<u64>>, Plan)>,
}

impl Tract {
    pub(super) fn load(path: &Path, task: &Task) -> Result<Self, Fault> {
        let told = |error: TractError| Fault::bad(format!("{error:#}"));
        guarded(|| {
            let proto = onnx().proto_model_for_path(path).map_err(told)?;
            let (inputs, outputs) = specs(&proto)?;
            let description = describe("tract", VERSION.to_owned(), inputs, outputs, task);
            let model = onnx().model_for_path(path).map_err(told)?;
            let open = model.clone().into_optimized().and_then(IntoRunnable::into_runnable);
            let fixed =
                description.inputs.iter().all(|spec| spec.shape.iter().all(|&size| size >= 0));
            let open = match open {
                Err(error) if fixed => return Err(told(error)),
                open => open.ok(),
            };
            Ok(Self { model, description, open, ready: Vec::new() })
        })
    }

    /// The model made ready for these shapes.
    fn for_shapes(&mut self, inputs: &[Input]) -> Result<Plan, Fault> {
        let shapes: Vec<Vec<u64>> = inputs.iter().map(|input| input.shape.clone()).collect();
        if let Some(index) = self.ready.iter().position(|(ready, _)| *ready == shapes) {
            let found = self.ready.remove(index);
            self.ready.push(found);
        } else {
            let plan = self.make(&shapes).map_err(|error| failed(&error))?;
            if self.ready.len() == READY_MAX {
                self.ready.remove(0);
            }
            self.ready.push((shapes, plan));
        }
        let last = self.ready.last().map(|(_, plan)| Arc::clone(plan));
        last.ok_or_else(|| Fault::internal("no model is ready"))
    }

    fn make(&self, shapes: &[Vec<u64>]) -> TractResult<Plan> {
        let mut model = self.model.clone();
        for (index, (shape, spec)) in shapes.iter().zip(&self.description.inputs).enumerate() {
            let kind = kind(spec.datatype).ok_or_else(|| TractError::msg("no such datatype"))?;
            let shape: TVec<usize> = sizes(shape).into();
            model.set_input_fact(index, InferenceFact::dt_shape(kind, shape))?;
        }
        for index in 0..model.output_outlets()?.len() {
            model.set_output_fact(index, InferenceFact::default())?;
        }
        model.into_optimized()?.into_runnable()
    }

    fn values(&self, inputs: &[Input]) -> TractResult<TVec<TValue>> {
        let specs = self.description.inputs.iter().zip(inputs);
        specs
            .map(|(spec, input)| {
                let kind =
                    kind(spec.datatype).ok_or_else(|| TractError::msg("no such datatype"))?;
                let mut tensor = Tensor::zero_dt(kind, &sizes(&input.shape))?;
                let mut view = tensor.try_as_plain_ram_mut()?;
                let mut rest = view.as_bytes_mut();
                for part in &input.parts {
                    let (here, after) = rest.split_at_mut(part.len().min(rest.len()));
                    here.copy_from_slice(&part[..here.len()]);
                    rest = after;
                }
                Ok(tensor.into_tvalue())
            })
            .collect()
    }
}

impl Engine for Tract {
    fn description(&self) -> &Description {
        &self.description
    }

    fn stop(&mut self) -> Result<Option<Stop>, Fault> {
        Ok(None)
    }

    fn run(&mut self, inputs: &[Input]) -> Result<Ran, Fault> {
        guarded(AssertUnwindSafe(|| {
            let began = Instant::now();
            let values = self.values(inputs).map_err(|error| failed(&error))?;
            let input_ns = ns_since(began);
            let began = Instant::now();
            let open = self.open.as_ref().map(|plan| plan.run(values.clone()));
            let given = if let Some(Ok(given)) = open {
                given
            } else {
                let plan = self.for_shapes(inputs)?;
                let given = plan.run(values).map_err(|error| failed(&error))?;
                // What only works with the shape known is not tried otherwise again.
                self.open = None;
                given
            };
            let infer_ns = ns_since(began);
            let began = Instant::now();
            let outputs = self
                .description
                .outputs
                .iter()
                .zip(given)
                .map(|(spec, value)| tensor(spec, &value))
                .collect::<TractResult<Vec<_>>>()
                .map_err(|error| failed(&error))?;
            Ok(Ran { outputs, input_ns, infer_ns, output_ns: ns_since(began) })
        }))
    }
}

/// A panic in the engine is a failed request, not the end of the worker.
fn guarded<T>(work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fault::internal("the engine broke on this model")))
}

/// What the caller may know of the engine's error; the rest is for the log.
fn failed(error: &TractError) -> Fault {
    let _ = writeln!(std::io::stderr(), "tract: {error:#}");
    Fault::internal("the model failed on these inputs; its log says why")
}

fn sizes(shape: &[u64]) -> Vec<usize> {
    // Checked before: the number of elements fits, so each size does.
    shape.iter().map(|&size| usize::try_from(size).unwrap_or(usize::MAX)).collect()
}

fn tensor(spec: &TensorSpec, value: &Tensor) -> TractResult<types::Tensor> {
    let kind = kind(spec.datatype).ok_or_else(|| TractError::msg("no such datatype"))?;
    // Sizes come as a type of their own.
    let value = value.cast_to_dt(kind)?;
    let shape = value.shape().iter().map(|&size| size as u64).collect();
    let data = Bytes::copy_from_slice(value.try_as_plain_ram()?.as_bytes());
    Ok(types::Tensor { name: spec.name.clone(), datatype: spec.datatype, shape, data })
}

/// Inputs and outputs as the file tells them; inputs with a default value are left out.
fn specs(proto: &pb::ModelProto) -> Result<(Vec<TensorSpec>, Vec<TensorSpec>), Fault> {
    let graph = proto.graph.as_ref().ok_or_else(|| Fault::bad("the file holds no graph"))?;
    let given = |info: &&ValueInfoProto| {
        !graph.initializer.iter().any(|initializer| initializer.name == info.name)
    };
    let inputs = graph.input.iter().filter(given).map(told).collect::<Result<_, _>>()?;
    let outputs = graph.output.iter().map(told).collect::<Result<_, _>>()?;
    Ok((inputs, outputs))
}

fn told(info: &ValueInfoProto) -> Result<TensorSpec, Fault> {
    let refuse = || Fault::bad(format!("{:?} is of a type that tract does not take", info.name));
    let value = info.r#type.as_ref().and_then(|found| found.value.as_ref());
    let Some(type_proto::Value::TensorType(tensor)) = value else { return Err(refuse()) };
    let datatype = datatype(tensor.elem_type).ok_or_else(refuse)?;
    let dims = tensor.shape.iter().flat_map(|shape| &shape.dim);
    let shape = dims.map(|dim| match &dim.value {
        Some(dimension::Value::DimValue(size)) => *size,
        Some(dimension::Value::DimParam(_)) | None => -1,
    });
    Ok(TensorSpec { name: info.name.clone(), datatype, shape: shape.collect() })
}

/// ONNX's number of an element type; see `onnx.proto`, `TensorProto.DataType`.
fn datatype(number: i32) -> Option<Datatype> {
    Some(match number {
        1 => Datatype::Fp32,
        2 => Datatype::Uint8,
        3 => Datatype::Int8,
        4 => Datatype::Uint16,
        5 => Datatype::Int16,
        6 => Datatype::Int32,
        7 => Datatype::Int64,
        9 => Datatype::Bool,
        10 => Datatype::Fp16,
        11 => Datatype::Fp64,
        12 => Datatype::Uint32,
        13 => Datatype::Uint64,
        _ => return None,
    })
}

fn kind(datatype: Datatype) -> Option<DatumType> {
    Some(match datatype {
        Datatype::Bool => DatumType::Bool,
        Datatype::Uint8 => DatumType::U8,
        Datatype::Uint16 => DatumType::U16,
        Datatype::Uint32 => DatumType::U32,
        Datatype::Uint64 => DatumType::U64,
        Datatype::Int8 => DatumType::I8,
        Datatype::Int16 => DatumType::I16,
        Datatype::Int32 => DatumType::I32,
        Datatype::Int64 => DatumType::I64,
        Datatype::Fp16 => DatumType::F16,
        Datatype::Fp32 => DatumType::F32,
        Datatype::Fp64 => DatumType::F64,
        Datatype::Bf16 | Datatype::Bytes => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_told_is_the_version_built_in() {
        let lock = include_str!("../../../Cargo.lock");
        let at = lock.find("name = \"tract-onnx\"\nversion = \"").unwrap();
        let version = lock[at..].split('"').nth(3).unwrap();
        assert!(version.starts_with(&format!("{VERSION}.")), "{version}");
    }
}
