//! Publishings: how far a package is on its way to a listed version.
//!
//! Always true: one that has ended never changes again; while it runs it holds its package.
//! States: running; then published or failed.

use types::{AccountId, InstanceId, ItemId, Name, ObjectId, PublishId, TrainingId};

use crate::Tx;
use crate::error::Error;
use crate::objects::{object_hold, object_release};
use crate::statement::Row;
use crate::words::words;

words! {
    /// Where a publishing stands.
    pub enum PublishState {
        /// Its steps are being run.
        Running = "running",
        /// Its version is listed.
        Published = "published",
        /// `error` says why.
        Failed = "failed",
    }
}

/// A publishing.
#[derive(Clone, Debug, PartialEq)]
pub struct PublishRow {
    pub id: PublishId,
    pub account_id: AccountId,
    /// The package.
    pub object_id: ObjectId,
    pub state: PublishState,
    /// The step it is at, or failed at.
    pub step: String,
    /// The item's name, once its manifest was read.
    pub name: Option<Name>,
    pub item_id: Option<ItemId>,
    pub version: Option<u32>,
    /// What the producer asked for.
    pub sharing: serde_json::Value,
    pub error: Option<String>,
    /// The word for it, one of the API's codes; there exactly where `error` is.
    pub error_code: Option<String>,
    /// The instance that proves the package.
    pub instance_id: Option<InstanceId>,
    /// The training that the package came from.
    pub training_id: Option<TrainingId>,
    pub created_at_ms: u64,
    pub ended_at_ms: Option<u64>,
}

fn publish(row: &Row) -> Result<PublishRow, Error> {
    Ok(PublishRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        object_id: row.get("object_id")?,
        state: row.get("state")?,
        step: row.get("step")?,
        name: row.get("name")?,
        item_id: row.get("item_id")?,
        version: row.get("version")?,
        sharing: row.get("sharing")?,
        error: row.get("error")?,
        error_code: row.get("error_code")?,
        instance_id: row.get("instance_id")?,
        training_id: row.get("training_id")?,
        created_at_ms: row.get("created_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
    })
}

/// Adds a publishing, which holds its package until it ends.
pub async fn publish_insert(tx: &mut Tx<'_>, row: &PublishRow) -> Result<(), Error> {
    object_hold(tx, row.object_id, &row.id.to_string()).await?;
    tx.sql("insert a publishing", include_str!("publishes/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.object_id)
        .bind(&row.state)
        .bind(&row.step)
        .bind(&row.name)
        .bind(&row.item_id)
        .bind(&row.version)
        .bind(&row.sharing)
        .bind(&row.error)
        .bind(&row.error_code)
        .bind(&row.instance_id)
        .bind(&row.training_id)
        .bind(&row.created_at_ms)
        .bind(&row.ended_at_ms)
        .run()
        .await?;
    Ok(())
}

/// Stores where a running publishing stands: all but its account, package, wishes, training and
/// beginning. When it ends, its package is released.
///
/// # Errors
///
/// [`Error::Conflict`] when it has ended, unless it is stored as it is.
pub async fn publish_update(tx: &mut Tx<'_>, row: &PublishRow) -> Result<(), Error> {
    let changed = tx
        .sql("update a publishing", include_str!("publishes/update.sql"))
        .bind(&row.id)
        .bind(&row.state)
        .bind(&row.step)
        .bind(&row.name)
        .bind(&row.item_id)
        .bind(&row.version)
        .bind(&row.error)
        .bind(&row.error_code)
        .bind(&row.instance_id)
        .bind(&row.ended_at_ms)
        .run()
        .await?;
    if changed == 0 {
        let stored = publish_fetch(tx, row.id).await?;
        if stored == *row {
            return Ok(());
        }
        let id = row.id.to_string();
        return Err(Error::Conflict { what: "publishing", id, why: "has ended" });
    }
    if row.state != PublishState::Running {
        object_release(tx, row.object_id, &row.id.to_string()).await?;
    }
    Ok(())
}

/// Fetches one publishing.
pub async fn publish_fetch(tx: &mut Tx<'_>, id: PublishId) -> Result<PublishRow, Error> {
    let fetch = tx.sql("fetch a publishing", include_str!("publishes/fetch.sql")).bind(&id);
    let row = fetch.first().await?;
    let missing = || Error::NotFound { what: "publishing", id: id.to_string() };
    publish(&row.ok_or_else(missing)?)
}

/// Lists the publishings of an account, newest first, before one, at most `limit`.
pub async fn publishes_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    before: Option<PublishId>,
    limit: u32,
) -> Result<Vec<PublishRow>, Error> {
    // Ids begin with `pub-` and hex digits; `g` sorts behind them everywhere.
    let before = before.map_or_else(|| "pub-g".to_owned(), |id| id.to_string());
    let list = tx.sql("list publishings", include_str!("publishes/list.sql"));
    let rows = list.bind(&account_id).bind(&before).bind(&limit).every().await?;
    rows.iter().map(publish).collect()
}
