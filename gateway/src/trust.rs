//! How a gateway proves itself to other processes of the cloud, and knows them.
//!
//! Always true: both sides show certificates of the cloud's own authority; an agent is known by
//! what its certificate says it is, since instances are found by id and not by host name; every
//! new connection shows the certificate that is in use by then.

use std::sync::Arc;

use api::identity::{self, Process, Shown};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// What this gateway shows, and the authority it trusts.
#[derive(Clone, Debug)]
pub struct Proof {
    /// The cloud's authority, PEM.
    pub authority_pem: String,
    /// This gateway's certificate and key, which may be replaced while it runs.
    pub identity: Shown,
}

/// A certificate or key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not PEM, or not a certificate.
    #[error("the gateway's certificate cannot be read: enrol again")]
    Identity(#[from] identity::Error),
    /// TLS does not take it.
    #[error("the gateway's certificate or key cannot be used: {0}")]
    Tls(String),
}

impl From<rustls::Error> for Error {
    fn from(cause: rustls::Error) -> Self {
        Self::Tls(cause.to_string())
    }
}

/// TLS towards control, whose certificate is valid for the name it is reached by.
pub(crate) fn of_control(proof: &Proof) -> Result<Arc<ClientConfig>, Error> {
    config(proof, verifier(proof)?)
}

/// TLS towards agents, at whatever address they are.
pub(crate) fn of_agents(proof: &Proof) -> Result<Arc<ClientConfig>, Error> {
    config(proof, Arc::new(Agents { chain: verifier(proof)? }))
}

fn verifier(proof: &Proof) -> Result<Arc<WebPkiServerVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in identity::chain(&proof.authority_pem)? {
        roots.add(certificate)?;
    }
    let provider = Arc::new(ring::default_provider());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
        .build()
        .map_err(|cause| Error::Tls(cause.to_string()))
}

fn config(
    proof: &Proof,
    verifier: Arc<dyn ServerCertVerifier>,
) -> Result<Arc<ClientConfig>, Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(proof.identity.clone()));
    // A resumed session would show what the first one showed.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

/// Takes any certificate of an agent of this cloud.
#[derive(Debug)]
struct Agents {
    chain: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Agents {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let refused = CertificateError::ApplicationVerificationFailure;
        let subject = identity::subject(end_entity).map_err(|_| refused.clone())?;
        if subject.process != Process::Agent {
            return Err(refused.into());
        }
        let name = identity::host_name(subject.process, &subject.name);
        let name = ServerName::try_from(name).map_err(|_| refused)?;
        self.chain.verify_server_cert(end_entity, intermediates, &name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.chain.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
