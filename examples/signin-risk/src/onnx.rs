//! The learnt network as an ONNX file: `Gemm`, `Relu` and `Sigmoid`, nothing else.
//!
//! Always true: input `features` and output `risk` have a first dimension of any size; the scaling
//! of features is inside the weights. Only the messages and fields that are written stand here.
//! Source: onnx.proto3 of ONNX 1.12 (IR version 8, operator set 17).

use prost::Message;

use crate::features::COUNT;
use crate::learn::{Layer, Network};

const IR_VERSION: i64 = 8;
const OPERATOR_SET: i64 = 17;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    operator_sets: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    nodes: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializers: Vec<Weights>,
    #[prost(message, repeated, tag = "11")]
    inputs: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    outputs: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    inputs: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    outputs: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    operator: String,
}

#[derive(Clone, PartialEq, Message)]
struct Weights {
    #[prost(int64, repeated, tag = "1")]
    dimensions: Vec<i64>,
    #[prost(int32, tag = "2")]
    datatype: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    value_type: Option<ValueType>,
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(message, optional, tag = "1")]
    tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    datatype: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dimensions: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    size: Option<i64>,
    #[prost(string, optional, tag = "2")]
    name: Option<String>,
}

/// The ONNX file of this network.
pub(crate) fn file(network: &Network) -> Vec<u8> {
    let mut graph = Graph {
        name: "signin-risk".into(),
        inputs: vec![value("features", COUNT)],
        outputs: vec![value("risk", 1)],
        ..Graph::default()
    };
    let last = network.layers.len() - 1;
    let mut input = "features".to_owned();
    for (at, layer) in network.layers.iter().enumerate() {
        let sum = format!("sum{at}");
        let weights = [format!("weights{at}"), format!("bias{at}")];
        graph.initializers.extend(weights_of(layer, &weights));
        let [weights, bias] = weights;
        graph.nodes.push(node("Gemm", vec![input, weights, bias], &sum));
        let (operator, output) =
            if at == last { ("Sigmoid", "risk".to_owned()) } else { ("Relu", format!("act{at}")) };
        graph.nodes.push(node(operator, vec![sum], &output));
        input = output;
    }
    let operator_set = OperatorSet { domain: String::new(), version: OPERATOR_SET };
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: env!("CARGO_PKG_NAME").into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        graph: Some(graph),
        operator_sets: vec![operator_set],
    };
    model.encode_to_vec()
}

fn node(operator: &str, inputs: Vec<String>, output: &str) -> Node {
    Node {
        inputs,
        outputs: vec![output.to_owned()],
        name: format!("{operator}-{output}"),
        operator: operator.to_owned(),
    }
}

fn weights_of(layer: &Layer, names: &[String; 2]) -> [Weights; 2] {
    let weights = |name: &String, dimensions: Vec<i64>, values: &[f32]| Weights {
        dimensions,
        datatype: FLOAT,
        name: name.clone(),
        data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    let (inputs, outputs) = (size(layer.inputs), size(layer.outputs));
    [
        weights(&names[0], vec![inputs, outputs], &layer.weights),
        weights(&names[1], vec![outputs], &layer.bias),
    ]
}

/// A tensor of floats, `width` to a row, any number of rows.
fn value(name: &str, width: usize) -> Value {
    let rows = Dimension { size: None, name: Some("batch".into()) };
    let columns = Dimension { size: Some(size(width)), name: None };
    let shape = Some(Shape { dimensions: vec![rows, columns] });
    let tensor = Some(TensorType { datatype: FLOAT, shape });
    Value { name: name.to_owned(), value_type: Some(ValueType { tensor }) }
}

/// A layer is a few numbers wide; sizes never come near the limit.
fn size(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
