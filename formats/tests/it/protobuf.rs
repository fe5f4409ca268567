//! ONNX models made by hand: just enough protocol buffers to write them.

/// A field that holds bytes, text or a message.
pub(crate) fn field(number: u64, content: impl AsRef<[u8]>) -> Vec<u8> {
    let content = content.as_ref();
    let mut bytes = varint(number << 3 | 2);
    bytes.extend(varint(content.len() as u64));
    bytes.extend_from_slice(content);
    bytes
}

/// A field that holds a number.
pub(crate) fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7F {
        bytes.push(0x80 | value.to_le_bytes()[0]);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
    bytes
}

/// A graph's input or output; none for a size stands for any.
pub(crate) fn value(name: &str, element: u64, shape: &[Option<u64>]) -> Vec<u8> {
    let dims: Vec<u8> = shape
        .iter()
        .flat_map(|size| field(1, size.map_or_else(|| field(2, "n"), |size| number(1, size))))
        .collect();
    let tensor = [number(1, element), field(2, dims)].concat();
    [field(1, name), field(2, field(1, tensor))].concat()
}

/// A node.
pub(crate) fn node(operator: &str, inputs: &[&str], outputs: &[&str]) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|name| field(1, name));
    let outputs = outputs.iter().flat_map(|name| field(2, name));
    inputs.chain(outputs).chain(field(4, operator)).collect()
}

/// An initialiser of one `FP32` dimension.
pub(crate) fn weights(name: &str, values: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    [number(1, values.len() as u64), number(2, 1), field(8, name), field(9, raw)].concat()
}

/// An initialiser in another file.
pub(crate) fn external(name: &str, entries: &[(&str, &str)]) -> Vec<u8> {
    let entries = entries
        .iter()
        .flat_map(|(key, value)| field(13, [field(1, key), field(2, value)].concat()));
    let start = [number(1, 4), number(2, 1), field(8, name)].concat();
    start.into_iter().chain(entries).chain(number(14, 1)).collect()
}

/// The parts of a graph: nodes (1), initialisers (5), inputs (11), outputs (12).
pub(crate) fn graph(parts: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let parts = parts.iter().flat_map(|(number, part)| field(*number, part));
    field(2, "hand").into_iter().chain(parts).collect()
}

/// A model around a graph, of opset 13.
pub(crate) fn model(graph: impl AsRef<[u8]>) -> Vec<u8> {
    [number(1, 8), field(2, "by hand"), field(7, graph), field(8, number(2, 13))].concat()
}

/// `y = x + bias`, for any number of rows of four.
pub(crate) fn add_bias() -> Vec<u8> {
    model(graph(&[
        (1, node("Add", &["x", "bias"], &["y"])),
        (5, weights("bias", &[1.0, 2.0, 3.0, 4.0])),
        (11, value("x", 1, &[None, Some(4)])),
        (12, value("y", 1, &[None, Some(4)])),
    ]))
}
