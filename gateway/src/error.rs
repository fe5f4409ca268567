//! What can go wrong between a caller and an answer, and what it means to the caller.
//!
//! Always true: unknown and forbidden are one error, so no answer tells what another account has;
//! every word of [`Error::code`] is in `api::errors`, with that meaning.

use api::problem::status_of;
use formats::{http_api, oip};
use http::StatusCode;
use types::ErrorKind;

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The endpoint is not open to everybody, or is not there.
    #[error("say who you are: send a token as `Authorization: Bearer TOKEN`")]
    NoCredentials,
    /// The credentials are unknown, expired, revoked, of another account than was named, or neither
    /// a bearer token nor a token as the password of Basic.
    #[error("the token is not valid: it is unknown, expired or revoked")]
    BadCredentials,
    /// The signature is not that of the request.
    #[error("{reason}")]
    BadSignature {
        /// Why not.
        reason: String,
    },
    /// No endpoint of this name that the caller may invoke.
    #[error("there is no model {model:?} that you may invoke")]
    NoModel {
        /// The name as asked, cut to 160 characters.
        model: String,
    },
    /// No function or version of this name that the caller may call.
    #[error("there is no function {function:?} that you may call")]
    NoFunction {
        /// The name as asked, cut to 160 characters.
        function: String,
    },
    /// A host did not run a call.
    #[error("{message}")]
    NotRun {
        /// What it means to the caller.
        kind: ErrorKind,
        /// The agent's words.
        message: String,
        /// When it is worth trying again, where the agent has said so.
        wait_ms: Option<u64>,
    },
    /// The host went away, or broke, while it ran a call.
    #[error(
        "the host went away during this call, which may have run: repeat it where that does no \
             harm"
    )]
    CallLost,
    /// The endpoint does not serve this version.
    #[error("model {model:?} serves version {serves}, not {version:?}")]
    NoVersion {
        /// The name as asked.
        model: String,
        /// The version as asked, cut to 40 characters.
        version: String,
        /// The version that is served.
        serves: u32,
    },
    /// Nothing is served at this path.
    #[error("nothing is served at this path")]
    NoPath,
    /// The path is served, the method is not.
    #[error("this path takes {allow} only")]
    NoMethod {
        /// The methods it takes.
        allow: &'static str,
    },
    /// The request is wrong, as the text says.
    #[error("{reason}")]
    BadRequest {
        /// What is wrong and how to mend it.
        reason: String,
    },
    /// The body is larger than the limit.
    #[error("the body is larger than {bytes_max} bytes")]
    BodyTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The client stopped sending in the middle of the body.
    #[error("the body stopped for {pause_ms} ms before its end")]
    BodyStalled {
        /// The longest pause allowed.
        pause_ms: u64,
    },
    /// The connection broke in the middle of the body.
    #[error("the body ended too early")]
    BodyBroken,
    /// The body is of a type or encoding that is not read here.
    #[error("a body of {what:?} is not read here; send {takes}")]
    BodyUnknown {
        /// The type or encoding, cut to 80 characters.
        what: String,
        /// What is read.
        takes: &'static str,
    },
    /// No answer of the wanted type can be given.
    #[error("no answer of the type {wanted:?} can be given: {reason}")]
    NotAcceptable {
        /// The type asked for, cut to 80 characters.
        wanted: String,
        /// Why, and what can be given.
        reason: String,
    },
    /// An input of the request does not fit itself or the model.
    #[error("{reason}")]
    WrongTensor {
        /// Which, what is wrong, and the cure.
        reason: String,
    },
    /// Too many requests at one time.
    #[error("too many requests at one time for {what}: send fewer, or try again shortly")]
    Busy {
        /// Whose limit it is.
        what: &'static str,
    },
    /// As many calls of a function run as its owner lets run.
    #[error("{max} calls of this function run, as many as its owner lets: try again shortly")]
    Reserved {
        /// The owner's limit.
        max: u32,
    },
    /// Too many requests in a short time.
    #[error("too many requests: wait {wait_ms} ms")]
    TooFast {
        /// The shortest wait that works.
        wait_ms: u64,
    },
    /// As many calls of a day were made as may be.
    #[error("the {max} calls of this day that {whose} lets through are spent: wait {wait_ms} ms")]
    Spent {
        /// Whose limit it is.
        whose: &'static str,
        /// The limit.
        max: u64,
        /// The time until the next day.
        wait_ms: u64,
    },
    /// A link leads nowhere now.
    #[error("{reason}")]
    LinkBroken {
        /// Why.
        reason: String,
    },
    /// No service, or version of one, of this name.
    #[error("there is no such service, or it has no such version")]
    NoService,
    /// A service's operation is asked for in another way.
    #[error("this operation takes {allow} only")]
    NoOperation {
        /// The methods it takes.
        allow: String,
    },
    /// A service wants a key, and none of its own came.
    #[error("send a key of this service, as `x-api-key: KEY` or `Authorization: Bearer KEY`")]
    NoKey,
    /// A request does not fit a service's schema.
    #[error("{reason}")]
    BadInput {
        /// Where and why.
        reason: String,
    },
    /// What a function answered does not fit the service's schema.
    #[error("{reason}: that is for whoever offers this service to mend")]
    BadOutput {
        /// Where and why.
        reason: String,
    },
    /// The function behind an operation failed.
    #[error("the function behind this operation failed: {kind}")]
    FunctionFailed {
        /// Such as `Function.ValueError`.
        kind: String,
    },
    /// No URL of this id.
    #[error("there is no function at this address")]
    NoUrl,
    /// A URL is not for whoever asks.
    #[error("this address does not answer you: its owner lets others call it")]
    UrlClosed,
    /// What a function answered is no answer over HTTP.
    #[error("the function's answer cannot be sent: {reason}")]
    BadAnswer {
        /// What is wrong with it.
        reason: String,
    },
    /// The headers are larger than the limit.
    #[error("the headers are larger than {bytes_max} bytes")]
    HeadersTooLarge {
        /// The limit.
        bytes_max: usize,
    },
    /// The endpoint has no instance that is ready.
    #[error("model {model:?} is not ready: its instances are being started")]
    NotReady {
        /// The name as asked.
        model: String,
    },
    /// The instance cannot be reached, or went away before it answered.
    #[error("the instance went away before it answered: try again")]
    Lost,
    /// The time allowed has passed; the model was told to stop.
    #[error("the model did not answer within {limit_us} microseconds and was stopped")]
    Timeout {
        /// The time that was allowed.
        limit_us: u64,
    },
    /// The model's worker refused or failed.
    #[error("{message}")]
    Worker {
        /// What it means to the caller.
        kind: ErrorKind,
        /// The worker's words.
        message: String,
    },
    /// What a stage answered does not fit the next stage.
    #[error("stage {stage} of the pipeline does not fit what stage {} answers", stage - 1)]
    StagesDiffer {
        /// The stage that cannot be fed, from 1.
        stage: usize,
    },
    /// No stream of this name that the caller may know.
    #[error("there is no stream {stream:?} of yours")]
    NoStream {
        /// The name as asked, cut to 160 characters.
        stream: String,
    },
    /// No run of this id that the caller may know.
    #[error("there is no replay {run:?} of yours here")]
    NoRun {
        /// The id as asked, cut to 160 characters.
        run: String,
    },
    /// Another gateway writes the stream.
    #[error("the events of this stream are held by the gateway {gateway:?}: ask that one")]
    StreamElsewhere {
        /// Its name.
        gateway: String,
    },
    /// A stream refused or failed.
    #[error("{message}")]
    Stream {
        /// What it means to the caller.
        kind: ErrorKind,
        /// Its words.
        message: String,
    },
    /// The caller's role does not allow it.
    #[error("this token may not {action}")]
    Forbidden {
        /// What.
        action: &'static str,
    },
    /// The control plane cannot be reached.
    #[error("the control plane cannot be reached: try again")]
    NoControl,
}

impl Error {
    /// A wrong request, in words.
    pub(crate) fn bad_request(reason: impl Into<String>) -> Self {
        Self::BadRequest { reason: reason.into() }
    }

    /// No such model; long names are cut.
    pub(crate) fn no_model(model: &str) -> Self {
        Self::NoModel { model: model.chars().take(160).collect() }
    }

    /// No such function; long names are cut.
    pub(crate) fn no_function(function: &str) -> Self {
        Self::NoFunction { function: function.chars().take(160).collect() }
    }

    /// What this means to the caller.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCredentials
            | Self::BadCredentials
            | Self::NoKey
            | Self::BadSignature { .. } => ErrorKind::Unauthenticated,
            Self::NoModel { .. }
            | Self::NoVersion { .. }
            | Self::NoFunction { .. }
            | Self::NoService
            | Self::NoUrl
            | Self::NoStream { .. }
            | Self::NoRun { .. }
            | Self::NoPath => ErrorKind::NotFound,
            Self::NoMethod { .. }
            | Self::BadRequest { .. }
            | Self::WrongTensor { .. }
            | Self::BadInput { .. }
            | Self::NoOperation { .. }
            | Self::BodyBroken
            | Self::BodyUnknown { .. }
            | Self::NotAcceptable { .. } => ErrorKind::BadRequest,
            Self::BodyTooLarge { .. } | Self::HeadersTooLarge { .. } => ErrorKind::TooLarge,
            Self::Busy { .. }
            | Self::Reserved { .. }
            | Self::TooFast { .. }
            | Self::Spent { .. } => ErrorKind::Busy,
            Self::LinkBroken { .. } | Self::UrlClosed | Self::Forbidden { .. } => {
                ErrorKind::Forbidden
            }
            Self::StreamElsewhere { .. } => ErrorKind::Unavailable,
            Self::NotReady { .. } | Self::Lost | Self::CallLost | Self::NoControl => {
                ErrorKind::Unavailable
            }
            Self::Timeout { .. } | Self::BodyStalled { .. } => ErrorKind::Timeout,
            Self::Worker { kind, .. } | Self::NotRun { kind, .. } | Self::Stream { kind, .. } => {
                *kind
            }
            Self::StagesDiffer { .. }
            | Self::BadOutput { .. }
            | Self::BadAnswer { .. }
            | Self::FunctionFailed { .. } => ErrorKind::Internal,
        }
    }

    /// The word that programs match on, one of `api::errors`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoCredentials
            | Self::BadCredentials
            | Self::NoKey
            | Self::BadSignature { .. } => "unauthenticated",
            Self::NoModel { .. }
            | Self::NoVersion { .. }
            | Self::NoFunction { .. }
            | Self::NoService
            | Self::NoUrl
            | Self::NoStream { .. }
            | Self::NoRun { .. }
            | Self::NoPath => "not_found",
            Self::NoMethod { .. } | Self::NoOperation { .. } => "method_not_allowed",
            Self::BadRequest { .. } | Self::BodyBroken => "bad_request",
            Self::WrongTensor { .. } => "wrong_tensor",
            Self::BodyTooLarge { .. } | Self::HeadersTooLarge { .. } => "too_large",
            Self::UrlClosed | Self::Forbidden { .. } => "forbidden",
            Self::StreamElsewhere { .. } => "stream_elsewhere",
            Self::Stream { kind: ErrorKind::Unavailable, .. } => "storage_unavailable",
            Self::BodyStalled { .. } | Self::Timeout { .. } => "timeout",
            Self::BodyUnknown { .. } => "unsupported_media_type",
            Self::NotAcceptable { .. } => "not_acceptable",
            Self::Busy { .. } | Self::Reserved { .. } => "busy",
            Self::TooFast { .. } => "rate_limited",
            Self::Spent { .. } => "quota_spent",
            Self::LinkBroken { .. } => "link_broken",
            Self::NotReady { .. } => "endpoint_not_ready",
            Self::Lost | Self::NoControl => "unavailable",
            Self::CallLost => "call_lost",
            Self::Worker { kind, .. } | Self::NotRun { kind, .. } | Self::Stream { kind, .. } => {
                worker_code(*kind)
            }
            Self::StagesDiffer { .. } => "internal",
            Self::BadInput { .. } => "invalid_input",
            Self::BadOutput { .. } | Self::BadAnswer { .. } => "invalid_output",
            Self::FunctionFailed { .. } => "function_failed",
        }
    }

    /// The HTTP status, in every protocol over HTTP.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoMethod { .. } | Self::NoOperation { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BadOutput { .. } | Self::BadAnswer { .. } | Self::FunctionFailed { .. } => {
                StatusCode::BAD_GATEWAY
            }
            Self::HeadersTooLarge { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyStalled { .. } => StatusCode::REQUEST_TIMEOUT,
            Self::BodyUnknown { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotAcceptable { .. } => StatusCode::NOT_ACCEPTABLE,
            _ => status_of(self.kind()),
        }
    }

    /// When it is worth trying again, in whole seconds from one on: of what was refused for want of
    /// room or time. Nothing else is said to be worth it.
    pub fn retry_after_s(&self) -> Option<u64> {
        let wait_ms = match self {
            Self::TooFast { wait_ms } | Self::Spent { wait_ms, .. } => Some(*wait_ms),
            Self::NotRun { wait_ms: Some(wait_ms), .. } => Some(*wait_ms),
            // Calls come free all the time.
            _ => (self.kind() == ErrorKind::Busy).then_some(1),
        };
        wait_ms.map(|wait_ms| wait_ms.div_ceil(1_000).max(1))
    }

    /// The words for the caller. What went wrong inside stays in the log.
    pub fn public_message(&self) -> String {
        match self {
            Self::Worker { kind: ErrorKind::Internal, .. } => {
                "the model failed on this request".to_owned()
            }
            other => other.to_string(),
        }
    }

    /// Logs what is not the caller's doing: a fault of ours, or of the model.
    pub(crate) fn log(&self, model: &str) {
        match self {
            Self::Worker { kind: ErrorKind::Internal, message } => {
                tracing::warn!(code = self.code(), model, cause = %message, "a model failed");
            }
            // Its own log tells of it.
            Self::FunctionFailed { .. } => {}
            _ if self.kind() == ErrorKind::Internal => {
                tracing::error!(code = self.code(), model, cause = %self, "request failed");
            }
            _ => {}
        }
    }
}

impl From<http_api::Error> for Error {
    fn from(error: http_api::Error) -> Self {
        Self::BadAnswer { reason: error.to_string() }
    }
}

impl From<oip::Error> for Error {
    fn from(error: oip::Error) -> Self {
        let reason = error.to_string();
        match error {
            // The request was right; only its answer does not fit the form that it came in.
            oip::Error::Tensor { problem: oip::Problem::Unsayable { .. }, .. } => {
                Self::NotAcceptable { wanted: "application/json".to_owned(), reason }
            }
            oip::Error::Tensor { .. } => Self::WrongTensor { reason },
            _ => Self::BadRequest { reason },
        }
    }
}

const fn worker_code(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadRequest => "bad_request",
        ErrorKind::TooLarge => "too_large",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Busy => "busy",
        ErrorKind::Unavailable => "unavailable",
        _ => "internal",
    }
}
