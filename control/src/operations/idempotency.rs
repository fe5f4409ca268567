//! Idempotency: what a creating call answered, kept for its repetition.
//!
//! Always true: answers are stored sealed, for some hold the secret of a token.

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
    Before { status: u16, body: Vec<u8> },
}

/// Begins a call under a key. `line` is its method and path.
pub async fn begin(
    control: &Control,
    caller: &Caller,
    key: &str,
    line: &str,
    body: &Bytes,
) -> Result<Begun, Error> {
    let fingerprint = fingerprint(caller.role, line, body);
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
        rows::Begun::Done { status, body } => {
            let body = open(control, caller, key, &body)?;
            Ok(Begun::Before { status, body })
        }
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
    (status, body): (u16, &[u8]),
) -> Result<(), Error> {
    let account = caller.account;
    let body = hex::encode(control.shared.vault.seal(&context(caller, key), body));
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

/// The answer that was sealed for this account and key.
fn open(control: &Control, caller: &Caller, key: &str, sealed: &str) -> Result<Vec<u8>, Error> {
    let unreadable = "could not read a kept answer";
    let sealed = hex::decode(sealed).map_err(|error| Error::internal(unreadable, error))?;
    let opened = control.shared.vault.open(&context(caller, key), &sealed);
    opened.map_err(|error| Error::internal(unreadable, error))
}

fn context(caller: &Caller, key: &str) -> String {
    format!("answer:{}:{key}", caller.account)
}

/// Tells requests apart: SHA-256 of the caller's role, the line and the body.
fn fingerprint(role: access::Role, line: &str, body: &[u8]) -> String {
    access::tokens::digest_of(&format!("{role}\n{line}\n{}", hex::encode(body))).to_string()
}
