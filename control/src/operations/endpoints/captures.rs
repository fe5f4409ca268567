//! Captures: which live requests of an endpoint are kept as events of a stream of its account.
//!
//! Always true: who sets one may change the endpoint and add to the stream; credentials are no key.
//! Absent on purpose: the requests, which gateways put into the stream.

use std::collections::BTreeMap;

use access::Action;
use api::endpoints::captures::{CAPTURE_WHOLE_BP, Capture, CaptureSpec};
use api::internal::{CaptureCount, CaptureRoute};
use store::Tx;
use store::endpoints::captures::{
    CaptureCounts, CaptureRow, capture_add, capture_delete, capture_fetch, capture_put,
};
use types::Name;

use super::own;
use crate::caller::Caller;
use crate::operations::items::from_json;
use crate::operations::streams;
use crate::{Control, Error};

/// Longest name of the header that is the key.
const KEY_BYTES_MAX: usize = 128;
/// Headers by which callers prove who they are: what they say is not to be written down.
const SECRET: [&str; 5] =
    ["authorization", "cookie", "proxy-authorization", "x-api-key", "x-amz-security-token"];

/// The capture of an endpoint.
pub async fn fetch(control: &Control, caller: &Caller, name: &Name) -> Result<Capture, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsRead).await?;
    let id = endpoint.id;
    let read = control.shared.store.read("fetch a capture", |tx| Box::pin(capture_fetch(tx, id)));
    let row = read.await?;
    shape(row.ok_or_else(|| Error::NotFound { what: format!("a capture of the endpoint {name}") })?)
}

/// Sets the capture of an endpoint.
pub async fn put(
    control: &Control,
    caller: &Caller,
    name: &Name,
    wanted: CaptureSpec,
) -> Result<Capture, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    check(&wanted)?;
    let stream = streams::own(control, caller, &wanted.stream, Action::StreamsAppend).await?;
    let spec = serde_json::to_value(&wanted)
        .map_err(|error| Error::internal("could not write a capture", error))?;
    let (ids, now_ms) = ((endpoint.id, stream.id), control.now_ms());
    let put = control.shared.store.transact("set a capture", |tx| {
        let spec = spec.clone();
        Box::pin(async move { capture_put(tx, ids, &spec, now_ms).await })
    });
    put.await?;
    fetch(control, caller, name).await
}

/// Takes the capture of an endpoint away. What was kept stays in the stream.
pub async fn remove(control: &Control, caller: &Caller, name: &Name) -> Result<(), Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let id = endpoint.id;
    let removed =
        control.shared.store.transact("remove a capture", |tx| Box::pin(capture_delete(tx, id)));
    Ok(removed.await?)
}

/// Adds what gateways counted.
pub(crate) async fn count(tx: &mut Tx<'_>, counted: &[CaptureCount]) -> Result<(), store::Error> {
    for CaptureCount { endpoint, kept, no_room, elsewhere, failed } in counted.iter().copied() {
        let more = CaptureCounts { kept, no_room, elsewhere, failed };
        capture_add(tx, endpoint, more).await?;
    }
    Ok(())
}

/// A capture for gateways; what is watched of it, and since when variants are what they are, is still
/// to be said.
pub(crate) fn route(row: &CaptureRow) -> Result<CaptureRoute, Error> {
    let (watched, since_ms) = (Vec::new(), BTreeMap::new());
    Ok(CaptureRoute { stream: row.stream_id, spec: from_json(&row.spec)?, watched, since_ms })
}

fn check(wanted: &CaptureSpec) -> Result<(), Error> {
    if !(1..=CAPTURE_WHOLE_BP).contains(&wanted.share_bp) {
        return Err(Error::invalid(format!(
            "a share of the keys is 1 to {CAPTURE_WHOLE_BP} ten-thousandths: change share_bp"
        )));
    }
    let Some(key) = &wanted.key else { return Ok(()) };
    if key.len() > KEY_BYTES_MAX || key.parse::<http::HeaderName>().is_err() {
        return Err(Error::invalid(format!("{key:?} is no name of a header: change key")));
    }
    if SECRET.contains(&key.to_ascii_lowercase().as_str()) {
        return Err(Error::invalid(format!("{key} is a secret: name another header as the key")));
    }
    Ok(())
}

fn shape(row: CaptureRow) -> Result<Capture, Error> {
    let CaptureRow { spec, changed_at_ms, counts, .. } = row;
    let CaptureCounts { kept, no_room, elsewhere, failed } = counts;
    Ok(Capture { spec: from_json(&spec)?, kept, no_room, elsewhere, failed, changed_at_ms })
}
