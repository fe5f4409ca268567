//! Control, tested in one process: operations, sagas and reconcilers over a database and a folder
//! of their own, with the agent played by the test.

mod agent;
mod blobs;
mod harness;
mod sagas;
