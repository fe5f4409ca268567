//! What the tests need beside Rust: a database server's programs, OCI runtimes, a browser, Python
//! packages, and functions with Lambda's other clients.
//!
//! Always true: what is there is not installed again; what may not be installed is named with the
//! tests that will miss it, and is no failure; nothing is installed into the system but Debian's
//! own packages, and those only as root.

mod debian;
mod lambda;
mod python;

use std::path::PathBuf;

use crate::places::Places;
use crate::{Failure, process};

/// What was found or installed.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    /// The folder of `initdb` and `postgres`.
    pub(crate) postgres: Option<PathBuf>,
    /// The OCI runtimes that tests can use, with commas.
    runtimes: Option<String>,
    /// The browser that pages are opened in.
    browser: Option<PathBuf>,
    pub(crate) python: python::Python,
    pub(crate) lambda: lambda::Lambda,
}

/// Sets up and says what tests will be told.
pub(crate) fn run(places: &Places, _words: &[String]) -> Result<(), Failure> {
    let tools = everything(places)?;
    for (name, value) in tools.variables(places) {
        println!("{name}={}", value.display());
    }
    Ok(())
}

/// Finds or installs everything, and names what is missing.
pub(crate) fn everything(places: &Places) -> Result<Tools, Failure> {
    std::fs::create_dir_all(&places.cache)
        .map_err(|error| Failure::at(places.cache.display(), error))?;
    let mut missing = debian::install(places);
    let postgres = debian::postgres(places);
    if postgres.is_none() {
        missing.push(
            "PostgreSQL (tests of the store on PostgreSQL, and of separate processes)".into(),
        );
    }
    let python = python::install(places, &mut missing);
    let (runtimes, browser) = (debian::runtimes(), debian::browser(places));
    let lambda = lambda::install(places, &mut missing);
    for what in &missing {
        process::tell(&format!("missing: {what}"));
    }
    Ok(Tools { postgres, runtimes, browser, python, lambda })
}

impl Tools {
    /// Whether pages can be opened.
    pub(crate) fn has_browser(&self) -> bool {
        self.browser.is_some()
    }

    /// The variables by which tests learn where things are; each only where the thing is there.
    ///
    /// | variable | what |
    /// | --- | --- |
    /// | `FREEHOLD_TEST_BIN` | folder of the built programs, `freehold` and `signin-risk` |
    /// | `FREEHOLD_TEST_POSTGRES` | folder of `initdb` and `postgres` |
    /// | `FREEHOLD_TEST_RUNTIMES` | OCI runtimes whose tests must not be skipped: `crun,runc,runsc` |
    /// | `FREEHOLD_TEST_BROWSER` | program of Chromium |
    /// | `FREEHOLD_TEST_VENV`, `FREEHOLD_TEST_PYTHON` | virtual environment, its interpreter |
    /// | `FREEHOLD_TEST_ONNXRUNTIME` | ONNX Runtime's shared library |
    /// | `FREEHOLD_TEST_SKLEARN` | folder of packages for `examples/signin-risk-sklearn/vendor` |
    /// | `FREEHOLD_TEST_LAMBDA` | folder with the package `awslambdaric` and what it needs |
    /// | `FREEHOLD_TEST_LAMBDA_RUST` | program of `examples/rust-bootstrap` |
    /// | `FREEHOLD_TEST_LAMBDA_NODE` | folder with the package `aws-lambda-ric` |
    /// | `FREEHOLD_TEST_PERF_ANALYZER` | folder with `bin/perf_analyzer`, Triton's measuring program |
    /// | `FREEHOLD_TEST_EVENTS` | folder of recorded events, where it stands beside the checkout |
    pub(crate) fn variables(&self, places: &Places) -> Vec<(&'static str, PathBuf)> {
        let python = &self.python;
        let interpreter = python.venv.as_ref().map(|venv| venv.join("bin/python"));
        let events = places.root.join("../shared/data/events");
        let events = events.canonicalize().ok();
        let variables = [
            ("FREEHOLD_TEST_BIN", Some(places.target.join("debug"))),
            ("FREEHOLD_TEST_POSTGRES", self.postgres.clone()),
            ("FREEHOLD_TEST_RUNTIMES", self.runtimes.as_ref().map(PathBuf::from)),
            ("FREEHOLD_TEST_BROWSER", self.browser.clone()),
            ("FREEHOLD_TEST_VENV", python.venv.clone()),
            ("FREEHOLD_TEST_PYTHON", interpreter),
            ("FREEHOLD_TEST_ONNXRUNTIME", python.onnxruntime.clone()),
            ("FREEHOLD_TEST_SKLEARN", python.sklearn.clone()),
            ("FREEHOLD_TEST_LAMBDA", python.lambda.clone()),
            ("FREEHOLD_TEST_LAMBDA_RUST", self.lambda.rust.clone()),
            ("FREEHOLD_TEST_LAMBDA_NODE", self.lambda.node.clone()),
            ("FREEHOLD_TEST_PERF_ANALYZER", python.perf.clone()),
            ("FREEHOLD_TEST_EVENTS", events),
        ];
        variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}
