//! The Open Inference Protocol over gRPC, through a client made from the same proto file.

use bytes::Bytes;
use gateway::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use gateway::proto::infer_parameter::ParameterChoice;
use gateway::proto::model_infer_request::{InferInputTensor, InferRequestedOutputTensor};
use gateway::proto::{
    InferParameter, InferTensorContents, ModelConfigRequest, ModelInferRequest,
    ModelMetadataRequest, ModelReadyRequest, ModelStatisticsRequest, RepositoryIndexRequest,
    ServerLiveRequest, ServerMetadataRequest, ServerReadyRequest,
};
use tonic::codec::CompressionEncoding;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::world::{ACME, OTHER, World};

pub(crate) type Client = GrpcInferenceServiceClient<Channel>;

pub(crate) async fn client(world: &World) -> Client {
    let client = Client::connect(format!("http://{}", world.grpc)).await.unwrap();
    client.max_decoding_message_size(64 << 20)
}

fn by<T>(secret: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if !secret.is_empty() {
        let value = format!("Bearer {secret}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    request
}

pub(crate) fn infer(model: &str, raw: bool) -> ModelInferRequest {
    let values = [1.5_f32, -2.0];
    let data: Bytes = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    let contents = InferTensorContents { fp32_contents: values.to_vec(), ..Default::default() };
    let yes = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    ModelInferRequest {
        model_name: model.to_owned(),
        id: "7".to_owned(),
        parameters: [("triton_enable_empty_final_response".to_owned(), yes)].into(),
        inputs: vec![InferInputTensor {
            name: "INPUT".to_owned(),
            datatype: "FP32".to_owned(),
            shape: vec![1, 2],
            contents: (!raw).then_some(contents),
            ..Default::default()
        }],
        raw_input_contents: if raw { vec![data] } else { vec![] },
        ..Default::default()
    }
}

fn line<T: std::fmt::Debug>(answer: Result<tonic::Response<T>, Status>) -> String {
    match answer {
        Ok(answer) => format!("{:?}", answer.into_inner()),
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

#[tokio::test]
async fn answers_and_errors_are_the_protocols() {
    let world = World::start().await;
    let mut client = client(&world).await;
    let mut golden = vec![];
    golden.push(line(client.server_live(by("", ServerLiveRequest {})).await));
    golden.push(line(client.server_ready(by("", ServerReadyRequest {})).await));
    golden.push(line(client.server_metadata(by("", ServerMetadataRequest {})).await));
    for (name, version) in [("echo", ""), ("echo", "3"), ("echo", "4"), ("cold", ""), ("none", "")]
    {
        let (name, version) = (name.to_owned(), version.to_owned());
        let asked = ModelReadyRequest { name: name.clone(), version: version.clone() };
        golden.push(line(client.model_ready(by(ACME, asked)).await));
        let asked = ModelMetadataRequest { name: name.clone(), version: version.clone() };
        golden.push(line(client.model_metadata(by(ACME, asked)).await));
        let asked = ModelConfigRequest { name, version };
        golden.push(line(client.model_config(by(ACME, asked)).await));
    }
    golden.push(line(client.repository_index(by(OTHER, RepositoryIndexRequest::default())).await));
    let mut mixed = infer("echo", true);
    mixed.inputs[0].contents = infer("echo", false).inputs[0].contents.clone();
    let mut short = infer("echo", true);
    short.raw_input_contents[0].truncate(4);
    let mut many = infer("echo", true);
    many.raw_input_contents.push(Bytes::new());
    let mut negative = infer("echo", true);
    negative.inputs[0].shape[0] = -1;
    let mut classes = infer("echo", true);
    let two = InferParameter { parameter_choice: Some(ParameterChoice::Int64Param(2)) };
    classes.outputs = vec![InferRequestedOutputTensor {
        name: "OUTPUT".to_owned(),
        parameters: [("classification".to_owned(), two)].into(),
    }];
    let plain = [infer("echo", true), infer("echo", false), infer("chain", true)];
    let broken = [mixed, short, many, negative, classes, infer("none", true), infer("fail", true)];
    for request in plain.into_iter().chain(broken) {
        golden.push(line(client.model_infer(by(ACME, request)).await));
    }
    let golden = golden.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION");
    insta::assert_snapshot!(golden);
}

#[tokio::test]
async fn every_call_refuses_strangers() {
    let world = World::start().await;
    let mut client = client(&world).await;
    let mut table = String::new();
    for model in ["acme.echo", "acme.granted", "acme.open", "acme.none", "echo"] {
        for secret in [ACME, OTHER, "wrong", ""] {
            let name = model.to_owned();
            let asked = ModelMetadataRequest { name: name.clone(), version: String::new() };
            let metadata = client.model_metadata(by(secret, asked)).await.map(|_| ());
            let asked = ModelReadyRequest { name: name.clone(), version: String::new() };
            let ready = client.model_ready(by(secret, asked)).await.map(|_| ());
            let asked = ModelConfigRequest { name: name.clone(), version: String::new() };
            let config = client.model_config(by(secret, asked)).await.map(|_| ());
            let asked = ModelStatisticsRequest { name, version: String::new() };
            let statistics = client.model_statistics(by(secret, asked)).await.map(|_| ());
            let infer = client.model_infer(by(secret, infer(model, true))).await.map(|_| ());
            let mut codes: Vec<_> = [metadata, ready, config, statistics, infer]
                .map(|it| it.map_or_else(|status| status.code(), |()| tonic::Code::Ok))
                .into();
            codes.dedup();
            table += &format!("{model} by {secret:?}: {codes:?}\n");
        }
    }
    insta::assert_snapshot!(table);
}

#[tokio::test]
async fn an_answer_is_compressed_only_where_its_request_was() {
    let world = World::start().await;
    let plain = client(&world).await.accept_compressed(CompressionEncoding::Gzip);
    let packed = plain.clone().send_compressed(CompressionEncoding::Gzip);
    for (mut client, wanted) in [(plain, None), (packed, Some("gzip"))] {
        let answer = client.model_infer(by(ACME, infer("echo", true))).await.unwrap();
        let encoding = answer.metadata().get("grpc-encoding").map(|it| it.to_str().unwrap());
        // The header tells what may come; the flag of the message what came.
        assert!(encoding.is_none() || encoding == Some("gzip"), "{wanted:?}");
        assert_eq!(answer.get_ref().raw_output_contents.len(), 1);
    }
}

#[tokio::test]
async fn a_stream_answers_in_order_and_an_error_does_not_end_it() {
    let world = World::start().await;
    let mut client = client(&world).await;
    let models = ["echo", "none", "echo"];
    let requests = models.map(|model| infer(model, true));
    let sent = by(ACME, tokio_stream::iter(requests));
    let mut answers = client.model_stream_infer(sent).await.unwrap().into_inner();
    let mut golden = String::new();
    while let Some(answer) = answers.message().await.unwrap() {
        golden += &format!("{answer:?}\n");
    }
    insta::assert_snapshot!(golden);
}

#[tokio::test]
async fn a_call_that_is_cancelled_is_cancelled_at_the_worker() {
    let mut world = World::start().await;
    let mut client = client(&world).await;
    let asked = client.model_infer(by(ACME, infer("slow", true)));
    tokio::select! {
        _ = asked => panic!("the worker never answers"),
        seen = world.slow.recv() => assert_eq!(seen, Some("infer")),
    }
    assert_eq!(world.slow.recv().await, Some("cancel"));
}

#[tokio::test]
async fn credentials_with_a_space_in_front_are_taken() {
    let world = World::start().await;
    let mut client = client(&world).await;
    let mut request = Request::new(infer("echo", true));
    let value = format!(" Bearer {ACME}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    assert!(client.model_infer(request).await.is_ok());
}

#[tokio::test]
async fn a_large_tensor_passes_unchanged() {
    let world = World::start().await;
    let mut client = client(&world).await;
    let data = (0..=250_u8).cycle().take(16 << 20).collect::<Bytes>();
    let mut request = infer("echo", true);
    request.inputs[0].shape = vec![2 << 20, 2];
    request.raw_input_contents = vec![data.clone()];
    let answer = client.model_infer(by(ACME, request)).await.unwrap().into_inner();
    assert!(answer.raw_output_contents == [data], "the data came back changed");
}
