//! Enrolling: a certificate for an agent or gateway of another machine, got once for a token, and
//! renewed from then on by the process itself.
//!
//! Always true: key and certificate are in one file, which is replaced as a whole; what is shown
//! has been kept before.

use std::path::Path;
use std::sync::Arc;

use api::client::{self, Client, Trust};
use api::identity::{EnrolmentToken, Identity, Shown, SigningRequest, facts};
use api::internal::{Enrol, Renew};
use serde::{Deserialize, Serialize};
use types::{HostId, Name};
use workflow::{BoxFuture, Clock, Tasks};

use super::files::Files;
use super::renewal::{self, Source};
use crate::exit::Failure;
use crate::output::{note, time};

/// The file that keeps what enrolling gave.
const FILE: &str = "enrolment.json";

/// What enrolling gave, and renewing after it.
#[derive(Clone, Serialize, Deserialize)]
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

impl Kept {
    fn identity(&self) -> Identity {
        let Self { certificate_pem, key_pem, .. } = self.clone();
        Identity { certificate_pem, key_pem }
    }

    fn write(&self, files: &Files) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failure::internal("could not write the enrolment", &error))?;
        files.write(FILE, &text, 0o600)
    }

    /// How to get a certificate where this one is of no use any more.
    fn cure(&self) -> String {
        let Self { process, name, control, .. } = self;
        format!(
            "stop it, have an operator run: freehold status --enrol {process}={name}, \
             then run: freehold {process} enrol TOKEN --control {control}"
        )
    }
}

/// A process that was enrolled.
pub(super) struct Enrolled {
    /// What every connection shows, also after a renewal.
    pub(super) shown: Shown,
    kept: Kept,
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
    kept.write(&files)?;
    note(&format!("enrolled as {process} {}; run: freehold {process}", kept.name))
}

/// What enrolling gave, for a process of this kind. A certificate that is over is refused.
pub(super) fn read(files: &Files, process: &str, now_ms: u64) -> Result<Enrolled, Failure> {
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
    let unusable = |error: api::identity::Error| {
        Failure::usage(format!("{FILE}: {}", workflow::chain(&error))).hint(kept.cure())
    };
    let expires_at_ms = facts(&kept.certificate_pem).map_err(unusable)?.expires_at_ms;
    if now_ms >= expires_at_ms {
        let ended = time(expires_at_ms);
        let message = format!("the certificate of {process} {} was over at {ended}", kept.name);
        return Err(Failure::usage(message).hint(kept.cure()));
    }
    Ok(Enrolled { shown: Shown::new(&kept.identity()).map_err(unusable)?, kept })
}

impl Enrolled {
    pub(super) fn name(&self) -> &Name {
        &self.kept.name
    }

    /// The id of the host, for an agent.
    pub(super) fn host(&self) -> Option<HostId> {
        self.kept.host
    }

    /// Whom it trusts.
    pub(super) fn authority_pem(&self) -> &str {
        &self.kept.authority_pem
    }

    /// Control's address: the one given, or the one that was enrolled at.
    pub(super) fn control(&self, given: Option<String>) -> Result<String, Failure> {
        let control = given.unwrap_or_else(|| self.kept.control.clone());
        if control.starts_with("https://") {
            return Ok(control);
        }
        Err(Failure::usage(format!("--control {control:?}: write https://HOST:PORT")))
    }

    /// A client of control that proves itself by what is shown.
    pub(super) fn client(&self, control: &str) -> Result<Client, Failure> {
        let failed = |error: client::Error| Failure::usage(workflow::chain(&error));
        let address: client::Address = control.parse().map_err(failed)?;
        let settings = client::Settings {
            trust: Trust::Authority(self.kept.authority_pem.clone()),
            identity: Some(self.shown.clone()),
            ..client::Settings::new(address)
        };
        Client::new(settings).map_err(failed)
    }

    /// Renews the certificate in time, in the folder and in what is shown, until the tasks stop.
    pub(super) fn keep_valid(
        &self,
        control: &str,
        files: &Arc<Files>,
        wiring: (&Clock, &Tasks),
    ) -> Result<(), Failure> {
        let (client, files) = (self.client(control)?, Arc::clone(files));
        let source = FromControl { client, files, kept: self.kept.clone() };
        renewal::spawn(source, &self.shown, &self.kept.identity(), wiring)
    }
}

/// Certificates that control signs for who shows the one before.
struct FromControl {
    client: Client,
    files: Arc<Files>,
    kept: Kept,
}

impl Source for FromControl {
    fn next(&mut self) -> BoxFuture<'_, Result<Identity, Failure>> {
        Box::pin(async move {
            let request = SigningRequest::new()
                .map_err(|error| Failure::internal("could not make a key", &error))?;
            let wanted = Renew { request_pem: request.request_pem };
            let renewed = self.client.renew(&wanted).await.map_err(|error| refused(error, self))?;
            let next = Kept {
                certificate_pem: renewed.certificate_pem,
                key_pem: request.key_pem,
                authority_pem: renewed.authority_pem,
                ..self.kept.clone()
            };
            next.write(&self.files)?;
            self.kept = next;
            Ok(self.kept.identity())
        })
    }

    fn cure(&self) -> String {
        self.kept.cure()
    }
}

/// Why control did not sign; where it does not know the certificate, with what to do.
fn refused(error: client::Error, source: &FromControl) -> Failure {
    if error.status() != Some(401) {
        return error.into();
    }
    let Kept { process, name, .. } = &source.kept;
    let cure = source.cure();
    Failure::refused(format!("control takes another certificate for {process} {name}: {cure}"))
}

#[cfg(test)]
mod tests;
