//! Identity: the cloud's own certificate authority, and the certificates it signs.
//!
//! Control holds the authority. An agent or gateway makes a key and a request, control signs it
//! for the process and name of its enrolment, and from then on both sides prove themselves by
//! mutual TLS. A certificate names its process (organisational unit) and its name (common name).
//! Always true: keys are ECDSA P-256 made by ring and never leave their process; what a request
//! asks for beside its public key is ignored; clocks five minutes apart do not matter.
//! Absent on purpose: revocation lists. Certificates are short-lived, and control takes of each
//! name only the one it signed last, or the one that this was renewed from.

mod shown;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use ring::digest::{SHA256, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};
use x509_parser::time::ASN1Time;

use types::{Digest, Name};

pub use shown::Shown;

/// How far clocks of two machines may differ, in milliseconds.
const SKEW_MS: u64 = 5 * 60_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// How long the authority and a self-signed certificate last: five years.
const AUTHORITY_LIFETIME_MS: u64 = 5 * 365 * DAY_MS;
/// How long the certificate of an agent or gateway holds unless control is told otherwise: 30
/// days. It is renewed well before.
pub const PROCESS_LIFETIME_MS: u64 = 30 * DAY_MS;
const ORGANIZATION: &str = "Freehold";

/// What can go wrong with certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not make or sign a certificate")]
    Make(#[from] rcgen::Error),
    #[error("this is no certificate in PEM")]
    NotPem,
    #[error("the certificate cannot be read")]
    Unreadable,
    #[error("the certificate or its key cannot be used")]
    Unusable(#[source] rustls::Error),
    #[error("the certificate was not made for a process of a Freehold cloud")]
    Foreign,
    #[error("{text:?} is not a process: use control, agent or gateway")]
    Process { text: String },
    #[error("this is not an enrolment token: it looks like fhe_<secret>_<fingerprint>")]
    EnrolmentToken,
    #[error("{at_ms} ms is no time a certificate can name")]
    Time { at_ms: u64 },
}

/// A part of the cloud that proves itself by a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    Control,
    Agent,
    Gateway,
}

impl Process {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Agent => "agent",
            Self::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Process {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let all = [Self::Control, Self::Agent, Self::Gateway];
        let found = all.into_iter().find(|process| process.as_str() == text);
        found.ok_or_else(|| Error::Process { text: text.chars().take(80).collect() })
    }
}

/// Whom a certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    pub process: Process,
    pub name: Name,
    /// SHA-256 of the certificate.
    pub fingerprint: Digest,
    pub expires_at_ms: u64,
}

/// What any certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Host names and IP addresses it is valid for.
    pub names: Vec<String>,
    /// When one that Freehold made was made, by the clock of who signed it.
    pub made_at_ms: u64,
    pub expires_at_ms: u64,
    /// SHA-256 of the certificate.
    pub fingerprint: Digest,
}

/// A certificate chain, leaf first, and the leaf's private key; both PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(key withheld)")
    }
}

/// A new key and the request to have it signed.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningRequest {
    pub request_pem: String,
    pub key_pem: String,
}

impl fmt::Debug for SigningRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningRequest(key withheld)")
    }
}

impl SigningRequest {
    /// Makes a key, and a request that proves its possession.
    pub fn new() -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, ORGANIZATION);
        let request_pem = params.serialize_request(&key)?.pem()?;
        Ok(Self { request_pem, key_pem: key.serialize_pem() })
    }
}

/// From when and for how long a certificate holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub now_ms: u64,
    pub lifetime_ms: u64,
}

/// The authority of one cloud.
pub struct Authority {
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(key withheld)")
    }
}

impl Authority {
    /// Makes a new authority for five years.
    pub fn create(now_ms: u64) -> Result<Self, Error> {
        let key = KeyPair::generate()?;
        let lifetime_ms = AUTHORITY_LIFETIME_MS;
        let mut params = params("authority", None, Validity { now_ms, lifetime_ms })?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate_pem = params.self_signed(&key)?.pem();
        Self::open(&certificate_pem, &key.serialize_pem())
    }

    /// Opens an authority that was made before.
    pub fn open(certificate_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let issuer = Issuer::from_ca_cert_pem(certificate_pem, KeyPair::from_pem(key_pem)?)?;
        Ok(Self { certificate_pem: certificate_pem.to_owned(), issuer })
    }

    /// The certificate that others trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, to be sealed and stored. A secret.
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// SHA-256 of the authority's certificate.
    pub fn fingerprint(&self) -> Result<Digest, Error> {
        Ok(facts(&self.certificate_pem)?.fingerprint)
    }

    /// Signs a request for a process of this cloud. Only the public key is taken from the request.
    ///
    /// Returns the chain, leaf first: the new certificate and the authority's.
    ///
    /// # Errors
    ///
    /// [`Error::Make`] when the request is malformed or its own signature is wrong.
    pub fn sign(
        &self,
        request_pem: &str,
        process: Process,
        name: &Name,
        validity: Validity,
    ) -> Result<String, Error> {
        let mut request = CertificateSigningRequestParams::from_pem(request_pem)?;
        let mut wanted = params(name.as_str(), Some(process), validity)?;
        wanted.subject_alt_names = vec![dns(&host_name(process, name))?];
        wanted.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        request.params = wanted;
        let signed = request.signed_by(&self.issuer)?;
        Ok(format!("{}{}", signed.pem(), self.certificate_pem))
    }

    /// Makes control's own certificate, valid for these host names and IP addresses.
    pub fn control(&self, names: &[String], validity: Validity) -> Result<Identity, Error> {
        let key = KeyPair::generate()?;
        let mut wanted = params("control", Some(Process::Control), validity)?;
        wanted.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
        wanted.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let signed = wanted.signed_by(&key, &self.issuer)?;
        let certificate_pem = format!("{}{}", signed.pem(), self.certificate_pem);
        Ok(Identity { certificate_pem, key_pem: key.serialize_pem() })
    }
}

/// The host name that the certificate of an agent or gateway is valid for.
pub fn host_name(process: Process, name: &Name) -> String {
    format!("{name}.{process}.freehold.internal")
}

/// Makes a certificate that is its own authority, for five years.
pub fn self_signed(names: &[String], now_ms: u64) -> Result<Identity, Error> {
    let key = KeyPair::generate()?;
    let lifetime_ms = AUTHORITY_LIFETIME_MS;
    let mut wanted = params("freehold", None, Validity { now_ms, lifetime_ms })?;
    wanted.subject_alt_names = CertificateParams::new(names)?.subject_alt_names;
    wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate_pem = wanted.self_signed(&key)?.pem();
    Ok(Identity { certificate_pem, key_pem: key.serialize_pem() })
}

/// The certificates in a PEM text.
///
/// # Errors
///
/// [`Error::NotPem`] when there is none, or one is malformed.
pub fn chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    chain.ok().filter(|chain| !chain.is_empty()).ok_or(Error::NotPem)
}

/// Whom a certificate names. Whether to trust it is decided by who verified the chain.
///
/// # Errors
///
/// [`Error::Foreign`] when it names no process of a Freehold cloud.
pub fn subject(certificate: &CertificateDer<'_>) -> Result<Subject, Error> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| Error::Unreadable)?;
    let names = parsed.subject();
    let word = |found: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>| {
        found.and_then(|value| value.as_str().ok()).map(str::to_owned).ok_or(Error::Foreign)
    };
    let process = word(names.iter_organizational_unit().next())?;
    let name = word(names.iter_common_name().next())?;
    Ok(Subject {
        process: process.parse().map_err(|_| Error::Foreign)?,
        name: name.parse().map_err(|_| Error::Foreign)?,
        fingerprint: fingerprint(certificate),
        expires_at_ms: expires_at_ms(&parsed),
    })
}

/// What the first certificate of a PEM text says.
pub fn facts(pem: &str) -> Result<Facts, Error> {
    let chain = chain(pem)?;
    let leaf = chain.first().ok_or(Error::NotPem)?;
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| Error::Unreadable)?;
    let names = parsed.subject_alternative_name().map_err(|_| Error::Unreadable)?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    Ok(Facts {
        names: names.iter().filter_map(name_text).collect(),
        // It holds from a little earlier on, for clocks that differ.
        made_at_ms: ms(parsed.validity().not_before).saturating_add(SKEW_MS),
        expires_at_ms: expires_at_ms(&parsed),
        fingerprint: fingerprint(leaf),
    })
}

/// SHA-256 of a certificate.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Digest {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, certificate).as_ref());
    Digest(bytes)
}

/// What a host enrols with: a secret that proves it to control, and the fingerprint of the
/// authority that control has to prove itself by. Written `fhe_<secret>_<fingerprint>`.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// At least 16 characters of `a-z 0-9`.
    pub secret: String,
    /// SHA-256 of the authority's certificate.
    pub authority: Digest,
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrolmentToken(withheld)")
    }
}

impl fmt::Display for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fhe_{}_{}", self.secret, self.authority)
    }
}

impl FromStr for EnrolmentToken {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.strip_prefix("fhe_").and_then(|rest| rest.split_once('_'));
        let (secret, authority) = parts.ok_or(Error::EnrolmentToken)?;
        let plain = secret.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        if secret.len() < 16 || !plain {
            return Err(Error::EnrolmentToken);
        }
        let authority = authority.parse().map_err(|_| Error::EnrolmentToken)?;
        Ok(Self { secret: secret.to_owned(), authority })
    }
}

fn params(
    name: &str,
    process: Option<Process>,
    validity: Validity,
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::default();
    let subject = &mut params.distinguished_name;
    *subject = rcgen::DistinguishedName::new();
    subject.push(DnType::OrganizationName, ORGANIZATION);
    if let Some(process) = process {
        subject.push(DnType::OrganizationalUnitName, process.as_str());
    }
    subject.push(DnType::CommonName, name);
    let time = |at_ms: u64| {
        let seconds = i64::try_from(at_ms / 1_000).map_err(|_| Error::Time { at_ms })?;
        let time = ASN1Time::from_timestamp(seconds).map_err(|_| Error::Time { at_ms })?;
        Ok::<_, Error>(time.to_datetime())
    };
    params.not_before = time(validity.now_ms.saturating_sub(SKEW_MS))?;
    params.not_after = time(validity.now_ms.saturating_add(validity.lifetime_ms))?;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    Ok(params)
}

fn dns(name: &str) -> Result<SanType, Error> {
    Ok(SanType::DnsName(name.try_into()?))
}

fn expires_at_ms(certificate: &X509Certificate<'_>) -> u64 {
    ms(certificate.validity().not_after)
}

fn ms(time: ASN1Time) -> u64 {
    u64::try_from(time.timestamp()).unwrap_or(0).saturating_mul(1_000)
}

fn name_text(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(std::net::IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(*bytes).map(std::net::IpAddr::from);
            v4.or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}
