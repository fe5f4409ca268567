"""Writes a small network as ONNX: Gemm, Relu and Sigmoid, nothing else.

The protocol-buffer encoding is a dozen lines; a package of it would be megabytes of wheels.
Source: onnx.proto3 of ONNX 1.12 (IR version 8, operator set 17).
"""

import struct

FLOAT = 1


def varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag, value):
    """One field: an integer as a varint; text and bytes with their length."""
    if isinstance(value, int):
        return varint(tag << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(tag << 3 | 2) + varint(len(data)) + data


def weights(name, dimensions, values):
    data = struct.pack(f"<{len(values)}f", *values)
    sizes = b"".join(field(1, size) for size in dimensions)
    return sizes + field(2, FLOAT) + field(8, name) + field(9, data)


def value(name, width):
    """A tensor of floats, `width` to a row, any number of rows."""
    rows, columns = field(1, field(2, "batch")), field(1, field(1, width))
    tensor = field(1, FLOAT) + field(2, rows + columns)
    return field(1, name) + field(2, field(1, tensor))


def node(operator, inputs, output):
    names = b"".join(field(1, name) for name in inputs)
    return names + field(2, output) + field(3, f"{operator}-{output}") + field(4, operator)


def model(layers):
    """The file of a network whose layers are pairs of a weight matrix and a bias."""
    nodes, initializers, last = b"", b"", "features"
    for at, (matrix, bias) in enumerate(layers):
        inputs, outputs = len(matrix), len(bias)
        flat = [number for row in matrix for number in row]
        initializers += field(5, weights(f"weights{at}", [inputs, outputs], flat))
        initializers += field(5, weights(f"bias{at}", [outputs], bias))
        nodes += field(1, node("Gemm", [last, f"weights{at}", f"bias{at}"], f"sum{at}"))
        final = at + 1 == len(layers)
        output = "risk" if final else f"act{at}"
        nodes += field(1, node("Sigmoid" if final else "Relu", [f"sum{at}"], output))
        last = output
    width = len(layers[0][0])
    graph = nodes + field(2, "signin-risk-sklearn") + initializers
    graph += field(11, value("features", width)) + field(12, value("risk", 1))
    operators = field(1, "") + field(2, 17)
    return field(1, 8) + field(2, "signin-risk-sklearn") + field(7, graph) + field(8, operators)
