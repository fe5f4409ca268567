//! Files: bytes under names of their own in a folder or a bucket, as they are, for other programs.
//!
//! What is put here is not sealed with keys: whoever keeps the folder or the bucket reads it, which is
//! what it is for.
//!
//! Always true: a file is there whole or not at all; one that is fetched takes its name once it is
//! whole. Absent on purpose: what files hold, and when they are removed.

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::StreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::blobs::{Options, bucket};
use crate::error::Error;

/// Bytes of a part of a file that is sent.
const PART_BYTES: usize = 8 << 20;

/// Files of a folder or of a bucket.
#[derive(Clone, Debug)]
pub struct Files {
    store: Arc<dyn ObjectStore>,
    /// Empty, or ends with `/`.
    prefix: String,
}

impl Files {
    /// Opens the files at a URL: a folder (`/path` or `file:///path`, made when it is not there) or
    /// a bucket (`s3://bucket/prefix?endpoint=…&region=…`), which is asked once.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when the URL cannot be used, else as the store fails.
    pub async fn open(url: &str, options: Options) -> Result<Self, Error> {
        if let Some(rest) = url.strip_prefix("s3://") {
            let (store, prefix) = bucket::open(rest, options)?;
            let opened = Self { store: Arc::new(store), prefix };
            opened.list("").await?;
            return Ok(opened);
        }
        let path = url.strip_prefix("file://").unwrap_or(url);
        if path.is_empty() || path.contains("://") {
            let what = format!("{url:?} is neither a folder nor s3://bucket/prefix");
            return Err(Error::Settings { what });
        }
        let made = tokio::fs::create_dir_all(path).await;
        made.map_err(|source| Error::io("make", &path, source))?;
        let store = LocalFileSystem::new_with_prefix(path);
        let store = store.map_err(|source| bucket::failure("open", &path, source))?;
        // A name that is acknowledged outlives the power.
        Ok(Self { store: Arc::new(store.with_fsync(true)), prefix: String::new() })
    }

    /// The names and lengths of all files of a folder, and of folders in it.
    ///
    /// # Errors
    ///
    /// As the store fails.
    pub async fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, Error> {
        let whole = format!("{}{folder}", self.prefix);
        let prefix = Path::from(whole.trim_end_matches('/'));
        let mut found = self.store.list(Some(&prefix));
        let mut files = Vec::new();
        while let Some(meta) = found.next().await {
            let meta = meta.map_err(|source| bucket::failure("list", &folder, source))?;
            if let Some(name) = meta.location.as_ref().strip_prefix(&self.prefix) {
                files.push((name.to_owned(), meta.size));
            }
        }
        Ok(files)
    }

    /// Puts a file of this host under a name; what was there is replaced.
    ///
    /// # Errors
    ///
    /// As the file or the store fails; what was there stays then.
    pub async fn put(&self, name: &str, from: &FilePath) -> Result<(), Error> {
        let failed = |source| Error::io("read", &from.display(), source);
        let mut file = tokio::fs::File::open(from).await.map_err(failed)?;
        let mut part = read_part(&mut file).await.map_err(failed)?;
        if part.len() < PART_BYTES {
            return self.put_bytes(name, part).await;
        }
        let sent = |source| bucket::failure("write", &name, source);
        let mut upload = self.store.put_multipart(&self.path(name)).await.map_err(sent)?;
        let all = async {
            while !part.is_empty() {
                upload.put_part(part.into()).await.map_err(sent)?;
                part = read_part(&mut file).await.map_err(failed)?;
            }
            upload.complete().await.map(drop).map_err(sent)
        };
        let all = all.await;
        if all.is_err() {
            // What was sent is thrown away where that is possible; nobody sees it.
            let _ = upload.abort().await;
        }
        all
    }

    /// Puts these bytes under a name; what was there is replaced.
    ///
    /// # Errors
    ///
    /// As the store fails.
    pub async fn put_bytes(&self, name: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let put = self.store.put(&self.path(name), bytes.into()).await;
        put.map(drop).map_err(|source| bucket::failure("write", &name, source))
    }

    /// The bytes of a small file; none where there is no such file.
    ///
    /// # Errors
    ///
    /// As the store fails.
    pub async fn bytes(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let got = async { self.store.get(&self.path(name)).await?.bytes().await }.await;
        let got = bucket::absent_is_none(got);
        let got = got.map_err(|source| bucket::failure("read", &name, source))?;
        Ok(got.map(|bytes| bytes.to_vec()))
    }

    /// Fetches a file to a path of this host; says whether there is one.
    ///
    /// # Errors
    ///
    /// As the store or the disk fails; nothing is at the path then but what was.
    pub async fn fetch(&self, name: &str, to: &FilePath) -> Result<bool, Error> {
        let got = bucket::absent_is_none(self.store.get(&self.path(name)).await);
        let got = got.map_err(|source| bucket::failure("read", &name, source))?;
        let Some(got) = got else { return Ok(false) };
        let unfinished = to.with_extension("unfinished");
        let failed = |source| Error::io("write", &unfinished.display(), source);
        let mut file = tokio::fs::File::create(&unfinished).await.map_err(failed)?;
        let mut pieces = got.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|source| bucket::failure("read", &name, source))?;
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.sync_all().await.map_err(failed)?;
        tokio::fs::rename(&unfinished, to).await.map_err(failed)?;
        Ok(true)
    }

    /// Removes a file; one that is not there is removed.
    ///
    /// # Errors
    ///
    /// As the store fails.
    pub async fn delete(&self, name: &str) -> Result<(), Error> {
        let deleted = bucket::absent_is_none(self.store.delete(&self.path(name)).await);
        deleted.map(drop).map_err(|source| bucket::failure("delete", &name, source))
    }

    fn path(&self, name: &str) -> Path {
        Path::from(format!("{}{name}", self.prefix))
    }
}

/// The next part of a file; shorter than others at its end, and empty after it.
async fn read_part(file: &mut tokio::fs::File) -> std::io::Result<Vec<u8>> {
    let mut part = Vec::with_capacity(PART_BYTES);
    file.take(PART_BYTES as u64).read_to_end(&mut part).await?;
    Ok(part)
}
