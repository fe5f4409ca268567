//! A client over HTTP/1.1.

use api::functions::ERROR_HEADER;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;

use crate::{Failed, Plan, Window};

/// What functions are called with.
const EVENT: &[u8] = b"{\"number\": 1}";
const JSON_LENGTH: &str = "inference-header-content-length";

/// Asks over one connection until the window closes.
pub(crate) async fn client(plan: &Plan, window: Window) -> Result<Vec<u64>, Failed> {
    let stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = request(plan)?;
    let asking = window.fill(async || ask(&mut sender, request.clone()).await);
    tokio::select! {
        times = asking => times,
        ended = connection => Err(format!("the connection ended: {ended:?}").into()),
    }
}

async fn ask(
    sender: &mut SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<(), Failed> {
    sender.ready().await?;
    let response = sender.send_request(request).await?;
    let status = response.status();
    if let Some(kind) = response.headers().get(ERROR_HEADER) {
        return Err(format!("the function failed: {kind:?}").into());
    }
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() {
        return Ok(());
    }
    Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
}

/// The request that is sent every time.
fn request(plan: &Plan) -> Result<Request<Full<Bytes>>, Failed> {
    if !plan.path.is_empty() {
        let mut request = Request::post(&plan.path).header(header::HOST, plan.address.to_string());
        if let Some(token) = &plan.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        request = request.header(header::CONTENT_TYPE, "application/json");
        return Ok(request.body(Full::new(Bytes::from_static(EVENT)))?);
    }
    let tensor = &plan.tensor;
    let mut input = json!({
        "name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape,
    });
    let path = format!("/v2/models/{}/infer", plan.model);
    let mut request = Request::post(path).header(header::HOST, plan.address.to_string());
    if let Some(token) = &plan.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = if plan.json {
        input["data"] = tensor.values.clone().into();
        request = request.header(header::CONTENT_TYPE, "application/json");
        json!({ "inputs": [input] }).to_string().into_bytes()
    } else {
        input["parameters"] = json!({ "binary_data_size": tensor.data.len() });
        let head = json!({ "inputs": [input], "parameters": { "binary_data_output": true } });
        let head = head.to_string().into_bytes();
        request = request
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .header(JSON_LENGTH, head.len());
        [head.as_slice(), &tensor.data].concat()
    };
    Ok(request.body(Full::new(body.into()))?)
}
