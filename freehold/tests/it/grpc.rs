//! A gRPC client of the Open Inference Protocol, made from the same proto file as everyone's.

use bytes::Bytes;
use gateway::proto::ModelInferRequest;
use gateway::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use gateway::proto::model_infer_request::InferInputTensor;
use tonic::{Code, Request, Status};

/// Sends one row of two numbers, and gives the numbers of the first output.
pub(crate) async fn infer(
    address: &str,
    token: Option<&str>,
    (model, input): (&str, &str),
    row: [f32; 2],
) -> Result<Vec<f32>, Status> {
    let unreachable = |error: tonic::transport::Error| Status::unavailable(error.to_string());
    let mut client =
        GrpcInferenceServiceClient::connect(address.to_owned()).await.map_err(unreachable)?;
    let data: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
    let mut request = Request::new(ModelInferRequest {
        model_name: model.to_owned(),
        inputs: vec![InferInputTensor {
            name: input.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, 2],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![Bytes::from(data)],
        ..ModelInferRequest::default()
    });
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    let answer = client.model_infer(request).await?.into_inner();
    let data = answer
        .raw_output_contents
        .first()
        .ok_or_else(|| Status::new(Code::Internal, "the answer has no raw output"))?;
    Ok(data.chunks_exact(4).map(|it| f32::from_le_bytes(it.try_into().unwrap())).collect())
}
