//! A stream as those who write to it see it: other processes, which may end at any time.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests panic, and are set up by variables"
)]

mod corpus;
mod full;
mod killed;
mod recorded;
mod replayed;
