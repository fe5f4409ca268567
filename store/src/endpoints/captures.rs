//! Captures: which live requests of endpoints are kept as events, and what became of them.
//!
//! Always true: an endpoint has one capture at most; what is counted only grows; gateways hear of each
//! change. Absent on purpose: the requests, which streams hold.

use std::collections::BTreeMap;

use types::{EndpointId, Name, StreamId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// The capture of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct CaptureRow {
    pub endpoint_id: EndpointId,
    pub stream_id: StreamId,
    /// Which requests, and what of them.
    pub spec: serde_json::Value,
    pub changed_at_ms: u64,
    pub counts: CaptureCounts,
}

/// What became of requests that were to be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    pub kept: u64,
    /// Too many waited already.
    pub no_room: u64,
    /// Another gateway holds the stream.
    pub elsewhere: u64,
    /// The stream did not take them.
    pub failed: u64,
}

fn capture(row: &Row) -> Result<CaptureRow, Error> {
    Ok(CaptureRow {
        endpoint_id: row.get("endpoint_id")?,
        stream_id: row.get("stream_id")?,
        spec: row.get("spec")?,
        changed_at_ms: row.get("changed_at_ms")?,
        counts: CaptureCounts {
            kept: row.get("kept")?,
            no_room: row.get("no_room")?,
            elsewhere: row.get("elsewhere")?,
            failed: row.get("failed")?,
        },
    })
}

/// Sets the capture of an endpoint; what was counted stays.
pub async fn capture_put(
    tx: &mut Tx<'_>,
    (id, stream_id): (EndpointId, StreamId),
    spec: &serde_json::Value,
    now_ms: u64,
) -> Result<(), Error> {
    let put = tx.sql("set a capture", include_str!("capture_put.sql"));
    put.bind(&id).bind(&stream_id).bind(spec).bind(&now_ms).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// The capture of an endpoint, where it has one.
pub async fn capture_fetch(tx: &mut Tx<'_>, id: EndpointId) -> Result<Option<CaptureRow>, Error> {
    let fetch = tx.sql("fetch a capture", include_str!("capture_fetch.sql"));
    fetch.bind(&id).first().await?.as_ref().map(capture).transpose()
}

/// Every capture, for routes.
pub async fn captures_list_all(tx: &mut Tx<'_>) -> Result<BTreeMap<EndpointId, CaptureRow>, Error> {
    let rows = tx.sql("list all captures", include_str!("captures_all.sql")).every().await?;
    let captures = rows.iter().map(capture).collect::<Result<Vec<_>, _>>()?;
    Ok(captures.into_iter().map(|row| (row.endpoint_id, row)).collect())
}

/// Takes the capture of an endpoint away. Doing so again changes nothing.
pub async fn capture_delete(tx: &mut Tx<'_>, id: EndpointId) -> Result<(), Error> {
    let text = "DELETE FROM endpoint_captures WHERE endpoint_id = $1";
    tx.sql("remove a capture", text).bind(&id).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Adds to what became of an endpoint's requests; where it has no capture any more, nothing.
pub async fn capture_add(
    tx: &mut Tx<'_>,
    id: EndpointId,
    more: CaptureCounts,
) -> Result<(), Error> {
    let add = tx.sql("count captured requests", include_str!("capture_add.sql")).bind(&id);
    let add = add.bind(&more.kept).bind(&more.no_room).bind(&more.elsewhere).bind(&more.failed);
    add.run().await.map(drop)
}

/// The endpoints whose requests a stream takes, by name, at most `limit`.
pub async fn captures_of_stream(
    tx: &mut Tx<'_>,
    id: StreamId,
    limit: u32,
) -> Result<Vec<Name>, Error> {
    let list = tx.sql("find what a stream takes", include_str!("captures_of_stream.sql"));
    let rows = list.bind(&id).bind(&limit).every().await?;
    rows.iter().map(|row| row.get("name")).collect()
}
