//! Whom a client trusts, and how it proves itself.
//!
//! Always true: TLS 1.2 or later by ring; a server that cannot be verified is never spoken to.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::Error;
use crate::identity::{self, Shown};
use types::Digest;

/// Whom an `https` address has to prove itself by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// An authority the system trusts.
    System,
    /// This authority, or self-signed certificate, in PEM.
    Authority(String),
    /// An authority or self-signed certificate with this SHA-256, which the server shows.
    Fingerprint(Digest),
}

/// The TLS settings of a client; none where the system's own are right.
pub(super) fn config(
    base: &str,
    trust: &Trust,
    identity: Option<&Shown>,
) -> Result<Option<ClientConfig>, Error> {
    let provider = Arc::new(ring::default_provider());
    let https = base.starts_with("https:");
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| unusable(&cause))?;
    let builder = match trust {
        Trust::System if https && identity.is_none() => {
            // The system's verifier is set up by reqwest, which asks for a default provider.
            let _ = ring::default_provider().install_default();
            return Ok(None);
        }
        // Nothing is verified where nothing is encrypted: no root is needed, none is looked for.
        Trust::System => builder.with_root_certificates(RootCertStore::empty()),
        Trust::Authority(pem) => {
            let authorities = identity::chain(pem)?;
            let digests = authorities.iter().map(identity::fingerprint).collect();
            let pinned = Pinned { digests, authorities, provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
        }
        Trust::Fingerprint(digest) => {
            let pinned = Pinned { digests: vec![*digest], authorities: Vec::new(), provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
        }
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(shown) => {
            let mut config = builder.with_client_cert_resolver(Arc::new(shown.clone()));
            // A resumed session would show what the first one showed.
            config.resumption = Resumption::disabled();
            config
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Some(config))
}

fn unusable(cause: &rustls::Error) -> Error {
    Error::Settings { what: format!("the certificate or its key cannot be used: {cause}") }
}

/// Trusts certificates by their digest: a server's own, or an authority that signed it.
#[derive(Debug)]
struct Pinned {
    digests: Vec<Digest>,
    /// Authorities known beforehand; those the server shows are added when their digest is known.
    authorities: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl Pinned {
    fn roots(&self, shown: &[CertificateDer<'_>]) -> Result<RootCertStore, rustls::Error> {
        let mut roots = RootCertStore::empty();
        let known =
            |shown: &&CertificateDer<'_>| self.digests.contains(&identity::fingerprint(shown));
        let shown = shown.iter().filter(known).map(|shown| shown.clone().into_owned());
        for authority in self.authorities.iter().cloned().chain(shown) {
            roots.add(authority)?;
        }
        if roots.is_empty() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        Ok(roots)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.digests.contains(&identity::fingerprint(end_entity)) {
            return Ok(ServerCertVerified::assertion());
        }
        let roots = Arc::new(self.roots(intermediates)?);
        WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider))
            .build()
            .map_err(|cause| rustls::Error::General(cause.to_string()))?
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
