//! ONNX models: what they say of themselves, and what is found wrong with them.

use proptest::collection::vec;
use proptest::prelude::*;

use formats::archive::Entry;
use formats::onnx::{Model, findings, read};
use types::{Datatype, Digest, TensorSpec};

use crate::protobuf::{add_bias, external, field, graph, model, node, number, value, weights};

/// The parts of a graph.
type Parts = Vec<(u64, Vec<u8>)>;

fn spec(name: &str, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype: Datatype::Fp32, shape: shape.to_vec() }
}

fn file(path: &str, bytes: u64) -> Entry {
    Entry { path: path.to_owned(), bytes, executable: false, sha256: Digest([0; 32]) }
}

#[test]
fn a_model_tells_its_inputs_without_its_weights() {
    let read = read(add_bias()).unwrap();
    assert_eq!(read.inputs, [spec("x", &[-1, 4])]);
    assert_eq!(read.outputs, [spec("y", &[-1, 4])]);
    assert_eq!((read.ir_version, read.nodes, read.weights), (8, 1, 4));
    assert_eq!((read.producer.as_str(), read.opsets[0].version), ("by hand", 13));
    assert_eq!(findings(&read, "model.onnx", &[]), []);
}

#[test]
fn an_initialiser_that_is_also_an_input_is_a_default_and_not_needed() {
    let read = read(model(graph(&[
        (1, node("Add", &["x", "bias"], &["y"])),
        (5, weights("bias", &[1.0])),
        (11, value("x", 1, &[None])),
        (11, value("bias", 1, &[Some(1)])),
        (12, value("y", 1, &[None])),
    ])));
    let read = read.unwrap();
    assert_eq!(read.inputs, [spec("x", &[-1])]);
    assert_eq!(read.defects, []);
}

#[test]
fn a_graph_within_sees_the_names_around_it() {
    let branch = |name: &str| {
        let inner =
            graph(&[(1, node("Neg", &["x"], &["inner"])), (12, value("inner", 1, &[None]))]);
        field(5, [field(1, name), field(6, inner)].concat())
    };
    let choice = [node("If", &["flag"], &["y"]), branch("then_branch"), branch("else_branch")];
    let read = read(model(graph(&[
        (1, choice.concat()),
        (11, value("flag", 9, &[])),
        (11, value("x", 1, &[None])),
        (12, value("y", 1, &[None])),
    ])));
    assert_eq!(read.unwrap().defects, []);
}

#[test]
fn every_defect_is_told_with_a_cure() {
    let input = || (11, value("x", 1, &[None]));
    let output = || (12, value("y", 1, &[None]));
    let neg = || (1, node("Neg", &["x"], &["y"]));
    let long = [number(1, 2), number(2, 1), field(8, "w"), field(9, [0; 12])].concat();
    let sequence = [field(1, "y"), field(2, field(4, ""))].concat();
    let unshaped = [field(1, "y"), field(2, field(1, number(1, 1)))].concat();
    let elsewhere = [node("Neg", &["x"], &["y"]), field(7, "com.example")].concat();
    let cases: Vec<(&str, Parts)> = vec![
        ("input of nothing", vec![(1, node("Neg", &["z"], &["y"])), input(), output()]),
        (
            "input of a later node",
            vec![
                (1, node("Neg", &["z"], &["y"])),
                (1, node("Neg", &["x"], &["z"])),
                input(),
                output(),
            ],
        ),
        ("made twice", vec![neg(), neg(), input(), output()]),
        ("output of nothing", vec![input(), output()]),
        ("no output", vec![neg(), input()]),
        ("input twice", vec![neg(), input(), input(), output()]),
        ("output twice", vec![neg(), input(), output(), output()]),
        (
            "initialiser twice",
            vec![neg(), input(), output(), (5, weights("w", &[1.0])), (5, weights("w", &[1.0]))],
        ),
        ("weights of another length", vec![neg(), input(), output(), (5, long)]),
        ("no operator", vec![(1, node("", &["x"], &["y"])), input(), output()]),
        ("unknown operators", vec![(1, elsewhere), input(), output()]),
        ("a sequence comes out", vec![neg(), input(), (12, sequence)]),
        ("a complex number comes out", vec![neg(), input(), (12, value("y", 14, &[None]))]),
        ("no shape", vec![neg(), input(), (12, unshaped)]),
        ("nine dimensions", vec![neg(), input(), (12, value("y", 1, &[None; 9]))]),
    ];
    let mut answers = String::new();
    for (name, parts) in cases {
        answers += &format!("{name}\n");
        for finding in read(model(graph(&parts))).unwrap().defects {
            answers += &format!("  {finding}\n");
        }
    }
    let no_sets = [number(1, 8), field(7, graph(&[neg(), input(), output()]))].concat();
    for finding in read(no_sets).unwrap().defects {
        answers += &format!("no operator sets\n  {finding}\n");
    }
    insta::assert_snapshot!(answers);
}

fn with_external(entries: &[(&str, &str)]) -> Model {
    read(model(graph(&[
        (1, node("Add", &["x", "w"], &["y"])),
        (5, external("w", entries)),
        (11, value("x", 1, &[None])),
        (12, value("y", 1, &[None])),
    ])))
    .unwrap()
}

#[test]
fn external_weights_stay_in_the_package() {
    let files = [file("models/a.onnx", 100), file("models/weights.bin", 64)];
    let good: [&[(&str, &str)]; 3] = [
        &[("location", "weights.bin")],
        &[("location", "./weights.bin"), ("offset", "48"), ("length", "16")],
        &[("location", "weights.bin"), ("length", "64")],
    ];
    for entries in good {
        assert_eq!(findings(&with_external(entries), "models/a.onnx", &files), [], "{entries:?}");
    }
    let bad: [&[(&str, &str)]; 12] = [
        &[],
        &[("location", "")],
        &[("location", "/etc/passwd")],
        &[("location", "../other/weights.bin")],
        &[("location", "a/../../secret")],
        &[("location", "..\\secret")],
        &[("location", "C:/secret")],
        &[("location", "missing.bin")],
        &[("location", "weights.bin"), ("offset", "60"), ("length", "16")],
        &[("location", "weights.bin"), ("offset", "18446744073709551615"), ("length", "2")],
        &[("location", "weights.bin"), ("offset", "-1")],
        &[("location", "weights.bin"), ("length", "all")],
    ];
    let mut answers = String::new();
    for entries in bad {
        let found = findings(&with_external(entries), "models/a.onnx", &files);
        assert_eq!(found.len(), 1, "{entries:?}");
        answers += &format!("{entries:?}\n  {}\n", found[0]);
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn external_weights_within_constants_are_found_too() {
    let constant = [
        node("Constant", &[], &["c"]),
        field(
            5,
            [field(1, "value"), field(5, external("c", &[("location", "/etc/shadow")]))].concat(),
        ),
    ];
    let model = read(model(graph(&[(1, constant.concat()), (12, value("c", 1, &[Some(4)]))])));
    assert_eq!(findings(&model.unwrap(), "model.onnx", &[]).len(), 1);
}

#[test]
fn what_is_not_a_model_is_refused() {
    let mut answers = String::new();
    let many_nodes = field(7, field(1, "").repeat(2_000_001));
    let many_sizes = model(graph(&[(5, field(1, vec![1; 2_000]))]));
    // Each level of nesting is a graph within an attribute of a node.
    let mut deep = graph(&[]);
    for _ in 0..60 {
        deep = graph(&[(1, field(5, field(6, deep)))]);
    }
    let cases: [(&str, Vec<u8>); 8] = [
        ("nothing", vec![]),
        ("text", b"this is not a model".to_vec()),
        ("no graph", number(1, 8)),
        ("no version", field(7, graph(&[]))),
        ("cut", add_bias()[..40].to_vec()),
        ("many empty nodes", [number(1, 8), many_nodes].concat()),
        ("many sizes", many_sizes),
        ("deep", model(deep)),
    ];
    for (name, bytes) in cases {
        answers += &format!("{name}: {}\n", read(bytes).unwrap_err());
    }
    insta::assert_snapshot!(answers);
}

proptest! {
    /// No bytes make the reader panic.
    #[test]
    fn any_bytes_are_a_model_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        let _ = read(bytes);
    }

    /// A broken byte in a model is an error, a finding or another model.
    #[test]
    fn a_broken_byte_is_survived(at in any::<prop::sample::Index>(), to: u8) {
        let mut bytes = add_bias();
        let at = at.index(bytes.len());
        bytes[at] = to;
        if let Ok(model) = read(bytes) {
            findings(&model, "model.onnx", &[]);
        }
    }
}
