//! Calling endpoints.
//!
//! Absent on purpose: tensors. Bodies are bytes of a media type; `formats::oip` reads and writes
//! the Open Inference Protocol.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use serde_json::Value;

use types::Name;

use super::call::{Answer, Call};
use super::{Client, Error};

/// The length of the JSON in front of binary tensors (Open Inference Protocol, binary extension).
const INFERENCE_HEADER_LENGTH: HeaderName =
    HeaderName::from_static("inference-header-content-length");

/// What is sent to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Such as `application/json`, `text/csv` or `application/x-npy`.
    pub media_type: String,
    /// The media type wanted back; the endpoint's choice where absent.
    pub accept: Option<String>,
    pub body: Bytes,
    /// Bytes of JSON in front of binary tensors; only for [`Client::model_infer`].
    pub header_length: Option<usize>,
    /// How long the answer may take, in milliseconds.
    pub wait_ms: u64,
}

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoked {
    pub media_type: Option<String>,
    pub body: Bytes,
    /// Bytes of JSON in front of binary tensors.
    pub header_length: Option<usize>,
}

impl Client {
    /// Invokes an endpoint of the caller, `account.endpoint` of another account, or a variant of an
    /// own one, `endpoint@variant`. It is not repeated by itself.
    /// `POST /endpoints/{endpoint}/invocations`
    pub async fn endpoint_invoke(
        &self,
        endpoint: &str,
        invocation: Invocation,
    ) -> Result<Invoked, Error> {
        let path = format!("/endpoints/{}/invocations", super::segment(endpoint));
        self.invoke(path, invocation).await
    }

    /// Invokes an endpoint by the Open Inference Protocol. It is not repeated by itself.
    /// `POST /v2/models/{name}/infer`; of another account `{account}.{name}`.
    pub async fn model_infer(
        &self,
        account: Option<&Name>,
        name: &Name,
        invocation: Invocation,
    ) -> Result<Invoked, Error> {
        self.invoke(format!("/v2/models/{}/infer", model(account, name)), invocation).await
    }

    /// What an endpoint takes and gives, as the Open Inference Protocol describes it.
    /// `GET /v2/models/{name}`
    pub async fn model_metadata(
        &self,
        account: Option<&Name>,
        name: &Name,
    ) -> Result<Value, Error> {
        self.ask(Call::get(format!("/v2/models/{}", model(account, name)))).await
    }

    /// Whether the gateway has an instance to ask; not so where it does not know the endpoint
    /// (yet). `GET /v2/models/{name}/ready`
    pub async fn model_ready(&self, account: Option<&Name>, name: &Name) -> Result<bool, Error> {
        let asked =
            self.tell(Call::get(format!("/v2/models/{}/ready", model(account, name)))).await;
        match asked {
            Ok(()) => Ok(true),
            Err(error) if matches!(error.status(), Some(400 | 404)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn invoke(&self, path: String, invocation: Invocation) -> Result<Invoked, Error> {
        let text = |text: &str| {
            let what = format!("{text:?} is no media type");
            HeaderValue::from_str(text).map_err(|_| Error::Settings { what })
        };
        let mut call = Call::new(Method::POST, path).bytes(invocation.body);
        call = call.header(header::CONTENT_TYPE, text(&invocation.media_type)?);
        if let Some(accept) = &invocation.accept {
            call = call.header(header::ACCEPT, text(accept)?);
        }
        if let Some(length) = invocation.header_length {
            call = call.header(INFERENCE_HEADER_LENGTH, HeaderValue::from(length));
        }
        let Answer { headers, body } = self.exchange(call.waits(invocation.wait_ms)).await?;
        let word = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        Ok(Invoked {
            media_type: word(header::CONTENT_TYPE).map(str::to_owned),
            header_length: word(INFERENCE_HEADER_LENGTH).and_then(|text| text.parse().ok()),
            body,
        })
    }
}

fn model(account: Option<&Name>, name: &Name) -> String {
    account.map_or_else(|| name.to_string(), |account| format!("{account}.{name}"))
}
