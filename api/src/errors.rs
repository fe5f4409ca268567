//! Every error code of the public API: what it means, and the page that explains it.
//!
//! Always true: a code that was released keeps its meaning; each has a page in `docs/errors/`,
//! built into the program, and there is no page without a code.

#[cfg(test)]
mod tests;

use types::ErrorKind;

/// A word that programs match on, and what people should know about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    /// The word, as in [`crate::Problem::code`].
    pub code: &'static str,
    /// What it means to the caller.
    pub kind: ErrorKind,
    /// What it says, in one line.
    pub title: &'static str,
    /// The page about it, in Markdown.
    pub page: &'static str,
}

macro_rules! codes {
    ($($code:ident $kind:ident $title:literal;)*) => {
        /// Every public error code, most general first.
        pub const ERROR_CODES: &[ErrorCode] = &[$(ErrorCode {
            code: stringify!($code),
            kind: ErrorKind::$kind,
            title: $title,
            page: include_str!(concat!("../../docs/errors/", stringify!($code), ".md")),
        }),*];
    };
}

codes! {
    bad_request BadRequest "the request is malformed";
    unauthenticated Unauthenticated "the caller did not prove who it is";
    token_expired Unauthenticated "the token has ended";
    forbidden Forbidden "the caller may not do this";
    not_found NotFound "the thing is not there";
    method_not_allowed BadRequest "this path has no such method";
    unsupported_media_type BadRequest "the body is of a type this operation does not take";
    not_acceptable BadRequest "no answer of the wanted type can be given";
    range_not_satisfiable BadRequest "the wanted range is outside the object";
    too_large TooLarge "the request is larger than its limit";
    conflict Conflict "the thing is not in the state the request supposes";
    stale_generation Conflict "the thing was changed by someone else meanwhile";
    name_taken Conflict "this name is used already";
    wrong_kind BadRequest "the thing is of another kind than is needed here";
    idempotency_mismatch Conflict "this idempotency key was used for another request";
    idempotency_in_progress Conflict "the same request is being carried out right now";
    invalid_cursor BadRequest "this is no cursor of this list";
    rate_limited Busy "the caller asks too often";
    invalid_input BadRequest "the request does not fit the operation's schema";
    invalid_output Internal "the function's answer does not fit the operation's schema";
    function_failed Internal "the function behind the operation failed";
    quota_spent Busy "the calls of this day are spent";
    link_broken Forbidden "this link leads nowhere now";
    busy Busy "there is no room for the request now";
    no_resources Busy "no host has room for this";
    unknown_instance_type BadRequest "there is no instance type of this name";
    timeout Timeout "the time allowed for the request has passed";
    unavailable Unavailable "something needed for the answer cannot be reached now";
    call_lost Unavailable "the host went away while the call ran";
    database_unavailable Unavailable "the database cannot be reached";
    storage_unavailable Unavailable "the object store cannot be reached";
    stream_elsewhere Unavailable "another gateway holds the events of this stream";
    storage_full Unavailable "there is no space left";
    internal Internal "the fault is ours";
    missing_chunks Conflict "some chunks of the object are not here";
    object_incomplete BadRequest "the object ended before all of it had arrived";
    object_corrupt Internal "stored bytes are not what was stored";
    invalid_package BadRequest "the package cannot be used";
    invalid_manifest BadRequest "`freehold.toml` is missing or wrong";
    model_invalid BadRequest "the model is no valid model";
    nothing_to_publish BadRequest "the folder holds nothing that a manifest could be written for";
    unit_test_failed BadRequest "a unit test of the package failed";
    formats_differ BadRequest "the formats of two stages are not equal";
    wrong_tensor BadRequest "an input of the request does not fit the model";
    invalid_parameter BadRequest "the algorithm does not take this parameter";
    training_failed Conflict "the training ended without a model";
    cancelled Conflict "the work was cancelled";
    saga_gave_up Unavailable "a step failed too often and was given up";
    saga_too_old Timeout "the work took longer than it may";
    transient Unavailable "a step failed and is tried again";
    instance_failed Unavailable "an instance could not start or broke";
    endpoint_not_ready Unavailable "the endpoint has no healthy instance yet";
    enrolment_refused Unauthenticated "this host may not enrol";
}

/// What is known about a code; none where it is not a code of this version.
pub fn find(code: &str) -> Option<&'static ErrorCode> {
    ERROR_CODES.iter().find(|known| known.code == code)
}

/// The page about a code, in Markdown.
pub fn page(code: &str) -> Option<&'static str> {
    find(code).map(|known| known.page)
}

/// The code that fits an answer which names none, such as that of a proxy in between.
pub fn code_of_status(status: u16) -> &'static str {
    match status {
        401 => "unauthenticated",
        403 => "forbidden",
        404 => "not_found",
        405 => "method_not_allowed",
        406 => "not_acceptable",
        408 | 504 => "timeout",
        409 | 412 => "conflict",
        413 | 431 => "too_large",
        415 => "unsupported_media_type",
        416 => "range_not_satisfiable",
        429 => "rate_limited",
        502 | 503 => "unavailable",
        507 => "storage_full",
        400..=499 => "bad_request",
        _ => "internal",
    }
}
