//! The gRPC form: the calls of `GRPCInferenceService`.
//!
//! Always true: credentials come from the metadata `authorization`, and wrong ones are refused
//! before a message is read; an answer is compressed only where its request was, since clients
//! accept compression without wanting it; unknown parameters are ignored.

mod answers;

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::listen::Peer;
use axum::body::Body;
use axum::extract::State;
use axum::middleware::{self, Next};
use futures::{Stream, StreamExt as _};
use tonic::codec::CompressionEncoding;
use tonic::{Code, Request, Response, Status, Streaming};
use tower_http::timeout::TimeoutBody;
use types::ErrorKind;

use crate::calls::{Asked, Call};
use crate::error::Error;
use crate::hub::Hub;
use crate::oip::{Model, contents};
use crate::proto::grpc_inference_service_server::{
    GrpcInferenceService, GrpcInferenceServiceServer,
};
use crate::proto::infer_parameter::ParameterChoice;
use crate::proto::{
    InferParameter, ModelConfigRequest, ModelConfigResponse, ModelInferRequest, ModelInferResponse,
    ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest, ModelReadyResponse,
    ModelStatisticsRequest, ModelStatisticsResponse, ModelStreamInferResponse,
    RepositoryIndexRequest, RepositoryIndexResponse, ServerLiveRequest, ServerLiveResponse,
    ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest, ServerReadyResponse,
};
use crate::routes::Caller;

/// Requests of one stream that are answered at the same time.
const STREAM_AHEAD: usize = 8;
/// Room for names and shapes beside the tensors of the largest message.
const MESSAGE_ROOM_BYTES: usize = 1 << 20;
/// The call whose requests may come with long pauses.
const STREAM_PATH: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
/// The code of a call that is not there, in headers.
const UNIMPLEMENTED: &str = "12";
/// Longest part of a call's name that is repeated in an answer.
const NAME_CHARS_MAX: usize = 160;
/// Parameter by which a client of streams asks to be told the last answer to a request.
const ASKS_FINAL: &str = "triton_enable_empty_final_response";
/// Parameter that tells it.
const IS_FINAL: &str = "triton_final_response";

/// The service, as a router of its own.
pub(crate) fn router(hub: Arc<Hub>) -> axum::Router {
    let bytes_max = hub.settings.body_bytes_max.saturating_add(MESSAGE_ROOM_BYTES);
    let server = GrpcInferenceServiceServer::new(Service { hub: Arc::clone(&hub) })
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Deflate)
        .send_compressed(CompressionEncoding::Gzip)
        .send_compressed(CompressionEncoding::Deflate)
        .max_decoding_message_size(bytes_max)
        .max_encoding_message_size(usize::MAX);
    let routes = tonic::service::Routes::new(server).into_axum_router();
    routes.layer(middleware::from_fn_with_state(hub, enter))
}

/// What happens to every call: wrong credentials are refused, stalled messages are given up.
async fn enter(
    State(hub): State<Arc<Hub>>,
    request: axum::extract::Request,
    next: Next,
) -> axum::response::Response {
    let _active = hub.metrics.begin();
    if let Err(error) = hub.caller(request.headers()) {
        return status(&error).into_http();
    }
    let uri = request.uri().clone();
    if uri.path() == STREAM_PATH {
        return next.run(request).await;
    }
    let pause = Duration::from_millis(hub.settings.body_pause_ms_max);
    let response = next.run(request.map(|body| Body::new(TimeoutBody::new(pause, body)))).await;
    if response.headers().get(Status::GRPC_STATUS).is_some_and(|code| code == UNIMPLEMENTED) {
        // Whatever refuses a call that is not there says nothing about it.
        let name: String = uri.path().chars().take(NAME_CHARS_MAX).collect();
        return Status::unimplemented(format!("there is no call {name:?} here")).into_http();
    }
    response
}

/// An error as gRPC tells it.
fn status(error: &Error) -> Status {
    let code = match error.kind() {
        ErrorKind::BadRequest | ErrorKind::TooLarge => Code::InvalidArgument,
        ErrorKind::Unauthenticated => Code::Unauthenticated,
        ErrorKind::Forbidden => Code::PermissionDenied,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::FailedPrecondition,
        ErrorKind::Busy => Code::ResourceExhausted,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Internal => Code::Internal,
    };
    Status::new(code, error.public_message())
}

struct Service {
    hub: Arc<Hub>,
}

/// Whether a message came compressed; then its answer goes so too.
fn came_compressed<T>(request: &Request<T>) -> bool {
    request.metadata().get("grpc-encoding").is_some_and(|value| value != "identity")
}

impl Service {
    /// Answers a call that reads nothing but memory, and counts it.
    fn told<T, A>(
        &self,
        method: &'static str,
        request: &Request<T>,
        answer: impl FnOnce(&Hub, &T) -> Result<A, Error>,
    ) -> Result<Response<A>, Status>
    where
        T: std::fmt::Debug,
    {
        let started = Instant::now();
        let answer = answer(&self.hub, request.get_ref()).map_err(|error| status(&error));
        self.count(method, started, answer.as_ref().err());
        let mut response = Response::new(answer?);
        if !came_compressed(request) {
            response.disable_compression();
        }
        Ok(response)
    }

    fn count(&self, method: &'static str, started: Instant, failed: Option<&Status>) {
        let code = failed.map_or(Code::Ok, Status::code);
        self.hub.metrics.rpc(method, code as i32, started.elapsed().as_secs_f64());
    }
}

/// Runs one request and makes its answer.
async fn infer(
    hub: &Arc<Hub>,
    headers: &http::HeaderMap,
    from: Option<std::net::IpAddr>,
    request: ModelInferRequest,
) -> Result<ModelInferResponse, Error> {
    let named = (request.model_name.as_str(), request.model_version.as_str());
    let mut call = hub.admit(headers, named, (from, ""))?;
    let answer = infer_admitted(request, &mut call).await;
    call.end(answer)
}

async fn infer_admitted(
    mut request: ModelInferRequest,
    call: &mut Call<'_>,
) -> Result<ModelInferResponse, Error> {
    if let Some(noted) = call.noted() {
        noted.asked_otherwise(prost::Message::encoded_len(&request), "application/grpc");
    }
    let raw = !request.raw_input_contents.is_empty();
    let inputs = contents::take_inputs(&mut request)?;
    let outputs = std::mem::take(&mut request.outputs);
    for output in &outputs {
        answers::check_output(output)?;
    }
    let asked = Asked {
        inputs,
        outputs: outputs.into_iter().map(|output| output.name).collect(),
        timeout_us: timeout_us(request.parameters.get("timeout")),
    };
    let outputs = call.run(asked).await?;
    let version = call.endpoint().version.to_string();
    let answer = answers::infer((request.model_name, version, request.id), outputs, raw);
    if let Some(noted) = call.noted() {
        noted.answered_otherwise(prost::Message::encoded_len(&answer));
    }
    Ok(answer)
}

/// The time that the caller allows, in microseconds.
fn timeout_us(parameter: Option<&InferParameter>) -> Option<u64> {
    let told = match parameter?.parameter_choice.as_ref()? {
        ParameterChoice::Int64Param(us) => u64::try_from(*us).ok(),
        ParameterChoice::Uint64Param(us) => Some(*us),
        _ => None,
    };
    told.filter(|&us| us > 0)
}

/// Runs one request of a stream; an error is part of the answer and does not end the stream.
async fn infer_in_stream(
    hub: &Arc<Hub>,
    headers: &http::HeaderMap,
    from: Option<std::net::IpAddr>,
    request: ModelInferRequest,
) -> ModelStreamInferResponse {
    let (model_name, id) = (request.model_name.clone(), request.id.clone());
    let yes = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(true)) };
    let asks_final = request.parameters.get(ASKS_FINAL) == Some(&yes);
    let (error_message, mut answer) = match infer(hub, headers, from, request).await {
        Ok(answer) => (String::new(), answer),
        Err(error) => {
            let answer = ModelInferResponse { model_name, id, ..ModelInferResponse::default() };
            (error.public_message(), answer)
        }
    };
    if asks_final {
        answer.parameters.insert(IS_FINAL.to_owned(), yes);
    }
    ModelStreamInferResponse { error_message, infer_response: Some(answer) }
}

fn address<T>(request: &Request<T>) -> Option<std::net::IpAddr> {
    match request.extensions().get::<Peer>() {
        Some(Peer::Remote(address)) => Some(address.ip()),
        _ => None,
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for Service {
    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

    async fn server_live(
        &self,
        request: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        self.told("ServerLive", &request, |_, _| Ok(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        request: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        let answer = |hub: &Hub, _: &_| Ok(ServerReadyResponse { ready: hub.ready() });
        self.told("ServerReady", &request, answer)
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        let headers = request.metadata().as_ref();
        self.told("ModelReady", &request, |hub, asked: &ModelReadyRequest| {
            let (_, endpoint) = hub.find(headers, &asked.name, &asked.version)?;
            Ok(ModelReadyResponse { ready: endpoint.ready() })
        })
    }

    async fn server_metadata(
        &self,
        request: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        self.told("ServerMetadata", &request, |_, _| Ok(answers::server()))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        let headers = request.metadata().as_ref();
        self.told("ModelMetadata", &request, |hub, asked: &ModelMetadataRequest| {
            let (_, endpoint) = hub.find(headers, &asked.name, &asked.version)?;
            Ok(answers::metadata(&Model::of(&asked.name, &endpoint)?))
        })
    }

    async fn model_config(
        &self,
        request: Request<ModelConfigRequest>,
    ) -> Result<Response<ModelConfigResponse>, Status> {
        let headers = request.metadata().as_ref();
        self.told("ModelConfig", &request, |hub, asked: &ModelConfigRequest| {
            let (_, endpoint) = hub.find(headers, &asked.name, &asked.version)?;
            Ok(answers::config(&Model::of(&asked.name, &endpoint)?))
        })
    }

    async fn model_statistics(
        &self,
        request: Request<ModelStatisticsRequest>,
    ) -> Result<Response<ModelStatisticsResponse>, Status> {
        let headers = request.metadata().as_ref();
        self.told("ModelStatistics", &request, |hub, asked: &ModelStatisticsRequest| {
            if asked.name.is_empty() {
                let caller = hub.caller(headers)?;
                return Ok(answers::statistics(&hub.visible(&caller)));
            }
            let (_, endpoint) = hub.find(headers, &asked.name, &asked.version)?;
            Ok(answers::statistics(&[(asked.name.clone(), endpoint)]))
        })
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        let headers = request.metadata().as_ref();
        self.told("RepositoryIndex", &request, |hub, asked: &RepositoryIndexRequest| {
            let caller: Caller = hub.caller(headers)?;
            let mut models = hub.visible(&caller);
            models.retain(|(_, endpoint)| endpoint.ready() || !asked.ready);
            Ok(answers::index(&models))
        })
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let started = Instant::now();
        let (compressed, from) = (came_compressed(&request), address(&request));
        let (metadata, _, message) = request.into_parts();
        let answer = infer(&self.hub, metadata.as_ref(), from, message).await;
        let answer = answer.map_err(|error| status(&error));
        self.count("ModelInfer", started, answer.as_ref().err());
        let mut response = Response::new(answer?);
        if !compressed {
            response.disable_compression();
        }
        Ok(response)
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let (compressed, from) = (came_compressed(&request), address(&request));
        let (metadata, _, messages) = request.into_parts();
        let (hub, metadata) = (Arc::clone(&self.hub), Arc::new(metadata));
        let answers = messages.map(move |message| {
            let (hub, metadata) = (Arc::clone(&hub), Arc::clone(&metadata));
            async move {
                let started = Instant::now();
                let answer = infer_in_stream(&hub, (*metadata).as_ref(), from, message?).await;
                let failed = !answer.error_message.is_empty();
                let code = if failed { Code::Unknown } else { Code::Ok };
                let seconds = started.elapsed().as_secs_f64();
                hub.metrics.rpc("ModelStreamInfer", code as i32, seconds);
                Ok(answer)
            }
        });
        let answers: Self::ModelStreamInferStream = Box::pin(answers.buffered(STREAM_AHEAD));
        let mut response = Response::new(answers);
        if !compressed {
            response.disable_compression();
        }
        Ok(response)
    }
}
