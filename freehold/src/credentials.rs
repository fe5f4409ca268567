//! Credentials: the address and token that `freehold login` keeps.
//!
//! Always true: the file is readable by its owner only.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::args::ClientArguments;
use crate::exit::Failure;

/// What is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    pub server: String,
    pub token: String,
    /// A certificate authority to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
}

/// Where they are kept: `$XDG_CONFIG_HOME/freehold/credentials.toml`, or under `~/.config`.
pub fn path() -> Result<PathBuf, Failure> {
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .filter(|path| !path.is_empty())
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    let folder = folder.ok_or_else(|| {
        Failure::usage("neither XDG_CONFIG_HOME nor HOME is set")
            .hint("set one of them, or give --server and --token")
    })?;
    Ok(folder.join("freehold").join("credentials.toml"))
}

impl Credentials {
    /// Keeps them for the next commands.
    pub fn keep(&self) -> Result<PathBuf, Failure> {
        let path = path()?;
        let text = toml::to_string(self)
            .map_err(|error| Failure::internal("could not write credentials", &error))?;
        let write = || -> std::io::Result<()> {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            let fresh = path.with_extension("new");
            let mut options = std::fs::OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            std::fs::rename(&fresh, &path)
        };
        write().map_err(|error| Failure::refused(format!("{}: {error}", path.display())))?;
        Ok(path)
    }

    /// What the arguments give, and what was kept where they say nothing.
    pub fn resolve(arguments: &ClientArguments) -> Result<Self, Failure> {
        if let (Some(server), Some(token)) = (&arguments.server, &arguments.token) {
            let (server, token) = (server.clone(), token.clone());
            return Ok(Self { server, token, authority: arguments.authority.clone() });
        }
        let path = path()?;
        let kept = match std::fs::read_to_string(&path) {
            Ok(text) => Some(toml::from_str::<Self>(&text).map_err(|error| {
                Failure::usage(format!("{}: {error}", path.display()))
                    .hint("run `freehold login` again")
            })?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(Failure::refused(format!("{}: {error}", path.display()))),
        };
        let kept = kept.as_ref();
        let authority =
            arguments.authority.clone().or_else(|| kept.and_then(|kept| kept.authority.clone()));
        let server = arguments.server.clone().or_else(|| kept.map(|kept| kept.server.clone()));
        let token = arguments.token.clone().or_else(|| kept.map(|kept| kept.token.clone()));
        match (server, token) {
            (Some(server), Some(token)) => Ok(Self { server, token, authority }),
            (None, _) => Err(Failure::usage("no cloud is known")
                .hint("run `freehold login`, or give --server and --token")),
            (_, None) => {
                Err(Failure::usage("no token is known")
                    .hint("run `freehold login`, or give --token"))
            }
        }
    }
}
