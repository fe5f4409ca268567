//! The web console: files that the program holds, for browsers; what they show, they ask the API.
//!
//! Always true: no file holds data, so nobody has to say who they are; a file whose name tells its
//! content is kept by browsers for good, and all else is asked for again; nothing of another origin
//! runs in it, and no other page frames it.
//! Absent on purpose: reading files at run time, and knowing what the pages are: a path without a
//! file is a page of the console's own, which its script finds.

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use crate::body::Encoding;
use crate::error::Error;
use crate::service::answer as whole;

/// A file of the console.
#[derive(Debug)]
struct File {
    /// The path below `/console/`.
    name: &'static str,
    /// The media type.
    kind: &'static str,
    /// Of its content, as `ETag` says it.
    tag: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

/// Every file, as the build found them; none where the console was not built.
static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/console.rs"));

/// Where the console is.
const PATH: &str = "/console/";
/// The page of every path that is no file.
const INDEX: &str = "index.html";
/// Below it, names tell contents.
const ASSETS: &str = "assets/";

const NOT_BUILT: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>Freehold</title>\
<h1>The console is not in this program</h1>\
<p>It was built without it. With Node.js 20.19 or newer, in the checkout:</p>\
<pre>cargo xtask console\ncargo build --release</pre>\
<p>What the console does the command does too: <code>freehold help</code>.</p></html>";

/// What browsers may do with every answer of the console.
const HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// For answers that are functions' own, at the console's address: a browser gives such a page an
/// origin that nothing else has. Clients that are no browsers pass over it.
pub(crate) const ELSEWHERE: &str =
    "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts";

/// Leads people to the console; programs are told that nothing is here, as ever.
///
/// # Errors
///
/// [`Error::NoPath`] to who does not ask for a page.
pub(crate) fn root(parts: &Parts) -> Result<Response<Body>, Error> {
    if !names(&parts.headers, &header::ACCEPT, "text/html") {
        return Err(Error::NoPath);
    }
    let mut response = moved(StatusCode::SEE_OTHER);
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    Ok(response)
}

/// Answers a request for what is below `/console`.
///
/// # Errors
///
/// [`Error::NoPath`] for a file that is not there.
pub(crate) fn answer(parts: &Parts, rest: &str) -> Result<Response<Body>, Error> {
    let Some(name) = rest.strip_prefix('/') else {
        return Ok(moved(StatusCode::PERMANENT_REDIRECT));
    };
    let mut response = match find(FILES, name) {
        Some(file) => answer_file(file, &parts.headers),
        None if name.starts_with(ASSETS) => return Err(Error::NoPath),
        None => {
            let mut response =
                whole("text/html; charset=utf-8", Bytes::from_static(NOT_BUILT.as_bytes()));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            response
        }
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// The file of a path; the index for a path that is a page's.
fn find<'f>(files: &'f [File], name: &str) -> Option<&'f File> {
    let named = |name: &str| files.iter().find(|file| file.name == name);
    named(name).or_else(|| if name.starts_with(ASSETS) { None } else { named(INDEX) })
}

fn answer_file(file: &File, headers: &HeaderMap) -> Response<Body> {
    let kept = if file.name.starts_with(ASSETS) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let same = names(headers, &header::IF_NONE_MATCH, file.tag);
    let packed = Encoding::wanted(headers) == Encoding::Gzip && file.gzip.len() < file.plain.len();
    let mut response = match (same, packed) {
        (true, _) => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            response
        }
        (false, true) => whole(file.kind, Bytes::from_static(file.gzip)),
        (false, false) => whole(file.kind, Bytes::from_static(file.plain)),
    };
    let told = response.headers_mut();
    if packed && !same {
        told.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    told.insert(header::CACHE_CONTROL, HeaderValue::from_static(kept));
    told.insert(header::ETAG, HeaderValue::from_static(file.tag));
    told.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    response
}

fn moved(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static(PATH));
    response
}

/// Whether a header that is a list names this.
fn names(headers: &HeaderMap, header: &HeaderName, wanted: &str) -> bool {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|member| {
        let name = member.split(';').next().unwrap_or_default().trim();
        // A proxy that compresses makes a tag a weak one.
        name.strip_prefix("W/").unwrap_or(name).eq_ignore_ascii_case(wanted)
    })
}

#[cfg(test)]
mod tests;
