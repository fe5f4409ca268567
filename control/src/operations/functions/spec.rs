//! What a revision of a function says, as it is stored, and what it may say.
//!
//! Always true: what is stored was checked. Absent on purpose: what foreign clients call it.

use std::collections::BTreeMap;

use policy::egress::{PLACES_MAX, Place};
use serde::{Deserialize, Serialize};
use types::{Concurrency, Digest, FunctionRuntime, Limits};

use crate::Error;

pub(super) const MEMORY_MIB: u32 = 128;
pub(super) const MEMORY_MIB_MIN: u32 = 32;
pub(super) const MEMORY_MIB_MAX: u32 = 10_240;
pub(super) const TIMEOUT_MS: u64 = 3_000;
const TIMEOUT_MS_MAX: u64 = 900_000;
/// Names and values of the environment together.
const ENVIRONMENT_BYTES_MAX: usize = 4_096;
const HANDLER_BYTES_MAX: usize = 128;
pub(crate) const DESCRIPTION_BYTES_MAX: usize = 256;
/// What tells a program how many calls it may have at a time: more than an instance is given would
/// have it wait for calls that never come.
const CONCURRENCY_VARIABLE: &str = "AWS_LAMBDA_MAX_CONCURRENCY";
/// Variables that tell a program what the cloud has made of it: an owner's value would be lost.
/// Regions and `TZ` are not among them: what the owner says of those counts.
const RESERVED: [&str; 9] = [
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_RUNTIME_DIR",
    "LAMBDA_TASK_ROOT",
];
const PROCESSES: u32 = 1_024;
const SCRATCH_BYTES: u64 = 512 << 20;

/// What a revision says, as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spec {
    pub(crate) runtime: FunctionRuntime,
    pub(crate) handler: String,
    pub(crate) memory_mib: u32,
    pub(crate) timeout_ms: u64,
    pub(crate) environment: BTreeMap<String, String>,
    /// Where it may connect to, each as `host:port`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) egress: Vec<String>,
    /// How many calls an instance may have at a time.
    #[serde(default, skip_serializing_if = "Concurrency::is_one")]
    pub(crate) concurrency: Concurrency,
    /// Its package, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<Code>,
    /// What foreign clients said that means nothing here, by its name there: they are told it as
    /// they said it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) foreign: BTreeMap<String, serde_json::Value>,
}

/// A package, as it was sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Code {
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
}

impl Spec {
    /// As it is stored.
    pub(crate) fn stored(&self) -> Result<serde_json::Value, Error> {
        serde_json::to_value(self)
            .map_err(|error| Error::internal("could not write a function", error))
    }

    /// Refuses what could not be run.
    pub(crate) fn check(&self, description: &str) -> Result<(), Error> {
        let memory = MEMORY_MIB_MIN..=MEMORY_MIB_MAX;
        if !memory.contains(&self.memory_mib) {
            let (min, max, given) = (MEMORY_MIB_MIN, MEMORY_MIB_MAX, self.memory_mib);
            let message = format!("{given} MiB of memory; use {min} to {max}");
            return Err(Error::invalid(message));
        }
        if !(1..=TIMEOUT_MS_MAX).contains(&self.timeout_ms) {
            let given = self.timeout_ms;
            let message = format!("a time limit of {given} ms; use 1 to {TIMEOUT_MS_MAX}");
            return Err(Error::invalid(message));
        }
        let handler = &self.handler;
        let plain =
            handler.len() <= HANDLER_BYTES_MAX && handler.bytes().all(|it| it.is_ascii_graphic());
        let named = matches!(self.runtime, FunctionRuntime::Python3 | FunctionRuntime::Nodejs);
        if named && handler.is_empty() {
            let message = format!("{} needs a handler: say module.function", self.runtime);
            return Err(Error::invalid(message));
        }
        if !plain || (named && !handler.contains('.')) {
            let message = "the handler is at most 128 letters without blanks: module.function for python3 and nodejs";
            return Err(Error::invalid(message.to_owned()));
        }
        if description.len() > DESCRIPTION_BYTES_MAX {
            let message = format!("the description has more than {DESCRIPTION_BYTES_MAX} bytes");
            return Err(Error::invalid(message));
        }
        check_egress(&self.egress)?;
        check_environment(&self.environment)
    }

    /// What an instance may use.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            timeout_ms: self.timeout_ms,
            memory_bytes: u64::from(self.memory_mib) << 20,
            cpu_milli: policy::resize::cpu_milli(u64::from(self.memory_mib) << 10),
            processes: PROCESSES,
            scratch_bytes: SCRATCH_BYTES,
        }
    }
}

fn check_egress(egress: &[String]) -> Result<(), Error> {
    if egress.len() > PLACES_MAX {
        let given = egress.len();
        return Err(Error::invalid(format!("egress names {given} places; at most {PLACES_MAX}")));
    }
    let places = egress.iter().map(|text| text.parse::<Place>());
    places
        .collect::<Result<Vec<_>, _>>()
        .map(drop)
        .map_err(|error| Error::invalid(error.to_string()))
}

fn check_environment(environment: &BTreeMap<String, String>) -> Result<(), Error> {
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > ENVIRONMENT_BYTES_MAX {
        let most = ENVIRONMENT_BYTES_MAX;
        return Err(Error::invalid(format!("the environment has {bytes} bytes; at most {most}")));
    }
    if environment.contains_key(CONCURRENCY_VARIABLE) {
        let message =
            format!("{CONCURRENCY_VARIABLE} is set by the cloud: say concurrency instead");
        return Err(Error::invalid(message));
    }
    if let Some(name) = RESERVED.iter().find(|name| environment.contains_key(**name)) {
        let message = format!("{name} is set by the cloud: choose another name");
        return Err(Error::invalid(message));
    }
    for (name, value) in environment {
        let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let first = name.starts_with(|first: char| first.is_ascii_alphabetic());
        if !letters || !first || value.contains('\0') {
            return Err(Error::invalid(format!(
                "{name:?} is no variable: use letters, digits and _, beginning with a letter"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_would_be_lost_are_refused_by_their_names() {
        let told = |name: &str| {
            let environment = BTreeMap::from([(name.to_owned(), "x".to_owned())]);
            check_environment(&environment).map_err(|error| error.to_string())
        };
        for name in RESERVED {
            assert!(told(name).unwrap_err().contains(name));
        }
        assert!(told(CONCURRENCY_VARIABLE).unwrap_err().contains("say concurrency"));
        assert!(told("_HANDLER").unwrap_err().contains("no variable"));
        for name in ["AWS_REGION", "TZ", "AWS_ACCESS_KEY_ID", "COLOUR"] {
            told(name).unwrap();
        }
    }
}
