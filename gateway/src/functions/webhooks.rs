//! Webhooks: URLs that are told what became of an event.
//!
//! Always true: only addresses that the gateway's door lets out to are connected to, and no
//! redirection is followed, so that nobody has the cloud ask its own processes or its neighbours;
//! only an answer of 2xx means that it was told. Absent on purpose: when it is told again.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use api::internal::functions::{EventEnded, TakenEvent, Webhook};
use egress::{Door, Refused};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use workflow::chain;

/// Longest wait for an answer, in milliseconds: who is told is to write it down, not to work.
const ANSWER_MS_MAX: u64 = 15_000;
/// What is kept of an answer that says no, in bytes.
const ANSWER_BYTES_MAX: usize = 2_048;

/// Tells webhooks.
#[derive(Debug)]
pub(crate) struct Webhooks {
    /// Made with the first one: few clouds have any.
    client: OnceLock<reqwest::Client>,
    door: Door,
}

impl Webhooks {
    /// Through this door.
    pub(crate) fn new(door: Door) -> Self {
        Self { client: OnceLock::new(), door }
    }

    /// What asks; none where the machine has no certificates to trust that can be read.
    fn client(&self) -> Result<&reqwest::Client, reqwest::Error> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let client = reqwest::Client::builder()
            .dns_resolver(Arc::new(Judged(self.door.clone())))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(Duration::from_millis(ANSWER_MS_MAX))
            .user_agent("freehold")
            .build()?;
        Ok(self.client.get_or_init(|| client))
    }

    /// Tells a webhook the payload of an event, and says what came of it.
    pub(crate) async fn tell(&self, event: &TakenEvent, webhook: &Webhook) -> EventEnded {
        match self.post(event, webhook).await {
            Ok(ended) => ended,
            Err(reason) => {
                let reason = format!("{}: {reason}", webhook.url);
                EventEnded::NotRun { throttled: false, reason }
            }
        }
    }

    async fn post(&self, event: &TakenEvent, webhook: &Webhook) -> Result<EventEnded, String> {
        let forbidden = |why: String| EventEnded::Failed {
            version: String::new(),
            error: "Webhook.Forbidden".to_owned(),
            payload: why,
        };
        let url: reqwest::Url = webhook.url.parse().map_err(|error| format!("no URL: {error}"))?;
        // An address needs no resolver, so it is judged here.
        if let Some(host) = url.host_str()
            && let Ok(address) = host.trim_matches(['[', ']']).parse()
            && let Err(why) = self.door.judge(address).await
        {
            return Ok(forbidden(why.to_string()));
        }
        let client = self.client().map_err(|error| chain(&error))?;
        let asked = client
            .post(url)
            .header(reqwest::header::CONTENT_TYPE, "application/json")
            .header("webhook-id", event.id.to_string())
            .header("webhook-timestamp", webhook.signed_at_s.to_string())
            .header("webhook-signature", &webhook.signature)
            .body(event.payload.clone());
        let answer = match asked.send().await {
            Ok(answer) => answer,
            Err(error) => {
                return match refused(&error) {
                    Some(Refused::Forbidden(why)) => Ok(forbidden(why.clone())),
                    _ => Err(chain(&error.without_url())),
                };
            }
        };
        let status = answer.status();
        if status.is_success() {
            return Ok(EventEnded::Answered { version: String::new(), payload: String::new() });
        }
        let said = beginning(answer).await;
        match status.as_u16() {
            // It may be told later.
            429 => Ok(EventEnded::NotRun { throttled: true, reason: format!("{status}: {said}") }),
            408 | 500.. => Err(format!("{status}: {said}")),
            code => Ok(EventEnded::Failed {
                version: String::new(),
                error: format!("Webhook.{code}"),
                payload: said,
            }),
        }
    }
}

/// Resolves names to addresses that may be connected to.
struct Judged(Door);

impl Resolve for Judged {
    fn resolve(&self, name: Name) -> Resolving {
        let door = self.0.clone();
        Box::pin(async move {
            // The port is set by who asks.
            let found = door.addresses(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

impl fmt::Debug for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judged")
    }
}

/// Why the door let nothing out, where that is what an error comes from.
fn refused(error: &reqwest::Error) -> Option<&Refused> {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref() {
            return Some(refused);
        }
        cause = error.source();
    }
    None
}

/// What an answer begins with; a few words of it are worth waiting for, and no more.
async fn beginning(mut answer: reqwest::Response) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX
        && let Ok(Some(part)) = answer.chunk().await
    {
        bytes.extend_from_slice(&part[..part.len().min(ANSWER_BYTES_MAX - bytes.len())]);
    }
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server listens each time, so that only the door keeps it from being told.
    #[tokio::test]
    async fn nothing_of_this_machine_is_told_anything() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let webhooks = Webhooks::new(Door::new(vec!["127.0.0.0/8".parse().unwrap()], Vec::new()));
        let event = TakenEvent {
            id: types::EventId::new(uuid::Uuid::from_u128(1)),
            account: types::AccountId::new(uuid::Uuid::from_u128(2)),
            account_name: "acme".parse().unwrap(),
            function: None,
            qualifier: String::new(),
            payload: "{}".to_owned(),
            attempt: 1,
            webhook: None,
            stream: None,
            email: None,
        };
        for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "127.1"] {
            let url = format!("http://{host}:{port}/");
            let webhook = Webhook { url, signed_at_s: 1, signature: "v1,x".to_owned() };
            match webhooks.tell(&event, &webhook).await {
                EventEnded::Failed { error, payload, .. } => {
                    assert_eq!(error, "Webhook.Forbidden");
                    assert!(payload.contains("loopback"), "{host}: {payload}");
                }
                other => panic!("{host}: {other:?}"),
            }
        }
    }
}
