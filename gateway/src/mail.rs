//! Mail: addresses that are told by e-mail, through the operator's own server.
//!
//! Always true: beyond loopback nothing is sent without TLS; what a server refuses for good is told to
//! be so, and what it may take later is not. Absent on purpose: when it is tried again (control), and
//! e-mails of a cloud whose operator has set no server.

use std::time::Duration;

use api::internal::functions::{Email, EventEnded, TakenEvent};
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use workflow::chain;

/// Longest wait for an answer of the server, in milliseconds.
const ANSWER_MS_MAX: u64 = 15_000;

/// The operator's mail server.
#[derive(Clone)]
pub struct Smtp {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How it is spoken to.
    pub security: Security,
    /// By whom e-mails are.
    pub from: String,
    /// With which user and password, where it asks for them.
    pub credentials: Option<(String, String)>,
}

/// How a mail server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// By TLS from the first byte on.
    Tls,
    /// By TLS once that was agreed on; nothing is sent without.
    StartTls,
    /// Without, on this machine only.
    Loopback,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Smtp({}:{}, {:?})", self.host, self.port, self.security)
    }
}

/// Writes e-mails.
#[derive(Debug)]
pub(crate) struct Mail {
    smtp: Option<Smtp>,
}

impl Mail {
    /// By this server, where there is one.
    pub(crate) const fn new(smtp: Option<Smtp>) -> Self {
        Self { smtp }
    }

    /// Writes the payload of an event to somebody, and says what came of it.
    pub(crate) async fn send(&self, event: &TakenEvent, email: &Email) -> EventEnded {
        let failed = |error: &str, payload: String| EventEnded::Failed {
            version: String::new(),
            error: error.to_owned(),
            payload,
        };
        let Some(smtp) = &self.smtp else {
            let why = "this cloud has no mail server: its operator sets one by --smtp";
            return failed("Email.NoServer", why.to_owned());
        };
        let message = match message(smtp, event, email) {
            Ok(message) => message,
            Err(why) => return failed("Email.Message", why),
        };
        let transport = match transport(smtp) {
            Ok(transport) => transport,
            Err(error) => return failed("Email.Server", chain(&error)),
        };
        match transport.send(message).await {
            Ok(_) => EventEnded::Answered { version: String::new(), payload: String::new() },
            Err(error) if error.is_permanent() => failed("Email.Refused", chain(&error)),
            Err(error) => {
                let throttled = error.is_transient();
                let reason = format!("{}:{}: {}", smtp.host, smtp.port, chain(&error));
                EventEnded::NotRun { throttled, reason }
            }
        }
    }
}

fn message(smtp: &Smtp, event: &TakenEvent, email: &Email) -> Result<Message, String> {
    let domain = smtp.from.rsplit_once('@').map_or("localhost", |(_, domain)| domain);
    let domain = domain.trim_end_matches('>');
    let wrong = |error: lettre::address::AddressError| error.to_string();
    Message::builder()
        .from(smtp.from.parse().map_err(wrong)?)
        .to(email.to.parse().map_err(wrong)?)
        .subject(&email.subject)
        // The same again where it is sent twice, so that whoever gets it sees that it is one.
        .message_id(Some(format!("<{}@{domain}>", event.id)))
        .header(ContentType::TEXT_PLAIN)
        .body(event.payload.clone())
        .map_err(|error| chain(&error))
}

fn transport(
    smtp: &Smtp,
) -> Result<AsyncSmtpTransport<Tokio1Executor>, lettre::transport::smtp::Error> {
    let parameters = || TlsParameters::new(smtp.host.clone());
    let tls = match smtp.security {
        Security::Tls => Tls::Wrapper(parameters()?),
        Security::StartTls => Tls::Required(parameters()?),
        Security::Loopback => Tls::None,
    };
    let named = ClientId::Domain("freehold.localdomain".to_owned());
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(smtp.host.clone())
        .port(smtp.port)
        .tls(tls)
        .hello_name(named)
        .timeout(Some(Duration::from_millis(ANSWER_MS_MAX)));
    let credentials = smtp.credentials.clone();
    Ok(match credentials {
        Some((user, password)) => builder.credentials(Credentials::new(user, password)).build(),
        None => builder.build(),
    })
}

#[cfg(test)]
mod tests;
