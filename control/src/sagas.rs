//! Sagas: what a caller waits for, step by step.
//!
//! Always true: every saga is in [`registry`], whose sagas a test fails, repeats and resumes at
//! every step.

pub mod publish;
pub mod train;

use workflow::saga::{Failure, Registry};

use crate::{Control, Error};

/// Every saga.
pub fn registry(control: &Control) -> Registry {
    Registry::new()
        .with(publish::PublishSaga::new(control.clone()))
        .with(train::TrainSaga::new(control.clone()))
}

/// What an error of control means to a saga: what may pass is tried again.
fn failure(error: &Error) -> Failure {
    use types::ErrorKind::{Busy, Internal, Timeout, Unavailable};
    match error.kind() {
        Busy | Internal | Timeout | Unavailable => Failure::transient(crate::error::chain(error)),
        _ => Failure::permanent(error.code(), error.to_string()),
    }
}
