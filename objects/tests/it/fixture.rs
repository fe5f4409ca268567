//! What the tests share: places to keep blobs, contents, accounts.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures::stream::{self, Stream, TryStreamExt as _};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use uuid::Uuid;

use objects::blobs::Credentials;
use objects::{AccountKeys, Blobs, Error, Options, Reader, Sealed, SealedKey, Store};
use types::{AccountId, ObjectId};

pub(crate) const MEDIA: &str = "application/x-test";

/// Bytes that look random and are the same every time.
pub(crate) fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut out = vec![0; bytes];
    blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut out);
    out
}

pub(crate) fn account(number: u128) -> AccountId {
    AccountId::new(Uuid::from_u128(number))
}

pub(crate) fn object(number: u128) -> ObjectId {
    ObjectId::new(Uuid::from_u128(number))
}

pub(crate) fn keys(number: u128) -> AccountKeys {
    AccountKeys::generate(account(number))
}

/// The content as a body that arrives in pieces.
pub(crate) fn body(content: &[u8], piece: usize) -> impl Stream<Item = io::Result<Bytes>> + use<> {
    let pieces: Vec<_> =
        content.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

pub(crate) async fn put(
    store: &Store,
    keys: &AccountKeys,
    number: u128,
    content: &[u8],
) -> Result<Sealed, Error> {
    store.put_stream(keys, object(number), MEDIA, body(content, 300_000)).await
}

pub(crate) async fn open(
    store: &Store,
    keys: &AccountKeys,
    sealed: &Sealed,
) -> Result<Reader, Error> {
    let wrapped = SealedKey { version: sealed.key_version, bytes: sealed.sealed_key.clone() };
    let key = keys.open_key(sealed.object, &wrapped)?;
    store.open(keys.account(), sealed.object, &key).await
}

pub(crate) async fn read(
    store: &Store,
    keys: &AccountKeys,
    sealed: &Sealed,
) -> Result<Vec<u8>, Error> {
    open(store, keys, sealed).await?.read_all(u64::MAX).await
}

pub(crate) async fn folder_store(root: &Path) -> Store {
    let url = root.to_str().unwrap();
    Store::new(Blobs::open(url, Options::default()).await.unwrap())
}

/// A folder whose blobs get their times from the test.
pub(crate) async fn timed_blobs(root: &Path, now_ms: &Arc<AtomicU64>) -> Blobs {
    let now_ms = Arc::clone(now_ms);
    let stamp: objects::blobs::Stamp = Arc::new(move || now_ms.load(Ordering::Relaxed));
    let options = Options { stamp: Some(stamp), ..Options::default() };
    Blobs::open(root.to_str().unwrap(), options).await.unwrap()
}

pub(crate) async fn chunk_count(store: &Store, account: AccountId) -> usize {
    store.chunk_list(account).try_collect::<Vec<_>>().await.unwrap().len()
}

pub(crate) async fn manifest_count(store: &Store, account: AccountId) -> usize {
    store.manifest_list(account).try_collect::<Vec<_>>().await.unwrap().len()
}

/// Every file below a folder.
pub(crate) fn files(root: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// An S3-compatible server on loopback, for as long as this value lives.
pub(crate) struct S3 {
    address: String,
    root: TempDir,
    _server: JoinSet<()>,
}

impl S3 {
    pub(crate) const BUCKET: &'static str = "freehold-test";

    pub(crate) async fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(Self::BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single("test-id", "test-secret"));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                connections.spawn(async move {
                    let http = Builder::new(TokioExecutor::new());
                    let _ = http.serve_connection(TokioIo::new(socket), service).await;
                });
            }
        });
        Self { address, root, _server: server }
    }

    pub(crate) fn url(&self, bucket: &str) -> String {
        format!("s3://{bucket}/some/prefix?endpoint=http://{}", self.address)
    }

    pub(crate) fn options() -> Options {
        let credentials = Credentials {
            access_key_id: "test-id".into(),
            secret_access_key: "test-secret".into(),
        };
        Options { credentials: Some(credentials), ..Options::default() }
    }

    pub(crate) async fn blobs(&self) -> Blobs {
        Blobs::open(&self.url(Self::BUCKET), Self::options()).await.unwrap()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.root.path()
    }
}
