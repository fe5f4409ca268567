//! Idempotency: what a creating call answered, kept for its repetition.

use axum::body::Bytes;
use store::idempotency::{
    self as rows, idempotency_abandon, idempotency_begin, idempotency_finish,
};

use crate::caller::Caller;
use crate::{Control, Error};

/// What came of beginning a call.
#[derive(Debug)]
pub enum Begun {
    /// Do it now.
    Now,
    /// It was done before, with this answer.
    Before { status: u16, body: String },
}

/// Begins a call under a key. `line` is its method and path.
pub async fn begin(
    control: &Control,
    caller: &Caller,
    key: &str,
    line: &str,
    body: &Bytes,
) -> Result<Begun, Error> {
    let fingerprint = fingerprint(line, body);
    let (account, now_ms) = (caller.account, control.now_ms());
    let begun = control
        .shared
        .store
        .transact("begin a call", |tx| {
            Box::pin(idempotency_begin(tx, account, key, &fingerprint, now_ms))
        })
        .await?;
    match begun {
        rows::Begun::New => Ok(Begun::Now),
        rows::Begun::Done { status, body } => Ok(Begun::Before { status, body }),
        rows::Begun::InProgress => Err(Error::Conflict {
            code: "idempotency_in_progress",
            message: "a call with this idempotency key is being worked on".to_owned(),
        }),
        rows::Begun::Mismatch => Err(Error::Conflict {
            code: "idempotency_mismatch",
            message: "this idempotency key was used for another request".to_owned(),
        }),
    }
}

/// Keeps the answer of a call.
pub async fn finish(
    control: &Control,
    caller: &Caller,
    key: &str,
    status: u16,
    body: &[u8],
) -> Result<(), Error> {
    let (account, body) = (caller.account, String::from_utf8_lossy(body).into_owned());
    let finished = control.shared.store.transact("finish a call", |tx| {
        Box::pin(idempotency_finish(tx, account, key, status, &body))
    });
    Ok(finished.await?)
}

/// Gives a call up, so that it may be made again.
pub async fn abandon(control: &Control, caller: &Caller, key: &str) -> Result<(), Error> {
    let account = caller.account;
    let abandoned = control
        .shared
        .store
        .transact("abandon a call", |tx| Box::pin(idempotency_abandon(tx, account, key)));
    Ok(abandoned.await?)
}

/// Tells requests apart: SHA-256 of the line and the body.
fn fingerprint(line: &str, body: &[u8]) -> String {
    access::tokens::digest_of(&format!("{line}\n{}", hex::encode(body))).to_string()
}
