//! Fetching an object, whole or from somewhere on.
//!
//! Always true: a file appears under its name only when its digest is right; until then it stands
//! beside it as `.part`, and asking again goes on where it ended.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt as _, TryStreamExt as _};
use http::{HeaderValue, header};
use ring::digest::{Context, SHA256};

use types::{Digest, ObjectId};

use super::call::Call;
use super::{Client, Error, Progress};
use crate::objects::Object;

/// The bytes of an object as they arrive.
pub struct Content {
    /// How many will come, where the server said so.
    pub bytes: Option<u64>,
    pub stream: BoxStream<'static, Result<Bytes, Error>>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({:?} bytes)", self.bytes)
    }
}

const READ_BYTES: usize = 1 << 20;

impl Client {
    /// The bytes of an object from `from_byte` on. `GET /v1/objects/{object}/content`
    ///
    /// # Errors
    ///
    /// The stream ends with [`Error::Silent`] when nothing comes for as long as the settings allow.
    pub async fn object_content(&self, object: ObjectId, from_byte: u64) -> Result<Content, Error> {
        let mut call = Call::get(format!("/v1/objects/{object}/content"));
        if from_byte > 0 {
            call = call.header(header::RANGE, from_range(from_byte));
        }
        let request = self.request(&call, None)?;
        let limit = self.shared.silence;
        let response = tokio::time::timeout(limit, self.send(request)).await;
        let response = response.map_err(|_| self.silent(limit))??;
        if !response.status().is_success() {
            return Err(self.refusal(response).await);
        }
        let whole = response.status() != http::StatusCode::PARTIAL_CONTENT;
        let skip = if whole { from_byte } else { 0 };
        let bytes = response.content_length().map(|bytes| bytes.saturating_sub(skip));
        let client = self.clone();
        let stream = stream::try_unfold(response, move |mut response| {
            let client = client.clone();
            async move {
                let next = tokio::time::timeout(limit, response.chunk()).await;
                let next = next.map_err(|_| client.silent(limit))?.map_err(|source| {
                    Error::Broken { address: client.shared.address.to_string(), source }
                })?;
                Ok(next.map(|bytes| (bytes, response)))
            }
        });
        Ok(Content { bytes, stream: skipped(stream.boxed(), skip) })
    }

    /// Fetches an object into a file, going on where an earlier attempt ended.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] when the digest is wrong; what arrived is removed then.
    pub async fn object_download_file(
        &self,
        object: ObjectId,
        path: &Path,
        progress: impl Fn(Progress),
    ) -> Result<Object, Error> {
        let facts = self.object_fetch(object).await?;
        let part = part_path(path);
        let (mut file, mut seen) = open(&part, facts.bytes).await?;
        let total_bytes = facts.bytes;
        let mut done_bytes = seen.bytes;
        progress(Progress { done_bytes, total_bytes });
        if done_bytes < total_bytes {
            let mut content = self.object_content(object, done_bytes).await?;
            while let Some(bytes) = content.stream.try_next().await? {
                done_bytes += bytes.len() as u64;
                (file, seen) = append(&part, (file, seen), bytes).await?;
                progress(Progress { done_bytes, total_bytes });
            }
        }
        let actual = seen.digest();
        if actual != facts.sha256 {
            let _ = fs::remove_file(&part);
            return Err(Error::Damaged { wanted: facts.sha256, actual });
        }
        file.sync_all().map_err(failed("write", &part))?;
        fs::rename(&part, path).map_err(failed("move the finished file to", path))?;
        Ok(facts)
    }
}

/// What of a file is here, and its digest so far.
struct Seen {
    bytes: u64,
    context: Context,
}

impl Seen {
    fn digest(self) -> Digest {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.context.finish().as_ref());
        Digest(bytes)
    }
}

/// Opens the unfinished file; one that is too long is of another object and begins anew.
async fn open(part: &Path, total_bytes: u64) -> Result<(File, Seen), Error> {
    let path = part.to_owned();
    blocking(part, move || {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(failed("open", &path))?;
        let mut seen = Seen { bytes: 0, context: Context::new(&SHA256) };
        if file.metadata().map_err(failed("read", &path))?.len() > total_bytes {
            file.set_len(0).map_err(failed("empty", &path))?;
            return Ok((file, seen));
        }
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = file.read(&mut buffer).map_err(failed("read", &path))?;
            if count == 0 {
                return Ok((file, seen));
            }
            seen.context.update(&buffer[..count]);
            seen.bytes += count as u64;
        }
    })
    .await
}

async fn append(part: &Path, to: (File, Seen), bytes: Bytes) -> Result<(File, Seen), Error> {
    let path = part.to_owned();
    blocking(part, move || {
        let (mut file, mut seen) = to;
        file.write_all(&bytes).map_err(failed("write", &path))?;
        seen.context.update(&bytes);
        seen.bytes += bytes.len() as u64;
        Ok((file, seen))
    })
    .await
}

/// The stream without its first bytes, for a server that ignored the range.
fn skipped(
    stream: BoxStream<'static, Result<Bytes, Error>>,
    mut skip: u64,
) -> BoxStream<'static, Result<Bytes, Error>> {
    if skip == 0 {
        return stream;
    }
    stream
        .map_ok(move |mut bytes| {
            let cut = usize::try_from(skip).unwrap_or(usize::MAX).min(bytes.len());
            skip -= cut as u64;
            bytes.split_off(cut)
        })
        .boxed()
}

fn from_range(from_byte: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("bytes={from_byte}-")).expect("digits are a header value")
}

fn part_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}

async fn blocking<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let gone = |gone| Err(failed("finish writing", path)(io::Error::other(gone)));
    tokio::task::spawn_blocking(work).await.unwrap_or_else(gone)
}
