//! Packages as streams for the catalogue, which reads them on blocking threads.

use std::io::{BufReader, Read};

use objects::Reader;
use tokio::runtime::Handle;

use crate::Error;

/// Bytes read ahead for the archive reader.
const BUFFER_BYTES: usize = 256 << 10;

/// Runs `work` on a blocking thread, with something that opens the package from its beginning.
pub(crate) async fn with_package<T, F>(reader: Reader, work: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: FnOnce(&catalog::package::Open<'_>) -> T + Send + 'static,
{
    let handle = Handle::current();
    let run = move || {
        let open = || -> Box<dyn Read + '_> {
            let stream = reader.blocking(handle.clone());
            Box::new(BufReader::with_capacity(BUFFER_BYTES, stream))
        };
        work(&open)
    };
    let joined = tokio::task::spawn_blocking(run).await;
    joined.map_err(|error| Error::internal("could not read the package", error))
}
