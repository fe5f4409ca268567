//! The fields of `onnx.proto3` that are needed, by their numbers. All others are skipped.
//!
//! Always true: raw weights are slices of the model's bytes, not copies.

use bytes::Bytes;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Model {
    #[prost(int64, tag = "1")]
    pub(super) ir_version: i64,
    #[prost(string, tag = "2")]
    pub(super) producer_name: String,
    #[prost(string, tag = "3")]
    pub(super) producer_version: String,
    #[prost(message, optional, tag = "7")]
    pub(super) graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    pub(super) opset_import: Vec<OperatorSet>,
    #[prost(message, repeated, tag = "14")]
    pub(super) metadata_props: Vec<KeyValue>,
    #[prost(message, repeated, tag = "25")]
    pub(super) functions: Vec<Function>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct OperatorSet {
    #[prost(string, tag = "1")]
    pub(super) domain: String,
    #[prost(int64, tag = "2")]
    pub(super) version: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(super) node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(super) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(super) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(super) output: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "15")]
    pub(super) sparse_initializer: Vec<SparseTensor>,
}

impl Graph {
    /// Every initialiser; a sparse one has the name of its values.
    pub(super) fn initializers(&self) -> impl Iterator<Item = &Tensor> {
        let sparse = self.sparse_initializer.iter().filter_map(|sparse| sparse.values.as_ref());
        self.initializer.iter().chain(sparse)
    }

    /// Numbers in initialisers and constants, those of the graphs within included.
    pub(super) fn weights(&self) -> u64 {
        let attributes = || self.node.iter().flat_map(|node| &node.attribute);
        let tensors = self.initializers().chain(attributes().flat_map(Attribute::tensors));
        let own = tensors.fold(0, |sum: u64, tensor| sum.saturating_add(tensor.elements()));
        let within = attributes().flat_map(Attribute::graphs);
        within.fold(own, |sum, graph| sum.saturating_add(graph.weights()))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(super) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(string, tag = "4")]
    pub(super) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(super) attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub(super) domain: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Attribute {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "5")]
    pub(super) t: Option<Tensor>,
    #[prost(message, optional, tag = "6")]
    pub(super) g: Option<Graph>,
    #[prost(message, repeated, tag = "10")]
    pub(super) tensors: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(super) graphs: Vec<Graph>,
    #[prost(message, optional, tag = "22")]
    pub(super) sparse_tensor: Option<SparseTensor>,
    #[prost(message, repeated, tag = "23")]
    pub(super) sparse_tensors: Vec<SparseTensor>,
}

impl Attribute {
    pub(super) fn graphs(&self) -> impl Iterator<Item = &Graph> {
        self.g.iter().chain(&self.graphs)
    }

    pub(super) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        let sparse = self.sparse_tensor.iter().chain(&self.sparse_tensors);
        self.t.iter().chain(&self.tensors).chain(sparse.flat_map(SparseTensor::tensors))
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Tensor {
    #[prost(int64, repeated, tag = "1")]
    pub(super) dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub(super) data_type: i32,
    #[prost(string, tag = "8")]
    pub(super) name: String,
    #[prost(bytes = "bytes", tag = "9")]
    pub(super) raw_data: Bytes,
    #[prost(message, repeated, tag = "13")]
    pub(super) external_data: Vec<KeyValue>,
    #[prost(int32, tag = "14")]
    pub(super) data_location: i32,
}

impl Tensor {
    pub(super) fn is_external(&self) -> bool {
        self.data_location == 1 || !self.external_data.is_empty()
    }

    /// Numbers in the tensor; the largest number where that passes 64 bits.
    pub(super) fn elements(&self) -> u64 {
        let sizes = self.dims.iter().map(|&size| u64::try_from(size).unwrap_or(0));
        sizes.fold(1, u64::saturating_mul)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct SparseTensor {
    #[prost(message, optional, tag = "1")]
    pub(super) values: Option<Tensor>,
    #[prost(message, optional, tag = "2")]
    pub(super) indices: Option<Tensor>,
}

impl SparseTensor {
    pub(super) fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.values.iter().chain(&self.indices)
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ValueInfo {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) r#type: Option<Type>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Type {
    #[prost(message, optional, tag = "1")]
    pub(super) tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct TensorType {
    #[prost(int32, tag = "1")]
    pub(super) elem_type: i32,
    #[prost(message, optional, tag = "2")]
    pub(super) shape: Option<Shape>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Shape {
    #[prost(message, repeated, tag = "1")]
    pub(super) dim: Vec<Dimension>,
}

/// A dimension; one with a name instead of a size may have any.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Dimension {
    #[prost(int64, optional, tag = "1")]
    pub(super) dim_value: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Function {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(string, repeated, tag = "4")]
    pub(super) input: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub(super) output: Vec<String>,
    #[prost(message, repeated, tag = "7")]
    pub(super) node: Vec<Node>,
    #[prost(string, tag = "10")]
    pub(super) domain: String,
}
