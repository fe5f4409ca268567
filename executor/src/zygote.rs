//! The zygote: an interpreter outside of all sandboxes, from which those for functions are forked.
//!
//! A fork takes some milliseconds and shares its memory with the zygote's; an interpreter that is
//! started imports for fifty, and shares nothing. The zygote's program says what forks share.
//!
//! Always true: a zygote has run no code but the executor's and the interpreter's own; it forks a
//! limited number; it ends when the executor and all its forks are gone.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use parking_lot::Mutex;

use crate::descriptors;
use crate::launch::Keeper;
use crate::start::PYTHON;

/// Forks of one zygote, after which there is another: few enough that what they share (where
/// libraries lie, the seed of hashes) is of little use to who has learnt it in one of them.
const FORKS_MAX: u32 = 256;

/// Makes zygotes as they are needed.
#[derive(Debug)]
pub(crate) struct Zygotes {
    /// The executor's own files for runtimes.
    folder: PathBuf,
    current: Mutex<Option<Zygote>>,
}

#[derive(Debug)]
struct Zygote {
    /// Its end tells the zygote that nothing more will be asked.
    to: UnixStream,
    forks: u32,
    _process: Keeper,
}

impl Zygotes {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, current: Mutex::new(None) }
    }

    /// Has the zygote end with its last fork. The next connection makes another.
    pub(crate) fn forget(&self) {
        drop(self.current.lock().take());
    }

    /// A connection for one keeper, which asks for one fork. Starts a process where there is no
    /// zygote, or not one that may fork again.
    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let mut current = self.current.lock();
        let (ours, theirs) = UnixStream::pair()?;
        if let Some(zygote) = current.as_mut().filter(|zygote| zygote.forks < FORKS_MAX)
            && descriptors::send(&zygote.to, &theirs).is_ok()
        {
            zygote.forks += 1;
            return Ok(ours);
        }
        // There was none, it has forked enough, or it has died.
        let zygote = current.insert(Zygote::start(&self.folder)?);
        descriptors::send(&zygote.to, &theirs)?;
        zygote.forks += 1;
        Ok(ours)
    }
}

impl Zygote {
    fn start(folder: &Path) -> io::Result<Self> {
        let (to, theirs) = UnixStream::pair()?;
        let mut command = Command::new(PYTHON);
        // A home that is nobody's: Python looks there for code, and may be root here.
        command.arg("zygote.py").current_dir(folder).env_clear().env("HOME", "/nonexistent");
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        let process = Keeper::of(command.process_group(0).spawn()?);
        Ok(Self { to, forks: 0, _process: process })
    }
}
