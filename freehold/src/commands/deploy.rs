//! `freehold deploy`: makes an endpoint, waits until it is ready, and says how to call it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use api::client::{Address, Client};
use api::endpoints::{DeployRequest, Endpoint, EndpointState};
use types::{Datatype, Format, Name, TaskReference, TensorSpec};

use super::endpoint::rows;
use crate::args::DeployArguments;
use crate::exit::Failure;
use crate::output::{Output, note};

/// How often an endpoint is looked at, and how long it is waited for.
const PAUSE: Duration = Duration::from_millis(200);
const WAIT: Duration = Duration::from_mins(10);
/// Elements of an input that are written out in an example.
const ELEMENTS_MAX: usize = 16;

/// Carries out the command.
pub(super) async fn run(
    arguments: DeployArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let DeployArguments { source, name, instance_type, detach } = arguments;
    let name = name.map_or_else(|| name_of(&source), Ok)?;
    let request = DeployRequest { name, source, instance_type };
    let endpoint = client.endpoint_create(&request).await?;
    show_when_ready(endpoint, detach, client, out).await
}

/// The item's name, or the function's where it can be an endpoint's.
fn name_of(source: &TaskReference) -> Result<Name, Failure> {
    match source {
        TaskReference::Item(reference) => Ok(reference.name.clone()),
        TaskReference::Function { name, .. } => name.as_str().parse().map_err(|error| {
            Failure::usage(format!("{error}")).hint("name the endpoint: --as NAME")
        }),
    }
}

/// Waits for an endpoint, unless it is not to be waited for, and shows it.
pub(super) async fn show_when_ready(
    endpoint: Endpoint,
    detach: bool,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    if detach {
        out.one(&endpoint, rows)?;
        return note(&format!("to see when it is ready: freehold endpoint show {}", endpoint.name));
    }
    let busy = out.busy(&format!("starting {}", endpoint.name));
    let ready = wait_until_ready(client, &endpoint.name).await;
    busy.finish_and_clear();
    let endpoint = ready?;
    out.one(&endpoint, rows)?;
    note(&calls(client, &endpoint))
}

/// Waits until an endpoint can be called.
///
/// # Errors
///
/// When it fails, or is not ready within ten minutes.
pub async fn wait_until_ready(client: &Client, name: &Name) -> Result<Endpoint, Failure> {
    let begun = Instant::now();
    loop {
        let endpoint = client.endpoint_fetch(name).await?;
        let log = format!("its log: freehold logs {name}");
        match endpoint.state {
            // The gateway hears of instances a moment after the control plane.
            EndpointState::Ready if client.model_ready(None, name).await? => return Ok(endpoint),
            EndpointState::Failed | EndpointState::Deleting => {
                let why = endpoint.error.as_deref().unwrap_or("it is being removed");
                let message = format!("{name} did not become ready: {why}");
                return Err(Failure::refused(message).hint(log).code("instance_failed"));
            }
            EndpointState::Starting | EndpointState::Ready if begun.elapsed() > WAIT => {
                let message =
                    format!("{name} is still starting after {} minutes", WAIT.as_secs() / 60);
                return Err(Failure::unavailable(message).hint(log));
            }
            EndpointState::Starting | EndpointState::Ready => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// How to call an endpoint, by this program and by any other.
fn calls(client: &Client, endpoint: &Endpoint) -> String {
    let name = &endpoint.name;
    let mut text = "call it:\n".to_owned();
    let example = example_request(endpoint);
    if let Some(request) = &example {
        text += &format!("  freehold invoke {name} '{request}'\n");
    } else {
        text += &format!("  freehold invoke {name} --file REQUEST.json\n");
    }
    if let Address::Url(url) = client.address() {
        let body = example.map_or_else(|| "@REQUEST.json".to_owned(), |it| it.to_string());
        text += &format!(
            "  curl -H \"Authorization: Bearer $FREEHOLD_TOKEN\" {url}/v2/models/{name}/infer \
             -d '{body}'"
        );
    }
    text.trim_end().to_owned()
}

/// A request that an endpoint of tensors takes, with zeros in it.
fn example_request(endpoint: &Endpoint) -> Option<Value> {
    let Some(Format::Tensors { tensors }) = &endpoint.input else { return None };
    let inputs: Option<Vec<Value>> = tensors.iter().map(example_tensor).collect();
    Some(json!({ "inputs": inputs? }))
}

fn example_tensor(spec: &TensorSpec) -> Option<Value> {
    let size = |size: &i64| usize::try_from(*size).unwrap_or(1);
    let shape: Vec<usize> = spec.shape.iter().map(size).collect();
    let elements = shape.iter().product::<usize>();
    if elements > ELEMENTS_MAX {
        return None;
    }
    let zero = match spec.datatype {
        Datatype::Bool => json!(false),
        Datatype::Bytes => json!("text"),
        Datatype::Fp16 | Datatype::Bf16 | Datatype::Fp32 | Datatype::Fp64 => json!(0.0),
        _ => json!(0),
    };
    let data = vec![zero; elements];
    let datatype = spec.datatype.as_str();
    Some(json!({ "name": spec.name, "shape": shape, "datatype": datatype, "data": data }))
}
