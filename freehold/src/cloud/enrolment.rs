//! Enrolling: a certificate for an agent or gateway of another machine, got once for a token.

use std::path::Path;

use api::client::{self, Client, Trust};
use api::identity::{EnrolmentToken, Identity, SigningRequest};
use api::internal::Enrol;
use serde::{Deserialize, Serialize};
use types::{HostId, Name};

use super::files::Files;
use crate::exit::Failure;
use crate::output::note;

/// The file that keeps what enrolling gave.
const FILE: &str = "enrolment.json";

/// What enrolling gave.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    process: String,
    name: Name,
    host: Option<HostId>,
    control: String,
    certificate_pem: String,
    key_pem: String,
    authority_pem: String,
}

/// A process that was enrolled.
#[derive(Clone, Debug)]
pub(super) struct Enrolled {
    pub(super) name: Name,
    pub(super) host: Option<HostId>,
    control: String,
    pub(super) identity: Identity,
    pub(super) authority_pem: String,
}

/// Exchanges a token for a certificate and keeps it in the data folder.
pub(super) async fn enrol(
    process: &str,
    token: &str,
    control: &str,
    data: &Path,
) -> Result<(), Failure> {
    let parsed: EnrolmentToken = token.parse().map_err(|_| {
        Failure::usage("this is no enrolment token")
            .hint("an operator makes one: freehold status --enrol PROCESS=NAME")
    })?;
    let files = Files::open(data)?;
    let address: client::Address = control.parse()?;
    let settings = client::Settings {
        trust: Trust::Fingerprint(parsed.authority),
        ..client::Settings::new(address)
    };
    let request =
        SigningRequest::new().map_err(|error| Failure::internal("could not make a key", &error))?;
    let wanted = Enrol { token: token.to_owned(), request_pem: request.request_pem };
    let enrolled = Client::new(settings)?.enrol(&wanted).await?;
    if enrolled.process != process {
        return Err(Failure::usage(format!(
            "this token enrols a {}, not a {process}",
            enrolled.process
        )));
    }
    let kept = Kept {
        process: enrolled.process,
        name: enrolled.name,
        host: enrolled.host,
        control: control.to_owned(),
        certificate_pem: enrolled.certificate_pem,
        key_pem: request.key_pem,
        authority_pem: enrolled.authority_pem,
    };
    let text = serde_json::to_vec_pretty(&kept)
        .map_err(|error| Failure::internal("could not write the enrolment", &error))?;
    files.write(FILE, &text, 0o600)?;
    note(&format!("enrolled as {process} {}; run: freehold {process}", kept.name))
}

/// What enrolling gave, for a process of this kind.
pub(super) fn read(files: &Files, process: &str) -> Result<Enrolled, Failure> {
    let missing = || {
        Failure::usage(format!("this data folder is not enrolled as {process}"))
            .hint(format!("run: freehold {process} enrol TOKEN --control https://CONTROL:8443"))
    };
    let text = files.read(FILE)?.ok_or_else(missing)?;
    let kept: Kept =
        serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{FILE}: {error}")))?;
    if kept.process != process {
        return Err(missing());
    }
    Ok(Enrolled {
        name: kept.name,
        host: kept.host,
        control: kept.control,
        identity: Identity { certificate_pem: kept.certificate_pem, key_pem: kept.key_pem },
        authority_pem: kept.authority_pem,
    })
}

/// Control's address: the one given, or the one that was enrolled at.
pub(super) fn control_of(given: Option<String>, enrolled: &Enrolled) -> Result<String, Failure> {
    let control = given.unwrap_or_else(|| enrolled.control.clone());
    if control.starts_with("https://") {
        return Ok(control);
    }
    Err(Failure::usage(format!("--control {control:?}: write https://HOST:PORT")))
}
