//! The store: every fact of the cloud that is not content, in SQL that SQLite and PostgreSQL both
//! run.
//!
//! A module per noun holds its rows, its functions and all SQL about its tables. Functions are
//! named noun first and take the transaction they run in; [`Store::transact`] and [`Store::read`]
//! are the only ways to get one.
//!
//! Always true: a generation never goes back; whoever watches a topic hears of every committed
//! change; what is stored is parsed when it is read. Absent on purpose: decisions, wire types,
//! clocks (time is an argument).
#![forbid(unsafe_code)]
#![allow(clippy::doc_markdown, reason = "SQLite and PostgreSQL are names, not code")]

mod backup;
mod error;
mod lists;
mod migrations;
mod statement;
mod store;
mod transaction;
mod values;
mod watchers;
mod words;

pub mod accounts;
pub mod certificates;
pub mod chunks;
pub mod endpoints;
pub mod enrolments;
pub mod feeds;
pub mod functions;
pub mod hosts;
pub mod idempotency;
pub mod instances;
pub mod items;
pub mod logs;
pub mod objects;
pub mod publishes;
pub mod runs;
pub mod sagas;
pub mod services;
pub mod settings;
pub mod sharing;
pub mod streams;
pub mod tokens;
pub mod trainings;
pub mod usage;
pub mod versions;

pub use error::{Cause, Error};
pub use feeds::Topic;
pub use sharing::Sharing;
pub use statement::counted;
pub use store::{Database, Store};
pub use transaction::Tx;
pub use words::UnknownWord;
