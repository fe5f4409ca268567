//! The engine ONNX Runtime, loaded from a shared library that the task names.

use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytemuck::{CheckedBitPattern, NoUninit, Zeroable};
use bytes::Bytes;
use half::{bf16, f16};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::{RunOptions, Session, SessionInputValue};
use ort::value::{
    DynValue, Outlet, PrimitiveTensorElementType, Tensor as Value, TensorElementType, TensorRef,
    ValueType,
};
use types::{Datatype, Tensor, TensorSpec};

use super::elements::{numbers, texts, write_texts};
use super::{Description, Engine, Input, Ran, Stop, describe, ns_since};
use crate::fault::Fault;
use crate::task::Task;

/// A model in ONNX Runtime.
pub(super) struct OnnxRuntime {
    session: Session,
    description: Description,
    /// For each of the session's outputs, whether it is a tensor; other kinds are not given.
    tensors: Vec<bool>,
    /// What the next run is stopped by.
    options: Option<Arc<RunOptions>>,
}

impl OnnxRuntime {
    pub(super) fn load(path: &Path, library: &Path, task: &Task) -> Result<Self, Fault> {
        let environment = environment(library)?;
        let session =
            session(environment, path, task).map_err(|error| Fault::bad(error.message()))?;
        let inputs = session.inputs().iter().map(|input| {
            told(input).ok_or_else(|| {
                let (name, dtype) = (input.name(), input.dtype());
                Fault::bad(format!("input {name:?} is a {dtype:?}, which is not supported"))
            })
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let outputs: Vec<Option<TensorSpec>> = session.outputs().iter().map(told).collect();
        let tensors = outputs.iter().map(Option::is_some).collect();
        let outputs = outputs.into_iter().flatten().collect();
        let description = describe("onnxruntime", version(library), inputs, outputs, task);
        Ok(Self { session, description, tensors, options: None })
    }
}

fn session(environment: &Environment, path: &Path, task: &Task) -> ort::Result<Session> {
    Session::builder(environment)?
        .with_intra_threads(task.threads.max(1))?
        .with_inter_threads(1)?
        // Waiting threads that spin would use up the instance's share of the processors.
        .with_intra_op_spinning(false)?
        .with_inter_op_spinning(false)?
        .commit_from_file(path)
}

/// The one environment of this process, made from the first library asked for.
fn environment(library: &Path) -> Result<&'static Environment, Fault> {
    static ENVIRONMENT: OnceLock<Result<Environment, Fault>> = OnceLock::new();
    let made = ENVIRONMENT.get_or_init(|| {
        let builder = ort::init_from(library).map_err(|error| Fault::bad(error.to_string()))?;
        builder
            .with_name("freehold")
            .with_telemetry(false)
            .with_logger(Arc::new(log))
            .build()
            .map_err(|error| Fault::bad(error.message()))
    });
    made.as_ref().map_err(Clone::clone)
}

/// Errors go to the instance's log. Warnings are about the graph and the machine, and repeat at
/// every start.
fn log(level: LogLevel, _category: &str, _id: &str, _place: &str, message: &str) {
    if level >= LogLevel::Error {
        let _ = writeln!(std::io::stderr(), "onnxruntime: {message}");
    }
}

/// The version: the library's build text names its release branch, its file name the rest.
fn version(library: &Path) -> String {
    let name = library.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let from_name = name.strip_prefix("libonnxruntime.so.").map(str::to_owned);
    let from_build = || {
        let branch = ort::info().split("git-branch=").nth(1)?.split(',').next()?;
        Some(branch.strip_prefix("rel-").unwrap_or(branch).to_owned())
    };
    from_name.or_else(from_build).unwrap_or_else(|| "unknown".to_owned())
}

fn told(outlet: &Outlet) -> Option<TensorSpec> {
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else { return None };
    let shape = shape.iter().map(|&size| size.max(-1)).collect();
    Some(TensorSpec { name: outlet.name().to_owned(), datatype: datatype(*ty)?, shape })
}

fn datatype(ty: TensorElementType) -> Option<Datatype> {
    Some(match ty {
        TensorElementType::Bool => Datatype::Bool,
        TensorElementType::Uint8 => Datatype::Uint8,
        TensorElementType::Uint16 => Datatype::Uint16,
        TensorElementType::Uint32 => Datatype::Uint32,
        TensorElementType::Uint64 => Datatype::Uint64,
        TensorElementType::Int8 => Datatype::Int8,
        TensorElementType::Int16 => Datatype::Int16,
        TensorElementType::Int32 => Datatype::Int32,
        TensorElementType::Int64 => Datatype::Int64,
        TensorElementType::Float16 => Datatype::Fp16,
        TensorElementType::Bfloat16 => Datatype::Bf16,
        TensorElementType::Float32 => Datatype::Fp32,
        TensorElementType::Float64 => Datatype::Fp64,
        TensorElementType::String => Datatype::Bytes,
        _ => return None,
    })
}

impl Engine for OnnxRuntime {
    fn description(&self) -> &Description {
        &self.description
    }

    fn stop(&mut self) -> Result<Option<Stop>, Fault> {
        let options = RunOptions::new().map_err(|error| failed(&error))?;
        let options = Arc::new(options);
        self.options = Some(Arc::clone(&options));
        Ok(Some(Arc::new(move || {
            // Fails only where the run has ended.
            let _ = options.terminate();
        })))
    }

    fn run(&mut self, inputs: &[Input]) -> Result<Ran, Fault> {
        let began = Instant::now();
        let options = match self.options.take() {
            Some(options) => options,
            None => Arc::new(RunOptions::new().map_err(|error| failed(&error))?),
        };
        let specs = &self.description.inputs;
        let values = specs.iter().zip(inputs).map(|(spec, input)| value(spec.datatype, input));
        let values = values.collect::<Result<Vec<SessionInputValue<'_>>, Fault>>()?;
        let input_ns = ns_since(began);
        let began = Instant::now();
        let outputs = self
            .session
            .run_with_options(values.as_slice(), &options)
            .map_err(|error| failed(&error))?;
        let infer_ns = ns_since(began);
        let began = Instant::now();
        let given = outputs.into_iter().zip(&self.tensors).filter(|(_, tensor)| **tensor);
        let outputs = given
            .zip(&self.description.outputs)
            .map(|(((_, value), _), spec)| tensor(spec, value))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Ran { outputs, input_ns, infer_ns, output_ns: ns_since(began) })
    }
}

/// What the caller may know of the engine's error; the rest is for the log.
fn failed(error: &ort::Error) -> Fault {
    let _ = writeln!(std::io::stderr(), "onnxruntime: {}", error.message());
    Fault::internal("the model failed on these inputs; its log says why")
}

fn value(datatype: Datatype, input: &Input) -> Result<SessionInputValue<'_>, Fault> {
    match datatype {
        Datatype::Bool => typed::<bool>(input),
        Datatype::Uint8 => typed::<u8>(input),
        Datatype::Uint16 => typed::<u16>(input),
        Datatype::Uint32 => typed::<u32>(input),
        Datatype::Uint64 => typed::<u64>(input),
        Datatype::Int8 => typed::<i8>(input),
        Datatype::Int16 => typed::<i16>(input),
        Datatype::Int32 => typed::<i32>(input),
        Datatype::Int64 => typed::<i64>(input),
        Datatype::Fp16 => typed::<f16>(input),
        Datatype::Bf16 => typed::<bf16>(input),
        Datatype::Fp32 => typed::<f32>(input),
        Datatype::Fp64 => typed::<f64>(input),
        Datatype::Bytes => strings(input),
    }
}

fn shape(input: &Input) -> Vec<i64> {
    // Checked before: the number of elements fits, so each size does.
    input.shape.iter().map(|&size| i64::try_from(size).unwrap_or(i64::MAX)).collect()
}

fn typed<T>(input: &Input) -> Result<SessionInputValue<'_>, Fault>
where
    T: PrimitiveTensorElementType + CheckedBitPattern + NoUninit + Zeroable + std::fmt::Debug,
{
    let made = match numbers::<T>(&input.parts)? {
        std::borrow::Cow::Borrowed(numbers) => {
            TensorRef::from_array_view((shape(input), numbers)).map(SessionInputValue::from)
        }
        std::borrow::Cow::Owned(numbers) => {
            Value::from_array((shape(input), numbers)).map(SessionInputValue::from)
        }
    };
    made.map_err(|error| failed(&error))
}

fn strings(input: &Input) -> Result<SessionInputValue<'_>, Fault> {
    let mut words = Vec::new();
    for part in &input.parts {
        for text in texts(part).unwrap_or_default() {
            let text = std::str::from_utf8(text)
                .map_err(|_| Fault::bad("BYTES elements must be UTF-8 text for this model"))?;
            if text.contains('\0') {
                return Err(Fault::bad("BYTES elements cannot hold a zero byte for this model"));
            }
            words.push(text.to_owned());
        }
    }
    Value::from_string_array((shape(input), words.as_slice()))
        .map(SessionInputValue::from)
        .map_err(|error| failed(&error))
}

fn tensor(spec: &TensorSpec, value: DynValue) -> Result<Tensor, Fault> {
    match spec.datatype {
        Datatype::Bool => given::<bool>(spec, value),
        Datatype::Uint8 => given::<u8>(spec, value),
        Datatype::Uint16 => given::<u16>(spec, value),
        Datatype::Uint32 => given::<u32>(spec, value),
        Datatype::Uint64 => given::<u64>(spec, value),
        Datatype::Int8 => given::<i8>(spec, value),
        Datatype::Int16 => given::<i16>(spec, value),
        Datatype::Int32 => given::<i32>(spec, value),
        Datatype::Int64 => given::<i64>(spec, value),
        Datatype::Fp16 => given::<f16>(spec, value),
        Datatype::Bf16 => given::<bf16>(spec, value),
        Datatype::Fp32 => given::<f32>(spec, value),
        Datatype::Fp64 => given::<f64>(spec, value),
        Datatype::Bytes => {
            let (shape, words) = value.try_extract_strings().map_err(|error| failed(&error))?;
            let data = write_texts(words.iter().map(String::as_str));
            Ok(named(spec, shape, data))
        }
    }
}

fn named(spec: &TensorSpec, shape: &[i64], data: Bytes) -> Tensor {
    let shape = shape.iter().map(|&size| u64::try_from(size).unwrap_or(0)).collect();
    Tensor { name: spec.name.clone(), datatype: spec.datatype, shape, data }
}

/// An output whose bytes stay where the engine put them.
struct Kept<T>(DynValue, std::marker::PhantomData<T>);

impl<T: PrimitiveTensorElementType + NoUninit> AsRef<[u8]> for Kept<T> {
    fn as_ref(&self) -> &[u8] {
        // Extracted once already, in `given`.
        self.0.try_extract_tensor::<T>().map_or(&[], |(_, numbers)| bytemuck::cast_slice(numbers))
    }
}

fn given<T>(spec: &TensorSpec, value: DynValue) -> Result<Tensor, Fault>
where
    T: PrimitiveTensorElementType + NoUninit + Send,
{
    let (shape, _) = value.try_extract_tensor::<T>().map_err(|error| failed(&error))?;
    let shape = shape.to_vec();
    let data = Bytes::from_owner(Kept::<T>(value, std::marker::PhantomData));
    Ok(named(spec, &shape, data))
}
