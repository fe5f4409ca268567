//! A layer's tar, read entry by entry as changes of what is below it.
//!
//! Always true: a path that is handed on has neither `..` nor empty parts and keeps to the limits;
//! extensions are read within a limit of their own.
//! Absent on purpose: what changes are applied to.

use std::borrow::Cow;
use std::io::Read;

use tar::{Archive, EntryType, PaxExtensions};

use super::{Error, Limits};

/// Largest extension record: it holds a path, a link's target and attributes.
const EXTENSION_BYTES_MAX: u64 = 1 << 20;
/// What stands before the name of something that a layer removes.
const WHITEOUT: &str = ".wh.";
/// The name of what empties a folder of all that is below the layer.
const OPAQUE: &str = ".wh..wh..opq";

/// What an entry changes. Paths are relative, with `/` between components.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// There is a folder.
    Folder(String),
    /// There is a file; whether it may be run.
    File(String, bool),
    /// There is a symbolic link, which says this.
    Link(String, String),
    /// There is another name of a file.
    HardLink(String, String),
    /// What the layers below made is gone.
    Remove(String),
    /// All that the layers below made in a folder is gone.
    Empty(String),
}

/// Where changes go.
pub(super) trait Sink {
    /// Takes a change; `content` is the file's, where it is one.
    fn change(&mut self, change: Change, content: &mut dyn Read) -> Result<(), Error>;
}

/// Changes that are only looked at.
impl Sink for Vec<Change> {
    fn change(&mut self, change: Change, content: &mut dyn Read) -> Result<(), Error> {
        let read = std::io::copy(content, &mut std::io::sink());
        read.map_err(|source| Error::invalid("the layer", source.to_string()))?;
        self.push(change);
        Ok(())
    }
}

/// What all layers have taken of the limits.
pub(super) struct Counts<'l> {
    limits: &'l Limits,
    entries: u64,
    bytes: u64,
}

impl<'l> Counts<'l> {
    pub(super) fn new(limits: &'l Limits) -> Self {
        Self { limits, entries: 0, bytes: 0 }
    }

    fn add(&mut self, what: &str, bytes: u64) -> Result<(), Error> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let Limits { entries_max, total_bytes_max, .. } = *self.limits;
        if self.entries > entries_max {
            let problem = format!("the image has more than {entries_max} files and folders");
            return Err(Error::too_large(what, problem));
        }
        if self.bytes > total_bytes_max {
            let problem = format!("with it the image has more than {total_bytes_max} bytes");
            return Err(Error::too_large(what, problem));
        }
        Ok(())
    }
}

/// What extension headers said of the entry that follows.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

/// Reads the whole tar into `sink`.
pub(super) fn each(
    tar: impl Read,
    counts: &mut Counts<'_>,
    sink: &mut impl Sink,
) -> Result<(), Error> {
    let broken = |error: std::io::Error| Error::invalid("the layer", error.to_string());
    let mut archive = Archive::new(tar);
    let mut extension = Extension::default();
    for entry in archive.entries().map_err(broken)?.raw(true) {
        let mut entry = entry.map_err(broken)?;
        let kind = entry.header().entry_type();
        if matches!(kind, EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink) {
            counts.add("an extension", 0)?;
            extend(&mut extension, kind, &mut entry)?;
            continue;
        }
        let said = std::mem::take(&mut extension);
        let path = said.path.unwrap_or_else(|| entry.path_bytes().into_owned());
        let raw = text(&path)?;
        let size = entry.header().size().map_err(broken)?;
        counts.add(raw, if kind.is_file() { size } else { 0 })?;
        let target = said.target.or_else(|| entry.link_name_bytes().map(Cow::into_owned));
        let executable = entry.header().mode().unwrap_or(0) & 0o111 != 0;
        let Some(path) = plain(raw, counts.limits)? else { continue };
        let change = change(kind, path, (target.as_deref(), executable), counts.limits)?;
        if let Some(change) = change {
            sink.change(change, &mut entry)?;
        }
    }
    Ok(())
}

/// The change that an entry is; none for what is left out.
fn change(
    kind: EntryType,
    path: String,
    (target, executable): (Option<&[u8]>, bool),
    limits: &Limits,
) -> Result<Option<Change>, Error> {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
    if name == OPAQUE {
        return Ok(Some(Change::Empty(above.to_owned())));
    }
    if let Some(removed) = name.strip_prefix(WHITEOUT) {
        if matches!(removed, "" | "." | "..") || removed.starts_with(WHITEOUT) {
            return Err(Error::invalid(&path, "it removes nothing that has a name"));
        }
        let removed = if above.is_empty() { removed.into() } else { format!("{above}/{removed}") };
        return Ok(Some(Change::Remove(removed)));
    }
    let target = || -> Result<String, Error> {
        let target = text(target.unwrap_or_default())?;
        if target.is_empty() || target.len() > limits.path_bytes_max || target.contains('\0') {
            return Err(Error::invalid(&path, "a link that says nothing, or too much"));
        }
        Ok(target.to_owned())
    };
    Ok(Some(match kind {
        EntryType::Directory => Change::Folder(path),
        EntryType::Regular | EntryType::Continuous => Change::File(path, executable),
        EntryType::Symlink => {
            let target = target()?;
            Change::Link(path, target)
        }
        EntryType::Link => match plain(&target()?, limits)? {
            Some(target) => Change::HardLink(path, target),
            None => return Err(Error::invalid(&path, "a hard link to the root")),
        },
        // A sandbox has devices of its own, and pipes are made by whoever uses them.
        EntryType::Char | EntryType::Block | EntryType::Fifo | EntryType::XGlobalHeader => {
            return Ok(None);
        }
        other => {
            let problem = format!("an entry of kind {:?}", char::from(other.as_byte()));
            return Err(Error::invalid(&path, problem));
        }
    }))
}

fn extend(extension: &mut Extension, kind: EntryType, record: &mut impl Read) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let read = record.take(EXTENSION_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Error::invalid("an extension", error.to_string()))?;
    if bytes.len() as u64 > EXTENSION_BYTES_MAX {
        let problem = format!("it has more than {EXTENSION_BYTES_MAX} bytes");
        return Err(Error::too_large("an extension", problem));
    }
    let ended = |bytes: Vec<u8>| bytes.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    match kind {
        EntryType::GNULongName => extension.path = Some(ended(bytes)),
        EntryType::GNULongLink => extension.target = Some(ended(bytes)),
        _ => {
            for field in PaxExtensions::new(&bytes) {
                let field =
                    field.map_err(|error| Error::invalid("an extension", error.to_string()))?;
                match field.key_bytes() {
                    b"path" => extension.path = Some(field.value_bytes().to_vec()),
                    b"linkpath" => extension.target = Some(field.value_bytes().to_vec()),
                    b"size" => {
                        let problem = "a file of more than 8 GiB; divide it";
                        return Err(Error::too_large("an extension", problem));
                    }
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| {
        Error::invalid(&String::from_utf8_lossy(bytes), "the path is not UTF-8; rename the file")
    })
}

/// A path without a root, without `.`, and without `..`; none for the root itself.
fn plain(raw: &str, limits: &Limits) -> Result<Option<String>, Error> {
    let parts: Vec<&str> = raw.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let refuse = |problem: &str| Err(Error::invalid(raw, problem));
    if parts.contains(&"..") {
        return refuse("the path leaves the image by \"..\"");
    }
    if raw.contains('\0') {
        return refuse("the path has a zero byte");
    }
    if raw.len() > limits.path_bytes_max || parts.len() > limits.depth_max {
        return Err(Error::too_large(raw, "the path is too long or too deep"));
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}
