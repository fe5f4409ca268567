//! Statements: one SQL text with its values, run in a transaction.
//!
//! Always true: every statement is counted, and carries what it attempts for the error; one that
//! fails spoils its transaction.

use std::cell::Cell as Counter;
use std::future::Future;

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{Any, Executor as _};

use crate::error::{Cause, Error};
use crate::transaction::Tx;
use crate::values::Value;

tokio::task_local! {
    static COUNTED: Counter<u64>;
}

/// Runs `work`, and tells how many SQL statements it ran itself (not the tasks it started).
///
/// The beginning and end of a transaction are not counted; statements of a retried one are.
pub async fn counted<F: Future>(work: F) -> (F::Output, u64) {
    COUNTED
        .scope(Counter::new(0), async {
            let output = work.await;
            (output, COUNTED.with(Counter::get))
        })
        .await
}

/// A statement as the driver takes it.
type Ready = sqlx::query::Query<'static, Any, AnyArguments>;

/// A statement and its values.
pub(crate) struct Statement<'t, 's> {
    tx: &'t mut Tx<'s>,
    action: &'static str,
    text: &'static str,
    values: Result<AnyArguments, Cause>,
}

/// A row of an answer.
pub(crate) struct Row {
    action: &'static str,
    row: AnyRow,
}

impl Row {
    /// The value of a column.
    pub(crate) fn get<T: Value>(&self, column: &'static str) -> Result<T, Error> {
        let value = T::read(&self.row, column);
        value
            .and_then(|value| value.ok_or_else(|| "it is missing".into()))
            .map_err(|source| Error::Stored { action: self.action, column, source })
    }
}

impl<'t, 's> Statement<'t, 's> {
    /// A statement of `text`, which attempts `action`.
    pub(crate) fn new(tx: &'t mut Tx<'s>, action: &'static str, text: &'static str) -> Self {
        Self { tx, action, text, values: Ok(AnyArguments::default()) }
    }

    /// Adds the next value: `$1`, `$2` and so on.
    pub(crate) fn bind<T: Value>(mut self, value: &T) -> Self {
        self.values = self.values.and_then(|mut values| {
            value.cell()?.add_to(&mut values)?;
            Ok(values)
        });
        self
    }

    /// Runs it, and tells how many rows it changed.
    pub(crate) async fn run(self) -> Result<u64, Error> {
        let (tx, action, query) = self.ready()?;
        let done = tx.connection().execute(query).await;
        done.map(|done| done.rows_affected()).map_err(|source| tx.spoil(action, source))
    }

    /// Runs it, and gives its first row, if any.
    pub(crate) async fn first(self) -> Result<Option<Row>, Error> {
        let (tx, action, query) = self.ready()?;
        let row = tx.connection().fetch_optional(query).await;
        let row = row.map_err(|source| tx.spoil(action, source))?;
        Ok(row.map(|row| Row { action, row }))
    }

    /// Runs it, and gives its one row.
    pub(crate) async fn only(self) -> Result<Row, Error> {
        let action = self.action;
        let row = self.first().await?;
        row.ok_or_else(|| Error::Database { action, source: sqlx::Error::RowNotFound })
    }

    /// Runs it, and gives every row.
    pub(crate) async fn every(self) -> Result<Vec<Row>, Error> {
        self.every_and_tx().await.map(|(rows, _)| rows)
    }

    /// Runs it, and gives every row, and the transaction for what comes next.
    pub(crate) async fn every_and_tx(self) -> Result<(Vec<Row>, &'t mut Tx<'s>), Error> {
        let (tx, action, query) = self.ready()?;
        let rows = tx.connection().fetch_all(query).await;
        let rows = rows.map_err(|source| tx.spoil(action, source))?;
        Ok((rows.into_iter().map(|row| Row { action, row }).collect(), tx))
    }

    fn ready(self) -> Result<(&'t mut Tx<'s>, &'static str, Ready), Error> {
        let Self { tx, action, text, values } = self;
        // SQLite may have ended the transaction with the failure: what came now would be stored.
        tx.check()?;
        let values = values.map_err(|source| Error::Value { action, source })?;
        tx.count();
        // Absent outside `counted`: nobody asked.
        let _ = COUNTED.try_with(|count| count.set(count.get() + 1));
        Ok((tx, action, sqlx::query_with(text, values)))
    }
}
