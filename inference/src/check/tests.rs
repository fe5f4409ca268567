use bytes::Bytes;

use super::*;

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype, shape: shape.to_vec() }
}

fn model() -> Description {
    Description {
        engine: "none",
        engine_version: "0".to_owned(),
        platform: "onnx",
        inputs: vec![spec("x", Datatype::Fp32, &[-1, 2]), spec("mask", Datatype::Bool, &[2])],
        outputs: vec![spec("y", Datatype::Fp32, &[-1]), spec("z", Datatype::Bytes, &[-1])],
        batch_max: 0,
        free_first: false,
    }
}

fn tensor(name: &str, datatype: Datatype, shape: &[u64], data: &[u8]) -> Tensor {
    let data = Bytes::copy_from_slice(data);
    Tensor { name: name.to_owned(), datatype, shape: shape.to_vec(), data }
}

fn x() -> Tensor {
    tensor("x", Datatype::Fp32, &[1, 2], &[0; 8])
}

fn mask() -> Tensor {
    tensor("mask", Datatype::Bool, &[2], &[0, 1])
}

fn ask(inputs: Vec<Tensor>, outputs: &[&str]) -> Result<Request, String> {
    let outputs = outputs.iter().map(|&name| name.to_owned()).collect();
    check(Infer { budget_us: 0, inputs, outputs }, &model()).map_err(|fault| {
        assert_eq!(fault.kind, types::ErrorKind::BadRequest);
        fault.message
    })
}

#[test]
fn inputs_come_in_any_order_and_leave_in_the_models() {
    let request = ask(vec![mask(), x()], &["z"]).unwrap();
    assert_eq!(request.inputs, [x(), mask()]);
    assert_eq!(request.outputs, [1]);
    assert_eq!(ask(vec![x(), mask()], &[]).unwrap().outputs, [0, 1]);
}

#[test]
fn every_refusal_tells_what_the_model_wants() {
    let wants = "the model wants \"x\" as FP32 [-1, 2], \"mask\" as BOOL [2]";
    for (inputs, outputs, told) in [
        (vec![x()], vec![], format!("input \"mask\" is missing; {wants}")),
        (vec![x(), mask(), x()], vec![], format!("input \"x\" is given twice; {wants}")),
        (
            vec![x(), mask(), tensor("w", Datatype::Bool, &[0], &[])],
            vec![],
            format!("there is no input \"w\"; {wants}"),
        ),
        (
            vec![tensor("x", Datatype::Fp64, &[1, 2], &[0; 16]), mask()],
            vec![],
            "input \"x\" is FP64 [1, 2]; the model wants FP32 [-1, 2], where -1 is any size".into(),
        ),
        (
            vec![tensor("x", Datatype::Fp32, &[1, 3], &[0; 12]), mask()],
            vec![],
            "input \"x\" is FP32 [1, 3]; the model wants FP32 [-1, 2], where -1 is any size".into(),
        ),
        (
            vec![tensor("x", Datatype::Fp32, &[1, 2], &[0; 7]), mask()],
            vec![],
            "input \"x\" has 7 bytes of data, which are not the 2 elements of FP32 [1, 2]".into(),
        ),
        (
            vec![tensor("x", Datatype::Fp32, &[u64::MAX, 2], &[]), mask()],
            vec![],
            format!("input \"x\" of shape [{}, 2] is too large", u64::MAX),
        ),
        (
            vec![x(), tensor("mask", Datatype::Bool, &[2], &[0, 2])],
            vec![],
            "input \"mask\" is BOOL; its bytes are 0 or 1".into(),
        ),
        (
            vec![x(), mask()],
            vec!["w"],
            "there is no output \"w\"; the model gives \"y\" as FP32 [-1], \"z\" as BYTES [-1]"
                .into(),
        ),
    ] {
        assert_eq!(ask(inputs, &outputs).unwrap_err(), told);
    }
}
