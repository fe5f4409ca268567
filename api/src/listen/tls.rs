//! TLS of a listener: its certificate, and which client certificates it takes.
//!
//! Always true: TLS 1.2 or later by ring; HTTP/2 is preferred where the client has it; who may be
//! asked for a certificate shows it at every handshake; a private key is written readable by its
//! owner only.
//! Absent on purpose: asking a public authority for certificates.

use std::fs;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::{Error, Peer};
use crate::identity::{self, Identity, Shown};

/// Which clients are asked for a certificate of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clients<'a> {
    /// None is asked.
    Anybody,
    /// A client may show one of this authority (PEM).
    MayProve(&'a str),
    /// A client without one of this authority (PEM) is turned away.
    MustProve(&'a str),
}

/// What a TLS listener shows and demands. Cheap to clone.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tls(key withheld)")
    }
}

/// A certificate of our own is made anew when it has less than this left: 30 days.
const RENEW_BEFORE_MS: u64 = 30 * 24 * 3_600_000;

impl Tls {
    /// Shows this identity, also after it was replaced, and asks clients for theirs as `clients`
    /// says.
    pub fn new(shown: &Shown, clients: Clients<'_>) -> Result<Self, Error> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?;
        let builder = match clients {
            Clients::Anybody => builder.with_no_client_auth(),
            Clients::MayProve(authority) | Clients::MustProve(authority) => {
                let roots = Arc::new(roots(authority)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider);
                let verifier = match clients {
                    Clients::MustProve(_) => verifier,
                    _ => verifier.allow_unauthenticated(),
                };
                let verifier = verifier.build();
                let refused = |cause| Error::Tls(rustls::Error::General(format!("{cause}")));
                builder.with_client_cert_verifier(verifier.map_err(refused)?)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(shown.clone()));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        if clients != Clients::Anybody {
            // A resumed session has the client certificate of the first one, over or not.
            config.session_storage = Arc::new(NoServerSessionStorage {});
            config.send_tls13_tickets = 0;
        }
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// The certificate this installation made for itself, kept as `certificate.pem` and `key.pem`
    /// in `folder`; made when there is none for all of these names or IPs, or when it ends soon.
    pub fn own(folder: &Path, names: &[String], now_ms: u64) -> Result<Identity, Error> {
        let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
        if certificate.exists() && key.exists() {
            let found = Self::read(&certificate, &key)?;
            let facts = identity::facts(&found.certificate_pem)?;
            let known = names.iter().all(|name| facts.names.contains(name));
            if known && facts.expires_at_ms > now_ms.saturating_add(RENEW_BEFORE_MS) {
                return Ok(found);
            }
        }
        let made = identity::self_signed(names, now_ms)?;
        fs::create_dir_all(folder).map_err(failed("make the folder", folder))?;
        write(&key, &made.key_pem, 0o600)?;
        write(&certificate, &made.certificate_pem, 0o644)?;
        Ok(made)
    }

    /// Reads a certificate chain and its key from two PEM files.
    pub fn read(certificate: &Path, key: &Path) -> Result<Identity, Error> {
        let read = |path: &Path| fs::read_to_string(path).map_err(failed("read", path));
        Ok(Identity { certificate_pem: read(certificate)?, key_pem: read(key)? })
    }

    pub async fn accept(
        &self,
        stream: TcpStream,
        from: SocketAddr,
    ) -> io::Result<(TlsStream<TcpStream>, Peer)> {
        let stream = self.acceptor.accept(stream).await?;
        let proof = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let peer = match proof {
            None => Peer::Remote(from),
            Some(certificate) => {
                let subject = identity::subject(certificate).map_err(io::Error::other)?;
                Peer::Certificate(Arc::new(subject))
            }
        };
        Ok((stream, peer))
    }
}

fn roots(authority_pem: &str) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in identity::chain(authority_pem)? {
        let certificate: CertificateDer<'static> = certificate;
        roots.add(certificate).map_err(Error::Tls)?;
    }
    Ok(roots)
}

/// Writes a file so that a crash leaves the old one or the new one.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), Error> {
    let beside = path.with_extension("new");
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&beside)
        .map_err(failed("write", path))?;
    file.write_all(text.as_bytes()).map_err(failed("write", path))?;
    file.sync_all().map_err(failed("write", path))?;
    fs::rename(&beside, path).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { action, path, source }
}
