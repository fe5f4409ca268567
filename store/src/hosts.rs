//! Hosts: the machines that run instances.
//!
//! Always true: a host's generation never goes down; a report of an earlier start of its agent is
//! refused; gateways hear when a host's data address or fleet changes, when it is lost and when it
//! comes back.

use types::{Fleet, HostId, Name};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// A host.
#[derive(Clone, Debug, PartialEq)]
pub struct HostRow {
    pub id: HostId,
    pub name: Name,
    /// Grows with every start of its agent; 0 until it reported.
    pub generation: u64,
    pub cpu_milli: u32,
    pub memory_bytes: u64,
    /// Memory for functions, besides that.
    pub functions_memory_bytes: u64,
    /// Where gateways on other hosts reach its instances: `host:port`.
    pub data_address: Option<String>,
    /// Where gateways on the same host call functions: a path.
    pub functions_socket: Option<String>,
    /// What it is there for.
    pub fleet: Fleet,
    /// It has not reported for long, and gateways do not ask it.
    pub lost: bool,
    /// What the machine gives, as it reported.
    pub features: serde_json::Value,
    /// When it last reported; 0 until it did.
    pub seen_at_ms: u64,
    /// Whether its agent runs in the control plane's process.
    pub local: bool,
}

/// What a host says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct HostSays {
    pub generation: u64,
    pub cpu_milli: u32,
    pub memory_bytes: u64,
    pub functions_memory_bytes: u64,
    pub data_address: Option<String>,
    pub functions_socket: Option<String>,
    pub fleet: Fleet,
    pub features: serde_json::Value,
}

fn host(row: &Row) -> Result<HostRow, Error> {
    Ok(HostRow {
        id: row.get("id")?,
        name: row.get("name")?,
        generation: row.get("generation")?,
        cpu_milli: row.get("cpu_milli")?,
        memory_bytes: row.get("memory_bytes")?,
        functions_memory_bytes: row.get("functions_memory_bytes")?,
        data_address: row.get("data_address")?,
        functions_socket: row.get("functions_socket")?,
        fleet: row.get("fleet")?,
        lost: row.get("lost")?,
        features: row.get("features")?,
        seen_at_ms: row.get("seen_at_ms")?,
        local: row.get("local")?,
    })
}

/// Adds a host. [`Error::Unique`] when the name is taken.
pub async fn host_insert(tx: &mut Tx<'_>, row: &HostRow) -> Result<(), Error> {
    tx.sql("insert a host", include_str!("hosts/insert.sql"))
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.generation)
        .bind(&row.cpu_milli)
        .bind(&row.memory_bytes)
        .bind(&row.data_address)
        .bind(&row.features)
        .bind(&row.seen_at_ms)
        .bind(&row.local)
        .bind(&row.functions_socket)
        .bind(&row.fleet)
        .bind(&row.functions_memory_bytes)
        .run()
        .await?;
    Ok(())
}

/// Fetches one host.
pub async fn host_fetch(tx: &mut Tx<'_>, id: HostId) -> Result<HostRow, Error> {
    let row = tx.sql("fetch a host", include_str!("hosts/fetch.sql")).bind(&id).first().await?;
    host(&row.ok_or_else(|| Error::NotFound { what: "host", id: id.to_string() })?)
}

/// Fetches the host of this name.
pub async fn host_fetch_by_name(tx: &mut Tx<'_>, name: &Name) -> Result<HostRow, Error> {
    let fetch = tx.sql("fetch a host by name", include_str!("hosts/fetch_by_name.sql"));
    let row = fetch.bind(name).first().await?;
    host(&row.ok_or_else(|| Error::NotFound { what: "host", id: name.to_string() })?)
}

/// Every host, by name.
pub async fn hosts_list(tx: &mut Tx<'_>) -> Result<Vec<HostRow>, Error> {
    let rows = tx.sql("list hosts", include_str!("hosts/list.sql")).every().await?;
    rows.iter().map(host).collect()
}

/// Records what a host says of itself. The same again is accepted.
///
/// # Errors
///
/// [`Error::Stale`] when a later start of its agent has reported.
pub async fn host_report(
    tx: &mut Tx<'_>,
    id: HostId,
    says: &HostSays,
    now_ms: u64,
) -> Result<(), Error> {
    let before = host_fetch(tx, id).await?;
    let changed = tx
        .sql("record a host's report", include_str!("hosts/report.sql"))
        .bind(&id)
        .bind(&says.generation)
        .bind(&says.cpu_milli)
        .bind(&says.memory_bytes)
        .bind(&says.data_address)
        .bind(&says.features)
        .bind(&now_ms)
        .bind(&says.functions_socket)
        .bind(&says.fleet)
        .bind(&says.functions_memory_bytes)
        .run()
        .await?;
    if changed == 0 {
        let stored = before.generation;
        return Err(Error::Stale { what: "host", id: id.to_string(), stored });
    }
    let moved = before.functions_socket != says.functions_socket
        || before.data_address != says.data_address
        || before.fleet != says.fleet;
    if moved || before.lost {
        feed_bump(tx, Topic::Routes);
    }
    Ok(())
}

/// Has gateways no longer ask a host that has last reported at this time; nothing, where it has
/// reported since or is lost already.
pub async fn host_lose(tx: &mut Tx<'_>, id: HostId, seen_at_ms: u64) -> Result<(), Error> {
    let lose = tx.sql("lose a host", include_str!("hosts/lose.sql"));
    if lose.bind(&id).bind(&seen_at_ms).run().await? > 0 {
        feed_bump(tx, Topic::Routes);
    }
    Ok(())
}
