//! A client over gRPC, with raw contents.

use std::collections::HashMap;

use gateway::proto::ModelInferRequest;
use gateway::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use gateway::proto::model_infer_request::InferInputTensor;
use tonic::Request;
use tonic::transport::Endpoint;

use crate::{Failed, Plan, Window};

/// Asks over one connection until the window closes.
pub(crate) async fn client(plan: &Plan, window: Window) -> Result<Vec<u64>, Failed> {
    let endpoint = Endpoint::from_shared(format!("http://{}", plan.address))?.tcp_nodelay(true);
    let mut client = GrpcInferenceServiceClient::new(endpoint.connect().await?)
        .max_decoding_message_size(usize::MAX);
    let message = message(plan)?;
    let token = plan.token.as_ref().map(|token| format!("Bearer {token}").parse());
    let token = token.transpose()?;
    let asking = async || {
        let mut request = Request::new(message.clone());
        if let Some(token) = &token {
            request.metadata_mut().insert("authorization", Clone::clone(token));
        }
        let answer = client.model_infer(request).await?.into_inner();
        if answer.outputs.is_empty() { Err("an answer without outputs".into()) } else { Ok(()) }
    };
    window.fill(asking).await
}

fn message(plan: &Plan) -> Result<ModelInferRequest, Failed> {
    let tensor = &plan.tensor;
    let shape = tensor.shape.iter().map(|&size| i64::try_from(size));
    let input = InferInputTensor {
        name: tensor.name.clone(),
        datatype: tensor.datatype.clone(),
        shape: shape.collect::<Result<_, _>>()?,
        parameters: HashMap::default(),
        contents: None,
    };
    Ok(ModelInferRequest {
        model_name: plan.model.clone(),
        inputs: vec![input],
        raw_input_contents: vec![tensor.data.clone()],
        ..ModelInferRequest::default()
    })
}
