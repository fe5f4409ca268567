//! Signatures: requests that AWS's clients sign with an access key, by Signature Version 4.
//!
//! A secret signs a day, the day's key signs a region and a service, and that key signs the
//! request; so whoever only checks requests needs the day's keys and not the secret.
//!
//! Always true: the body is part of what was signed, also where its digest was not sent; comparing
//! takes the same time for every signature.
//! Absent on purpose: whose key it is; presigned addresses; the signing of chunks.
//!
//! Source: "Create a signed AWS API request", and what botocore 1.44 sends.

#[cfg(test)]
mod tests;

use std::fmt;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ring::digest::{SHA256, digest};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};

/// What an access key's name starts with.
pub const KEY_PREFIX: &str = "FHAK";
/// Letters of its name. Source: as long as those of AWS.
const KEY_LETTERS: usize = 20;
/// Random bytes of a secret: 40 letters in base64, as those of AWS.
const SECRET_BYTES: usize = 30;
/// How far a caller's clock may be off, in milliseconds. Source: AWS allows five minutes.
pub const SKEW_MS_MAX: u64 = 300_000;
/// The only algorithm.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DAY_MS: u64 = 86_400_000;

/// An access key that was just made.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its name, sent with every request.
    pub id: String,
    secret: String,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl AccessKey {
    /// Makes one from the kernel's random bytes.
    ///
    /// # Panics
    ///
    /// When the kernel gives no random bytes, which Linux never does once it is up.
    pub fn generate() -> Self {
        const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let random = SystemRandom::new();
        let mut bytes = [0; SECRET_BYTES];
        random.fill(&mut bytes).expect("the kernel always gives random bytes");
        let secret = STANDARD.encode(bytes);
        random.fill(&mut bytes).expect("the kernel always gives random bytes");
        let letters = bytes.iter().take(KEY_LETTERS - KEY_PREFIX.len());
        let id = letters.map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        Self { id: KEY_PREFIX.chars().chain(id).collect(), secret }
    }

    /// The secret, to be shown once and sealed.
    pub fn reveal(&self) -> &str {
        &self.secret
    }
}

/// The key by which a secret signs one day.
#[derive(Clone, PartialEq, Eq)]
pub struct DayKey(pub [u8; 32]);

impl fmt::Debug for DayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DayKey(withheld)")
    }
}

impl DayKey {
    /// The key of a day, written as `20261121`.
    pub fn of(secret: &str, day: &str) -> Self {
        Self(sign(format!("AWS4{secret}").as_bytes(), day.as_bytes()))
    }
}

/// The days whose keys are needed at `now_ms`: clocks differ, and keys are handed out ahead.
pub fn days(now_ms: u64) -> [String; 3] {
    [now_ms.saturating_sub(DAY_MS), now_ms, now_ms.saturating_add(DAY_MS)].map(day)
}

/// What the `Authorization` header of a signed request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The access key's name.
    pub key: String,
    /// The day, such as `20261121`.
    pub day: String,
    /// The region that the client believes to speak to.
    pub region: String,
    service: String,
    headers: Vec<String>,
    signature: [u8; 32],
}

/// A request as it came.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Such as `POST`.
    pub method: &'a str,
    /// The path, percent-encoded as it came.
    pub path: &'a str,
    /// What is behind the question mark, as it came.
    pub query: &'a str,
    /// Its whole body.
    pub body: &'a [u8],
}

/// Why a signature is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no date, or it is none.
    #[error("X-Amz-Date is missing or no date such as 20261121T093000Z")]
    NoDate,
    /// It was signed at another time.
    #[error(
        "the signature is of another time: set this machine's clock, at most 5 minutes may differ"
    )]
    Skewed,
    /// A header that has to be signed is not.
    #[error("host and every X-Amz header have to be signed")]
    Unsigned,
    /// The digest that was sent is not that of the body.
    #[error("X-Amz-Content-Sha256 is not the digest of the body")]
    Body,
    /// The signature is another.
    #[error("the signature does not match: is the secret access key the right one?")]
    Wrong,
}

impl Signed {
    /// Reads an `Authorization` header; none where it is of another scheme, or broken.
    pub fn read(authorization: &str) -> Option<Self> {
        let rest = authorization.trim().strip_prefix(ALGORITHM)?.trim_start();
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            match part.trim().split_once('=')? {
                ("Credential", value) => credential = Some(value),
                ("SignedHeaders", value) => headers = Some(value),
                ("Signature", value) => signature = Some(value),
                _ => return None,
            }
        }
        let mut scope = credential?.split('/');
        let mut next = || scope.next().filter(|part| !part.is_empty()).map(str::to_owned);
        let (key, day, region, service) = (next()?, next()?, next()?, next()?);
        if next().as_deref() != Some("aws4_request") || next().is_some() {
            return None;
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(signature?, &mut bytes).ok()?;
        let headers = headers?.split(';').map(str::to_owned).collect();
        Some(Self { key, day, region, service, headers, signature: bytes })
    }

    /// Whether this is the signature of the request, by the key of its day. `header` gives the
    /// values of a header by its name in lower case, joined by commas, and `sent` is every header's
    /// name in lower case.
    ///
    /// # Errors
    ///
    /// [`Refusal`] says why not.
    pub fn check(
        &self,
        key: &DayKey,
        request: &Request<'_>,
        (header, sent): (impl Fn(&str) -> Option<String>, &[&str]),
        now_ms: u64,
    ) -> Result<(), Refusal> {
        let date = header("x-amz-date").ok_or(Refusal::NoDate)?;
        let signed_ms = moment(&date).ok_or(Refusal::NoDate)?;
        if now_ms.abs_diff(signed_ms) > SKEW_MS_MAX || !date.starts_with(&self.day) {
            return Err(Refusal::Skewed);
        }
        let has = |name: &str| self.headers.iter().any(|header| header == name);
        let open = sent.iter().any(|name| name.starts_with("x-amz-") && !has(name));
        if !has("host") || open {
            return Err(Refusal::Unsigned);
        }
        let body = hex::encode(digest(&SHA256, request.body));
        if header("x-amz-content-sha256").is_some_and(|said| said != body) {
            return Err(Refusal::Body);
        }
        let canonical = self.canonical(request, &header, &body).ok_or(Refusal::Unsigned)?;
        let scope = format!("{}/{}/{}/aws4_request", self.day, self.region, self.service);
        let digest = hex::encode(digest(&SHA256, canonical.as_bytes()));
        let text = format!("{ALGORITHM}\n{date}\n{scope}\n{digest}");
        let key = sign(&key.0, self.region.as_bytes());
        let key = sign(&sign(&key, self.service.as_bytes()), b"aws4_request");
        let key = hmac::Key::new(hmac::HMAC_SHA256, &key);
        hmac::verify(&key, text.as_bytes(), &self.signature).map_err(|_| Refusal::Wrong)
    }

    /// The request as it was signed; none where a signed header is not there.
    fn canonical(
        &self,
        request: &Request<'_>,
        header: &impl Fn(&str) -> Option<String>,
        body: &str,
    ) -> Option<String> {
        let path = encode(single_slashes(request.path).as_bytes(), true);
        let mut text = format!("{}\n{path}\n", request.method);
        text += &canonical_query(request.query);
        text.push('\n');
        for name in &self.headers {
            let value = header(name)?;
            let value: Vec<&str> = value.split_whitespace().collect();
            let _ = writeln!(text, "{name}:{}", value.join(" "));
        }
        let _ = write!(text, "\n{}\n{body}", self.headers.join(";"));
        Some(text)
    }
}

/// A path as clients sign it: slashes that follow each other are one.
fn single_slashes(path: &str) -> String {
    let mut after_slash = false;
    let mut single = String::with_capacity(path.len());
    for letter in path.chars() {
        if letter != '/' || !after_slash {
            single.push(letter);
        }
        after_slash = letter == '/';
    }
    single
}

/// The parameters in order, encoded once and alike.
fn canonical_query(query: &str) -> String {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let mut pairs: Vec<String> = pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let again = |text: &str| encode(&decode(text), false);
            format!("{}={}", again(name), again(value))
        })
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// Percent-encodes all but the unreserved letters of RFC 3986, and perhaps slashes.
fn encode(bytes: &[u8], keep_slash: bool) -> String {
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        if plain || (keep_slash && byte == b'/') {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while place < bytes.len() {
        let coded = bytes.get(place + 1..place + 3).filter(|_| bytes[place] == b'%');
        let byte =
            coded.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        decoded.push(byte.unwrap_or(bytes[place]));
        place += if byte.is_some() { 3 } else { 1 };
    }
    decoded
}

pub(crate) fn sign(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut signature = [0; 32];
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    signature.copy_from_slice(hmac::sign(&key, text).as_ref());
    signature
}

/// The day of a moment, such as `20261121`; beyond the years that are counted, none in particular.
fn day(ms: u64) -> String {
    let moment = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    moment.unwrap_or(Timestamp::MAX).strftime("%Y%m%d").to_string()
}

/// The moment of a date such as `20261121T093000Z`, in Unix milliseconds.
fn moment(text: &str) -> Option<u64> {
    let written = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let ms = written.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond();
    u64::try_from(ms).ok()
}
