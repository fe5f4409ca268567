//! The Open Inference Protocol's bodies, both ways.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use formats::oip::{
    Parameters, Request, RequestedOutput, Response, check_inputs, check_outputs, check_tensor,
    parse_request, parse_response, write_request, write_response, write_response_parts,
};
use types::{Datatype, Tensor, TensorSpec};

fn tensor(name: &str, datatype: Datatype, shape: &[u64], data: &[u8]) -> Tensor {
    let data = Bytes::copy_from_slice(data);
    Tensor { name: name.to_owned(), datatype, shape: shape.to_vec(), data }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A request with one input of this datatype, shape and data.
fn one_input(datatype: &str, shape: &Value, data: &Value) -> Bytes {
    let input = json!({"name": "x", "datatype": datatype, "shape": shape, "data": data});
    json!({ "inputs": [input] }).to_string().into()
}

#[test]
fn a_request_of_triton_s_client_is_understood() {
    let header = r#"{"id":"7","parameters":{"binary_data_output":true,"timeout":1500,
        "triton_enable_empty_final_response":false},
        "inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}},
        {"name":"s","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":7}},
        {"name":"j","shape":[2],"datatype":"INT64","data":[1,-2]}],
        "outputs":[{"name":"y"},
        {"name":"z","parameters":{"binary_data":false,"classification":0}}]}"#;
    let data = floats(&[1.5, -2.0]);
    let body: Bytes = [header.as_bytes(), &data, b"\x03\0\0\0abc"].concat().into();
    let request = parse_request(body.clone(), Some(header.len())).unwrap();
    assert_eq!(request.id.as_deref(), Some("7"));
    assert_eq!(request.timeout_us(), Some(1500));
    assert_eq!(request.inputs[0], tensor("x", Datatype::Fp32, &[1, 2], &data));
    assert_eq!(request.inputs[1].data, b"\x03\0\0\0abc"[..]);
    assert_eq!(request.inputs[2].data[8..], (-2_i64).to_le_bytes());
    assert!(request.wants_binary("y") && !request.wants_binary("z"));
    let of_body = body.as_ptr() as usize + header.len();
    assert_eq!(request.inputs[0].data.as_ptr() as usize, of_body, "sliced, not copied");
}

#[test]
fn data_may_be_flat_or_nested_in_any_order_of_keys() {
    let flat = one_input("FP32", &json!([2, 2]), &json!([1, 2.5, 3e0, -4]));
    let nested = Bytes::from_static(
        br#" { "inputs" : [ { "data" : [ [ 1 , 2.5 ] , [ 3.0 , -4 ] ] , "shape" : [ 2 , 2 ] ,
        "unknown" : { "a" : [ null ] } , "datatype" : "FP32" , "name" : "x" } ] } "#,
    );
    let wanted = tensor("x", Datatype::Fp32, &[2, 2], &floats(&[1.0, 2.5, 3.0, -4.0]));
    for body in [flat, nested] {
        assert_eq!(parse_request(body, None).unwrap().inputs, std::slice::from_ref(&wanted));
    }
}

#[test]
fn odd_but_clear_data_is_taken() {
    let cases = [
        ("INT64", json!([1]), json!([3.0]), 3_i64.to_le_bytes().to_vec()),
        ("INT64", json!([]), json!(5), 5_i64.to_le_bytes().to_vec()),
        ("INT64", json!([]), json!([5]), 5_i64.to_le_bytes().to_vec()),
        ("UINT64", json!([1]), json!([u64::MAX]), u64::MAX.to_le_bytes().to_vec()),
        ("INT8", json!([3]), json!([-128, 1e2, 0]), vec![128, 100, 0]),
        ("BOOL", json!([4]), json!([true, false, 1, 0]), vec![1, 0, 1, 0]),
        (
            "BYTES",
            json!([2]),
            json!(["a\"\\ä\n", ""]),
            b"\x06\0\0\0a\"\\\xC3\xA4\n\0\0\0\0".to_vec(),
        ),
        ("FP32", json!([0]), json!([]), vec![]),
        ("FP32", json!([2, 0]), json!([[], []]), vec![]),
        ("FP64", json!([1]), json!([0.1]), 0.1_f64.to_le_bytes().to_vec()),
        ("FP64", json!([1]), json!([null]), f64::NAN.to_le_bytes().to_vec()),
    ];
    for (datatype, shape, data, wanted) in cases {
        let request = parse_request(one_input(datatype, &shape, &data), None).unwrap();
        assert_eq!(request.inputs[0].data, wanted, "{datatype} {shape} {data}");
    }
}

#[test]
fn base64_texts_are_decoded_where_the_input_says_so() {
    let body = r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES",
        "parameters":{"content_type":"base64"},"data":["/wA="]}]}"#;
    let request = parse_request(body.into(), None).unwrap();
    assert_eq!(request.inputs[0].data, b"\x02\0\0\0\xFF\0"[..]);
}

/// The answers to bodies; of each the JSON, whether its length is told, and what follows it.
fn refusals(cases: &[(String, bool, &[u8])]) -> String {
    let mut answers = String::new();
    for (json, has_length, blob) in cases {
        let shown: String = json.chars().take(110).collect();
        let body = [json.as_bytes(), blob].concat();
        let refusal =
            parse_request(body.into(), has_length.then_some(json.len())).expect_err(&shown);
        answers += &format!("{shown}\n  {}: {refusal}\n", refusal.code());
    }
    answers
}

#[test]
fn every_wrong_json_is_refused_in_words() {
    let x = |more: Value| {
        let mut input = json!({"name": "x", "datatype": "FP32", "shape": [2], "data": [1, 2]});
        for (key, value) in more.as_object().unwrap() {
            input[key] = value.clone();
        }
        json!({"inputs": [input]}).to_string()
    };
    let base64 = json!({"content_type": "base64"});
    let deep = format!("{}1{}", "[".repeat(300), "]".repeat(300));
    let cases = [
        String::new(),
        "[]".into(),
        "{\"inputs\": [".into(),
        "{}".into(),
        r#"{"inputs":[{"name":"x","datatype":"FP32","data":[1]}]}"#.into(),
        r#"{"id":7,"inputs":[]}"#.into(),
        r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[NaN]}]}"#.into(),
        x(json!({"name": ""})),
        x(json!({"datatype": "FLOAT32"})),
        x(json!({"datatype": "FP16"})),
        x(json!({"shape": [-1, 2]})),
        x(json!({"shape": [1, 1, 1, 1, 1, 1, 1, 1, 2]})),
        x(json!({"shape": [4_294_967_296_u64, 4_294_967_296_u64, 0, 9]})),
        x(json!({"shape": [3]})),
        x(json!({"shape": [1]})),
        x(json!({"data": [1, "two"]})),
        x(json!({"data": [1, {"two": 2}]})),
        x(json!({"data": [1, 1e39]})),
        x(json!({"data": [1, [2]]})),
        x(json!({"data": [[1], [2]]})),
        x(json!({"data": [[1, 2]], "shape": [2, 1]})),
        x(json!({"data": [[[1, 2]]], "shape": [1, 2]})),
        x(json!({"data": [[], 1], "shape": [1, 1]})),
        x(json!({"data": "[1,2]"})),
        x(json!({"data": {}})),
        x(json!({"data": null})),
        x(json!({"datatype": "INT32", "data": [1, 2.5]})),
        x(json!({"datatype": "UINT8", "data": [1, 256]})),
        x(json!({"datatype": "INT64", "data": [1, 1e300]})),
        x(json!({"datatype": "BOOL", "data": [true, 2]})),
        x(json!({"datatype": "BYTES", "data": ["a", 1]})),
        x(json!({"datatype": "BYTES", "data": ["a", "b"], "parameters": base64})),
        x(json!({})).replace("[1,2]", &deep),
        r#"{"inputs":[{"name":"x","datatype":"FP32","shape":[0]},
            {"name":"x","datatype":"FP32","shape":[0]}]}"#
            .into(),
        r#"{"inputs":[],"outputs":[{"name":"y"},{"name":"y"}]}"#.into(),
        r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"classification":3}}]}"#.into(),
        r#"{"inputs":[],"outputs":[{"name":"y","parameters":{"shared_memory_region":"r"}}]}"#
            .into(),
    ];
    insta::assert_snapshot!(refusals(&cases.map(|json| (json, false, &b""[..]))));
}

#[test]
fn every_wrong_binary_body_is_refused_in_words() {
    let x = |datatype: &str, parameters: Value| {
        let input =
            json!({"name": "x", "datatype": datatype, "shape": [2], "parameters": parameters});
        json!({"inputs": [input]}).to_string()
    };
    let sized = |bytes: i32| json!({"binary_data_size": bytes});
    let both = x("FP32", sized(8)).replace("\"shape\"", "\"data\":[1,2],\"shape\"");
    let cases: [(String, bool, &[u8]); 11] = [
        (both, true, &[0; 8]),
        (x("FP32", json!({})), true, b""),
        (x("FP32", json!({"shared_memory_region": "r"})), true, b""),
        (x("FP32", sized(8)), false, b""),
        (x("FP32", sized(-8)), true, b""),
        (x("FP32", sized(8)), true, b"1234"),
        (x("FP32", sized(4)), true, b"1234"),
        (x("FP32", sized(8)), true, b"123456789"),
        (x("BYTES", sized(9)), true, b"\x01\0\0\0a\xFF\0\0\0"),
        (x("BYTES", sized(5)), true, b"\x01\0\0\0a"),
        (x("BYTES", sized(12)), true, &[0; 12]),
    ];
    let mut answers = refusals(&cases);
    for length in [0, 400] {
        answers += &format!("{}\n", parse_request("{}".into(), Some(length)).unwrap_err());
    }
    insta::assert_snapshot!(answers);
}

#[test]
fn a_false_shape_takes_no_memory() {
    let shape = json!([1_u64 << 40]);
    assert!(parse_request(one_input("FP64", &shape, &json!([1])), None).is_err());
    assert!(parse_request(one_input("BYTES", &shape, &json!(["a"])), None).is_err());
}

#[test]
fn inputs_are_held_against_the_model_in_words() {
    let spec = |name: &str, shape: &[i64]| TensorSpec {
        name: name.to_owned(),
        datatype: Datatype::Fp32,
        shape: shape.to_vec(),
    };
    let wanted = [spec("x", &[-1, 2]), spec("mask", &[-1])];
    let x = tensor("x", Datatype::Fp32, &[1, 2], &[0; 8]);
    let mask = tensor("mask", Datatype::Fp32, &[1], &[0; 4]);
    assert_eq!(check_inputs(&[mask.clone(), x.clone()], &wanted), Ok(()));
    let named = |name: &str| Tensor { name: name.to_owned(), ..x.clone() };
    let cases = [
        vec![x.clone()],
        vec![x.clone(), mask.clone(), named("y")],
        vec![x.clone(), mask.clone(), x.clone()],
        vec![Tensor { shape: vec![2, 1], ..x.clone() }, mask.clone()],
        vec![Tensor { datatype: Datatype::Int32, ..x.clone() }, mask.clone()],
    ];
    let mut answers = String::new();
    for inputs in cases {
        answers += &format!("{}\n", check_inputs(&inputs, &wanted).unwrap_err());
    }
    answers += &format!("{}\n", check_outputs(["y"], &wanted).unwrap_err());
    let short = Tensor { shape: vec![1, 3], ..x };
    answers += &format!("{}\n", check_tensor(&short).unwrap_err());
    insta::assert_snapshot!(answers);
}

#[test]
fn a_response_looks_as_clients_expect() {
    let response = Response {
        model_name: "signin-risk".to_owned(),
        model_version: Some("3".to_owned()),
        id: Some("7".to_owned()),
        parameters: Parameters::new(),
        outputs: vec![
            tensor("risk", Datatype::Fp32, &[1, 3], &floats(&[0.25, f32::NAN, 1e-7])),
            tensor("label", Datatype::Bytes, &[1], b"\x06\0\0\0a\"b\xC3\xA4c"),
            tensor("raw", Datatype::Fp16, &[2], &[0, 60, 0, 64]),
        ],
    };
    let (body, header_length) = write_response(&response, |name| name == "raw").unwrap();
    let header_length = header_length.unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&body[..header_length]));
    assert_eq!(body[header_length..], [0, 60, 0, 64]);
    let parts = write_response_parts(&response, |_| true).unwrap();
    assert_eq!(parts.blobs[0].as_ptr(), response.outputs[0].data.as_ptr(), "not copied");
    let refusal = write_response(&response, |_| false).unwrap_err();
    assert_eq!(refusal.code(), "not_acceptable");
    assert_eq!(
        refusal.to_string(),
        "output \"raw\": FP16 cannot be said in JSON; ask for it in binary (\"binary_data\": true)"
    );
}

fn shapes() -> impl Strategy<Value = Vec<u64>> {
    vec(0..5_u64, 0..4)
}

fn tensors() -> impl Strategy<Value = Vec<Tensor>> {
    let one = (0..14_usize, shapes()).prop_flat_map(|(kind, shape)| {
        let datatype = Datatype::ALL[kind];
        let count = usize::try_from(shape.iter().product::<u64>()).unwrap();
        let data = if let Some(bytes) = datatype.element_bytes() {
            let top = if datatype == Datatype::Bool { 2_u8 } else { 255 };
            vec(0..top, bytes * count).boxed()
        } else {
            vec(".{0,6}", count)
                .prop_map(|texts| {
                    let lengths = texts.iter().map(|text| u32::try_from(text.len()).unwrap());
                    let pairs = lengths.zip(&texts);
                    pairs
                        .flat_map(|(n, text)| [&n.to_le_bytes()[..], text.as_bytes()].concat())
                        .collect()
                })
                .boxed()
        };
        data.prop_map(move |data: Vec<u8>| tensor("", datatype, &shape, &data))
    });
    vec(one, 0..4).prop_map(|mut tensors| {
        for (number, tensor) in tensors.iter_mut().enumerate() {
            tensor.name = format!("t{number}");
        }
        tensors
    })
}

/// Whether JSON carries a tensor exactly: no half floats, nothing that is not a number.
fn is_exact_in_json(tensor: &Tensor) -> bool {
    let finite =
        |width: usize, is_finite: fn(&[u8]) -> bool| tensor.data.chunks(width).all(is_finite);
    match tensor.datatype {
        Datatype::Fp16 | Datatype::Bf16 => false,
        Datatype::Fp32 => {
            finite(4, |bytes| f32::from_le_bytes(bytes.try_into().unwrap()).is_finite())
        }
        Datatype::Fp64 => {
            finite(8, |bytes| f64::from_le_bytes(bytes.try_into().unwrap()).is_finite())
        }
        _ => true,
    }
}

proptest! {
    /// A request survives the wire, whichever inputs go in binary.
    #[test]
    fn requests_survive_the_wire(
        inputs in tensors(),
        id in proptest::option::of(".{0,5}"),
        in_binary: [bool; 4],
        outputs in vec(proptest::option::of(any::<bool>()), 0..3),
        binary_output_default: bool,
    ) {
        let outputs = outputs.into_iter().enumerate().map(|(number, binary)| {
            RequestedOutput { name: format!("y{number}"), binary }
        });
        let outputs = outputs.collect();
        let mut request =
            Request { id, parameters: Parameters::new(), inputs, outputs, binary_output_default };
        let binary = |name: &str| {
            let index: usize = name[1..].parse().unwrap();
            in_binary[index] || !is_exact_in_json(&request.inputs[index])
        };
        let (body, header_length) = write_request(&request, binary).unwrap();
        if binary_output_default {
            request.parameters.insert("binary_data_output".to_owned(), Value::Bool(true));
        }
        prop_assert_eq!(parse_request(body, header_length).unwrap(), request);
    }

    /// A response survives the wire, and nesting its data as its shape changes nothing.
    #[test]
    fn responses_survive_the_wire(outputs in tensors(), in_binary: [bool; 4]) {
        let outputs: Vec<Tensor> = outputs.into_iter().filter(is_exact_in_json).collect();
        let response = Response { model_name: "m".to_owned(), outputs, ..Response::default() };
        let binary = |name: &str| in_binary[name[1..].parse::<usize>().unwrap()];
        let (body, header_length) = write_response(&response, binary).unwrap();
        prop_assert_eq!(&parse_response(body, header_length).unwrap(), &response);
        // A `serde_json::Value` may lose the last bit of a float; the rest is nested.
        let mut response = response;
        response.outputs.retain(|output| {
            !matches!(output.datatype, Datatype::Fp32 | Datatype::Fp64)
        });
        let (body, _) = write_response(&response, |_| false).unwrap();
        let mut nested: Value = serde_json::from_slice(&body).unwrap();
        for output in nested["outputs"].as_array_mut().unwrap() {
            let shape: Vec<usize> = serde_json::from_value(output["shape"].clone()).unwrap();
            let flat = output["data"].as_array().unwrap().clone();
            output["data"] = nest(&mut flat.into_iter(), &shape);
        }
        let body = nested.to_string().into();
        prop_assert_eq!(&parse_response(body, None).unwrap(), &response);
    }

    /// No bytes make the reader panic.
    #[test]
    fn any_bytes_are_a_request_or_an_error(
        bytes in vec(any::<u8>(), 0..200),
        length in 0..300_usize,
    ) {
        let _ = parse_request(bytes.clone().into(), None);
        let _ = parse_request(bytes.into(), Some(length));
    }

    /// A broken byte in a request is refused, or is another request.
    #[test]
    fn a_broken_byte_is_survived(inputs in tensors(), at in any::<prop::sample::Index>(), to: u8) {
        let request = Request { inputs, ..Request::default() };
        let (body, header_length) = write_request(&request, |_| true).unwrap();
        let mut body = body.to_vec();
        let at = at.index(body.len());
        body[at] = to;
        let _ = parse_request(body.into(), header_length);
    }
}

fn nest(flat: &mut impl Iterator<Item = Value>, shape: &[usize]) -> Value {
    match shape {
        [] => flat.next().unwrap(),
        [size, inner @ ..] => {
            let mut items = Vec::new();
            for _ in 0..*size {
                items.push(nest(flat, inner));
            }
            Value::Array(items)
        }
    }
}
