//! Checking a request against the model, before it waits.
//!
//! Always true: what passes has each of the model's inputs once, in the model's order, of its
//! datatype and shape, with exactly the data that its shape needs; what does not is told what the
//! model wants.

use types::frame::Infer;
use types::{Datatype, Tensor, TensorSpec};

use crate::engine::{Description, texts};
use crate::fault::Fault;

/// Most elements of one tensor: ONNX Runtime counts in signed 64-bit numbers, and no frame holds
/// more.
const ELEMENTS_MAX: u64 = 1 << 40;

/// A request that the model takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// In the model's order.
    pub(crate) inputs: Vec<Tensor>,
    /// The outputs wanted, by their places in the model.
    pub(crate) outputs: Vec<usize>,
}

/// Takes a request apart.
///
/// # Errors
///
/// A bad request, with what the model wants.
pub(crate) fn check(infer: Infer, model: &Description) -> Result<Request, Fault> {
    let Infer { inputs: mut given, outputs: wanted, .. } = infer;
    let mut inputs = Vec::with_capacity(model.inputs.len());
    for spec in &model.inputs {
        let Some(index) = given.iter().position(|tensor| tensor.name == spec.name) else {
            return Err(wants(&format!("input {:?} is missing", spec.name), &model.inputs));
        };
        let tensor = given.swap_remove(index);
        if given.iter().any(|other| other.name == spec.name) {
            return Err(wants(&format!("input {:?} is given twice", spec.name), &model.inputs));
        }
        one(&tensor, spec)?;
        inputs.push(tensor);
    }
    if let Some(tensor) = given.first() {
        return Err(wants(&format!("there is no input {:?}", tensor.name), &model.inputs));
    }
    let place = |name: &String| {
        let found = model.outputs.iter().position(|spec| spec.name == *name);
        found.ok_or_else(|| {
            let told = listed(&model.outputs);
            Fault::bad(format!("there is no output {name:?}; the model gives {told}"))
        })
    };
    let outputs = if wanted.is_empty() {
        (0..model.outputs.len()).collect()
    } else {
        wanted.iter().map(place).collect::<Result<_, _>>()?
    };
    Ok(Request { inputs, outputs })
}

fn wants(problem: &str, specs: &[TensorSpec]) -> Fault {
    Fault::bad(format!("{problem}; the model wants {}", listed(specs)))
}

fn listed(specs: &[TensorSpec]) -> String {
    let all: Vec<String> = specs.iter().map(written).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(", ") }
}

fn written(spec: &TensorSpec) -> String {
    format!("{:?} as {} {:?}", spec.name, spec.datatype, spec.shape)
}

/// Checks one tensor's datatype, shape and data.
fn one(tensor: &Tensor, spec: &TensorSpec) -> Result<(), Fault> {
    if !spec.admits(tensor.datatype, &tensor.shape) {
        return Err(Fault::bad(format!(
            "input {:?} is {} {:?}; the model wants {} {:?}, where -1 is any size",
            tensor.name, tensor.datatype, tensor.shape, spec.datatype, spec.shape
        )));
    }
    let elements = tensor.elements().filter(|&elements| elements <= ELEMENTS_MAX);
    let Some(elements) = elements else {
        let (name, shape) = (&tensor.name, &tensor.shape);
        return Err(Fault::bad(format!("input {name:?} of shape {shape:?} is too large")));
    };
    let fits = match tensor.datatype.element_bytes() {
        Some(bytes) => tensor.data.len() as u64 == elements * bytes as u64,
        None => texts(&tensor.data).is_some_and(|texts| texts.len() as u64 == elements),
    };
    if !fits {
        return Err(Fault::bad(format!(
            "input {:?} has {} bytes of data, which are not the {elements} elements of {} {:?}",
            tensor.name,
            tensor.data.len(),
            tensor.datatype,
            tensor.shape
        )));
    }
    if tensor.datatype == Datatype::Bool && tensor.data.iter().any(|&byte| byte > 1) {
        return Err(Fault::bad(format!("input {:?} is BOOL; its bytes are 0 or 1", tensor.name)));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
