//! `workerd`, a server of functions in JavaScript, which runs them as isolates in one process.
//!
//! Always true: its version is pinned; where it cannot be had, that is said, and the benchmark goes
//! on without it.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::super::tools::{Server, answers};
use crate::places::Places;
use crate::{Failure, process};

/// What it is called on the page.
pub(super) const NAME: &str = "workerd 1.20261117.1";
const PACKAGE: &str = "workerd@1.20261117.1";

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers with the event that it was given.
const CODE: &str = "export default { async fetch(request) { return new Response(await \
    request.arrayBuffer(), { headers: { 'content-type': 'application/json' } }); } };\n";

/// Starts it with a function that echoes; its address, and the server. None, said aloud, where it
/// cannot be had.
pub(super) fn start(places: &Places) -> Option<(Server, String)> {
    let skipped =
        |failure| process::tell(&format!("skipped: {NAME} cannot be had here: {failure}"));
    install(places).and_then(|folder| run(&folder)).map_err(skipped).ok()
}

/// Has the package in a folder of the cache.
fn install(places: &Places) -> Result<PathBuf, Failure> {
    let folder = places.cache.join("bench-workerd-1.20261117.1");
    if folder.join("finished").is_file() {
        return Ok(folder);
    }
    process::tell(&format!("installing {NAME} into {}", folder.display()));
    let failed = |error| Failure::at(folder.display(), error);
    // What an interrupted run left; where nothing did, there is nothing to remove.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(failed)?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    process::run(npm.arg(PACKAGE))?;
    fs::write(folder.join("finished"), "").map_err(failed)?;
    Ok(folder)
}

fn run(folder: &Path) -> Result<(Server, String), Failure> {
    let failed = |error| Failure::at(folder.display(), error);
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    drop(listener);
    let config = format!(
        "using Workerd = import \"/workerd/workerd.capnp\";\n\
         const config :Workerd.Config = (\n\
         services = [ (name = \"main\", worker = .echo) ],\n\
         sockets = [ (name = \"http\", address = \"{address}\", http = (), service = \"main\") ]\n\
         );\n\
         const echo :Workerd.Worker = (\n\
         modules = [ (name = \"echo\", esModule = embed \"echo.js\") ],\n\
         compatibilityDate = \"2025-01-01\",\n\
         );\n"
    );
    fs::write(folder.join("config.capnp"), config).map_err(failed)?;
    fs::write(folder.join("echo.js"), CODE).map_err(failed)?;
    let mut command = Command::new(folder.join("node_modules/.bin/workerd"));
    command.arg("serve").arg(folder.join("config.capnp"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server = Server(command.spawn().map_err(failed)?);
    let begin = Instant::now();
    while !answers(address, "/") {
        let ended = server.0.try_wait().map_err(failed)?;
        if ended.is_some() || begin.elapsed() > PATIENCE {
            return Err(Failure::new("it does not answer"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((server, address.to_string()))
}
