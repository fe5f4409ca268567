//! The program of the example `signin-risk`: found beside this one, or built where cargo runs us.
//!
//! Always true: it is only run as a program, as any producer's would be; nothing of it is known
//! here but its command line.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use super::teller::say;
use crate::exit::Failure;

const NAME: &str = "signin-risk";

/// The example's program.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
}

impl Program {
    /// Finds it beside this program. Where cargo runs us, cargo brings it up to date first.
    pub async fn find() -> Result<Self, Failure> {
        let this = std::env::current_exe()
            .map_err(|error| Failure::internal("could not find this program", &error))?;
        let folder = this.parent().unwrap_or(Path::new("/"));
        let path = folder.join(NAME);
        let cargo = std::env::var_os("CARGO").zip(std::env::var_os("CARGO_MANIFEST_DIR"));
        if let Some((cargo, room)) = cargo {
            build(&cargo, Path::new(&room), folder, path.is_file()).await?;
        }
        if !path.is_file() {
            let message = format!("the example's program is not at {}", path.display());
            return Err(Failure::refused(message).hint(format!(
                "in Freehold's sources: cargo build --release --package {NAME}; then put \
                 target/release/{NAME} beside this program, or run: cargo run --release -- demo"
            )));
        }
        say(&format!("{}", path.display()))?;
        Ok(Self { path })
    }

    /// Runs it and gives what it wrote to stdout.
    pub async fn run(&self, arguments: &[&OsStr]) -> Result<Vec<u8>, Failure> {
        let output = Command::new(&self.path)
            .args(arguments)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(|error| Failure::refused(format!("{}: {error}", self.path.display())))?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let told = String::from_utf8_lossy(&output.stderr);
        Err(Failure::refused(format!("{NAME} could not do it: {}", told.trim())))
    }
}

/// Builds the program into the folder this one lies in, with the profile of that folder.
async fn build(cargo: &OsStr, room: &Path, folder: &Path, there: bool) -> Result<(), Failure> {
    let profile = folder.file_name().and_then(OsStr::to_str).unwrap_or("debug");
    // The folder of the profile `dev` is called `debug`.
    let profile = if profile == "debug" { "dev" } else { profile };
    let Some(target) = folder.parent() else { return Ok(()) };
    if !there {
        say("building it, which is done once and takes some seconds")?;
    }
    let output = Command::new(cargo)
        .args(["build", "--package", NAME, "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(room)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| Failure::refused(format!("could not run cargo: {error}")))?;
    if output.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    Err(Failure::refused(format!("cargo could not build {NAME}:\n{}", told.trim_end())))
}
