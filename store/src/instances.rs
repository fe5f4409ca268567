//! Instances: what each host is to run, and what it said became of it.
//!
//! Always true: the generation of what is wanted only grows; a report about an earlier generation
//! than the last report is refused, and within one generation a state never goes back; an instance
//! holds its resources until it has ended. The host hears of every wanted change, gateways of every
//! change of an endpoint's instance. States: waiting, starting, ready; then ended or failed.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use types::{AccountId, EndpointId, HostId, InstanceId, PublishId, TrainingId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;
use crate::values::stored_as_text;
use crate::words::{UnknownWord, words};

words! {
    /// Where an instance stands.
    pub enum InstanceState {
        /// Not yet taken up by its host.
        Waiting = "waiting",
        /// Its package is fetched, its sandbox made.
        Starting = "starting",
        /// A server that answers, or a job that runs.
        Ready = "ready",
        /// Ended as it should.
        Ended = "ended",
        /// Ended as it should not; the report says why.
        Failed = "failed",
    }
}

impl InstanceState {
    /// Whether nothing runs any more.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Ended | Self::Failed)
    }
}

words! {
    /// What is wanted of an instance.
    pub enum Wanted {
        /// That it runs.
        Running = "running",
        /// That it is gone.
        Gone = "gone",
    }
}

/// What an instance runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// An endpoint: it answers requests.
    Endpoint(EndpointId),
    /// A training.
    Training(TrainingId),
    /// A publishing: it proves the package.
    Publish(PublishId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint(id) => id.fmt(f),
            Self::Training(id) => id.fmt(f),
            Self::Publish(id) => id.fmt(f),
        }
    }
}

impl FromStr for Owner {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let endpoint = text.parse().map(Self::Endpoint).ok();
        let owner = endpoint.or_else(|| text.parse().map(Self::Training).ok());
        let owner = owner.or_else(|| text.parse().map(Self::Publish).ok());
        owner.ok_or_else(|| UnknownWord { text: text.chars().take(80).collect(), of: "Owner" })
    }
}

stored_as_text!(Owner);

/// An instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceRow {
    pub id: InstanceId,
    pub account_id: AccountId,
    pub owner: Owner,
    /// Which stage of its owner it is, from 0.
    pub stage: u32,
    pub host_id: HostId,
    /// Of what is wanted.
    pub generation: u64,
    /// What the last report is about; 0 until there was one.
    pub reported_generation: u64,
    pub wanted: Wanted,
    pub state: InstanceState,
    pub task: serde_json::Value,
    pub report: Option<serde_json::Value>,
    pub cpu_milli: u32,
    pub memory_bytes: u64,
    pub created_at_ms: u64,
    pub changed_at_ms: u64,
    /// When it gave its resources back.
    pub ended_at_ms: Option<u64>,
}

/// What a host says became of an instance.
#[derive(Clone, Debug, PartialEq)]
pub struct InstanceSays {
    /// Of the assignment it is about.
    pub generation: u64,
    pub state: InstanceState,
    /// The whole report.
    pub report: serde_json::Value,
}

/// What the instances of a host hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    pub cpu_milli: u64,
    pub memory_bytes: u64,
    pub instances: u32,
}

fn instance(row: &Row) -> Result<InstanceRow, Error> {
    Ok(InstanceRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        owner: row.get("owner")?,
        stage: row.get("stage")?,
        host_id: row.get("host_id")?,
        generation: row.get("generation")?,
        reported_generation: row.get("reported_generation")?,
        wanted: row.get("wanted")?,
        state: row.get("state")?,
        task: row.get("task")?,
        report: row.get("report")?,
        cpu_milli: row.get("cpu_milli")?,
        memory_bytes: row.get("memory_bytes")?,
        created_at_ms: row.get("created_at_ms")?,
        changed_at_ms: row.get("changed_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
    })
}

/// Assigns an instance to its host.
pub async fn instance_insert(tx: &mut Tx<'_>, row: &InstanceRow) -> Result<(), Error> {
    tx.sql("insert an instance", include_str!("instances/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.owner)
        .bind(&row.stage)
        .bind(&row.host_id)
        .bind(&row.generation)
        .bind(&row.reported_generation)
        .bind(&row.wanted)
        .bind(&row.state)
        .bind(&row.task)
        .bind(&row.report)
        .bind(&row.cpu_milli)
        .bind(&row.memory_bytes)
        .bind(&row.created_at_ms)
        .bind(&row.changed_at_ms)
        .bind(&row.ended_at_ms)
        .run()
        .await?;
    announce(tx, row);
    Ok(())
}

/// Fetches one instance.
pub async fn instance_fetch(tx: &mut Tx<'_>, id: InstanceId) -> Result<InstanceRow, Error> {
    let fetch = tx.sql("fetch an instance", include_str!("instances/fetch.sql")).bind(&id);
    let row = fetch.first().await?;
    instance(&row.ok_or_else(|| Error::NotFound { what: "instance", id: id.to_string() })?)
}

/// What a host is to run: wanted running and not ended, by id.
pub async fn instances_list_assigned(
    tx: &mut Tx<'_>,
    host_id: HostId,
) -> Result<Vec<InstanceRow>, Error> {
    let list = tx.sql("list assigned instances", include_str!("instances/assigned.sql"));
    let rows = list.bind(&host_id).every().await?;
    rows.iter().map(instance).collect()
}

/// The instances of an owner, by stage and id, also those that have ended.
pub async fn instances_list_of(tx: &mut Tx<'_>, owner: Owner) -> Result<Vec<InstanceRow>, Error> {
    let list = tx.sql("list instances of an owner", include_str!("instances/of.sql"));
    let rows = list.bind(&owner).every().await?;
    rows.iter().map(instance).collect()
}

/// Every instance that holds resources, by id, for routes and reconcilers.
pub async fn instances_list_live(tx: &mut Tx<'_>) -> Result<Vec<InstanceRow>, Error> {
    let rows = tx.sql("list live instances", include_str!("instances/live.sql")).every().await?;
    rows.iter().map(instance).collect()
}

/// What the instances of each host hold; hosts without any are left out.
pub async fn instances_reserved(tx: &mut Tx<'_>) -> Result<BTreeMap<HostId, Reserved>, Error> {
    let rows = tx.sql("sum up instances", include_str!("instances/reserved.sql")).every().await?;
    let read = |row: &Row| {
        let reserved = Reserved {
            cpu_milli: row.get("cpu_milli")?,
            memory_bytes: row.get("memory_bytes")?,
            instances: row.get("instances")?,
        };
        Ok((row.get("host_id")?, reserved))
    };
    rows.iter().map(read).collect()
}

/// Wants an instance gone, which grows its generation. Doing so again changes nothing.
pub async fn instance_unwant(
    tx: &mut Tx<'_>,
    id: InstanceId,
    now_ms: u64,
) -> Result<InstanceRow, Error> {
    let unwant = tx.sql("want an instance gone", include_str!("instances/unwant.sql"));
    let changed = unwant.bind(&id).bind(&now_ms).run().await?;
    let row = instance_fetch(tx, id).await?;
    if changed == 1 {
        announce(tx, &row);
    }
    Ok(row)
}

/// Records what a host says became of an instance, and gives the row after it. The same again is
/// accepted and changes nothing.
///
/// # Errors
///
/// [`Error::Stale`] with the generation of the last report, when this one is older, or would take
/// its state back.
pub async fn instance_report(
    tx: &mut Tx<'_>,
    id: InstanceId,
    says: &InstanceSays,
    now_ms: u64,
) -> Result<InstanceRow, Error> {
    let before = instance_fetch(tx, id).await?;
    let same_state = (before.reported_generation, before.state) == (says.generation, says.state);
    if same_state && before.report.as_ref() == Some(&says.report) {
        return Ok(before);
    }
    let changed = tx
        .sql("record an instance's report", include_str!("instances/report.sql"))
        .bind(&id)
        .bind(&says.generation)
        .bind(&says.state)
        .bind(&says.report)
        .bind(&now_ms)
        .bind(&says.state.ended())
        .run()
        .await?;
    if changed == 0 {
        let stored = before.reported_generation;
        return Err(Error::Stale { what: "instance", id: id.to_string(), stored });
    }
    let after = instance_fetch(tx, id).await?;
    if says.state.ended() {
        announce(tx, &after);
    } else if matches!(after.owner, Owner::Endpoint(_)) {
        feed_bump(tx, Topic::Routes);
    }
    Ok(after)
}

/// Ends an instance of which no report will come, such as on a host that is lost. One that has
/// ended stays as it is.
pub async fn instance_end(
    tx: &mut Tx<'_>,
    id: InstanceId,
    state: InstanceState,
    report: Option<&serde_json::Value>,
    now_ms: u64,
) -> Result<InstanceRow, Error> {
    debug_assert!(state.ended(), "an instance ends in an end");
    let changed = tx
        .sql("end an instance", include_str!("instances/end.sql"))
        .bind(&id)
        .bind(&state)
        .bind(&report.cloned())
        .bind(&now_ms)
        .run()
        .await?;
    let row = instance_fetch(tx, id).await?;
    if changed == 1 {
        announce(tx, &row);
    }
    Ok(row)
}

/// Forgets instances that ended before `ended_before_ms`.
pub async fn instances_prune(tx: &mut Tx<'_>, ended_before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM instances WHERE ended_at_ms < $1";
    tx.sql("prune instances", text).bind(&ended_before_ms).run().await
}

/// Tells the host, and the gateways where it matters to them.
fn announce(tx: &mut Tx<'_>, row: &InstanceRow) {
    feed_bump(tx, Topic::Host(row.host_id));
    if matches!(row.owner, Owner::Endpoint(_)) {
        feed_bump(tx, Topic::Routes);
    }
}
