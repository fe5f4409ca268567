//! A request over HTTP as a function is handed it, and what it answers as a response: the payloads
//! that Lambda's function URLs speak.
//!
//! Always true: a request that was read can be told in one document, whatever its bytes are; an
//! answer that is taken has a status and headers that HTTP takes, within limits; what speaks of a
//! connection is not taken over from a function.
//! Absent on purpose: who may ask, and the way there.
//! Source: "Working with AWS Lambda proxy integrations for HTTP APIs", payload format 2.0;
//! "Invoking Lambda function URLs"; the prelude of answers in pieces as AWS's runtimes write it.

mod answer;
mod event;
mod prelude;

pub use answer::{Answer, read};
pub use event::{Request, Signer, event};
pub use prelude::{Prelude, PreludeReader};

/// Most bytes of the headers of a request, and of an answer: names, values and cookies together.
/// Servers and browsers stop at 8 to 16 KiB; twice that fails nobody.
pub const HEADERS_BYTES_MAX: usize = 32 << 10;
/// Most bytes before the body of an answer in pieces: its headers, and what JSON puts around them.
pub const PRELUDE_BYTES_MAX: usize = 64 << 10;
/// The media type of an answer in pieces that begins with a prelude.
pub const PRELUDE_MEDIA_TYPE: &str = "application/vnd.awslambda.http-integration-response";

/// Why what a function said is no answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The status is none that ends a request.
    #[error("statusCode is {said}: use a number from 200 to 599")]
    Status {
        /// What it is, cut to 40 characters.
        said: String,
    },
    /// Something is of another type than it has to be.
    #[error("{name} is not {wanted}")]
    Shape {
        /// What is wrong.
        name: &'static str,
        /// What it has to be.
        wanted: &'static str,
    },
    /// A header is none.
    #[error("the header {name:?} has a name or a value that HTTP does not take")]
    Header {
        /// Its name, cut to 80 characters.
        name: String,
    },
    /// The headers are too large.
    #[error("its headers have more than {HEADERS_BYTES_MAX} bytes")]
    Headers,
    /// The prelude does not come to its end.
    #[error("it begins with no prelude: JSON of at most {PRELUDE_BYTES_MAX} bytes, then 8 zeros")]
    Prelude,
    /// The prelude is no JSON object.
    #[error("its prelude is no JSON object: {0}")]
    Json(String),
}
