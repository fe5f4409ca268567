//! The laws of the object store, held against a folder and an S3-compatible server.
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "helpers of tests may panic, and their numbers are small"
)]

mod cache;
mod dedup;
mod faults;
mod files;
mod fixture;
mod garbage;
mod keys;
mod killed;
mod memory;
mod round_trip;
mod s3;
mod tamper;
