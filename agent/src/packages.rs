//! Packages on this host: fetched once, unpacked once, shared by the instances that need them.
//!
//! Always true: a folder under its final name is whole; what a crash left behind is removed at
//! the next start; a package is unpacked with the same limits as when it was published.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;

use api::internal::ObjectGrant;
use formats::{archive, image};
use objects::{Cache, ChunkId, ChunkSource, ObjectKey, Reader};
use types::{AccountId, ObjectId};
use workflow::Clock;

use crate::control::Control;
use crate::retry::Pauses;
use crate::{Error, Settings};

/// How long control may be away while a package is fetched: longer than a restart takes.
const AWAY_MS_MAX: u64 = 300_000;

/// A package that is unpacked here, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Unpacked {
    /// What goes with it.
    whole: PathBuf,
    /// Where its files are: the same, or an image's root in it.
    folder: PathBuf,
    /// Where it is an image, what that says about running it.
    image: Option<image::Config>,
}

/// The folder of an image's layout, while it is unpacked, and of its root.
const LAYOUT: &str = "layout";
const ROOT: &str = "root";
/// This machine, as images name it.
const ARCHITECTURE: &str = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };

impl Unpacked {
    /// The folder of its files; an image's root.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What an image says about running it; none where it is a plain package.
    pub(crate) fn image(&self) -> Option<&image::Config> {
        self.image.as_ref()
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        remove(&self.whole);
    }
}

/// Why a package cannot be used here.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PackageError {
    #[error("could not fetch the package: {0}")]
    Fetch(String),
    #[error("could not unpack the package: {0}")]
    Unpack(String),
    #[error("the key of the package is not a key")]
    Key,
}

/// What is meant by a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// Its files.
    Plain,
    /// The image in it.
    Image,
    /// The image in it where there is one, else its files.
    Either,
}

type Wanted = (ObjectId, Form);
type Slot = Arc<tokio::sync::Mutex<Weak<Unpacked>>>;

/// The packages of this host.
#[derive(Debug)]
pub(crate) struct Packages {
    folder: PathBuf,
    source: Arc<dyn ChunkSource>,
    slots: Mutex<BTreeMap<Wanted, Slot>>,
    counter: std::sync::atomic::AtomicU64,
}

impl Packages {
    pub(crate) async fn open(
        settings: &Settings,
        control: Arc<dyn Control>,
        (clock, stopping): (Clock, CancellationToken),
    ) -> Result<Self, Error> {
        let folder = settings.folder.join("packages");
        let failed = |source| Error::Folder { folder: folder.clone(), source };
        if folder.exists() {
            remove(&folder);
        }
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let source: Arc<dyn ChunkSource> = Arc::new(Fetched { control, clock, stopping });
        let cache = Cache::open(&settings.folder.join("chunks"), settings.cache_bytes_max, source)
            .await
            .map_err(Error::Cache)?;
        Ok(Self {
            folder,
            source: Arc::new(cache),
            slots: Mutex::default(),
            counter: std::sync::atomic::AtomicU64::new(0),
        })
    }

    /// Fetches and unpacks a package, or shares the folder where it stands already.
    pub(crate) async fn unpack(&self, grant: &ObjectGrant) -> Result<Arc<Unpacked>, PackageError> {
        self.unpack_as(grant, Form::Plain).await
    }

    /// The same in this form: of an image the layout, and then the layers in that.
    pub(crate) async fn unpack_as(
        &self,
        grant: &ObjectGrant,
        form: Form,
    ) -> Result<Arc<Unpacked>, PackageError> {
        let slot = Arc::clone(self.slots.lock().entry((grant.object, form)).or_default());
        let mut weak = slot.lock().await;
        if let Some(unpacked) = weak.upgrade() {
            return Ok(unpacked);
        }
        let number = self.counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let folder = self.folder.join(format!("{}-{number}", grant.object));
        let reader = self.reader(grant).await?;
        let (into, handle) = (folder.clone(), Handle::current());
        let mut unpacked = Unpacked { whole: folder.clone(), folder, image: None };
        let work = move || {
            let files = if form == Form::Plain { into.clone() } else { into.join(LAYOUT) };
            std::fs::create_dir_all(&files).map_err(|error| error.to_string())?;
            let stream = std::io::BufReader::with_capacity(256 << 10, reader.blocking(handle));
            archive::extract_any(stream, &files, &archive::Limits::default())
                .map_err(|error| error.to_string())?;
            if form == Form::Plain || (form == Form::Either && !image::is_layout(&files)) {
                return Ok((files, None));
            }
            layers(&into, &files).map(|(root, config)| (root, Some(config)))
        };
        let done = tokio::task::spawn_blocking(work).await;
        (unpacked.folder, unpacked.image) = done
            .map_err(|error| PackageError::Unpack(error.to_string()))?
            .map_err(PackageError::Unpack)?;
        let unpacked = Arc::new(unpacked);
        *weak = Arc::downgrade(&unpacked);
        Ok(unpacked)
    }

    async fn reader(&self, grant: &ObjectGrant) -> Result<Reader, PackageError> {
        let mut key = [0; 32];
        hex::decode_to_slice(&grant.key, &mut key).map_err(|_| PackageError::Key)?;
        let key = ObjectKey::from_bytes(key);
        let source = Arc::clone(&self.source);
        let reader = Reader::open(source, grant.account, grant.object, &key).await;
        reader.map_err(|error| PackageError::Fetch(error.to_string()))
    }
}

/// Unpacks the layers of a layout beside it; the layout itself goes.
fn layers(folder: &Path, layout: &Path) -> Result<(PathBuf, image::Config), String> {
    let root = folder.join(ROOT);
    std::fs::create_dir(&root).map_err(|error| error.to_string())?;
    let image = image::open(layout, ARCHITECTURE).map_err(|error| error.to_string())?;
    image.unpack(&root, &image::Limits::default()).map_err(|error| error.to_string())?;
    remove(layout);
    Ok((root, image.config))
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(folder = %folder.display(), %error, "could not remove a package");
    }
}

/// Sealed blobs, fetched through control; asked for again while control is away, since the work
/// they are for has been accepted.
struct Fetched {
    control: Arc<dyn Control>,
    clock: Clock,
    stopping: CancellationToken,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetched").field("control", &self.control).finish_non_exhaustive()
    }
}

impl Fetched {
    async fn blob(&self, account: AccountId, key: String) -> Result<Bytes, objects::Error> {
        let began_ms = self.clock.now_ms();
        let mut pauses = Pauses::new();
        loop {
            let error = match self.control.blob(account, &key).await {
                Ok(blob) => return Ok(blob),
                Err(error) => error,
            };
            let waited_ms = self.clock.now_ms().saturating_sub(began_ms);
            let again = error.is_transient() && waited_ms < AWAY_MS_MAX;
            if !again || self.stopping.is_cancelled() {
                let source = Box::new(error);
                return Err(objects::Error::Unreachable { action: "fetch", what: key, source });
            }
            tracing::debug!(%error, key, "a blob has to be asked for again");
            pauses.wait(&self.clock, &self.stopping).await;
        }
    }
}

impl ChunkSource for Fetched {
    fn chunk(
        &self,
        account: AccountId,
        id: ChunkId,
    ) -> BoxFuture<'_, Result<Bytes, objects::Error>> {
        Box::pin(self.blob(account, format!("chunks/{id}")))
    }

    fn manifest(
        &self,
        account: AccountId,
        object: ObjectId,
    ) -> BoxFuture<'_, Result<Bytes, objects::Error>> {
        Box::pin(self.blob(account, format!("manifests/{object}")))
    }
}
