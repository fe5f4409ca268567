//! Objects, call by call. Whole files are sent by `upload.rs` and fetched by `download.rs`.

use bytes::Bytes;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, Method, header};
use serde::de::DeserializeOwned;

use types::ObjectId;

use super::call::Call;
use super::{Client, Error, failure};
use crate::objects::{Chunk, CommitObject, Missing, MissingQuery, Object, ReceivedChunks};

impl Client {
    /// What is known about an object. `GET /v1/objects/{object}`
    pub async fn object_fetch(&self, object: ObjectId) -> Result<Object, Error> {
        self.ask(Call::get(format!("/v1/objects/{object}"))).await
    }

    /// Which of these chunks have to be sent. `POST /v1/objects/missing`
    pub async fn chunks_missing(&self, chunks: Vec<Chunk>) -> Result<Missing, Error> {
        let query = MissingQuery { chunks };
        self.ask(Call::post("/v1/objects/missing").json(&query).repeatable()).await
    }

    /// Sends chunks, as [`crate::chunks::append`] writes them. `POST /v1/objects/chunks`
    pub async fn chunks_send(&self, body: Bytes) -> Result<ReceivedChunks, Error> {
        self.ask(Call::post("/v1/objects/chunks").bytes(body).repeatable()).await
    }

    /// Makes an object of chunks that are all there. `POST /v1/objects`
    pub async fn object_commit(&self, wanted: &CommitObject) -> Result<Object, Error> {
        self.ask(Call::post("/v1/objects").json(wanted).creates()).await
    }

    /// Makes an object of one stream. Not repeated by itself: the stream is used up.
    /// `POST /v1/objects/stream`
    ///
    /// # Errors
    ///
    /// An error in the stream ends the call as [`Error::Broken`], and nothing is made.
    pub async fn object_stream<S, E>(&self, media_type: &str, body: S) -> Result<Object, Error>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let what = format!("{media_type:?} is no media type");
        let value = HeaderValue::from_str(media_type).map_err(|_| Error::Settings { what })?;
        let call = Call::new(Method::POST, "/v1/objects/stream");
        self.stream(call.header(header::CONTENT_TYPE, value).creates(), body).await
    }

    /// Sends a streamed body. There is no limit on the whole; silence of the source is its own
    /// matter, and the answer has the usual limit from the end of the stream on.
    pub(super) async fn stream<T, S, E>(&self, call: Call, body: S) -> Result<T, Error>
    where
        T: DeserializeOwned,
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let (ended, end) = tokio::sync::oneshot::channel::<()>();
        // The sender lives in the stream, so that its end is seen here.
        let body = body.map_err(Into::into).chain(futures::stream::poll_fn({
            let mut ended = Some(ended);
            move |_| {
                drop(ended.take());
                std::task::Poll::Ready(
                    None::<Result<Bytes, Box<dyn std::error::Error + Send + Sync>>>,
                )
            }
        }));
        let request = self
            .request(&call, self.key_of(&call).as_ref())?
            .body(reqwest::Body::wrap_stream(body));
        let answer = async {
            let sent = request.send().await;
            sent.map_err(|source| failure::transport(&self.shared.address, source))
        };
        let mut answer = std::pin::pin!(answer);
        let response = tokio::select! {
            response = answer.as_mut() => response?,
            _ = end => match tokio::time::timeout(self.shared.call, answer).await {
                Ok(response) => response?,
                Err(_) => return Err(self.silent(self.shared.call)),
            },
        };
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let body = self.body(response, 1 << 20).await?;
        serde_json::from_slice(&body)
            .map_err(|source| Error::Answer { address: self.shared.address.to_string(), source })
    }
}
