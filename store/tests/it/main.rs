//! The store's laws, each held on SQLite and on PostgreSQL by the same test.
#![allow(clippy::doc_markdown, reason = "SQLite and PostgreSQL are names, not code")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[macro_use]
mod harness;

mod accounts;
mod calls;
mod captures;
mod catalogue;
mod feeds;
mod functions;
mod garbage;
mod logs;
mod migrations;
mod objects;
mod places;
mod provisions;
mod running;
mod sagas;
mod transactions;
mod triggers;
