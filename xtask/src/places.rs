//! Where things are: the checkout, the cache folder, the build output.
//!
//! Always true: only this file reads the environment.

use std::env;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::Failure;

/// Where things are on this machine.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The checkout.
    pub(crate) root: PathBuf,
    /// What is kept between runs: `FREEHOLD_TEST_CACHE`, else `~/.cache/freehold`.
    pub(crate) cache: PathBuf,
    /// Build output: `CARGO_TARGET_DIR`, else a folder of this checkout's own in the cache: Cargo
    /// does not tell the packages of one checkout from those of another.
    pub(crate) target: PathBuf,
    /// Where programs are looked for.
    pub(crate) path: OsString,
}

impl Places {
    /// Finds them.
    pub(crate) fn find() -> Result<Self, Failure> {
        // Cargo says at run time where the package is; the place at build time may be another.
        let package = folder("CARGO_MANIFEST_DIR");
        let package = package.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        let root = package.parent().map(Path::to_owned);
        let root = root.filter(|root| root.join("Cargo.toml").is_file());
        let root = root.ok_or_else(|| Failure::new("the checkout has moved: build xtask again"))?;
        let cache = match (folder("FREEHOLD_TEST_CACHE"), folder("XDG_CACHE_HOME"), folder("HOME"))
        {
            (Some(cache), _, _) => cache,
            (None, Some(caches), _) => caches.join("freehold"),
            (None, None, Some(home)) => home.join(".cache/freehold"),
            (None, None, None) => root.join("target/cache"),
        };
        let target = folder("CARGO_TARGET_DIR");
        let own = || cache.join(format!("target-{:016x}", hash(root.as_os_str().as_bytes())));
        let target = target.unwrap_or_else(own);
        Ok(Self { root, cache, target, path: env::var_os("PATH").unwrap_or_default() })
    }

    /// A program on the path.
    pub(crate) fn program(&self, name: &str) -> Option<PathBuf> {
        env::split_paths(&self.path).map(|folder| folder.join(name)).find(|path| path.is_file())
    }

    /// A program that a build of the development profile made.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
}

/// A number for a name that stays the same (FNV-1a).
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn folder(variable: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env::var_os(variable).filter(|value| !value.is_empty())?);
    Some(if path.is_absolute() { path } else { env::current_dir().ok()?.join(path) })
}
