//! Enrolments: how an agent or gateway of another machine gets its certificate, and the next one.
//!
//! Always true: a token gives one certificate; what a certificate says of its holder is control's
//! word, never the holder's; of each name only the last enrolment counts.

use access::{Action, Resource};
use api::identity::{EnrolmentToken, Process, Subject, Validity};
use api::internal::{Enrol, Enrolled, Renew, Renewed};
use api::status::{CreateEnrolment, Enrolment};
use store::certificates::{certificate_counts, certificate_renew, certificate_store};
use store::enrolments::{self as rows, EnrolmentRow, enrolment_insert, enrolment_take};
use store::hosts::{HostRow, host_fetch_by_name, host_insert};
use types::{Digest, ErrorKind, Fleet, HostId, Name};

use crate::caller::Caller;
use crate::{Control, Error};

/// How long an enrolment token is good for.
const LIFETIME_MS: u64 = 3_600_000;

/// Makes an enrolment token.
pub async fn create(
    control: &Control,
    caller: &Caller,
    request: CreateEnrolment,
) -> Result<Enrolment, Error> {
    control.authorize(caller, Action::EnrolmentsCreate, Resource::cloud())?;
    let process = match request.process.as_str() {
        "agent" => rows::Process::Agent,
        "gateway" => rows::Process::Gateway,
        other => {
            return Err(Error::invalid(format!("{other:?} cannot enrol; use agent or gateway")));
        }
    };
    let authority = control
        .authority()
        .fingerprint()
        .map_err(|error| Error::internal("could not read the authority", error))?;
    let secret = hex::encode(control.clock().random::<16>());
    let token = EnrolmentToken { secret, authority };
    let row = EnrolmentRow {
        token_sha256: access::tokens::digest_of(&token.secret),
        process,
        name: request.name,
        expires_at_ms: control.now_ms().saturating_add(LIFETIME_MS),
        used_at_ms: None,
    };
    let expires_at_ms = row.expires_at_ms;
    control
        .shared
        .store
        .transact("make an enrolment", |tx| {
            let row = row.clone();
            Box::pin(async move { enrolment_insert(tx, &row).await })
        })
        .await?;
    Ok(Enrolment { token: token.to_string(), expires_at_ms })
}

/// Exchanges an enrolment token for a certificate.
pub async fn enrol(control: &Control, request: Enrol) -> Result<Enrolled, Error> {
    let token: EnrolmentToken = request.token.parse().map_err(|_| Error::EnrolmentRefused)?;
    let digest: Digest = access::tokens::digest_of(&token.secret);
    let now_ms = control.now_ms();
    let answer = control
        .shared
        .store
        .transact("take an enrolment", |tx| {
            Box::pin(async move { enrolment_take(tx, &digest, now_ms).await })
        })
        .await;
    let row = match answer {
        Ok(row) => row,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(Error::EnrolmentRefused),
        Err(error) => return Err(error.into()),
    };
    let process = match row.process {
        rows::Process::Agent => Process::Agent,
        rows::Process::Gateway => Process::Gateway,
    };
    let signed = sign(control, &request.request_pem, (process, &row.name))?;
    let host = settle(control, &row, signed.fingerprint).await?;
    Ok(Enrolled {
        process: process.as_str().to_owned(),
        name: row.name,
        host,
        certificate_pem: signed.certificate_pem,
        authority_pem: control.authority().certificate_pem().to_owned(),
    })
}

/// Signs the next certificate of the process that showed one. That one counts until the next one
/// is renewed in its turn, for the case that this answer is lost.
pub async fn renew(control: &Control, subject: &Subject, request: Renew) -> Result<Renewed, Error> {
    let signed = sign(control, &request.request_pem, (subject.process, &subject.name))?;
    let (process, name) = (stored(subject)?, subject.name.clone());
    let (shown, next) = (subject.fingerprint, signed.fingerprint);
    let renewed = control
        .shared
        .store
        .transact("renew a certificate", |tx| {
            let name = name.clone();
            Box::pin(async move { certificate_renew(tx, (process, &name), &shown, &next).await })
        })
        .await;
    match renewed {
        Ok(()) => Ok(Renewed {
            certificate_pem: signed.certificate_pem,
            authority_pem: control.authority().certificate_pem().to_owned(),
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::Unauthenticated),
        Err(error) => Err(error.into()),
    }
}

/// A certificate, and what it is known by.
struct Signed {
    certificate_pem: String,
    fingerprint: Digest,
}

fn sign(
    control: &Control,
    request_pem: &str,
    (process, name): (Process, &Name),
) -> Result<Signed, Error> {
    let lifetime_ms = control.shared.settings.certificate_ms;
    let validity = Validity { now_ms: control.now_ms(), lifetime_ms };
    let certificate_pem = control
        .authority()
        .sign(request_pem, process, name, validity)
        .map_err(|_| Error::invalid("the certificate signing request cannot be signed"))?;
    let facts = api::identity::facts(&certificate_pem)
        .map_err(|error| Error::internal("could not read a certificate", error))?;
    Ok(Signed { certificate_pem, fingerprint: facts.fingerprint })
}

/// Makes this certificate the one that counts for its name. An agent has a host: the one that had
/// this name, or a new one.
async fn settle(
    control: &Control,
    row: &EnrolmentRow,
    certificate: Digest,
) -> Result<Option<HostId>, Error> {
    let fresh = HostRow {
        id: HostId::new(control.clock().uuid()),
        name: row.name.clone(),
        generation: 0,
        cpu_milli: 0,
        memory_bytes: 0,
        functions_memory_bytes: 0,
        data_address: None,
        functions_socket: None,
        fleet: Fleet::default(),
        lost: false,
        features: serde_json::Value::Array(Vec::new()),
        seen_at_ms: 0,
        local: false,
    };
    let process = row.process;
    let host = control
        .shared
        .store
        .transact("enrol a process", |tx| {
            let fresh = fresh.clone();
            Box::pin(async move {
                certificate_store(tx, (process, &fresh.name), &certificate).await?;
                if process == rows::Process::Gateway {
                    return Ok(None);
                }
                match host_fetch_by_name(tx, &fresh.name).await {
                    Ok(host) => Ok(Some(host.id)),
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        host_insert(tx, &fresh).await?;
                        Ok(Some(fresh.id))
                    }
                    Err(error) => Err(error),
                }
            })
        })
        .await?;
    Ok(host)
}

/// Lets through whom this certificate names, where it counts for that name.
pub(crate) async fn known(control: &Control, subject: &Subject) -> Result<(), Error> {
    let (process, name) = (stored(subject)?, subject.name.clone());
    let shown = subject.fingerprint;
    let counts = control
        .shared
        .store
        .read("look for a certificate", move |tx| {
            Box::pin(async move { certificate_counts(tx, (process, &name), &shown).await })
        })
        .await?;
    if counts { Ok(()) } else { Err(Error::Unauthenticated) }
}

/// The host of an agent that shows this certificate.
pub(crate) async fn host_of(control: &Control, subject: &Subject) -> Result<HostId, Error> {
    known(control, subject).await?;
    let name = subject.name.clone();
    let read = control
        .shared
        .store
        .read("fetch a host", move |tx| {
            Box::pin(async move { host_fetch_by_name(tx, &name).await })
        })
        .await;
    match read {
        Ok(host) => Ok(host.id),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::Unauthenticated),
        Err(error) => Err(error.into()),
    }
}

/// The process as it is stored; control has no enrolment.
fn stored(subject: &Subject) -> Result<rows::Process, Error> {
    match subject.process {
        Process::Agent => Ok(rows::Process::Agent),
        Process::Gateway => Ok(rows::Process::Gateway),
        Process::Control => Err(Error::Unauthenticated),
    }
}
