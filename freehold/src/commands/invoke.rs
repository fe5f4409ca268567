//! `freehold invoke`: asks an endpoint once and prints its answer as it came.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;

use api::client::{Client, Invocation};
use types::Name;

use crate::args::InvokeArguments;
use crate::exit::Failure;
use crate::output::{Output, write_stdout};

const JSON: &str = "application/json";
/// How long an answer may take beyond the client's usual limit.
const WAIT_MS: u64 = 240_000;

/// Carries out the command.
pub(super) async fn run(
    arguments: InvokeArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    check(&arguments.endpoint)?;
    let (media_type, body) = body_of(arguments.request, arguments.file.as_deref())?;
    let invocation = Invocation {
        media_type: media_type.to_owned(),
        accept: Some(JSON.to_owned()),
        body,
        header_length: None,
        wait_ms: WAIT_MS,
    };
    let busy = out.busy(&format!("asking {}", arguments.endpoint));
    let invoked = client.endpoint_invoke(&arguments.endpoint, invocation).await;
    busy.finish_and_clear();
    let mut answer = invoked?.body.to_vec();
    if !answer.ends_with(b"\n") {
        answer.push(b'\n');
    }
    write_stdout(&answer)
}

/// `endpoint`, `account.endpoint`, or `endpoint@variant`.
fn check(text: &str) -> Result<(), Failure> {
    let (path, variant) = match text.split_once('@') {
        Some((path, variant)) => (path, Some(variant)),
        None => (text, None),
    };
    let names = path.splitn(2, '.').chain(variant);
    for name in names {
        name.parse::<Name>().map_err(|error| {
            Failure::usage(error.to_string())
                .hint("write ENDPOINT, ACCOUNT.ENDPOINT, or ENDPOINT@VARIANT of your own")
        })?;
    }
    Ok(())
}

/// The body of the request and its media type.
fn body_of(request: Option<String>, file: Option<&Path>) -> Result<(&'static str, Bytes), Failure> {
    let (media_type, body) = match (request, file) {
        (Some(request), _) => (JSON, request.into_bytes()),
        (None, Some(path)) if path == Path::new("-") => {
            let mut body = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut body);
            read.map_err(|error| Failure::usage(format!("could not read stdin: {error}")))?;
            (JSON, body)
        }
        (None, Some(path)) => {
            let media_type = media_type_of(path)?;
            let body = std::fs::read(path);
            let failed = |error| Failure::usage(format!("{}: {error}", path.display()));
            (media_type, body.map_err(failed)?)
        }
        (None, None) => {
            return Err(Failure::usage("there is nothing to ask")
                .hint("give the request as JSON, or --file FILE, or --file - to read stdin"));
        }
    };
    if media_type == JSON
        && let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(&body)
    {
        return Err(Failure::usage(format!("the request is no JSON: {error}")));
    }
    Ok((media_type, body.into()))
}

fn media_type_of(path: &Path) -> Result<&'static str, Failure> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    match ending.to_ascii_lowercase().as_str() {
        "json" => Ok(JSON),
        "csv" => Ok("text/csv"),
        "npy" => Ok("application/x-npy"),
        _ => Err(Failure::usage(format!("{}: what it holds is not known", path.display()))
            .hint("name a file that ends in .json, .csv or .npy")),
    }
}
