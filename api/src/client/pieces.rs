//! An answer as it comes, piece by piece.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, header};
use http_body_util::BodyExt as _;

use super::call::Call;
use super::functions::invocation;
use super::{Client, Error};
use crate::functions::ERROR_HEADER;
use types::FunctionName;

/// An answer that is still being made.
pub struct Pieces {
    client: Client,
    /// Longest wait for the next piece.
    limit: Duration,
    body: reqwest::Body,
    error: Option<String>,
}

impl fmt::Debug for Pieces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pieces({:?})", self.error)
    }
}

impl Client {
    /// Calls a function and reads its answer while it is made. It is not repeated by itself.
    /// `POST /v1/functions/{name}/invocations?mode=stream`
    pub async fn function_stream(
        &self,
        name: &FunctionName,
        qualifier: Option<&str>,
        (payload, wait_ms): (Bytes, u64),
    ) -> Result<Pieces, Error> {
        let call = invocation(name, (Some("stream"), qualifier), payload);
        let call = call.header(header::TE, HeaderValue::from_static("trailers"));
        self.pieces(call, wait_ms).await
    }

    /// Makes a call, and reads its answer while it comes.
    pub(super) async fn pieces(&self, call: Call, wait_ms: u64) -> Result<Pieces, Error> {
        let request = self.request(&call, None)?;
        let limit = self.shared.call + Duration::from_millis(wait_ms);
        let response = tokio::time::timeout(limit, self.send(request)).await;
        let response = response.map_err(|_| self.silent(limit))??;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let (head, body) = http::Response::from(response).into_parts();
        let error = head.headers.get(ERROR_HEADER).and_then(|kind| kind.to_str().ok());
        let error = error.map(str::to_owned);
        Ok(Pieces { client: self.clone(), limit, body, error })
    }
}

impl Pieces {
    /// The next piece; none at the end.
    ///
    /// # Errors
    ///
    /// [`Error::Broken`] where the answer breaks off, [`Error::Silent`] where nothing comes for as
    /// long as the call may wait.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let next = tokio::time::timeout(self.limit, self.body.frame()).await;
            let Some(frame) = next.map_err(|_| self.client.silent(self.limit))? else {
                return Ok(None);
            };
            let frame = frame.map_err(|source| {
                let address = self.client.shared.address.to_string();
                Error::Broken { address, source }
            })?;
            match frame.into_data() {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(frame) => {
                    let error = frame.trailers_ref().and_then(|it| it.get(ERROR_HEADER));
                    if let Some(error) = error.and_then(|kind| kind.to_str().ok()) {
                        self.error = Some(error.to_owned());
                    }
                }
            }
        }
    }

    /// What failed, such as `Function.ValueError`; known for sure once there is no next piece.
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}
