//! Reading a tar block by block, and refusing what a package may not hold.
//!
//! The `tar` crate knows the fields of a header; the order of blocks, the extensions (POSIX `x` and
//! `g`, GNU `L`) and all rules are here, so that a length is believed only within a limit.
//!
//! Always true: a header is checked before a byte of its file is read; two blocks of zeros, then
//! nothing but zeros, end an archive.

use std::io::{ErrorKind as IoKind, Read};

use sha2::{Digest as _, Sha256};

use types::Digest;

use super::path::{Seen, check_path};
use super::{Entry, Error, Limits, Problem};

/// Bytes of a header and of the unit that files are padded to.
pub(super) const BLOCK_BYTES: usize = 512;
/// Read at a time; large enough that calls do not count.
const PIECE_BYTES: usize = 128 << 10;
/// Largest extension record; it holds one path and a few times.
const EXTENSION_BYTES_MAX: u64 = 64 << 10;
/// Zeros read behind the end; writers pad to 10 KiB, tapes to more.
const PADDING_BYTES_MAX: usize = 1 << 20;
/// What the stream is called in errors.
const STREAM: &str = "the archive";

/// One entry, before its content.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) path: String,
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Folder,
    File { bytes: u64, executable: bool },
}

/// Where the files of an archive go.
pub(super) trait Sink {
    fn folder(&mut self, path: &str) -> Result<(), Error>;
    fn open(&mut self, path: &str, executable: bool) -> Result<(), Error>;
    fn write(&mut self, path: &str, piece: &[u8]) -> Result<(), Error>;
}

/// Files that are only looked at.
pub(super) struct Nothing;

impl Sink for Nothing {
    fn folder(&mut self, _path: &str) -> Result<(), Error> {
        Ok(())
    }

    fn open(&mut self, _path: &str, _executable: bool) -> Result<(), Error> {
        Ok(())
    }

    fn write(&mut self, _path: &str, _piece: &[u8]) -> Result<(), Error> {
        Ok(())
    }
}

/// Reads the whole archive into `sink`.
pub(super) fn each(
    tar: impl Read,
    limits: &Limits,
    sink: &mut impl Sink,
) -> Result<Vec<Entry>, Error> {
    let mut walk = Walk::new(tar, limits);
    let mut entries = Vec::new();
    while let Some(Header { path, kind }) = walk.next_header()? {
        let Kind::File { bytes, executable } = kind else {
            sink.folder(&path)?;
            continue;
        };
        sink.open(&path, executable)?;
        let mut hasher = Sha256::new();
        while let Some(piece) = walk.next_piece()? {
            hasher.update(piece);
            sink.write(&path, piece)?;
        }
        entries.push(Entry { path, bytes, executable, sha256: Digest(hasher.finalize().into()) });
    }
    Ok(entries)
}

/// A walk through an archive.
pub(super) struct Walk<'l, R> {
    tar: R,
    limits: &'l Limits,
    seen: Seen,
    /// The last entry begun.
    last: String,
    /// Bytes of the current file not read yet, and of the zeros behind it.
    left_bytes: u64,
    padding_bytes: usize,
    total_bytes: u64,
    piece: Vec<u8>,
}

/// What extension headers said about the entry that follows.
#[derive(Default)]
struct Extension {
    path: Option<Vec<u8>>,
    bytes: Option<u64>,
    /// Extension headers in a row; more than a few are a trick.
    count: usize,
}

impl<'l, R: Read> Walk<'l, R> {
    pub(super) fn new(tar: R, limits: &'l Limits) -> Self {
        Self {
            tar,
            limits,
            seen: Seen::default(),
            last: String::new(),
            left_bytes: 0,
            padding_bytes: 0,
            total_bytes: 0,
            piece: vec![0; PIECE_BYTES],
        }
    }

    /// The next entry, or none at the end of the archive. Skips what is left of the one before.
    pub(super) fn next_header(&mut self) -> Result<Option<Header>, Error> {
        while self.next_piece()?.is_some() {}
        let mut extension = Extension::default();
        loop {
            let mut block = [0; BLOCK_BYTES];
            self.fill(&mut block)?;
            if block == [0; BLOCK_BYTES] {
                if extension.count > 0 {
                    return Err(Error::Truncated { after: self.last.clone() });
                }
                self.read_end()?;
                return Ok(None);
            }
            let header = self.checked(&block)?;
            if self.read_extension(header, &mut extension)? {
                continue;
            }
            if let Some(entry) = self.entry(header, std::mem::take(&mut extension))? {
                return Ok(Some(entry));
            }
        }
    }

    /// The next bytes of the current file, or none at its end.
    pub(super) fn next_piece(&mut self) -> Result<Option<&[u8]>, Error> {
        if self.left_bytes == 0 {
            let mut padding = [0; BLOCK_BYTES];
            let padding_bytes = std::mem::take(&mut self.padding_bytes);
            self.fill(&mut padding[..padding_bytes])?;
            return Ok(None);
        }
        let want = usize::try_from(self.left_bytes).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let mut piece = std::mem::take(&mut self.piece);
        let filled = self.fill(&mut piece[..want]);
        self.piece = piece;
        filled?;
        self.left_bytes -= want as u64;
        Ok(Some(&self.piece[..want]))
    }

    fn fill(&mut self, into: &mut [u8]) -> Result<(), Error> {
        self.tar.read_exact(into).map_err(|source| match source.kind() {
            IoKind::UnexpectedEof => Error::Truncated { after: self.last.clone() },
            _ => Error::io("read", STREAM, source),
        })
    }

    /// The block as a header whose checksum is right.
    fn checked<'b>(&self, block: &'b [u8; BLOCK_BYTES]) -> Result<&'b tar::Header, Error> {
        let header = tar::Header::from_byte_slice(block);
        let mut again = header.clone();
        again.set_cksum();
        if header.cksum().ok() == again.cksum().ok() {
            return Ok(header);
        }
        if self.last.is_empty() {
            return Err(not_tar(block));
        }
        let problem = Problem::Header { field: "checksum" };
        Err(Error::entry(&format!("after {}", self.last), problem))
    }

    /// Takes in an extension header; false where `header` is not one.
    fn read_extension(
        &mut self,
        header: &tar::Header,
        extension: &mut Extension,
    ) -> Result<bool, Error> {
        let entry_type = header.entry_type();
        let is_pax = entry_type.is_pax_local_extensions() || entry_type.is_pax_global_extensions();
        if !is_pax && !entry_type.is_gnu_longname() {
            return Ok(false);
        }
        let name = String::from_utf8_lossy(&header.path_bytes()).into_owned();
        let damaged = || Error::entry(&name, Problem::Header { field: "extension" });
        extension.count += 1;
        let bytes = header.entry_size().map_err(|_| damaged())?;
        if bytes > EXTENSION_BYTES_MAX || extension.count > 4 {
            return Err(damaged());
        }
        self.left_bytes = bytes;
        self.padding_bytes = padding(bytes);
        let mut content = Vec::new();
        while let Some(piece) = self.next_piece()? {
            content.extend_from_slice(piece);
        }
        if entry_type.is_gnu_longname() {
            let end = content.iter().position(|&byte| byte == 0).unwrap_or(content.len());
            content.truncate(end);
            extension.path = Some(content);
            return Ok(true);
        }
        let said = parse_pax(&content).ok_or_else(damaged)?;
        if entry_type.is_pax_global_extensions() {
            if said.path.is_some() || said.bytes.is_some() {
                return Err(damaged());
            }
            return Ok(true);
        }
        extension.path = said.path.or(extension.path.take());
        extension.bytes = said.bytes.or(extension.bytes);
        Ok(true)
    }

    /// Judges an entry by its header; none for the package's own folder.
    fn entry(
        &mut self,
        header: &tar::Header,
        extension: Extension,
    ) -> Result<Option<Header>, Error> {
        let raw = extension.path.unwrap_or_else(|| header.path_bytes().into_owned());
        let text = String::from_utf8(raw).map_err(|error| {
            Error::entry(&String::from_utf8_lossy(error.as_bytes()), Problem::NotText)
        })?;
        let refuse = |problem| Error::entry(&text, problem);
        let entry_type = header.entry_type();
        let old_folder = entry_type.is_file() && text.ends_with('/');
        let is_folder = entry_type.is_dir() || old_folder;
        if !entry_type.is_file() && !entry_type.is_contiguous() && !is_folder {
            return Err(refuse(problem_of(entry_type)));
        }
        let bytes = header.entry_size().map_err(|_| refuse(Problem::Header { field: "size" }))?;
        if extension.bytes.is_some_and(|said| said != bytes) || (is_folder && bytes > 0) {
            return Err(refuse(Problem::Header { field: "size" }));
        }
        let mode = header.mode().map_err(|_| refuse(Problem::Header { field: "mode" }))?;
        let path = plain(&text, is_folder);
        if path.is_empty() && is_folder {
            return Ok(None);
        }
        self.admit(path, is_folder, bytes).map_err(refuse)?;
        path.clone_into(&mut self.last);
        (self.left_bytes, self.padding_bytes) = (bytes, padding(bytes));
        let executable = mode & 0o111 != 0;
        let kind = if is_folder { Kind::Folder } else { Kind::File { bytes, executable } };
        Ok(Some(Header { path: path.to_owned(), kind }))
    }

    /// Holds an entry against the limits and the entries before it.
    fn admit(&mut self, path: &str, is_folder: bool, bytes: u64) -> Result<(), Problem> {
        check_path(path, self.limits)?;
        self.seen.add(path, is_folder, self.limits)?;
        if bytes > self.limits.entry_bytes_max {
            return Err(Problem::TooLarge { bytes, bytes_max: self.limits.entry_bytes_max });
        }
        self.total_bytes = self.total_bytes.saturating_add(bytes);
        if self.total_bytes > self.limits.total_bytes_max {
            return Err(Problem::TotalTooLarge { bytes_max: self.limits.total_bytes_max });
        }
        Ok(())
    }

    /// Reads the second block of zeros, and zeros to the end of the stream.
    fn read_end(&mut self) -> Result<(), Error> {
        let mut block = [0; BLOCK_BYTES];
        self.fill(&mut block)?;
        let mut read_bytes = 0;
        let mut zeros = block == [0; BLOCK_BYTES];
        while zeros && read_bytes <= PADDING_BYTES_MAX {
            let count = match self.tar.read(&mut self.piece) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(source) if source.kind() == IoKind::Interrupted => continue,
                Err(source) => return Err(Error::io("read", STREAM, source)),
            };
            read_bytes += count;
            zeros = self.piece[..count].iter().all(|&byte| byte == 0);
        }
        Err(Error::Trailing { after: self.last.clone() })
    }
}

/// Zeros behind a file of this size.
pub(super) fn padding(bytes: u64) -> usize {
    let over = usize::try_from(bytes % BLOCK_BYTES as u64).expect("a remainder fits");
    if over == 0 { 0 } else { BLOCK_BYTES - over }
}

/// The path without the `./` that tar puts before, and a folder's `/` behind.
fn plain(text: &str, is_folder: bool) -> &str {
    let path = text.strip_prefix("./").unwrap_or(text);
    let path = if is_folder { path.strip_suffix('/').unwrap_or(path) } else { path };
    if is_folder && path == "." { "" } else { path }
}

fn problem_of(entry_type: tar::EntryType) -> Problem {
    if entry_type.is_symlink() || entry_type.is_gnu_longlink() {
        Problem::SymbolicLink
    } else if entry_type.is_hard_link() {
        Problem::HardLink
    } else if entry_type.is_block_special()
        || entry_type.is_character_special()
        || entry_type.is_fifo()
    {
        Problem::Device
    } else {
        Problem::Kind { kind: char::from(entry_type.as_byte()) }
    }
}

/// Reads `LENGTH KEY=VALUE\n` records; none where they are broken or ask for what is refused.
/// Source: POSIX.1-2017, pax, extended header.
fn parse_pax(mut content: &[u8]) -> Option<Extension> {
    let mut extension = Extension::default();
    while !content.is_empty() {
        let space = content.iter().position(|&byte| byte == b' ')?;
        let length: usize = std::str::from_utf8(&content[..space]).ok()?.parse().ok()?;
        let record = content.get(space + 1..length)?.strip_suffix(b"\n")?;
        content = &content[length..];
        let equals = record.iter().position(|&byte| byte == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        match key {
            b"path" => extension.path = Some(value.to_vec()),
            b"size" => {
                extension.bytes = Some(std::str::from_utf8(value).ok()?.parse().ok()?);
            }
            _ if key.starts_with(b"GNU.sparse") => return None,
            _ => {}
        }
    }
    Some(extension)
}

/// What the first block is, when it is not a tar header.
fn not_tar(block: &[u8; BLOCK_BYTES]) -> Error {
    let (found, cure) = match block {
        [0x1F, 0x8B, ..] => ("gzip", "unpack it first (gunzip), packages are plain tar"),
        [b'P', b'K', 3 | 5, ..] => ("a zip file", "unpack it and publish the folder"),
        [0x28, 0xB5, 0x2F, 0xFD, ..] => {
            ("zstd", "unpack it first (unzstd), packages are plain tar")
        }
        [b'B', b'Z', b'h', ..] => ("bzip2", "unpack it first (bunzip2), packages are plain tar"),
        [0xFD, b'7', b'z', b'X', b'Z', ..] => {
            ("xz", "unpack it first (unxz), packages are plain tar")
        }
        _ => ("of no kind known here", "publish a folder, or pack again where it was a tar"),
    };
    Error::NotTar { found, cure }
}
