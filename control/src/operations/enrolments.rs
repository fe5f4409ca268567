//! Enrolments: how an agent or gateway of another machine gets its certificate.

use access::{Action, Resource};
use api::identity::{EnrolmentToken, PROCESS_LIFETIME_MS, Process, Validity};
use api::internal::{Enrol, Enrolled};
use api::status::{CreateEnrolment, Enrolment};
use store::enrolments::{self as rows, EnrolmentRow, enrolment_insert, enrolment_take};
use store::hosts::{HostRow, host_certify, host_fetch_by_name, host_insert};
use types::{Digest, ErrorKind, HostId};

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
    let validity = Validity { now_ms, lifetime_ms: PROCESS_LIFETIME_MS };
    let certificate_pem = control
        .authority()
        .sign(&request.request_pem, process, &row.name, validity)
        .map_err(|_| Error::invalid("the certificate signing request cannot be signed"))?;
    let host = match row.process {
        rows::Process::Agent => Some(host(control, &row, &certificate_pem).await?),
        rows::Process::Gateway => None,
    };
    Ok(Enrolled {
        process: process.as_str().to_owned(),
        name: row.name,
        host,
        certificate_pem,
        authority_pem: control.authority().certificate_pem().to_owned(),
    })
}

/// The host of an agent: the one that had this name, or a new one.
async fn host(
    control: &Control,
    row: &EnrolmentRow,
    certificate_pem: &str,
) -> Result<HostId, Error> {
    let fingerprint = api::identity::facts(certificate_pem)
        .map_err(|error| Error::internal("could not read a certificate", error))?
        .fingerprint;
    let fresh = HostRow {
        id: HostId::new(control.clock().uuid()),
        name: row.name.clone(),
        generation: 0,
        cpu_milli: 0,
        memory_bytes: 0,
        data_address: None,
        features: serde_json::Value::Array(Vec::new()),
        seen_at_ms: 0,
        local: false,
        certificate: Some(fingerprint),
    };
    let id = control
        .shared
        .store
        .transact("enrol a host", |tx| {
            let fresh = fresh.clone();
            Box::pin(async move {
                match host_fetch_by_name(tx, &fresh.name).await {
                    Ok(host) => {
                        host_certify(tx, host.id, &fingerprint).await?;
                        Ok(host.id)
                    }
                    Err(error) if error.kind() == ErrorKind::NotFound => {
                        host_insert(tx, &fresh).await?;
                        Ok(fresh.id)
                    }
                    Err(error) => Err(error),
                }
            })
        })
        .await?;
    Ok(id)
}

/// The host of an agent that shows this certificate.
pub(crate) async fn host_of(
    control: &Control,
    subject: &api::identity::Subject,
) -> Result<HostId, Error> {
    let name = subject.name.clone();
    let read = control
        .shared
        .store
        .read("fetch a host", move |tx| {
            Box::pin(async move { host_fetch_by_name(tx, &name).await })
        })
        .await;
    match read {
        Ok(host) if host.certificate == Some(subject.fingerprint) => Ok(host.id),
        Ok(_) => Err(Error::Unauthenticated),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(Error::Unauthenticated),
        Err(error) => Err(error.into()),
    }
}
