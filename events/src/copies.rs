//! Copies: what of a stream is sealed, to be kept elsewhere too, and brought back from there.
//!
//! Always true: files that are told stay while they are held; what is brought back is checked against
//! its digest, and counts once all of it is there.
//! Absent on purpose: the log, whose events are copied once they are sealed; and where copies are.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::Error;
use crate::labels;
use crate::log;
use crate::segment::{Held, Manifest, Segment, manifest};
use crate::stream::Stream;

/// The name under which the manifest lies; readers of whole folders pass over it.
pub const MANIFEST: &str = manifest::NAME;
/// The name under which labels lie.
pub const LABELS: &str = labels::NAME;
/// Longest manifest that is taken, in bytes: of some hundred thousand segments.
const MANIFEST_BYTES_MAX: usize = 256 << 20;

/// What of a stream is sealed at one time.
#[derive(Clone, Debug)]
pub struct Kept {
    /// What tells all of it, to be written after the segments are there.
    pub manifest: Vec<u8>,
    /// The segments, and where they lie.
    pub segments: Vec<(Segment, PathBuf)>,
    /// The file of labels, and its length; none where nothing was labelled.
    pub labels: Option<(PathBuf, u64)>,
    /// While these are held, the files stay.
    _held: Vec<Arc<Held>>,
}

impl Stream {
    /// What is sealed now.
    pub fn kept(&self) -> Kept {
        let now = self.shared.segments.current();
        let file = |held: &Arc<Held>| (held.segment.clone(), held.path.clone());
        let path = self.shared.folder.path.join(LABELS);
        let labels = fs::metadata(&path).ok().map(|found| (path, found.len()));
        Kept {
            manifest: Manifest::of(&now).text(),
            segments: now.held.iter().map(file).collect(),
            labels,
            _held: now.held.clone(),
        }
    }
}

/// A stream that is brought back into an empty folder.
#[derive(Debug)]
pub struct Restoring {
    folder: PathBuf,
    manifest: Manifest,
}

impl Restoring {
    /// Whether a folder has nothing of a stream, or not all that was being brought back.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] where that cannot be seen.
    pub fn is_wanted(folder: &Path) -> Result<bool, Error> {
        if manifest::folder(folder).join(MANIFEST).exists() || !folder.exists() {
            return Ok(!folder.exists());
        }
        Ok(log::parts(folder)?.is_empty())
    }

    /// Begins with what the manifest tells.
    ///
    /// # Errors
    ///
    /// [`Error::Manifest`] where it is none, [`Error::Io`].
    pub fn begin(folder: &Path, manifest: &[u8]) -> Result<Self, Error> {
        let path = folder.join(MANIFEST);
        if manifest.len() > MANIFEST_BYTES_MAX {
            let problem = format!("it has more than {MANIFEST_BYTES_MAX} bytes");
            return Err(Error::Manifest { path, problem });
        }
        let manifest = Manifest::parse(manifest, &path)?;
        let is_name = |file: &str| file.ends_with(".parquet") && !file.contains(['/', '\\']);
        if let Some(odd) = manifest.segments.iter().find(|it| !is_name(&it.file)) {
            let problem = format!("{:?} is no name of a segment", odd.file);
            return Err(Error::Manifest { path, problem });
        }
        let segments = manifest::folder(folder);
        fs::create_dir_all(&segments).map_err(Error::io("make", &segments))?;
        Ok(Self { folder: folder.to_owned(), manifest })
    }

    /// The segments that are needed, and where they have to lie.
    pub fn segments(&self) -> impl Iterator<Item = (&Segment, PathBuf)> {
        let folder = manifest::folder(&self.folder);
        self.manifest.segments.iter().map(move |segment| (segment, folder.join(&segment.file)))
    }

    /// Where the labels have to lie.
    pub fn labels(&self) -> PathBuf {
        self.folder.join(LABELS)
    }

    /// Checks what was brought, and lets it count. Reads files: call it where one may wait.
    ///
    /// # Errors
    ///
    /// [`Error::Damaged`] where a segment is another one, [`Error::Io`]; nothing counts then.
    pub fn end(self) -> Result<(), Error> {
        for (segment, path) in self.segments() {
            if digest(&path)? != segment.blake3 {
                return Err(Error::Damaged { path, offset: 0 });
            }
        }
        self.manifest.write(&self.folder)
    }
}

/// The BLAKE3 digest of a file, in hexadecimal digits.
fn digest(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(Error::io("open", path))?;
    let (mut hasher, mut piece) = (blake3::Hasher::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut piece).map_err(Error::io("read", path))? {
            0 => return Ok(hasher.finalize().to_hex().to_string()),
            read => _ = hasher.update(&piece[..read]),
        }
    }
}
