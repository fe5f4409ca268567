//! The data plane: authenticates, routes and limits requests, answers invocations in the protocols
//! that callers already speak, and forwards management calls to control.
//!
//! Always true: an invocation never waits for SQL or for control; unknown and forbidden look the
//! same; no tensor is copied where it can be passed on; a caller that goes away cancels its work.
//! Absent on purpose: deciding what runs where, storing anything, seeing content.
#![forbid(unsafe_code)]

pub mod control;
pub mod error;
pub mod service;
mod services;
pub mod settings;
mod shadows;

mod aside;
mod backends;
mod body;
mod calls;
mod captures;
mod console;
mod functions;
mod gateway;
mod hub;
mod invocations;
pub mod keys;
mod limits;
pub mod mail;
mod metrics;
mod oip;
mod paths;
mod proxy;
mod routes;
mod rules;
mod runs;
mod sources;
mod statistics;
mod stream;
mod streams;
pub mod trust;
mod usage;

pub use control::Control;
pub use error::Error;
pub use gateway::Gateway;
pub use hub::StartError;
pub use settings::Settings;
pub use trust::Proof;

/// Messages and stubs of the Open Inference Protocol over gRPC, made from `proto/inference.proto`.
#[allow(warnings, clippy::all, clippy::pedantic, reason = "generated")]
pub mod proto {
    tonic::include_proto!("inference");
}
