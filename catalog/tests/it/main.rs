//! What the catalogue refuses and what it takes, on packages made here.
#![allow(clippy::unwrap_used, reason = "tests")]

mod package;
