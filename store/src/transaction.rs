//! Transactions: the only way to the tables.
//!
//! A write transaction is serialisable. One that lost a race is run again from its beginning, the
//! later tries alone in this process, so that one of them wins.
//!
//! Always true: a transaction is stored whole or not at all, also when its caller gives up; after a
//! statement failed nothing of its transaction is stored, whatever the caller answers; watchers
//! hear of a change after its commit, never before. Absent on purpose: nesting.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::{Any, AnyConnection, Transaction};
use tokio::sync::{RwLockReadGuard, RwLockWriteGuard};

use crate::Store;
use crate::error::{Error, Failure, failure_of};
use crate::feeds::Pending;
use crate::statement::Statement;

/// Tries of one transaction: enough for every control plane to win once, few enough to be seen.
const ATTEMPTS_MAX: u32 = 12;
/// Tries beside the other transactions of this process; the ones after them run alone.
const ATTEMPTS_SHARED_MAX: u32 = 2;
/// Longest wait for a turn, so that a transaction begun inside another ends in an error.
const TURN_MS_MAX: u64 = 10_000;
/// Wait after the first lost race, in milliseconds; it grows by as much with every further one.
const RETRY_MS: u64 = 5;

/// An open transaction.
///
/// The lifetime is that of what the closure borrows, so that it may borrow at all.
pub struct Tx<'s> {
    name: &'static str,
    transaction: Transaction<'static, Any>,
    store: Store,
    failure: Option<Failure>,
    pub(crate) pending: Pending,
    scope: PhantomData<&'s ()>,
}

impl<'s> Tx<'s> {
    /// A statement in this transaction.
    pub(crate) fn sql<'t>(
        &'t mut self,
        action: &'static str,
        text: &'static str,
    ) -> Statement<'t, 's> {
        Statement::new(self, action, text)
    }

    pub(crate) fn connection(&mut self) -> &mut AnyConnection {
        &mut self.transaction
    }

    pub(crate) fn count(&self) {
        self.store.count_statement();
    }

    /// Refuses to go on after a statement has failed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.failure {
            None => Ok(()),
            Some(_) => Err(Error::Spoiled { name: self.name }),
        }
    }

    /// Remembers that a statement failed, and says how.
    pub(crate) fn spoil(&mut self, action: &'static str, source: sqlx::Error) -> Error {
        self.failure.get_or_insert(failure_of(&source));
        Error::from_database(action, source)
    }

    fn raced(&self) -> bool {
        self.failure == Some(Failure::Raced)
    }
}

impl fmt::Debug for Tx<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("failure", &self.failure).finish_non_exhaustive()
    }
}

/// Leave to try a transaction.
enum Turn<'l> {
    Shared { _lane: RwLockReadGuard<'l, ()> },
    Alone { _lane: RwLockWriteGuard<'l, ()> },
}

/// How one try went.
enum Attempt<T, E> {
    Over(Result<T, E>),
    Raced,
}

impl Store {
    /// Runs `work` in a write transaction, and stores all of it when it answers `Ok`.
    ///
    /// `work` may run several times, so it must do nothing but call the store. It may borrow what
    /// is around it; written without `move`, it does:
    ///
    /// ```ignore
    /// let made = store.transact("make an account", |tx| {
    ///     Box::pin(async {
    ///         account_insert(tx, &row).await?;
    ///         saga_insert(tx, &record).await
    ///     })
    /// });
    /// made.await?;
    /// ```
    ///
    /// # Errors
    ///
    /// Whatever `work` answers; [`Error::Unavailable`], [`Error::Full`] and [`Error::Contention`]
    /// of the transaction itself; [`Error::Spoiled`] when `work` answered `Ok` although one of its
    /// statements had failed.
    pub async fn transact<'s, T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: for<'t> Fn(&'t mut Tx<'s>) -> BoxFuture<'t, Result<T, E>> + Send + Sync,
        T: Send,
        E: From<Error> + Send,
    {
        for attempt in 1..=ATTEMPTS_MAX {
            let Some(turn) = self.turn(attempt > ATTEMPTS_SHARED_MAX).await else {
                return Err(Error::Contention { name, attempts: attempt }.into());
            };
            let tried = self.attempt(name, &work).await;
            drop(turn);
            match tried {
                Attempt::Over(result) => return result,
                Attempt::Raced => {
                    tracing::debug!(transaction = name, attempt, "transaction lost a race");
                    let wait_ms = RETRY_MS * u64::from(attempt);
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        }
        Err(Error::Contention { name, attempts: ATTEMPTS_MAX }.into())
    }

    /// Runs `work` in a read-only transaction: everything it reads is of one moment.
    ///
    /// # Errors
    ///
    /// Whatever `work` answers; [`Error::Unavailable`] when there is no connection.
    pub async fn read<'s, T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        F: for<'t> FnOnce(&'t mut Tx<'s>) -> BoxFuture<'t, Result<T, E>> + Send,
        T: Send,
        E: From<Error> + Send,
    {
        let transaction = self.begin_read().await;
        let transaction = transaction.map_err(|source| Error::from_database(name, source))?;
        let mut tx = self.tx(name, transaction);
        let result = work(&mut tx).await;
        debug_assert!(tx.pending.is_empty(), "a read changed a feed");
        close(tx).await;
        result
    }

    /// Waits for a try's turn, beside the others or alone; none when it does not come.
    async fn turn(&self, alone: bool) -> Option<Turn<'_>> {
        let turn = async {
            if alone {
                Turn::Alone { _lane: self.lane().write().await }
            } else {
                Turn::Shared { _lane: self.lane().read().await }
            }
        };
        tokio::time::timeout(Duration::from_millis(TURN_MS_MAX), turn).await.ok()
    }

    async fn attempt<'s, T, E, F>(&self, name: &'static str, work: &F) -> Attempt<T, E>
    where
        F: for<'t> Fn(&'t mut Tx<'s>) -> BoxFuture<'t, Result<T, E>> + Send + Sync,
        T: Send,
        E: From<Error> + Send,
    {
        let mut tx = match self.begin_write().await {
            Ok(transaction) => self.tx(name, transaction),
            Err(source) => return Attempt::Over(Err(Error::from_database(name, source).into())),
        };
        let result = work(&mut tx).await;
        let raced = tx.raced();
        match result {
            Err(_) if raced => {
                close(tx).await;
                Attempt::Raced
            }
            Err(error) => {
                close(tx).await;
                Attempt::Over(Err(error))
            }
            Ok(value) => match self.commit(name, tx).await {
                Ok(true) => Attempt::Over(Ok(value)),
                Ok(false) => Attempt::Raced,
                Err(error) => Attempt::Over(Err(error.into())),
            },
        }
    }

    /// Commits; false when a race was lost and nothing was stored.
    async fn commit(&self, name: &'static str, mut tx: Tx<'_>) -> Result<bool, Error> {
        let flushed = match tx.check() {
            Ok(()) => crate::feeds::flush(&mut tx).await,
            spoiled => spoiled,
        };
        if let Err(error) = flushed {
            let raced = tx.raced();
            close(tx).await;
            return if raced { Ok(false) } else { Err(error) };
        }
        let Tx { transaction, pending, .. } = tx;
        let store = self.clone();
        let commit = async move {
            transaction.commit().await?;
            pending.announce(&store);
            Ok(())
        };
        match self.whole("commit a transaction", commit).await {
            Ok(()) => Ok(true),
            Err(source) if failure_of(&source) == Failure::Raced => Ok(false),
            Err(source) => Err(Error::from_database(name, source)),
        }
    }

    fn tx<'s>(&self, name: &'static str, transaction: Transaction<'static, Any>) -> Tx<'s> {
        Tx {
            name,
            transaction,
            store: self.clone(),
            failure: None,
            pending: Pending::default(),
            scope: PhantomData,
        }
    }
}

/// Ends a transaction without storing anything of it.
async fn close(tx: Tx<'_>) {
    let Tx { name, transaction, store, .. } = tx;
    if let Err(error) = store.whole("roll back a transaction", transaction.rollback()).await {
        tracing::debug!(transaction = name, %error, "could not roll back");
    }
}

#[cfg(test)]
mod tests;
