//! Asking the endpoint by the Open Inference Protocol, as its usual clients do: over REST with
//! JSON, and over gRPC.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use tonic::metadata::AsciiMetadataValue;
use tonic::transport::Channel;

use api::client::{Client, Invocation};
use gateway::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use gateway::proto::infer_parameter::ParameterChoice;
use gateway::proto::model_infer_request::InferInputTensor;
use gateway::proto::{InferParameter, InferTensorContents, ModelInferRequest, ModelInferResponse};
use types::Name;

use super::signins::SignIn;
use crate::exit::Failure;

/// The tensors of the example's model.
const INPUT: &str = "features";
const OUTPUT: &str = "risk";
/// Longest wait for one answer.
const WAIT: Duration = Duration::from_secs(10);

/// A request about these sign-ins, in the protocol's JSON.
pub fn request(signins: &[&SignIn]) -> Value {
    let data: Vec<f32> = signins.iter().flat_map(|one| one.features.iter().copied()).collect();
    let shape = [signins.len(), signins.first().map_or(0, |one| one.features.len())];
    json!({ "inputs": [{ "name": INPUT, "shape": shape, "datatype": "FP32", "data": data }] })
}

/// Asks over REST: the risk of each sign-in.
pub async fn rest(
    client: &Client,
    endpoint: &Name,
    signins: &[&SignIn],
) -> Result<Vec<f32>, Failure> {
    let invocation = Invocation {
        media_type: "application/json".to_owned(),
        accept: None,
        body: Bytes::from(request(signins).to_string()),
        header_length: None,
        wait_ms: 0,
    };
    let answer = client.model_infer(None, endpoint, invocation).await?;
    let answer: Value = serde_json::from_slice(&answer.body)
        .map_err(|error| Failure::internal("the answer is no JSON", &error))?;
    let data = answer["outputs"].as_array().and_then(|outputs| {
        outputs.iter().find(|output| output["name"] == OUTPUT)?.get("data")?.as_array()
    });
    #[expect(clippy::cast_possible_truncation, reason = "the model answers FP32")]
    let risks: Option<Vec<f32>> =
        data.and_then(|data| data.iter().map(|risk| risk.as_f64().map(|it| it as f32)).collect());
    risks
        .filter(|risks| risks.len() == signins.len())
        .ok_or_else(|| Failure::refused(format!("the answer has no {OUTPUT} for each: {answer}")))
}

/// Somebody who asks over gRPC.
pub struct Grpc {
    client: GrpcInferenceServiceClient<Channel>,
    credentials: AsciiMetadataValue,
    endpoint: Name,
}

impl Grpc {
    /// Connects to `address` with a token.
    pub async fn connect(address: &str, token: &str, endpoint: &Name) -> Result<Self, Failure> {
        let client = GrpcInferenceServiceClient::connect(address.to_owned()).await;
        let client = client.map_err(|error| Failure::internal("could not reach gRPC", &error))?;
        let credentials = format!("Bearer {token}").parse();
        let credentials = credentials
            .map_err(|error| Failure::internal("the token is no header value", &error))?;
        Ok(Self { client, credentials, endpoint: endpoint.clone() })
    }

    /// Asks about one sign-in.
    pub async fn risk(&mut self, signin: &SignIn) -> Result<f32, Failure> {
        let columns = i64::try_from(signin.features.len()).unwrap_or(0);
        let contents = InferTensorContents {
            fp32_contents: signin.features.clone(),
            ..InferTensorContents::default()
        };
        let input = InferInputTensor {
            name: INPUT.to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, columns],
            contents: Some(contents),
            ..InferInputTensor::default()
        };
        let wait_us = i64::try_from(WAIT.as_micros()).unwrap_or(i64::MAX);
        let timeout =
            InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(wait_us)) };
        let message = ModelInferRequest {
            model_name: self.endpoint.to_string(),
            inputs: vec![input],
            parameters: [("timeout".to_owned(), timeout)].into(),
            ..ModelInferRequest::default()
        };
        let mut request = tonic::Request::new(message);
        request.metadata_mut().insert("authorization", self.credentials.clone());
        let answer = self.client.model_infer(request).await.map_err(|status| {
            Failure::refused(format!("gRPC: {}: {}", status.code(), status.message()))
        })?;
        first_risk(&answer.into_inner())
            .ok_or_else(|| Failure::refused(format!("the gRPC answer has no {OUTPUT}")))
    }
}

fn first_risk(answer: &ModelInferResponse) -> Option<f32> {
    let at = answer.outputs.iter().position(|output| output.name == OUTPUT)?;
    if let Some(raw) = answer.raw_output_contents.get(at) {
        return raw.first_chunk().map(|bytes| f32::from_le_bytes(*bytes));
    }
    answer.outputs[at].contents.as_ref()?.fp32_contents.first().copied()
}

/// The median time of asking `times` times, in microseconds.
pub async fn median_us<Asked>(times: usize, mut ask: Asked) -> Result<u64, Failure>
where
    Asked: AsyncFnMut() -> Result<(), Failure>,
{
    let mut took = Vec::with_capacity(times);
    for _ in 0..times {
        let begun = Instant::now();
        ask().await?;
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    let median = took.get(times / 2).copied().unwrap_or_default();
    Ok(u64::try_from(median.as_micros()).unwrap_or(u64::MAX))
}
