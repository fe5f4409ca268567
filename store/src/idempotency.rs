//! Idempotency: what creating calls answered, so that repeating one is safe.
//!
//! Always true: of calls with one key, one is worked on at a time, and all get the answer of the
//! one that was finished; a key is never used for two different requests. One that was begun and
//! neither finished nor given up, as after a crash, may be begun again after a while.

use types::AccountId;

use crate::Tx;
use crate::error::Error;

/// How long a call may be in progress before it counts as lost, in milliseconds: longer than any
/// request is allowed to take.
pub const LOST_AFTER_MS: u64 = 5 * 60_000;

/// What came of beginning a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Nobody made it before: do it, then finish or abandon it.
    New,
    /// Another call with this key is being worked on.
    InProgress,
    /// It was made before, and this was the answer.
    Done {
        /// The HTTP status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The key was used for another request.
    Mismatch,
}

/// Begins a call. `fingerprint` tells requests apart.
pub async fn idempotency_begin(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    key: &str,
    fingerprint: &str,
    now_ms: u64,
) -> Result<Begun, Error> {
    let (key, fingerprint) = (key.to_owned(), fingerprint.to_owned());
    let begun = tx
        .sql("begin a call", include_str!("idempotency/begin.sql"))
        .bind(&account_id)
        .bind(&key)
        .bind(&fingerprint)
        .bind(&now_ms)
        .bind(&now_ms.saturating_sub(LOST_AFTER_MS))
        .run()
        .await?;
    if begun == 1 {
        return Ok(Begun::New);
    }
    let fetch = tx.sql("fetch a call", include_str!("idempotency/fetch.sql"));
    let row = fetch.bind(&account_id).bind(&key).only().await?;
    if row.get::<String>("fingerprint")? != fingerprint {
        return Ok(Begun::Mismatch);
    }
    let (status, body): (Option<u16>, Option<String>) = (row.get("status")?, row.get("body")?);
    Ok(match status {
        None => Begun::InProgress,
        Some(status) => Begun::Done { status, body: body.unwrap_or_default() },
    })
}

/// Stores the answer of a call that was begun. One that is stored stays.
pub async fn idempotency_finish(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    key: &str,
    status: u16,
    body: &str,
) -> Result<(), Error> {
    let finish = tx.sql("finish a call", include_str!("idempotency/finish.sql"));
    let finish = finish.bind(&account_id).bind(&key.to_owned());
    finish.bind(&status).bind(&body.to_owned()).run().await?;
    Ok(())
}

/// Gives up a call that was begun, so that it may be made again. One that is finished stays.
pub async fn idempotency_abandon(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    key: &str,
) -> Result<(), Error> {
    let text = include_str!("idempotency/abandon.sql");
    tx.sql("abandon a call", text).bind(&account_id).bind(&key.to_owned()).run().await?;
    Ok(())
}

/// Forgets calls that were begun before `created_before_ms`.
pub async fn idempotency_trim(tx: &mut Tx<'_>, created_before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM idempotency WHERE created_at_ms < $1";
    tx.sql("trim calls", text).bind(&created_before_ms).run().await
}
