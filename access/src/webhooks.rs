//! Webhooks: how who is told something knows that it was this cloud that told it.
//!
//! Source: Standard Webhooks 1.0: headers `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`, which is HMAC-SHA256 over `id.timestamp.body`.
//!
//! Always true: whoever knows one function's secret knows nothing of another's.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::signature::sign;

/// What a receiver checks signatures by.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(withheld)")
    }
}

impl WebhookSecret {
    /// The secret of a function, or of whatever else has that name, in the cloud with this secret.
    pub fn of(cloud: &[u8], name: &str) -> Self {
        Self(sign(cloud, name.as_bytes()))
    }

    /// As receivers' libraries read it.
    pub fn reveal(&self) -> String {
        format!("whsec_{}", STANDARD.encode(self.0))
    }

    /// The signature of a message, for the header `webhook-signature`.
    pub fn sign(&self, id: &str, at_s: u64, body: &str) -> String {
        let text = format!("{id}.{at_s}.{body}");
        format!("v1,{}", STANDARD.encode(sign(&self.0, text.as_bytes())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, message and signature of the specification's own example.
    #[test]
    fn a_signature_is_what_libraries_of_receivers_expect() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let text = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{\"test\": 2432232314}";
        let expected = "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(STANDARD.encode(sign(&key, text)), expected);
    }

    #[test]
    fn secrets_differ_by_cloud_and_by_name_and_are_shown_in_no_debug() {
        let secret = WebhookSecret::of(b"cloud", "a");
        assert_eq!(secret, WebhookSecret::of(b"cloud", "a"));
        assert_ne!(secret, WebhookSecret::of(b"cloud", "b"));
        assert_ne!(secret, WebhookSecret::of(b"other", "a"));
        assert!(secret.sign("id", 1, "{}") != secret.sign("id", 2, "{}"));
        assert_eq!(secret.reveal().len(), "whsec_".len() + 44);
        assert_eq!(format!("{secret:?}"), "WebhookSecret(withheld)");
    }
}
