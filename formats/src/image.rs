//! Images of containers: an OCI layout, read with suspicion and unpacked into one folder.
//!
//! A layout is a folder with `oci-layout`, `index.json` and blobs named by their SHA-256. Its image
//! for this machine is a configuration and layers, each a tar, plain or packed by gzip or zstd, that
//! changes what the ones below it made.
//! Always true: every blob is what its name says; unpacking writes only below its folder, whatever
//! links say; memory is bounded by the limits, not by the image.
//! Absent on purpose: owners, times, set-user bits and attributes (all files belong to whoever
//! unpacks, and everybody may read them), device files, fetching from registries.
//! Source: the OCI Image Format Specification, 1.1.

mod below;
mod layer;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use types::ErrorKind;

/// The file that makes a folder a layout.
pub const LAYOUT_FILE: &str = "oci-layout";
/// Largest document of an image: an index, a manifest or a configuration.
const DOCUMENT_BYTES_MAX: u64 = 4 << 20;
/// How deep indexes may name indexes.
const INDEX_DEPTH_MAX: u32 = 4;
/// Most layers. Source: what container engines take.
const LAYERS_MAX: usize = 128;
/// Words of a command, and variables of an environment, together.
const WORDS_MAX: usize = 4_096;

/// What an image may hold. Every limit guards memory, disk or time of the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most entries of all layers together.
    pub entries_max: u64,
    /// Largest sum of files of all layers, in bytes.
    pub total_bytes_max: u64,
    /// Longest path and longest target of a link, in bytes.
    pub path_bytes_max: usize,
    /// Most components of a path.
    pub depth_max: usize,
}

impl Default for Limits {
    /// Room for 10 GiB, as Lambda has it for images.
    fn default() -> Self {
        let (entries_max, total_bytes_max) = (1 << 19, 10 << 30);
        Self { entries_max, total_bytes_max, path_bytes_max: 1_024, depth_max: 64 }
    }
}

/// What an image says about running it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The first words of its command, which stay.
    pub entrypoint: Vec<String>,
    /// The words behind them, which whoever runs it may replace.
    pub arguments: Vec<String>,
    /// Its variables.
    pub env: BTreeMap<String, String>,
    /// Where it starts; `/` where it says nothing.
    pub folder: String,
}

/// An image in a layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// About running it.
    pub config: Config,
    layout: PathBuf,
    /// SHA-256 of each layer in hexadecimal, the lowest first.
    layers: Vec<String>,
}

/// Why an image cannot be read or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It breaks a rule.
    #[error("{what}: {problem}")]
    Invalid {
        /// The document, layer or entry.
        what: String,
        /// What is wrong, and what to do about it.
        problem: String,
    },
    /// It passes a limit.
    #[error("{what}: {problem}")]
    TooLarge {
        /// The document, layer or entry.
        what: String,
        /// What is too much.
        problem: String,
    },
    /// A file could not be read or written.
    #[error("could not {action} {what}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        /// On what.
        what: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    /// What kind of fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::BadRequest,
            Self::TooLarge { .. } => ErrorKind::TooLarge,
            Self::Io { .. } => ErrorKind::Internal,
        }
    }

    fn invalid(what: &str, problem: impl Into<String>) -> Self {
        Self::Invalid { what: shown(what), problem: problem.into() }
    }

    fn too_large(what: &str, problem: impl Into<String>) -> Self {
        Self::TooLarge { what: shown(what), problem: problem.into() }
    }

    fn io(action: &'static str, what: &str, source: impl Into<std::io::Error>) -> Self {
        Self::Io { action, what: shown(what), source: source.into() }
    }
}

/// A foreign name as it is told: short, and on one line.
fn shown(name: &str) -> String {
    name.chars().take(200).flat_map(char::escape_debug).collect()
}

/// Whether this folder is a layout.
pub fn is_layout(folder: &Path) -> bool {
    folder.join(LAYOUT_FILE).is_file()
}

/// Reads the image of a layout that is for Linux on this architecture, as OCI names them: `amd64`,
/// `arm64`.
///
/// # Errors
///
/// [`Error`] where there is none, or where a document breaks a rule.
pub fn open(layout: &Path, architecture: &str) -> Result<Image, Error> {
    let index = read(&layout.join("index.json"), "index.json")?;
    let manifest = find(layout, &parse::<Index>(&index, "index.json")?, architecture, 0)?;
    let manifest = manifest.ok_or_else(|| {
        Error::invalid("index.json", format!("there is no image for linux/{architecture} in it"))
    })?;
    if manifest.layers.len() > LAYERS_MAX {
        let problem = format!("the image has more than {LAYERS_MAX} layers");
        return Err(Error::too_large("the manifest", problem));
    }
    let digests = manifest.layers.iter().map(|layer| digest(&layer.digest));
    let layers = digests.collect::<Result<Vec<_>, _>>()?;
    let said: ConfigDocument = document(layout, &manifest.config.digest)?;
    Ok(Image { config: config(said)?, layout: layout.to_owned(), layers })
}

impl Image {
    /// Unpacks every layer into a folder that is empty.
    ///
    /// # Errors
    ///
    /// [`Error`] at the first entry that breaks a rule; the folder is then of no use.
    pub fn unpack(&self, into: &Path, limits: &Limits) -> Result<(), Error> {
        let mut below = below::Below::open(into, limits.depth_max)?;
        let mut counts = layer::Counts::new(limits);
        for digest in &self.layers {
            self.with_layer(digest, |tar| {
                below.begin_layer();
                layer::each(tar, &mut counts, &mut below)
            })?;
        }
        Ok(())
    }

    /// Gives a layer's tar to `take`, and sees that the blob was what its name says.
    fn with_layer(
        &self,
        digest: &str,
        take: impl FnOnce(&mut dyn Read) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let what = format!("the layer sha256:{digest}");
        let file = File::open(blob(&self.layout, digest));
        let file = file.map_err(|source| Error::io("open", &what, source))?;
        let mut hashed = BufReader::with_capacity(128 << 10, Hashed { file, hash: Sha256::new() });
        let start = hashed.fill_buf().map_err(|source| Error::io("read", &what, source))?;
        match start {
            [0x1f, 0x8b, ..] => take(&mut flate2::bufread::MultiGzDecoder::new(&mut hashed)),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let plain = zstd::stream::read::Decoder::with_buffer(&mut hashed);
                take(&mut plain.map_err(|source| Error::io("read", &what, source))?)
            }
            _ => take(&mut hashed),
        }?;
        let rest = std::io::copy(&mut hashed, &mut std::io::sink());
        rest.map_err(|source| Error::io("read", &what, source))?;
        let found = types::Digest(hashed.into_inner().hash.finalize().into()).to_string();
        if found == digest { Ok(()) } else { Err(Error::invalid(&what, CHANGED)) }
    }
}

/// What a blob is told that is not what its name says.
const CHANGED: &str = "its content is not what its name says; copy the image anew";

/// A file whose content is hashed while it is read.
struct Hashed {
    file: File,
    hash: Sha256,
}

impl Read for Hashed {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(into)?;
        self.hash.update(&into[..count]);
        Ok(count)
    }
}

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Clone, Deserialize)]
struct Descriptor {
    #[serde(default, rename = "mediaType")]
    media_type: String,
    digest: String,
    #[serde(default)]
    platform: Option<Platform>,
}

#[derive(Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    architecture: String,
    #[serde(default)]
    os: String,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    #[serde(default)]
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct ConfigDocument {
    #[serde(default)]
    config: Option<RunDocument>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct RunDocument {
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    env: Option<Vec<String>>,
    working_dir: Option<String>,
}

/// The first manifest that is for this platform, or says nothing of one.
fn find(
    layout: &Path,
    index: &Index,
    architecture: &str,
    depth: u32,
) -> Result<Option<Manifest>, Error> {
    if depth > INDEX_DEPTH_MAX {
        return Err(Error::invalid("index.json", "indexes name indexes without an end"));
    }
    for descriptor in &index.manifests {
        let fits = |it: &Platform| it.os == "linux" && it.architecture == architecture;
        if descriptor.platform.as_ref().is_some_and(|platform| !fits(platform)) {
            continue;
        }
        let nested = descriptor.media_type.contains("index")
            || descriptor.media_type.contains("manifest.list");
        if !nested {
            return document(layout, &descriptor.digest).map(Some);
        }
        let index: Index = document(layout, &descriptor.digest)?;
        if let Some(found) = find(layout, &index, architecture, depth + 1)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// Reads what an image says about running it.
fn config(said: ConfigDocument) -> Result<Config, Error> {
    let what = "the image's configuration";
    let run = said.config.unwrap_or_default();
    let entrypoint = run.entrypoint.unwrap_or_default();
    let arguments = run.cmd.unwrap_or_default();
    let variables = run.env.unwrap_or_default();
    if entrypoint.len() + arguments.len() + variables.len() > WORDS_MAX {
        return Err(Error::too_large(what, format!("it has more than {WORDS_MAX} words")));
    }
    let command = || entrypoint.iter().chain(&arguments);
    if command().chain(&variables).chain(&run.working_dir).any(|word| word.contains('\0')) {
        return Err(Error::invalid(what, "a word of it has a zero byte"));
    }
    if command().next().is_none_or(String::is_empty) {
        let problem = "it names neither an entry point nor a command; build it with one";
        return Err(Error::invalid(what, problem));
    }
    let mut env = BTreeMap::new();
    for variable in variables {
        let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
        env.insert(name.to_owned(), value.to_owned());
    }
    let folder = run.working_dir.filter(|folder| !folder.is_empty());
    let folder = folder.unwrap_or_else(|| "/".to_owned());
    if !folder.starts_with('/') {
        return Err(Error::invalid(what, "its working folder is not absolute"));
    }
    Ok(Config { entrypoint, arguments, env, folder })
}

/// A document of a layout, which is what its name says.
fn document<T: DeserializeOwned>(layout: &Path, name: &str) -> Result<T, Error> {
    let digest = digest(name)?;
    let what = format!("sha256:{digest}");
    let bytes = read(&blob(layout, &digest), &what)?;
    if hex(&bytes) != digest {
        return Err(Error::invalid(&what, CHANGED));
    }
    parse(&bytes, &what)
}

fn parse<T: DeserializeOwned>(bytes: &[u8], what: &str) -> Result<T, Error> {
    let parsed = serde_json::from_slice(bytes);
    parsed.map_err(|error| Error::invalid(what, format!("it is not understood: {error}")))
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(|source| Error::io("open", what, source))?;
    let mut bytes = Vec::new();
    let read = file.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|source| Error::io("read", what, source))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        let problem = format!("it has more than {DOCUMENT_BYTES_MAX} bytes");
        return Err(Error::too_large(what, problem));
    }
    Ok(bytes)
}

fn blob(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs/sha256").join(digest)
}

/// The hexadecimal part of a digest that is one.
fn digest(name: &str) -> Result<String, Error> {
    let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    match name.strip_prefix("sha256:") {
        Some(hex) if hex.len() == 64 && hex.bytes().all(plain) => Ok(hex.to_owned()),
        _ => Err(Error::invalid(name, "a digest is sha256: and 64 hexadecimal digits")),
    }
}

/// What a blob of these bytes is named.
fn hex(bytes: &[u8]) -> String {
    types::Digest(Sha256::digest(bytes).into()).to_string()
}

/// Reads a layer's tar and does nothing with it; for fuzzing.
///
/// # Errors
///
/// As [`Image::unpack`].
pub fn check_layer(tar: &[u8], limits: &Limits) -> Result<Vec<Change>, Error> {
    let mut seen = Vec::new();
    layer::each(tar, &mut layer::Counts::new(limits), &mut seen)?;
    Ok(seen)
}

pub use layer::Change;

#[cfg(test)]
mod tests;
