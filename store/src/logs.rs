//! Logs: lines of publishings, trainings, endpoints and instances, under the text of their id.
//!
//! A line may come with a number its origin gave it, so that a repeated delivery adds nothing.
//!
//! Always true: a log's lines are numbered from 1 without gaps as they are appended; only its
//! oldest lines are forgotten; a text is cut, never refused.

use std::time::Duration;

use tokio::time::Instant;

use crate::error::Error;
use crate::statement::Row;
use crate::words::words;
use crate::{Store, Tx};

/// Most lines kept of one log: a job that writes for ever must not fill the disk.
pub const LOG_LINES_MAX: u64 = 10_000;
/// Longest text of one line, in bytes: more is no line.
pub const LOG_TEXT_BYTES_MAX: usize = 8_192;
/// Lines by which a log may exceed its limit before its oldest are forgotten, so that not every
/// line costs a deletion.
const TRIM_EVERY: u64 = 256;

words! {
    /// How much a line matters.
    pub enum Level {
        /// Something happened.
        Info = "info",
        /// Surprising, but handled.
        Warning = "warning",
        /// Something failed.
        Error = "error",
    }
}

/// A line to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLine {
    pub at_ms: u64,
    /// What wrote it: a step of publishing, or `stdout` and `stderr` of a job.
    pub source: String,
    pub level: Level,
    pub text: String,
}

/// A line with the number its origin gave it, from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedLine {
    pub number: u64,
    pub line: NewLine,
}

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// Its number in this log, from 1.
    pub seq: u64,
    pub at_ms: u64,
    pub source: String,
    pub level: Level,
    pub text: String,
}

fn line(row: &Row) -> Result<LogRow, Error> {
    Ok(LogRow {
        seq: row.get("seq")?,
        at_ms: row.get("at_ms")?,
        source: row.get("source")?,
        level: row.get("level")?,
        text: row.get("text")?,
    })
}

/// Appends one line, and gives its number.
pub async fn log_append(tx: &mut Tx<'_>, subject: &str, line: NewLine) -> Result<u64, Error> {
    logs_append(tx, subject, vec![line]).await
}

/// Appends lines, and gives the number of the last line of the log.
pub async fn logs_append(
    tx: &mut Tx<'_>,
    subject: &str,
    lines: Vec<NewLine>,
) -> Result<u64, Error> {
    let lines = lines.into_iter().map(|line| NumberedLine { number: 0, line });
    append(tx, subject, "", lines.collect()).await
}

/// Appends the lines of `origin` whose numbers are above those it delivered before, and gives the
/// number of the last line of the log. Lines must come in the order of their numbers.
pub async fn logs_append_from(
    tx: &mut Tx<'_>,
    subject: &str,
    origin: &str,
    mut lines: Vec<NumberedLine>,
) -> Result<u64, Error> {
    let highest = tx.sql("find the last line of an origin", include_str!("logs/origin_last.sql"));
    let row = highest.bind(&subject.to_owned()).bind(&origin.to_owned()).only().await?;
    let mut delivered: u64 = row.get("number")?;
    lines.retain(|line| {
        let new = line.number > delivered;
        delivered = delivered.max(line.number);
        new
    });
    append(tx, subject, origin, lines).await
}

async fn append(
    tx: &mut Tx<'_>,
    subject: &str,
    origin: &str,
    lines: Vec<NumberedLine>,
) -> Result<u64, Error> {
    let subject = subject.to_owned();
    let first = last(tx, &subject).await? + 1;
    let end = first + lines.len() as u64;
    for (seq, NumberedLine { number, line }) in (first..).zip(lines) {
        tx.sql("append to a log", include_str!("logs/insert.sql"))
            .bind(&subject)
            .bind(&seq)
            .bind(&line.at_ms)
            .bind(&line.source)
            .bind(&line.level)
            .bind(&tidy(&line.text))
            .bind(&origin.to_owned())
            .bind(&number)
            .run()
            .await?;
    }
    if end > LOG_LINES_MAX && first / TRIM_EVERY != end / TRIM_EVERY {
        let upto = end - 1 - LOG_LINES_MAX;
        let text = "DELETE FROM logs WHERE subject = $1 AND seq <= $2";
        tx.sql("trim a log", text).bind(&subject).bind(&upto).run().await?;
    }
    tx.pending.raise(topic(&subject), end - 1);
    Ok(end - 1)
}

/// The lines of a log after number `after`, oldest first, at most `limit`.
pub async fn logs_list(
    tx: &mut Tx<'_>,
    subject: &str,
    after: u64,
    limit: u32,
) -> Result<Vec<LogRow>, Error> {
    let list = tx.sql("list a log", include_str!("logs/list.sql"));
    let rows = list.bind(&subject.to_owned()).bind(&after).bind(&limit).every().await?;
    rows.iter().map(line).collect()
}

/// Forgets a log.
pub async fn logs_delete(tx: &mut Tx<'_>, subject: &str) -> Result<u64, Error> {
    let text = "DELETE FROM logs WHERE subject = $1";
    tx.sql("delete a log", text).bind(&subject.to_owned()).run().await
}

async fn last(tx: &mut Tx<'_>, subject: &String) -> Result<u64, Error> {
    let text = "SELECT COALESCE(MAX(seq), 0) AS seq FROM logs WHERE subject = $1";
    tx.sql("find the end of a log", text).bind(subject).only().await?.get("seq")
}

impl Store {
    /// Waits until a log has a line after number `after`, or for `wait_ms` milliseconds, and gives
    /// the number of its last line. Dropping the future ends the wait.
    ///
    /// # Errors
    ///
    /// As [`Store::read`].
    pub async fn logs_wait(&self, subject: &str, after: u64, wait_ms: u64) -> Result<u64, Error> {
        let deadline = Instant::now() + Duration::from_millis(wait_ms);
        let mut heard = self.watchers().subscribe(&topic(subject));
        let subject = subject.to_owned();
        loop {
            let known =
                self.read("find the end of a log", |tx| Box::pin(last(tx, &subject))).await?;
            let now = Instant::now();
            if known > after || now >= deadline {
                return Ok(known);
            }
            let pause = now + Duration::from_millis(self.poll_ms());
            tokio::select! {
                _ = heard.wait_for(|number| *number > after) => {}
                () = tokio::time::sleep_until(pause.min(deadline)) => {}
            }
        }
    }
}

/// The topic of a log, heard of in this process only.
fn topic(subject: &str) -> String {
    format!("log:{subject}")
}

/// The text without what the databases cannot hold, and cut to its limit.
fn tidy(text: &str) -> String {
    let mut text = text.replace('\0', "\u{fffd}");
    if text.len() > LOG_TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(LOG_TEXT_BYTES_MAX));
    }
    text
}
