//! Credentials: what a caller sends to prove who it is, in the `Authorization` header of HTTP or the
//! metadata of gRPC.
//!
//! `Bearer SECRET`, or `Basic` with the secret as the password, for clients that know nothing else.
//! A user name may come with Basic; then it has to be that of the secret's account.
//! Always true: reading never fails loudly, whatever came; a secret never appears in logs.
//! Absent on purpose: whose secret it is.

#[cfg(test)]
mod tests;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A secret, and the name that came with it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Option<String>,
    secret: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Credentials {
    /// A secret alone.
    pub fn bearer(secret: impl Into<String>) -> Self {
        Self { user: None, secret: secret.into() }
    }

    /// Reads the value of an `Authorization` header; none where it is of another scheme, or broken.
    ///
    /// Space around it is left out: metadata of gRPC comes untrimmed.
    ///
    /// Source: RFC 6750 section 2.1, RFC 7617 section 2.
    pub fn read(authorization: &str) -> Option<Self> {
        let (scheme, rest) = authorization.trim().split_once(' ')?;
        let rest = rest.trim_start();
        let read = if scheme.eq_ignore_ascii_case("bearer") {
            Self::bearer(rest)
        } else if scheme.eq_ignore_ascii_case("basic") {
            let decoded = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
            let (user, secret) = decoded.split_once(':')?;
            let user = (!user.is_empty()).then(|| user.to_owned());
            Self { user, secret: secret.to_owned() }
        } else {
            return None;
        };
        (!read.secret.is_empty()).then_some(read)
    }

    /// The secret.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// Whether they may be those of this account, which holds the secret: no other was named.
    pub fn may_be_of(&self, account: &str) -> bool {
        self.user.as_deref().is_none_or(|user| user == account)
    }
}
