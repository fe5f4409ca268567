//! What a process shows of itself, to those it connects to and to those who connect to it.
//!
//! Always true: clones show the same; what is replaced is shown from the next handshake on, by
//! every listener and client that was made with it. Connections that are open stay as they are.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::crypto::ring;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject as _;

use super::{Error, Identity, chain};

/// The identity that is shown now. Cheap to clone.
#[derive(Clone)]
pub struct Shown(Arc<RwLock<Arc<CertifiedKey>>>);

impl Shown {
    /// Shows this identity.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when the key is none, or is not the certificate's.
    pub fn new(identity: &Identity) -> Result<Self, Error> {
        Ok(Self(Arc::new(RwLock::new(certified(identity)?))))
    }

    /// Shows another identity from the next handshake on.
    ///
    /// # Errors
    ///
    /// As [`Shown::new`]; then the one before is shown on.
    pub fn replace(&self, identity: &Identity) -> Result<(), Error> {
        let next = certified(identity)?;
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(())
    }

    fn now(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(key withheld)")
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }
}

impl ResolvesClientCert for Shown {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.now())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

fn certified(identity: &Identity) -> Result<Arc<CertifiedKey>, Error> {
    let chain = chain(&identity.certificate_pem)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
    let key = key.map_err(|cause| {
        Error::Unusable(rustls::Error::General(format!("private key: {cause}")))
    })?;
    let certified = CertifiedKey::from_der(chain, key, &ring::default_provider());
    Ok(Arc::new(certified.map_err(Error::Unusable)?))
}
