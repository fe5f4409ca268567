//! A whole cloud for tests: the real program, a throwaway PostgreSQL, an S3 server, packages.
//!
//! Always true: every cloud owns its folders, ports and database; whatever becomes of a test, the
//! processes it started are killed; a WARN or ERROR that was not expected fails the test that made
//! the program write it.
//! Absent on purpose: knowledge of any room's inside. Tests speak to a cloud as its users do.
#![forbid(unsafe_code)]
#![allow(clippy::missing_panics_doc, reason = "a test kit fails by panicking, and says why")]

pub mod account;
pub mod cloud;
pub mod onnx;
pub mod packages;
pub mod ports;
pub mod postgres;
pub mod processes;
pub mod program;
pub mod s3;
pub mod tensors;
pub mod wait;

pub use account::Account;
pub use cloud::{Cloud, Process};
pub use packages::Package;
pub use postgres::Postgres;
pub use program::Program;
pub use s3::S3;
