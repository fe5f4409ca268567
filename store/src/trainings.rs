//! Trainings: how far a job is on its way to a model.
//!
//! Always true: one that has ended never changes again; a wish to cancel is never taken back.
//! States: waiting, running, publishing; then succeeded, failed or cancelled.

use types::{AccountId, InstanceId, ItemId, TrainingId};

use crate::Tx;
use crate::error::Error;
use crate::statement::Row;
use crate::words::words;

words! {
    /// Where a training stands.
    pub enum TrainingState {
        /// No instance yet.
        Waiting = "waiting",
        /// Its job runs.
        Running = "running",
        /// Its model is being tested and measured.
        Publishing = "publishing",
        /// Its model is there.
        Succeeded = "succeeded",
        /// `error` says why.
        Failed = "failed",
        /// Its owner did not want it any more.
        Cancelled = "cancelled",
    }
}

impl TrainingState {
    /// Whether nothing will change any more.
    pub const fn ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// A training.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingRow {
    pub id: TrainingId,
    pub account_id: AccountId,
    /// What was asked for.
    pub request: serde_json::Value,
    /// The versions that were found: algorithm and data.
    pub resolved: serde_json::Value,
    pub state: TrainingState,
    /// How far the job says it is, in parts per million.
    pub progress_ppm: Option<u32>,
    pub instance_id: Option<InstanceId>,
    /// The item that the model becomes a version of.
    pub model_item: Option<ItemId>,
    pub model_version: Option<u32>,
    pub error: Option<String>,
    /// The word for it, one of the API's codes; there exactly where `error` is.
    pub error_code: Option<String>,
    pub cancel_wanted: bool,
    pub created_at_ms: u64,
    pub ended_at_ms: Option<u64>,
}

fn training(row: &Row) -> Result<TrainingRow, Error> {
    Ok(TrainingRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        request: row.get("request")?,
        resolved: row.get("resolved")?,
        state: row.get("state")?,
        progress_ppm: row.get("progress_ppm")?,
        instance_id: row.get("instance_id")?,
        model_item: row.get("model_item")?,
        model_version: row.get("model_version")?,
        error: row.get("error")?,
        error_code: row.get("error_code")?,
        cancel_wanted: row.get("cancel_wanted")?,
        created_at_ms: row.get("created_at_ms")?,
        ended_at_ms: row.get("ended_at_ms")?,
    })
}

/// Adds a training.
pub async fn training_insert(tx: &mut Tx<'_>, row: &TrainingRow) -> Result<(), Error> {
    tx.sql("insert a training", include_str!("trainings/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.request)
        .bind(&row.resolved)
        .bind(&row.state)
        .bind(&row.progress_ppm)
        .bind(&row.instance_id)
        .bind(&row.model_item)
        .bind(&row.model_version)
        .bind(&row.error)
        .bind(&row.error_code)
        .bind(&row.cancel_wanted)
        .bind(&row.created_at_ms)
        .bind(&row.ended_at_ms)
        .run()
        .await?;
    Ok(())
}

/// Stores where a training stands that has not ended: its state, instance, model, error and end.
///
/// Progress and the wish to cancel have functions of their own, since others write them.
///
/// # Errors
///
/// [`Error::Conflict`] when it has ended, unless in the same state.
pub async fn training_update(tx: &mut Tx<'_>, row: &TrainingRow) -> Result<(), Error> {
    let changed = tx
        .sql("update a training", include_str!("trainings/update.sql"))
        .bind(&row.id)
        .bind(&row.state)
        .bind(&row.instance_id)
        .bind(&row.model_item)
        .bind(&row.model_version)
        .bind(&row.error)
        .bind(&row.error_code)
        .bind(&row.ended_at_ms)
        .run()
        .await?;
    if changed == 1 || training_fetch(tx, row.id).await?.state == row.state {
        return Ok(());
    }
    Err(Error::Conflict { what: "training", id: row.id.to_string(), why: "has ended" })
}

/// Stores how far the job of a training says it is. Once it has ended, nothing changes.
pub async fn training_progress(
    tx: &mut Tx<'_>,
    id: TrainingId,
    progress_ppm: u32,
) -> Result<(), Error> {
    let update = tx.sql("store progress", include_str!("trainings/progress.sql"));
    update.bind(&id).bind(&progress_ppm.min(1_000_000)).run().await?;
    Ok(())
}

/// Notes that the owner wants a training no more, and gives the training. Once it has ended,
/// nothing changes.
pub async fn training_cancel(tx: &mut Tx<'_>, id: TrainingId) -> Result<TrainingRow, Error> {
    let update = tx.sql("cancel a training", include_str!("trainings/cancel.sql"));
    update.bind(&id).run().await?;
    training_fetch(tx, id).await
}

/// Fetches one training.
pub async fn training_fetch(tx: &mut Tx<'_>, id: TrainingId) -> Result<TrainingRow, Error> {
    let fetch = tx.sql("fetch a training", include_str!("trainings/fetch.sql")).bind(&id);
    let row = fetch.first().await?;
    let missing = || Error::NotFound { what: "training", id: id.to_string() };
    training(&row.ok_or_else(missing)?)
}

/// The newest training of an account that made a version of a model.
pub async fn training_of_model(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    model: ItemId,
) -> Result<Option<TrainingRow>, Error> {
    let find = tx.sql("find the training of a model", include_str!("trainings/of_model.sql"));
    let row = find.bind(&account_id).bind(&model).first().await?;
    row.as_ref().map(training).transpose()
}

/// Lists the trainings of an account that have not ended.
pub async fn trainings_under_way(
    tx: &mut Tx<'_>,
    account_id: AccountId,
) -> Result<Vec<TrainingRow>, Error> {
    let list = tx.sql("list trainings under way", include_str!("trainings/under_way.sql"));
    let rows = list.bind(&account_id).every().await?;
    rows.iter().map(training).collect()
}

/// Lists the trainings of an account, newest first, before one, at most `limit`.
pub async fn trainings_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    before: Option<TrainingId>,
    limit: u32,
) -> Result<Vec<TrainingRow>, Error> {
    // Ids begin with `train-` and hex digits; `g` sorts behind them everywhere.
    let before = before.map_or_else(|| "train-g".to_owned(), |id| id.to_string());
    let list = tx.sql("list trainings", include_str!("trainings/list.sql"));
    let rows = list.bind(&account_id).bind(&before).bind(&limit).every().await?;
    rows.iter().map(training).collect()
}
