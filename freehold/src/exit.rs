//! Failures of a command: what people read, and the exit code that programs read.
//!
//! Exit codes: 0 done; 1 refused or failed; 2 wrong arguments or settings; 3 not authorised;
//! 4 not found; 5 conflict; 6 unavailable or timed out; 7 a fault of ours.

use std::process::ExitCode;

use workflow::chain;

/// Why a command did not do what it should.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: u8,
    /// The code that `freehold explain` knows, where there is one.
    pub code: Option<String>,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Failure {
    /// The request failed in itself.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { exit: 1, code: None, message: message.into(), hint: None }
    }

    /// Arguments, settings or files of the caller are wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { exit: 2, code: None, message: message.into(), hint: None }
    }

    /// A fault of ours, with its cause.
    pub fn internal(attempted: &str, error: &dyn std::error::Error) -> Self {
        let message = format!("{attempted}: {}", chain(error));
        Self { exit: 7, code: Some("internal".to_owned()), message, hint: None }
    }

    /// What was needed cannot be reached now, or did not come in time.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self { exit: 6, code: None, message: message.into(), hint: None }
    }

    /// Adds the code that `freehold explain` knows.
    #[must_use]
    pub fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints the failure and gives the exit code.
    #[expect(clippy::print_stderr, reason = "this is where the program speaks to people")]
    pub fn tell(&self) -> ExitCode {
        eprintln!("error: {}", self.message);
        if let Some(hint) = &self.hint {
            eprintln!("hint: {hint}");
        }
        if let Some(code) = &self.code {
            eprintln!("more: freehold explain {code}");
        }
        ExitCode::from(self.exit)
    }
}

impl From<api::client::Error> for Failure {
    fn from(error: api::client::Error) -> Self {
        use api::client::Error;
        let code = Some(error.code().to_owned());
        let problem = match error {
            Error::Problem(problem) => problem,
            Error::Settings { what } => return Self::usage(what),
            Error::Unreachable { address, hint, .. } => {
                let message = format!("could not reach {address}");
                return Self { exit: 6, code, message, hint: Some(hint) };
            }
            Error::File { .. }
            | Error::Changed { .. }
            | Error::TooLarge { .. }
            | Error::Damaged { .. }
            | Error::Identity(_) => {
                return Self { exit: 1, code, message: chain(&error), hint: None };
            }
            _ => return Self { exit: 6, code, message: chain(&error), hint: None },
        };
        let exit = match problem.status {
            401 | 403 => 3,
            404 => 4,
            409 | 412 => 5,
            408 | 429 | 502 | 503 | 504 | 507 => 6,
            500 => 7,
            _ => 1,
        };
        let message = match &problem.request_id {
            Some(id) if problem.status == 500 => format!("{} (request {id})", problem.title),
            _ => problem.title,
        };
        Self { exit, code, message, hint: problem.hint }
    }
}
