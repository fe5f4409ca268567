//! Requests and answers of the Open Inference Protocol, and what is in them.

use bytes::Bytes;
use serde_json::json;

use api::client::{Invocation, Invoked};
use formats::oip;
use types::{Datatype, Tensor};

/// How long an answer may take.
const WAIT_MS: u64 = 10_000;

/// Rows of two numbers under this name.
pub fn rows(name: &str, rows: &[[f32; 2]]) -> Tensor {
    let data: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    Tensor {
        name: name.to_owned(),
        datatype: Datatype::Fp32,
        shape: vec![rows.len() as u64, 2],
        data: Bytes::from(data),
    }
}

/// A request in JSON with one row of two numbers.
pub fn json_request(name: &str, row: [f32; 2]) -> Invocation {
    let input = json!({ "name": name, "shape": [1, 2], "datatype": "FP32", "data": row });
    invocation(json!({ "inputs": [input] }).to_string())
}

/// A JSON body.
pub fn invocation(body: impl Into<Bytes>) -> Invocation {
    Invocation {
        media_type: "application/json".to_owned(),
        accept: None,
        body: body.into(),
        header_length: None,
        wait_ms: WAIT_MS,
    }
}

/// The same request with binary tensors, both ways.
pub fn binary_request(input: Tensor) -> Invocation {
    let request = oip::Request {
        id: Some("7".to_owned()),
        parameters: oip::Parameters::default(),
        inputs: vec![input],
        outputs: Vec::new(),
        binary_output_default: true,
    };
    let (body, header_length) =
        oip::write_request(&request, |_| true).expect("the tensor is well formed");
    let media_type = "application/octet-stream".to_owned();
    Invocation { media_type, accept: None, body, header_length, wait_ms: WAIT_MS }
}

/// The numbers of the first output.
pub fn numbers(answer: &Invoked) -> Vec<f32> {
    let answer = oip::parse_response(answer.body.clone(), answer.header_length);
    floats(&answer.expect("it speaks the protocol").outputs[0])
}

/// The numbers of a tensor.
pub fn floats(tensor: &Tensor) -> Vec<f32> {
    assert_eq!(tensor.datatype, Datatype::Fp32);
    let words = tensor.data.chunks_exact(4);
    words.map(|bytes| f32::from_le_bytes(bytes.try_into().expect("four bytes"))).collect()
}
