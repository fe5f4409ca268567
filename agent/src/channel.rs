//! A connection to a model worker's socket, for the agent's own questions: one at a time.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use api::internal::Description;
use types::frame::{self, Answer, Frame, Infer};

/// Why a worker did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    #[error("the model worker cannot be reached: {0}")]
    Io(#[from] std::io::Error),
    #[error("the model worker broke the connection")]
    Closed,
    #[error("the model worker did not answer within {ms} ms")]
    Slow { ms: u64 },
    #[error("{message}")]
    Refused { message: String },
    #[error("the model worker spoke out of turn: {0}")]
    Protocol(String),
}

/// A connection to a worker.
#[derive(Debug)]
pub(crate) struct Channel {
    stream: UnixStream,
    buffer: BytesMut,
    number: u64,
}

impl Channel {
    pub(crate) async fn connect(socket: &Path) -> Result<Self, ChannelError> {
        let stream = UnixStream::connect(socket).await?;
        Ok(Self { stream, buffer: BytesMut::new(), number: 0 })
    }

    /// What the worker says of itself. It answers once its model is loaded.
    pub(crate) async fn describe(&mut self, ms: u64) -> Result<Description, ChannelError> {
        match self.ask(&Frame::Describe, ms).await? {
            Frame::Description { json } => serde_json::from_slice(&json)
                .map_err(|error| ChannelError::Protocol(error.to_string())),
            other => Err(unexpected(other)),
        }
    }

    /// Runs the model once.
    pub(crate) async fn infer(&mut self, infer: Infer, ms: u64) -> Result<Answer, ChannelError> {
        match self.ask(&Frame::Infer(infer), ms).await? {
            Frame::Answer(answer) => Ok(answer),
            other => Err(unexpected(other)),
        }
    }

    async fn ask(&mut self, question: &Frame, ms: u64) -> Result<Frame, ChannelError> {
        self.number += 1;
        let mut out = BytesMut::new();
        frame::encode(self.number, question, &mut out)
            .map_err(|error| ChannelError::Protocol(error.to_string()))?;
        let number = self.number;
        let answered = async {
            self.stream.write_all(&out).await?;
            loop {
                let next = frame::decode(&mut self.buffer)
                    .map_err(|error| ChannelError::Protocol(error.to_string()))?;
                match next {
                    Some((answered, frame)) if answered == number => return Ok(frame),
                    Some(_) => {}
                    None if self.stream.read_buf(&mut self.buffer).await? == 0 => {
                        return Err(ChannelError::Closed);
                    }
                    None => {}
                }
            }
        };
        let answered = tokio::time::timeout(Duration::from_millis(ms), answered).await;
        answered.unwrap_or(Err(ChannelError::Slow { ms }))
    }
}

fn unexpected(frame: Frame) -> ChannelError {
    match frame {
        Frame::Failure { message, .. } => ChannelError::Refused { message },
        _ => ChannelError::Protocol("an answer of another kind".to_owned()),
    }
}
