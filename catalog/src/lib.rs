//! The catalogue: what a package must be to be listed, what its listing says, and how listings
//! are found.
//!
//! Always true: nothing here runs a package's code; that is done in a sandbox by an agent.
//! Absent on purpose: the order of publishing, which is a saga of control.
#![forbid(unsafe_code)]

pub mod index;
pub mod listing;
pub mod package;
pub mod signing;

pub use index::Index;
pub use listing::{Listing, Requires};
pub use package::{Inspection, Refusal};
pub use signing::Signer;
