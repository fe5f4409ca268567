//! Work that takes long, beside the threads that answer.
//!
//! Always true: work over many bytes holds up no other request.

use types::ErrorKind;

use crate::error::Error;

/// Work over this many bytes is done aside: about a millisecond of it.
const ASIDE_BYTES: usize = 256 << 10;

/// Does work over so many bytes here or, when it is long, on a thread that may block.
///
/// # Errors
///
/// What the work says.
pub(crate) async fn aside<T, F>(bytes: usize, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Error> + Send + 'static,
{
    if bytes < ASIDE_BYTES {
        return work();
    }
    let panicked = |fault: tokio::task::JoinError| {
        Err(Error::Worker { kind: ErrorKind::Internal, message: fault.to_string() })
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(panicked)
}
