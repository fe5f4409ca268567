//! Control, tested in one process: operations, sagas and reconcilers over a database and a folder
//! of their own, with the agent played by the test.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod agent;
mod authorisation;
mod blobs;
mod captures;
mod changes;
mod credentials;
mod egress;
mod endpoints;
mod enrolments;
mod errors;
mod events;
mod garbage;
mod gates;
mod generations;
mod grants;
mod harness;
mod hosts;
mod idempotency;
mod lambda;
mod limits;
mod objects;
mod outage;
mod pages;
mod provisioned;
mod publishes;
mod reconcilers;
mod right;
mod sagas;
mod schedules;
mod search;
mod setup;
mod sharing;
mod sql_faults;
mod statements;
mod trainings;
mod triggers;
