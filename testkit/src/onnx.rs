//! Tiny ONNX models, written byte by byte: nothing is downloaded and no library is needed.
//!
//! Source: `onnx.proto` of ONNX 1.16; the field numbers stand beside their names here.

/// A protobuf message being written.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        loop {
            let [low, ..] = value.to_le_bytes();
            value >>= 7;
            if value == 0 {
                return self.0.push(low);
            }
            self.0.push(low | 0x80);
        }
    }

    /// With a number in this field.
    #[must_use]
    pub fn number(mut self, field: u64, value: i64) -> Self {
        self.varint(field << 3);
        self.varint(value.cast_unsigned());
        self
    }

    /// With bytes in this field.
    #[must_use]
    pub fn bytes(mut self, field: u64, value: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// With a text in this field.
    #[must_use]
    pub fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    /// With a message in this field.
    #[must_use]
    pub fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }
}

const FLOAT: i64 = 1;

/// An input or output of FP32; -1 is the dimension `batch`.
fn info(name: &str, shape: &[i64]) -> Message {
    let mut dims = Message::default();
    for &size in shape {
        let dim = Message::default();
        dims = dims.message(1, &if size < 0 { dim.text(2, "batch") } else { dim.number(1, size) });
    }
    let tensor = Message::default().number(1, FLOAT).message(2, &dims);
    Message::default().text(1, name).message(2, &Message::default().message(1, &tensor))
}

fn node(kind: &str, inputs: &[&str], output: &str) -> Message {
    let mut node = Message::default();
    for name in inputs {
        node = node.text(1, name);
    }
    node.text(2, output).text(3, output).text(4, kind)
}

fn constant(name: &str, shape: &[i64], values: &[f32]) -> Message {
    let mut tensor = Message::default();
    for &size in shape {
        tensor = tensor.number(1, size);
    }
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    tensor.number(2, FLOAT).text(8, name).bytes(9, &data)
}

fn model(nodes: &[Message], constants: &[Message], input: &Message, output: &Message) -> Vec<u8> {
    let mut graph = Message::default();
    for node in nodes {
        graph = graph.message(1, node);
    }
    graph = graph.text(2, "graph");
    for constant in constants {
        graph = graph.message(5, constant);
    }
    graph = graph.message(11, input).message(12, output);
    let opset = Message::default().text(1, "").number(2, 17);
    Message::default().number(1, 8).message(7, &graph).message(8, &opset).0
}

/// `output[batch, 2] = input[batch, 2] * factor + offset`.
pub fn linear(input: &str, output: &str, factor: f32, offset: f32) -> Vec<u8> {
    let constants = [constant("factor", &[1], &[factor]), constant("offset", &[1], &[offset])];
    let nodes =
        [node("Mul", &[input, "factor"], "scaled"), node("Add", &["scaled", "offset"], output)];
    model(&nodes, &constants, &info(input, &[-1, 2]), &info(output, &[-1, 2]))
}

/// Multiplies a matrix of this size many times over: seconds of work that can be cut short.
pub fn slow(size: u16, times: usize) -> Vec<u8> {
    let shape = [i64::from(size); 2];
    let weights = constant("w", &shape, &vec![0.001; usize::from(size) * usize::from(size)]);
    let name = |index: usize| match index {
        0 => "x".to_owned(),
        _ if index == times => "y".to_owned(),
        _ => format!("t{index}"),
    };
    let nodes: Vec<Message> =
        (0..times).map(|i| node("MatMul", &[&name(i), "w"], &name(i + 1))).collect();
    model(&nodes, &[weights], &info("x", &shape), &info("y", &shape))
}
