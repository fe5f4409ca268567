//! Sagas: the records of `workflow::saga`, and the log its driver works on.
//!
//! Always true: a save lands only on the generation just before its own.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use types::SagaId;
use workflow::saga::{Log, Record};

use crate::error::Error;
use crate::statement::Row;
use crate::{Store, Tx};

fn record(row: &Row) -> Result<Record, Error> {
    let error: Option<serde_json::Value> = row.get("error")?;
    let error = error.map(serde_json::from_value).transpose().map_err(|source| Error::Stored {
        action: "read a saga",
        column: "error",
        source: source.into(),
    })?;
    Ok(Record {
        id: row.get("id")?,
        kind: row.get("kind")?,
        subject: row.get("subject")?,
        state: row.get("state")?,
        step: row.get("step")?,
        phase: row.get("phase")?,
        attempts: row.get("attempts")?,
        started_at_ms: row.get("started_at_ms")?,
        due_at_ms: row.get("due_at_ms")?,
        owner: row.get("owner")?,
        error,
        generation: row.get("generation")?,
    })
}

fn error_of(record: &Record) -> Result<Option<serde_json::Value>, Error> {
    let value = record.error.as_ref().map(serde_json::to_value).transpose();
    value.map_err(|source| Error::Value { action: "write a saga", source: source.into() })
}

/// Adds a saga, in the transaction that makes what it is about.
pub async fn saga_insert(tx: &mut Tx<'_>, record: &Record) -> Result<(), Error> {
    let error = error_of(record)?;
    tx.sql("insert a saga", include_str!("sagas/insert.sql"))
        .bind(&record.id)
        .bind(&record.kind)
        .bind(&record.subject)
        .bind(&record.state)
        .bind(&record.step)
        .bind(&record.phase)
        .bind(&record.attempts)
        .bind(&record.started_at_ms)
        .bind(&record.due_at_ms)
        .bind(&record.owner)
        .bind(&error)
        .bind(&record.generation)
        .run()
        .await?;
    Ok(())
}

/// Fetches one saga, where it exists.
pub async fn saga_find(tx: &mut Tx<'_>, id: SagaId) -> Result<Option<Record>, Error> {
    let row = tx.sql("fetch a saga", include_str!("sagas/fetch.sql")).bind(&id).first().await?;
    row.as_ref().map(record).transpose()
}

/// Stores a saga where the stored generation is the one before its own; false where it is another.
pub async fn saga_save(tx: &mut Tx<'_>, record: &Record) -> Result<bool, Error> {
    let error = error_of(record)?;
    let changed = tx
        .sql("save a saga", include_str!("sagas/save.sql"))
        .bind(&record.id)
        .bind(&record.state)
        .bind(&record.step)
        .bind(&record.phase)
        .bind(&record.attempts)
        .bind(&record.due_at_ms)
        .bind(&record.owner)
        .bind(&error)
        .bind(&record.generation)
        .run()
        .await?;
    Ok(changed == 1)
}

/// Sagas that have not ended and are due at `now_ms`, the longest due first, at most `limit`.
pub async fn sagas_list_due(
    tx: &mut Tx<'_>,
    now_ms: u64,
    limit: u32,
) -> Result<Vec<Record>, Error> {
    let list = tx.sql("list due sagas", include_str!("sagas/due.sql"));
    let rows = list.bind(&now_ms).bind(&limit).every().await?;
    rows.iter().map(record).collect()
}

/// Sagas that have not ended and that this driver is advancing.
pub async fn sagas_list_owned(tx: &mut Tx<'_>, owner: &str) -> Result<Vec<Record>, Error> {
    let list = tx.sql("list owned sagas", include_str!("sagas/owned.sql"));
    let rows = list.bind(&owner.to_owned()).every().await?;
    rows.iter().map(record).collect()
}

/// Every saga about a subject, oldest first.
pub async fn sagas_list_about(tx: &mut Tx<'_>, subject: &str) -> Result<Vec<Record>, Error> {
    let list = tx.sql("list sagas about a subject", include_str!("sagas/about.sql"));
    let rows = list.bind(&subject.to_owned()).every().await?;
    rows.iter().map(record).collect()
}

/// Sagas that have not ended, oldest first, at most `limit`, for operators.
pub async fn sagas_list_open(tx: &mut Tx<'_>, limit: u32) -> Result<Vec<Record>, Error> {
    let list = tx.sql("list open sagas", include_str!("sagas/open.sql"));
    let rows = list.bind(&limit).every().await?;
    rows.iter().map(record).collect()
}

/// Forgets sagas that have ended and were last due before `due_before_ms`.
pub async fn sagas_prune(tx: &mut Tx<'_>, due_before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM sagas WHERE phase IN ('done', 'undone') AND due_at_ms < $1";
    tx.sql("prune sagas", text).bind(&due_before_ms).run().await
}

impl Log for Store {
    fn due(
        &self,
        now_ms: u64,
        limit: usize,
    ) -> BoxFuture<'_, Result<Vec<Record>, workflow::saga::Error>> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        async move {
            let work =
                self.read("list due sagas", move |tx| Box::pin(sagas_list_due(tx, now_ms, limit)));
            work.await.map_err(unreadable)
        }
        .boxed()
    }

    fn owned<'a>(
        &'a self,
        owner: &'a str,
    ) -> BoxFuture<'a, Result<Vec<Record>, workflow::saga::Error>> {
        async move {
            let work =
                self.read("list owned sagas", move |tx| Box::pin(sagas_list_owned(tx, owner)));
            work.await.map_err(unreadable)
        }
        .boxed()
    }

    fn fetch(&self, id: SagaId) -> BoxFuture<'_, Result<Option<Record>, workflow::saga::Error>> {
        async move {
            let work = self.read("fetch a saga", move |tx| Box::pin(saga_find(tx, id)));
            work.await.map_err(unreadable)
        }
        .boxed()
    }

    fn save<'a>(
        &'a self,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<bool, workflow::saga::Error>> {
        async move {
            let work = self.transact("save a saga", move |tx| Box::pin(saga_save(tx, record)));
            work.await.map_err(unwritable)
        }
        .boxed()
    }
}

fn unreadable(source: Error) -> workflow::saga::Error {
    workflow::saga::Error::Log { action: "read", source: Box::new(source) }
}

fn unwritable(source: Error) -> workflow::saga::Error {
    workflow::saga::Error::Log { action: "save", source: Box::new(source) }
}
