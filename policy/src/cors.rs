//! Cross-origin requests: what a browser is told about an address whose owner has said which other
//! sites may use it.
//!
//! Always true: an origin that is not allowed is told nothing; what is told to one origin is never
//! said to be for all where credentials may be sent.
//! Absent on purpose: refusing requests. Browsers do that, by what they are told.
//!
//! Source: the Fetch standard, section "CORS protocol".

#[cfg(test)]
mod tests;

/// Stands for every origin, method or header.
pub const ANY: &str = "*";
/// Most origins, and most headers of a kind. Source: Lambda's limit.
pub const ENTRIES_MAX: usize = 100;
/// Longest origin, in bytes. Source: Lambda's limit.
pub const ORIGIN_BYTES_MAX: usize = 253;
/// Longest name of a header, in bytes. Source: Lambda's limit.
pub const HEADER_BYTES_MAX: usize = 1_024;
/// Longest time that a browser may keep what it was told, in seconds. Source: Lambda's limit.
pub const MAX_AGE_S: u32 = 86_400;
/// Methods that can be allowed. Source: Lambda's.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/// What the owner of an address allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules<'r> {
    /// Such as `https://example.org`.
    pub origins: &'r [String],
    /// Methods of requests.
    pub methods: &'r [String],
    /// Headers of requests.
    pub headers: &'r [String],
    /// Headers of answers that scripts may read.
    pub exposed: &'r [String],
    /// Whether cookies and the like may be sent.
    pub credentials: bool,
    /// For how long a browser may keep what it was told before a request, in seconds.
    pub max_age_s: Option<u32>,
}

/// What a browser asks before a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preflight<'p> {
    /// Whose script it is that wants to send a request.
    pub origin: &'p str,
    /// The request's method.
    pub method: &'p str,
    /// Names of its headers, with commas between them; empty for none.
    pub headers: &'p str,
}

/// A header of an answer.
pub type Header = (&'static str, String);

/// Rules that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There are too many.
    #[error("{count} {what}: use at most {ENTRIES_MAX}")]
    Many {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
    },
    /// It is no origin.
    #[error("{origin:?} is no origin: use * or one such as https://example.org, without a path")]
    Origin {
        /// What was said, cut to 80 characters.
        origin: String,
    },
    /// It is no method that can be allowed.
    #[error("{method:?} is no method: use * or one of GET, HEAD, POST, PUT, PATCH and DELETE")]
    Method {
        /// What was said, cut to 80 characters.
        method: String,
    },
    /// It is no header's name.
    #[error("{header:?} is no name of a header")]
    Header {
        /// What was said, cut to 80 characters.
        header: String,
    },
    /// It is kept for too long.
    #[error("{max_age_s} seconds: use at most {MAX_AGE_S}")]
    MaxAge {
        /// What was said.
        max_age_s: u32,
    },
}

impl Rules<'_> {
    /// Sees that these can be.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says which not.
    pub fn check(&self) -> Result<(), Refusal> {
        let cut = |text: &String| text.chars().take(80).collect();
        let lists = [
            ("origins", self.origins),
            ("methods", self.methods),
            ("headers", self.headers),
            ("exposed headers", self.exposed),
        ];
        for (what, list) in lists {
            if list.len() > ENTRIES_MAX {
                return Err(Refusal::Many { what, count: list.len() });
            }
        }
        if let Some(origin) = self.origins.iter().find(|it| !is_origin(it)) {
            return Err(Refusal::Origin { origin: cut(origin) });
        }
        let is_method = |it: &&String| *it == ANY || METHODS.contains(&it.as_str());
        if let Some(method) = self.methods.iter().find(|it| !is_method(it)) {
            return Err(Refusal::Method { method: cut(method) });
        }
        if let Some(header) = self.headers.iter().chain(self.exposed).find(|it| !is_header(it)) {
            return Err(Refusal::Header { header: cut(header) });
        }
        match self.max_age_s {
            Some(max_age_s) if max_age_s > MAX_AGE_S => Err(Refusal::MaxAge { max_age_s }),
            _ => Ok(()),
        }
    }

    /// What a browser is told that asks before a request; but for `vary`, nothing where the request
    /// is not allowed.
    pub fn preflight(&self, asked: &Preflight<'_>) -> Vec<Header> {
        let mut told = self.origin(asked.origin);
        let mut wanted = asked.headers.split(',').map(str::trim).filter(|it| !it.is_empty());
        let allowed = holds(self.methods, asked.method) && wanted.all(|it| holds(self.headers, it));
        if !allowed {
            told.retain(|(name, _)| *name == "vary");
        }
        if !told.iter().any(|(name, _)| *name == "access-control-allow-origin") {
            return told;
        }
        told.push(("access-control-allow-methods", named(self.methods, asked.method)));
        if !asked.headers.is_empty() {
            told.push(("access-control-allow-headers", named(self.headers, asked.headers)));
        }
        if let Some(max_age_s) = self.max_age_s {
            told.push(("access-control-max-age", max_age_s.to_string()));
        }
        told
    }

    /// What a browser is told with the answer to a request of this origin.
    pub fn answer(&self, origin: Option<&str>) -> Vec<Header> {
        let mut told = self.origin(origin.unwrap_or_default());
        let allowed = told.iter().any(|(name, _)| *name == "access-control-allow-origin");
        if allowed && !self.exposed.is_empty() {
            told.push(("access-control-expose-headers", self.exposed.join(",")));
        }
        told
    }

    /// That an origin is allowed, where it is, and that answers differ by it, where they do.
    fn origin(&self, origin: &str) -> Vec<Header> {
        let any = self.origins.iter().any(|it| it == ANY);
        if any && !self.credentials {
            return vec![("access-control-allow-origin", ANY.to_owned())];
        }
        let mut told = vec![("vary", "origin".to_owned())];
        let is_named = self.origins.iter().any(|it| it.eq_ignore_ascii_case(origin));
        if !origin.is_empty() && (any || is_named) {
            told.push(("access-control-allow-origin", origin.to_owned()));
            if self.credentials {
                told.push(("access-control-allow-credentials", "true".to_owned()));
            }
        }
        told
    }
}

/// Whether a list has this, or stands for everything.
fn holds(list: &[String], wanted: &str) -> bool {
    list.iter().any(|it| it == ANY || it.eq_ignore_ascii_case(wanted))
}

/// A list as browsers read it. They take the word for everything literally where credentials are
/// sent, and never for `authorization`: so what was asked for is named in its place.
fn named(list: &[String], asked: &str) -> String {
    if list.iter().any(|it| it == ANY) { asked.to_owned() } else { list.join(",") }
}

fn is_origin(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"/,\"<>\\?#@".contains(&byte);
    let whole = |host: &str| !host.is_empty() && host.bytes().all(plain);
    let named = text.split_once("://").is_some_and(|(scheme, host)| {
        let letters = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        !scheme.is_empty() && letters && whole(host)
    });
    text.len() <= ORIGIN_BYTES_MAX && (text == ANY || text == "null" || named)
}

fn is_header(text: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    (1..=HEADER_BYTES_MAX).contains(&text.len()) && text.bytes().all(token)
}
