//! Sends one file as an object, and takes the time.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, TryStreamExt as _};
use http::{Request, header};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use crate::{Failed, Plan};

const READ_BYTES: usize = 1 << 20;

/// Sends the file of the plan.
pub(crate) async fn send(plan: &Plan) -> Result<Value, Failed> {
    let file = File::open(&plan.file).await?;
    let bytes = file.metadata().await?.len();
    let token = plan.token.as_deref().unwrap_or_default();
    let stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let frames = stream::try_unfold(file, read).map_ok(Frame::data);
    let request = Request::post("/v1/objects/stream")
        .header(header::HOST, plan.address.to_string())
        .header(header::AUTHORIZATION, format!("Bearer {token}"))
        .header(header::CONTENT_TYPE, "application/x-tar")
        .header(header::CONTENT_LENGTH, bytes)
        .body(StreamBody::new(Box::pin(frames)))?;
    let sending = async {
        let begin = Instant::now();
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        let text = String::from_utf8_lossy(&body);
        if !status.is_success() {
            return Err(format!("{status}: {text}").into());
        }
        let seconds = begin.elapsed().as_secs_f64();
        Ok(
            json!({ "seconds": seconds, "bytes": bytes, "object": serde_json::from_str::<Value>(&text)? }),
        )
    };
    tokio::select! {
        sent = sending => sent,
        ended = connection => Err(format!("the connection ended: {ended:?}").into()),
    }
}

async fn read(mut file: File) -> std::io::Result<Option<(Bytes, File)>> {
    let mut buffer = BytesMut::with_capacity(READ_BYTES);
    let count = file.read_buf(&mut buffer).await?;
    Ok((count > 0).then(|| (buffer.freeze(), file)))
}
