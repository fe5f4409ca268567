//! Bait: what lies on the host for attempts to take.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::Through;

/// Where the bait is, as each attempt is told it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bait {
    /// A text that stands in every file of the bait.
    pub(crate) secret: String,
    /// A file that everybody on the host may read.
    pub(crate) file: PathBuf,
    /// A Unix socket that everybody on the host may connect to.
    pub(crate) socket: PathBuf,
    /// An abstract Unix socket, by its name.
    pub(crate) name: String,
    /// A TCP port on the host's loopback.
    pub(crate) port: u16,
    /// A process of the executor's user.
    pub(crate) pid: i32,
    /// A System V segment that everybody may attach.
    pub(crate) segment: i32,
    /// The folder of another instance, and of all.
    pub(crate) neighbour: PathBuf,
    /// The folder of instances' sockets, with one in it that everybody may connect to.
    pub(crate) sockets: PathBuf,
    /// The host's name.
    pub(crate) host: String,
    /// The release of the host's kernel.
    pub(crate) kernel: String,
    /// A word that no other process on this host says.
    pub(crate) mark: String,
}

impl Bait {
    /// Reads it from `KEY=VALUE` words.
    pub(crate) fn parse(words: &[&str]) -> Self {
        let mut bait = Self::default();
        for word in words {
            let (key, value) = word.split_once('=').unwrap();
            match key {
                "secret" => value.clone_into(&mut bait.secret),
                "file" => bait.file = value.into(),
                "socket" => bait.socket = value.into(),
                "name" => value.clone_into(&mut bait.name),
                "port" => bait.port = value.parse().unwrap(),
                "pid" => bait.pid = value.parse().unwrap(),
                "segment" => bait.segment = value.parse().unwrap(),
                "neighbour" => bait.neighbour = value.into(),
                "sockets" => bait.sockets = value.into(),
                "host" => value.clone_into(&mut bait.host),
                "kernel" => value.clone_into(&mut bait.kernel),
                "mark" => value.clone_into(&mut bait.mark),
                _ => panic!("{key:?} is no bait"),
            }
        }
        bait
    }

    /// Writes it as `KEY=VALUE` words.
    pub(crate) fn words(&self) -> Vec<String> {
        vec![
            format!("secret={}", self.secret),
            format!("file={}", self.file.display()),
            format!("socket={}", self.socket.display()),
            format!("name={}", self.name),
            format!("port={}", self.port),
            format!("pid={}", self.pid),
            format!("segment={}", self.segment),
            format!("neighbour={}", self.neighbour.display()),
            format!("sockets={}", self.sockets.display()),
            format!("host={}", self.host),
            format!("kernel={}", self.kernel),
            format!("mark={}", self.mark),
        ]
    }

    /// Whether the kernel that answers is the host's. What a kernel of the sandbox's own gives away
    /// is nobody else's.
    pub(crate) fn is_kernel_of_host(&self) -> bool {
        rustix::system::uname().release().to_string_lossy() == self.kernel
    }

    /// Through where the file holds the secret.
    pub(crate) fn in_file(&self, path: impl AsRef<Path>) -> Through {
        let path = path.as_ref();
        let mut text = Vec::new();
        fs::File::open(path).ok()?.take(1 << 20).read_to_end(&mut text).ok()?;
        let found = text.windows(self.secret.len()).any(|part| part == self.secret.as_bytes());
        found.then(|| format!("the secret in {}", path.display()))
    }
}

/// Through where something can be read there.
pub(crate) fn readable(path: impl AsRef<Path>) -> Through {
    let path = path.as_ref();
    let mut byte = [0];
    let folder = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
    let mut file = || fs::File::open(path).and_then(|mut file| file.read(&mut byte));
    (folder || file().is_ok_and(|count| count > 0)).then(|| path.display().to_string())
}
