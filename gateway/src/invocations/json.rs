//! The JSON of invocations, in and out.
//!
//! In: `{"instances": [...]}` or a bare list, one entry a row, each a value or an object by input;
//! `{"inputs": {...}}` by input, or one value where the model has one input; an object that has every
//! input among what else it has, as a recorded event does; or a request of the Open Inference Protocol. Out: `{"predictions": [...]}` for rows, else `{"outputs": {...}}`.
//!
//! Always true: values become tensors of the model's datatypes, checked as the protocol's are.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bytes::Bytes;
use formats::oip::elements::{Element, Elements};
use serde::ser::{Error as _, SerializeMap as _, SerializeSeq as _};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use types::{Datatype, Tensor, TensorSpec};

use super::read_oip;
use crate::error::Error;

/// Deepest nesting of data: the dimensions of a tensor, and the list of rows around it.
const DEPTH_MAX: usize = types::frame::RANK_MAX + 1;

/// How the answer is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One entry a row.
    Rows,
    /// By output.
    Columns,
}

/// Reads the inputs out of a body.
///
/// # Errors
///
/// [`Error::BadRequest`] when it is none of the forms, [`Error::WrongTensor`] for its values.
pub(super) fn read(body: &[u8], specs: &[TensorSpec]) -> Result<(Vec<Tensor>, Form), Error> {
    let value: Value = serde_json::from_slice(body)
        .map_err(|error| Error::bad_request(format!("the body is not JSON: {error}")))?;
    match value {
        Value::Array(rows) => Ok((rows_of(&rows, specs)?, Form::Rows)),
        Value::Object(mut fields) => {
            if let Some(Value::Array(rows)) = fields.get("instances") {
                return Ok((rows_of(rows, specs)?, Form::Rows));
            }
            if !fields.contains_key("inputs") && has_inputs(&fields, specs) {
                fields.retain(|name, _| specs.iter().any(|spec| spec.name == *name));
                return Ok((rows_of(&[Value::Object(fields)], specs)?, Form::Rows));
            }
            let inputs = fields.remove("inputs").ok_or_else(no_form)?;
            if is_protocol(&inputs) {
                let request = json!({ "inputs": inputs }).to_string();
                return Ok((read_oip(request.into_bytes())?, Form::Columns));
            }
            Ok((columns_of(inputs, specs)?, Form::Columns))
        }
        _ => Err(no_form()),
    }
}

/// Whether an object has a value for every input.
fn has_inputs(fields: &serde_json::Map<String, Value>, specs: &[TensorSpec]) -> bool {
    !specs.is_empty() && specs.iter().all(|spec| fields.contains_key(&spec.name))
}

fn no_form() -> Error {
    Error::bad_request(
        "the body is none of {\"instances\": [rows]}, {\"inputs\": {name: values}}, a list of rows, \
         or an object with a value for every input",
    )
}

/// Whether these are inputs as the Open Inference Protocol has them.
fn is_protocol(inputs: &Value) -> bool {
    let named = |input: &Value| input.get("name").is_some() && input.get("datatype").is_some();
    inputs.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(named))
}

fn rows_of(rows: &[Value], specs: &[TensorSpec]) -> Result<Vec<Tensor>, Error> {
    if rows.is_empty() {
        return Err(Error::bad_request("there are no rows; send at least one"));
    }
    let mut inputs = Vec::with_capacity(specs.len());
    for spec in specs {
        let mut cells = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            cells.push(cell_of(row, spec, specs.len()).ok_or_else(|| {
                let (row, name) = (index + 1, &spec.name);
                let reason = format!("row {row} has nothing for input {name:?}; write it by name");
                Error::WrongTensor { reason }
            })?);
        }
        inputs.push(input_of(&cells, spec, true)?);
    }
    let names = |row: &Value| row.as_object().map(|row| row.keys().cloned().collect::<Vec<_>>());
    let unknown = |name: &String| specs.iter().all(|spec| spec.name != *name);
    if let Some(name) = rows.iter().filter_map(names).flatten().find(unknown) {
        return Err(unknown_input(&name, specs));
    }
    read_oip(json!({ "inputs": inputs }).to_string().into_bytes())
}

/// What a row has for an input: the row itself where the model has one input and the row no names.
fn cell_of<'r>(row: &'r Value, spec: &TensorSpec, inputs: usize) -> Option<&'r Value> {
    match row {
        Value::Object(fields) => fields.get(&spec.name),
        value if inputs == 1 => Some(value),
        _ => None,
    }
}

fn columns_of(inputs: Value, specs: &[TensorSpec]) -> Result<Vec<Tensor>, Error> {
    let mut fields = match (inputs, specs) {
        (Value::Object(fields), _) => fields,
        (value, [spec]) => serde_json::Map::from_iter([(spec.name.clone(), value)]),
        _ => return Err(Error::bad_request("\"inputs\" is not an object with a value by input")),
    };
    let mut inputs = Vec::with_capacity(specs.len());
    for spec in specs {
        if let Some(value) = fields.remove(&spec.name) {
            inputs.push(input_of(&[&value], spec, false)?);
        }
    }
    if let Some(name) = fields.keys().next() {
        return Err(unknown_input(name, specs));
    }
    read_oip(json!({ "inputs": inputs }).to_string().into_bytes())
}

fn unknown_input(name: &str, specs: &[TensorSpec]) -> Error {
    let known: Vec<_> = specs.iter().map(|spec| spec.name.as_str()).collect();
    let name: String = name.chars().take(80).collect();
    let reason = format!("there is no input {name:?}; the model has {}", known.join(", "));
    Error::WrongTensor { reason }
}

/// An input of the protocol: the shape of the nesting, and the values flat.
///
/// Rows of a model without batches may be one row; rows of single values fit a last dimension of 1.
fn input_of(cells: &[&Value], spec: &TensorSpec, rows: bool) -> Result<Value, Error> {
    let (mut shape, mut data) = (Vec::new(), Vec::new());
    for (index, cell) in cells.iter().enumerate() {
        let found = shape_of(cell);
        if index > 0 && found != shape {
            let (row, name) = (index + 1, &spec.name);
            let reason =
                format!("input {name:?} of row {row} has shape {found:?}, of row 1 {shape:?}");
            return Err(Error::WrongTensor { reason });
        }
        shape = found;
        flatten(cell, &shape, &mut data).ok_or_else(|| {
            let name = &spec.name;
            let reason = format!("input {name:?} is not nested evenly; shape {shape:?} was begun");
            Error::WrongTensor { reason }
        })?;
    }
    let one_row = rows && cells.len() == 1 && shape.len() == spec.shape.len();
    if rows && !one_row {
        shape.insert(0, cells.len());
    }
    if shape.len() + 1 == spec.shape.len() && matches!(spec.shape.last(), Some(1 | -1)) {
        shape.push(1);
    }
    Ok(json!({
        "name": spec.name, "datatype": spec.datatype, "shape": shape, "data": data,
    }))
}

fn shape_of(value: &Value) -> Vec<usize> {
    let (mut shape, mut inner) = (Vec::new(), value);
    while let (Value::Array(values), true) = (inner, shape.len() < DEPTH_MAX) {
        shape.push(values.len());
        let Some(first) = values.first() else { break };
        inner = first;
    }
    shape
}

/// Appends the values of a nesting that is even; none where it is not.
fn flatten<'v>(value: &'v Value, shape: &[usize], out: &mut Vec<&'v Value>) -> Option<()> {
    match (value, shape) {
        (Value::Array(values), [size, inner @ ..]) if values.len() == *size => {
            values.iter().try_for_each(|value| flatten(value, inner, out))
        }
        (Value::Array(_) | Value::Object(_), _) | (_, [_, ..]) => None,
        (value, []) => {
            out.push(value);
            Some(())
        }
    }
}

/// Writes the outputs.
///
/// # Errors
///
/// [`Error::NotAcceptable`] for text that is not UTF-8.
pub(super) fn write(outputs: &[Tensor], form: Form) -> Result<Bytes, Error> {
    let rows = outputs.first().and_then(|output| output.shape.first()).copied();
    let even = rows.is_some() && outputs.iter().all(|it| it.shape.first().copied() == rows);
    let written = match (form, outputs) {
        (Form::Rows, [output]) if even => {
            serde_json::to_vec(&Predictions { predictions: nest(output) })
        }
        (Form::Rows, _) if even => {
            let rows =
                Rows { rows: rows.unwrap_or(0), outputs: outputs.iter().map(nest).collect() };
            serde_json::to_vec(&Predictions { predictions: rows })
        }
        _ => {
            let outputs = outputs.iter().map(|it| (it.name.as_str(), nest(it))).collect();
            serde_json::to_vec(&Outputs { outputs })
        }
    };
    written.map(Bytes::from).map_err(|error| Error::NotAcceptable {
        wanted: super::JSON.to_owned(),
        reason: error.to_string(),
    })
}

#[derive(Serialize)]
struct Predictions<T> {
    predictions: T,
}

#[derive(Serialize)]
struct Outputs<'t> {
    outputs: BTreeMap<&'t str, Nest<'t>>,
}

/// Rows of several outputs, each an object by output.
struct Rows<'t> {
    rows: u64,
    outputs: Vec<Nest<'t>>,
}

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq((0..self.rows).map(|_| Row(&self.outputs)))
    }
}

/// The next row of each output.
struct Row<'r, 't>(&'r [Nest<'t>]);

impl Serialize for Row<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_map(Some(self.0.len()))?;
        for nest in self.0 {
            let row = Part { nest, shape: nest.shape.get(1..).unwrap_or_default() };
            fields.serialize_entry(nest.name, &row)?;
        }
        fields.end()
    }
}

/// A tensor as nested lists; its elements are taken in order as it is written.
struct Nest<'t> {
    name: &'t str,
    shape: &'t [u64],
    datatype: Datatype,
    elements: RefCell<Elements<'t>>,
}

fn nest(tensor: &Tensor) -> Nest<'_> {
    let elements = RefCell::new(Elements::of(tensor));
    Nest { name: &tensor.name, shape: &tensor.shape, datatype: tensor.datatype, elements }
}

impl Serialize for Nest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Part { nest: self, shape: self.shape }.serialize(serializer)
    }
}

/// The inner part of a tensor from here on.
struct Part<'p, 't> {
    nest: &'p Nest<'t>,
    shape: &'p [u64],
}

impl Serialize for Part<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((&size, inner)) = self.shape.split_first() {
            let mut list = serializer.serialize_seq(None)?;
            for _ in 0..size {
                list.serialize_element(&Self { nest: self.nest, shape: inner })?;
            }
            return list.end();
        }
        let element = self.nest.elements.borrow_mut().next();
        match element {
            None => Err(S::Error::custom("the model's answer is shorter than its shape")),
            Some(Element::Bool(value)) => serializer.serialize_bool(value),
            Some(Element::Integer(value)) => match i64::try_from(value) {
                Ok(value) => serializer.serialize_i64(value),
                Err(_) => serializer.serialize_u64(u64::try_from(value).unwrap_or(u64::MAX)),
            },
            Some(Element::Float(value)) if self.nest.datatype == Datatype::Fp64 => {
                serializer.serialize_f64(value)
            }
            Some(Element::Float(value)) => serializer.serialize_f32(narrow(value)),
            Some(Element::Bytes(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => serializer.serialize_str(text),
                Err(_) => Err(S::Error::custom("an answer is not UTF-8; accept another type")),
            },
        }
    }
}

/// The 32-bit float that this was, so that it is written as short as it was.
#[expect(clippy::cast_possible_truncation, reason = "the value was a 32-bit float or smaller")]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests;
