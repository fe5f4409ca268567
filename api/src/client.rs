//! The typed client: what the command line, agents, gateways and tests speak to the cloud with.
//!
//! One [`Client`] per address and credentials; it is cheap to clone. Methods stand in one file per
//! noun and are named noun first: `item_fetch`, `publishes_list`.
//! Always true: an answer that is no success is [`Error::Problem`]; a call is repeated only where
//! that is safe; every creating call carries an idempotency key.
//! Absent on purpose: settings files, prompts, printing.

mod accounts;
mod call;
mod download;
mod endpoints;
mod failure;
mod functions;
mod grants;
mod internal;
mod invoke;
mod items;
mod objects;
mod pieces;
mod publishes;
mod runs;
mod services;
mod sources;
mod status;
mod streams;
mod trainings;
mod triggers;
mod trust;
mod upload;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

use crate::identity::Shown;

pub use download::Content;
pub use failure::Error;
pub use functions::Called;
pub use invoke::{Invocation, Invoked};
pub use pieces::Pieces;
pub use trust::Trust;
pub use upload::Progress;

/// Where the cloud is: `http://…`, `https://…` or `unix:/path`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// Scheme, host and port, without a slash at the end.
    Url(String),
    /// A socket in the file system.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = Error;

    /// A host and port without a scheme means `http` where the host is this machine, else `https`.
    fn from_str(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Settings {
            what: format!("{text:?} is no address: write http://…, https://… or unix:/path"),
        };
        match text.strip_prefix("unix:") {
            Some("") => return Err(refuse()),
            Some(path) => return Ok(Self::Unix(PathBuf::from(path))),
            None => {}
        }
        let url = if text.contains("://") {
            text.to_owned()
        } else {
            let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
            let local = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
            format!("{}://{text}", if local { "http" } else { "https" })
        };
        let parsed = reqwest::Url::parse(&url).map_err(|_| refuse())?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(refuse());
        }
        Ok(Self::Url(url.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How a client connects, and who it says it is.
#[derive(Clone, Debug)]
pub struct Settings {
    pub address: Address,
    /// The secret of a token; sent as `Authorization: Bearer`.
    pub token: Option<String>,
    /// Whom an `https` address has to prove itself by.
    pub trust: Trust,
    /// What we prove ourselves by, for mutual TLS; it may be replaced later.
    pub identity: Option<Shown>,
    /// Longest time to connect, in milliseconds.
    pub connect_ms: u64,
    /// Longest time of one call that is no upload, download or watch, in milliseconds.
    pub call_ms: u64,
    /// Longest silence within an upload or download, in milliseconds.
    pub silence_ms: u64,
    /// How often a call is tried that is safe to repeat, at least once.
    pub attempts: u32,
    /// What the server's log calls this program.
    pub agent: String,
}

impl Settings {
    /// Without credentials, trusting what the system trusts, with the usual limits.
    pub fn new(address: Address) -> Self {
        Self {
            address,
            token: None,
            trust: Trust::System,
            identity: None,
            connect_ms: 5_000,
            call_ms: 60_000,
            silence_ms: 60_000,
            attempts: 4,
            agent: concat!("freehold/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}

/// A client of one address.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    key: Option<HeaderValue>,
    trace: Option<HeaderValue>,
}

struct Shared {
    http: reqwest::Client,
    address: Address,
    /// What paths are appended to.
    base: String,
    call: Duration,
    silence: Duration,
    attempts: u32,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({}, token withheld)", self.shared.address)
    }
}

/// Idle connections are dropped before the server does, so that none breaks as it is used.
const POOL_IDLE: Duration = Duration::from_secs(20);

impl Client {
    /// A client with these settings. Connects at the first call.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when the token, a certificate or the system's trust cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| Error::Settings {
                what: "the token has characters that no token has: copy it again".to_owned(),
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        let builder = reqwest::Client::builder()
            .default_headers(headers)
            .user_agent(settings.agent)
            .connect_timeout(Duration::from_millis(settings.connect_ms))
            .pool_idle_timeout(POOL_IDLE)
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true);
        let (builder, base) = match &settings.address {
            Address::Unix(path) => {
                (builder.unix_socket(path.as_path()), "http://localhost".to_owned())
            }
            Address::Url(url) => (builder, url.clone()),
        };
        let builder = match trust::config(&base, &settings.trust, settings.identity.as_ref())? {
            Some(config) => builder.tls_backend_preconfigured(config),
            None => builder,
        };
        let local = matches!(settings.address, Address::Unix(_)) || settings.identity.is_some();
        let builder = if local { builder.no_proxy() } else { builder };
        let http = builder.build().map_err(|source| Error::Settings {
            what: format!("no client can be made: {}", failure::chain(&source)),
        })?;
        let shared = Shared {
            http,
            address: settings.address,
            base,
            call: Duration::from_millis(settings.call_ms),
            silence: Duration::from_millis(settings.silence_ms),
            attempts: settings.attempts.max(1),
        };
        Ok(Self { shared: Arc::new(shared), key: None, trace: None })
    }

    /// A client for an address in text and perhaps a token, with the usual limits.
    pub fn connect(address: &str, token: Option<&str>) -> Result<Self, Error> {
        let mut settings = Settings::new(address.parse()?);
        settings.token = token.map(str::to_owned);
        Self::new(settings)
    }

    /// The same client, whose next creating call carries this idempotency key. Repeating that call
    /// with the same key gives the first answer again. Without, every call makes a key of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Settings`] when the key is not plain visible text.
    pub fn with_key(&self, key: &str) -> Result<Self, Error> {
        let key = HeaderValue::from_str(key).map_err(|_| Error::Settings {
            what: format!("{key:?} cannot be an idempotency key: use visible ASCII"),
        })?;
        Ok(Self { key: Some(key), ..self.clone() })
    }

    /// The same client, whose calls belong to the trace of this `traceparent` (W3C trace context).
    /// Text that is no header value is ignored.
    #[must_use]
    pub fn with_trace(&self, traceparent: &str) -> Self {
        Self { trace: HeaderValue::from_str(traceparent).ok(), ..self.clone() }
    }

    /// Where it connects.
    pub fn address(&self) -> &Address {
        &self.shared.address
    }
}

/// Text as one segment of a path.
fn segment(text: &str) -> String {
    const KEPT: &percent_encoding::AsciiSet =
        &percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    percent_encoding::utf8_percent_encode(text, KEPT).to_string()
}
