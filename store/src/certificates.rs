//! Certificates: what each enrolled process proves itself by, by its hash.
//!
//! Always true: of each process and name one certificate counts, and beside it the one it was
//! renewed from, because the answer with the new one may have been lost; enrolling anew ends both.
//! Absent on purpose: the certificates, and when they are over, which they say themselves.

use types::{Digest, Name};

use crate::Tx;
use crate::enrolments::Process;
use crate::error::Error;

/// Stores the certificate of a process that enrolled. None of before counts any more.
pub async fn certificate_store(
    tx: &mut Tx<'_>,
    (process, name): (Process, &Name),
    certificate: &Digest,
) -> Result<(), Error> {
    let store = tx.sql("store a certificate", include_str!("certificates/store.sql"));
    store.bind(&process).bind(name).bind(certificate).run().await?;
    Ok(())
}

/// Stores the certificate that was made for the holder of another one. Both count from now on.
///
/// # Errors
///
/// [`Error::NotFound`] when the other one does not count.
pub async fn certificate_renew(
    tx: &mut Tx<'_>,
    (process, name): (Process, &Name),
    shown: &Digest,
    next: &Digest,
) -> Result<(), Error> {
    let renew = tx.sql("renew a certificate", include_str!("certificates/renew.sql"));
    let changed = renew.bind(&process).bind(name).bind(shown).bind(next).run().await?;
    if changed == 1 {
        return Ok(());
    }
    Err(Error::NotFound { what: "certificate", id: name.to_string() })
}

/// Whether a certificate of a process counts.
pub async fn certificate_counts(
    tx: &mut Tx<'_>,
    (process, name): (Process, &Name),
    certificate: &Digest,
) -> Result<bool, Error> {
    let counts = tx.sql("look for a certificate", include_str!("certificates/counts.sql"));
    Ok(counts.bind(&process).bind(name).bind(certificate).first().await?.is_some())
}
