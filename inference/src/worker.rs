//! The command `freehold worker`, as the executor starts it inside an instance.
//!
//! Always true: it ends only where it cannot serve: code 64 for a task that makes no sense, 65 for
//! a model that no engine takes, 75 where a run could not be stopped.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;

use crate::server::{Ended, serve};
use crate::task::{Task, VARIABLE};

/// Serves the task in `FREEHOLD_TASK` on the listening Unix socket that is standard input.
///
/// `args` are what follows `freehold worker`; there are none. Returns only where it cannot serve.
pub fn worker_main(args: &[String]) -> ExitCode {
    let say = |text: String| {
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    if let Some(arg) = args.first() {
        say(format!("{arg:?} is unknown: `worker` is started by the executor, without arguments"));
        return ExitCode::from(64);
    }
    let task = match task() {
        Ok(task) => task,
        Err(problem) => {
            say(problem);
            return ExitCode::from(64);
        }
    };
    let listener = match std::io::stdin().as_fd().try_clone_to_owned() {
        Ok(socket) => UnixListener::from(socket),
        Err(error) => {
            say(format!("standard input is not a listening socket: {error}"));
            return ExitCode::from(64);
        }
    };
    match serve(listener, &task) {
        Ok(Ended::Stuck) => {
            say("a run went on after its time and could not be stopped".to_owned());
            ExitCode::from(75)
        }
        Err(fault) => {
            say(fault.to_string());
            ExitCode::from(65)
        }
    }
}

fn task() -> Result<Task, String> {
    #[expect(clippy::disallowed_methods, reason = "this is a command of the binary")]
    let text = std::env::var(VARIABLE).map_err(|error| format!("{VARIABLE}: {error}"))?;
    serde_json::from_str(&text).map_err(|error| format!("{VARIABLE} is not a task: {error}"))
}
