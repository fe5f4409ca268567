//! Enrolments: invitations for agents and gateways, by the hash of their token.
//!
//! Always true: an invitation is taken at most once, and not after its end.

use types::{Digest, Name};

use crate::Tx;
use crate::error::Error;
use crate::statement::Row;
use crate::words::words;

words! {
    /// What enrols.
    pub enum Process {
        /// An agent, which is a host.
        Agent = "agent",
        /// A gateway.
        Gateway = "gateway",
    }
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrolmentRow {
    pub token_sha256: Digest,
    pub process: Process,
    pub name: Name,
    pub expires_at_ms: u64,
    /// Not taken where absent.
    pub used_at_ms: Option<u64>,
}

fn enrolment(row: &Row) -> Result<EnrolmentRow, Error> {
    Ok(EnrolmentRow {
        token_sha256: row.get("token_sha256")?,
        process: row.get("process")?,
        name: row.get("name")?,
        expires_at_ms: row.get("expires_at_ms")?,
        used_at_ms: row.get("used_at_ms")?,
    })
}

/// Adds an invitation.
pub async fn enrolment_insert(tx: &mut Tx<'_>, row: &EnrolmentRow) -> Result<(), Error> {
    tx.sql("insert an enrolment", include_str!("enrolments/insert.sql"))
        .bind(&row.token_sha256)
        .bind(&row.process)
        .bind(&row.name)
        .bind(&row.expires_at_ms)
        .bind(&row.used_at_ms)
        .run()
        .await?;
    Ok(())
}

/// Takes an invitation. [`Error::NotFound`] when there is none, it was taken, or it has ended:
/// which of these, nobody is told.
pub async fn enrolment_take(
    tx: &mut Tx<'_>,
    token_sha256: &Digest,
    now_ms: u64,
) -> Result<EnrolmentRow, Error> {
    let take = tx.sql("take an enrolment", include_str!("enrolments/take.sql"));
    let row = take.bind(token_sha256).bind(&now_ms).first().await?;
    let missing = || Error::NotFound { what: "enrolment", id: "of this token".to_owned() };
    enrolment(&row.ok_or_else(missing)?)
}

/// Forgets invitations that ended before `expired_before_ms`.
pub async fn enrolments_trim(tx: &mut Tx<'_>, expired_before_ms: u64) -> Result<u64, Error> {
    let text = "DELETE FROM enrolments WHERE expires_at_ms < $1";
    tx.sql("trim enrolments", text).bind(&expired_before_ms).run().await
}
