//! Blobs: sealed bytes under a name, in a folder or in an S3-compatible bucket.
//!
//! Writing takes two steps: [`Backend::stage`] puts the bytes where no reader looks, and
//! [`Backend::publish`] makes all staged blobs visible and durable together. On S3 a put is whole,
//! durable and visible at once, so staging does it all: a chunk visible too early is harmless.
//! Layout: `account/<account>/chunks/<2 hex>/<64 hex>` and `account/<account>/manifests/<object>`.
//!
//! Always true: a blob is visible whole or not at all; after [`Backend::publish`] returned it
//! survives the loss of power. Absent on purpose: keys, and any knowledge of what blobs hold.

pub(crate) mod bucket;
mod folder;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use types::{AccountId, ObjectId};

use crate::chunk::ChunkId;
use crate::error::Error;
use crate::source::ChunkSource;
use crate::temp::TempFile;

/// The name of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A sealed chunk.
    Chunk {
        /// Whose it is.
        account: AccountId,
        /// Which one.
        id: ChunkId,
    },
    /// The sealed manifest of an object.
    Manifest {
        /// Whose it is.
        account: AccountId,
        /// Of which object.
        object: ObjectId,
    },
}

impl Key {
    /// The path of the blob, with `/` between its parts.
    pub fn path(&self) -> String {
        match self {
            Self::Chunk { account, id } => {
                let name = id.to_string();
                format!("{}/{}/{name}", Scope::Chunks(*account).path(), &name[..2])
            }
            Self::Manifest { account, object } => {
                format!("{}/{object}", Scope::Manifests(*account).path())
            }
        }
    }

    /// The key of the blob with this file name, or none when no blob is called so.
    fn parse(scope: Scope, file_name: &str) -> Option<Self> {
        match scope {
            Scope::Chunks(account) => file_name.parse().ok().map(|id| Self::Chunk { account, id }),
            Scope::Manifests(account) => {
                file_name.parse().ok().map(|object| Self::Manifest { account, object })
            }
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chunk { account, id } => write!(f, "chunk {id} of {account}"),
            Self::Manifest { account, object } => write!(f, "manifest of {object} of {account}"),
        }
    }
}

/// Which blobs to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The chunks of an account.
    Chunks(AccountId),
    /// The manifests of an account.
    Manifests(AccountId),
}

impl Scope {
    /// The folder that holds these blobs, with `/` between its parts.
    pub fn path(self) -> String {
        match self {
            Self::Chunks(account) => format!("account/{account}/chunks"),
            Self::Manifests(account) => format!("account/{account}/manifests"),
        }
    }
}

/// A blob as a listing shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: Key,
    /// Its sealed length.
    pub bytes: u64,
    /// When it was written, or last put again by an upload. Milliseconds since 1970.
    pub written_at_ms: u64,
}

/// A blob that was written and waits to be published. Dropped, it leaves nothing visible.
#[derive(Debug)]
pub struct Staged {
    key: Key,
    /// Where it waits, or none when it is in its place already.
    temp: Option<TempFile>,
}

impl Staged {
    /// The name it will have.
    pub fn key(&self) -> Key {
        self.key
    }
}

/// What keeps blobs. Public so that tests can put faults between a store and its blobs.
pub trait Backend: Send + Sync + fmt::Debug + 'static {
    /// The bytes of a blob, or none when it is not there.
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Bytes>, Error>>;

    /// True when the blob is there with this length. Where the back end can, the blob then counts
    /// as written now, so that it is not collected before the upload that relies on it commits.
    fn refresh(&self, key: Key, bytes: u64) -> BoxFuture<'_, Result<bool, Error>>;

    /// Writes a blob, the parts one after the other, where no reader sees it yet.
    fn stage(&self, key: Key, parts: Vec<Bytes>) -> BoxFuture<'_, Result<Staged, Error>>;

    /// Makes staged blobs visible and durable. Whatever was published before a failure is whole.
    fn publish(&self, staged: Vec<Staged>) -> BoxFuture<'_, Result<(), Error>>;

    /// Removes a blob, unless it was written at or after `written_before_ms`. True when it is
    /// gone or never was.
    fn delete(
        &self,
        key: Key,
        written_before_ms: Option<u64>,
    ) -> BoxFuture<'_, Result<bool, Error>>;

    /// The blobs of a scope, in no promised order. Blobs that come or go meanwhile may be missed.
    fn list(&self, scope: Scope) -> BoxStream<'_, Result<Listed, Error>>;

    /// The accounts that have any blobs.
    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountId>, Error>>;
}

/// What time the folder writes on blobs, in milliseconds since 1970.
pub type Stamp = Arc<dyn Fn() -> u64 + Send + Sync>;

/// How to reach the blobs.
#[derive(Clone, Default)]
pub struct Options {
    /// S3: the address of the service; AWS when none. Also `?endpoint=` in the URL.
    pub endpoint: Option<String>,
    /// S3: the region; `us-east-1` when none. Also `?region=` in the URL.
    pub region: Option<String>,
    /// S3: the access key's id and secret. None for a bucket open to everybody.
    pub credentials: Option<Credentials>,
    /// S3: allow an endpoint without TLS that is not on this machine.
    pub allow_http: bool,
    /// Folder: where the times on blobs come from; the file system's own clock when none.
    pub stamp: Option<Stamp>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("credentials", &self.credentials)
            .field("allow_http", &self.allow_http)
            .finish_non_exhaustive()
    }
}

/// An S3 access key.
#[derive(Clone)]
pub struct Credentials {
    /// Its public half.
    pub access_key_id: String,
    /// Its secret half.
    pub secret_access_key: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key_id", &self.access_key_id)
            .finish_non_exhaustive()
    }
}

/// The blobs of one Freehold.
#[derive(Clone, Debug)]
pub struct Blobs {
    backend: Arc<dyn Backend>,
}

impl Blobs {
    /// Opens the blobs at a URL: a folder (`/path` or `file:///path`, made when it is not there)
    /// or a bucket (`s3://bucket/prefix?endpoint=…&region=…`).
    ///
    /// A folder is swept of what crashed writers left. A bucket is asked once, so that a wrong
    /// name or key shows now.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when the URL cannot be used, else as the back end fails.
    pub async fn open(url: &str, options: Options) -> Result<Self, Error> {
        if let Some(rest) = url.strip_prefix("s3://") {
            return Ok(Self::new(Arc::new(bucket::Bucket::open(rest, options).await?)));
        }
        let path = url.strip_prefix("file://").unwrap_or(url);
        if path.is_empty() || path.contains("://") {
            let what = format!("{url:?} is neither a folder nor s3://bucket/prefix");
            return Err(Error::Settings { what });
        }
        let folder = folder::Folder::open(Path::new(path).to_owned(), options.stamp).await?;
        Ok(Self::new(Arc::new(folder)))
    }

    /// Blobs kept by this back end.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    /// What keeps the blobs.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// Writes one blob, visible and durable when this returns.
    pub(crate) async fn put(&self, key: Key, parts: Vec<Bytes>) -> Result<(), Error> {
        let staged = self.backend.stage(key, parts).await?;
        self.backend.publish(vec![staged]).await
    }

    /// The bytes of a blob that must be there.
    pub(crate) async fn get(&self, key: Key) -> Result<Bytes, Error> {
        self.backend.get(key).await?.ok_or(Error::Missing { what: key })
    }
}

impl ChunkSource for Blobs {
    fn chunk(&self, account: AccountId, id: ChunkId) -> BoxFuture<'_, Result<Bytes, Error>> {
        Box::pin(self.get(Key::Chunk { account, id }))
    }

    fn manifest(
        &self,
        account: AccountId,
        object: ObjectId,
    ) -> BoxFuture<'_, Result<Bytes, Error>> {
        Box::pin(self.get(Key::Manifest { account, object }))
    }
}

/// Runs work that blocks, on the threads that are for it.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(failure) => match failure.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // Only a runtime that is shutting down refuses blocking work; nobody awaits then.
            Err(_) => std::future::pending().await,
        },
    }
}
