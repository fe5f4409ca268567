//! Operations: what the API does, one noun a file.
//!
//! Always true: an operation asks whether the caller may before it tells anything; what it changes
//! is one transaction.

pub mod accounts;
pub mod endpoints;
pub mod enrolments;
pub mod functions;
pub mod grants;
pub mod hosts;
pub mod idempotency;
pub mod instances;
pub mod items;
pub mod keys;
pub mod links;
pub mod objects;
pub mod publishes;
pub mod routes;
pub mod runs;
pub mod search;
pub mod services;
pub(crate) mod stages;
pub mod status;
pub mod streams;
pub mod tokens;
pub mod trainings;
pub mod usage;

use std::str::FromStr;

use api::pages::{LogQuery, PAGE_LENGTH, PAGE_LENGTH_MAX, Page, PageQuery};

use crate::Error;

/// What was stored under a name, or that the name is taken.
pub(crate) fn made<T>(
    stored: Result<T, store::Error>,
    name: &impl std::fmt::Display,
) -> Result<T, Error> {
    stored.map_err(|error| match error {
        store::Error::Unique { .. } => Error::NameTaken { name: name.to_string() },
        other => other.into(),
    })
}

/// What was changed for a generation, or that it was changed since, or is gone.
pub(crate) fn changed<T>(
    stored: Result<T, store::Error>,
    what: impl FnOnce() -> String,
) -> Result<T, Error> {
    match stored {
        Err(store::Error::Stale { stored, .. }) => Err(Error::Stale { stored }),
        other => instances::found(other, what),
    }
}

/// Entries of a page, and after which id it starts.
pub(crate) struct Slice<I> {
    pub(crate) after: Option<I>,
    pub(crate) limit: u32,
}

/// Reads a page's limit and cursor. The cursor is the id of the last entry before the page.
pub(crate) fn slice<I: FromStr>(page: &PageQuery) -> Result<Slice<I>, Error> {
    let limit = page.limit.unwrap_or(PAGE_LENGTH);
    if limit == 0 || limit > PAGE_LENGTH_MAX {
        return Err(Error::invalid(format!("limit has to be from 1 to {PAGE_LENGTH_MAX}")));
    }
    let after = match &page.cursor {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Error::Invalid {
            code: "invalid_cursor",
            message: "the cursor is not the `next` of a page before".to_owned(),
        })?),
    };
    Ok(Slice { after, limit })
}

/// A page of entries that were read one beyond the limit.
pub(crate) fn page<T, U>(
    mut entries: Vec<T>,
    limit: u32,
    id: impl Fn(&T) -> String,
    shape: impl Fn(T) -> U,
) -> Page<U> {
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = if more { entries.last().map(id) } else { None };
    Page { items: entries.into_iter().map(shape).collect(), next }
}

/// Most lines of one answer.
pub(crate) const LOG_LINES_MAX: u32 = 1_000;

/// Longest wait for a log line.
const LOG_WAIT_MS_MAX: u64 = 30_000;

/// After which line, and how long to wait.
pub(crate) fn log_window(query: &LogQuery) -> Result<(u64, u64), Error> {
    let wait_ms = query.wait_ms.unwrap_or(0);
    if wait_ms > LOG_WAIT_MS_MAX {
        return Err(Error::invalid(format!("wait_ms has to be at most {LOG_WAIT_MS_MAX}")));
    }
    let after = query.after.unwrap_or(0);
    if i64::try_from(after).is_err() {
        return Err(Error::invalid("after is larger than any line's number"));
    }
    Ok((after, wait_ms))
}
