//! The model worker: what answers inside an instance (`freehold worker`).
//!
//! Two threads take turns: whoever reads a request runs it, where the model is free, and writes
//! the answer; in a longer run the other reads on, keeps the queue, and watches deadlines. A single
//! request never passes from thread to thread, and its bytes are used where they lie.
//!
//! Always true: every request is answered once, or its caller is gone; a batch holds only requests
//! whose answers do not depend on each other; a run that nobody waits for is stopped.
//! Absent on purpose: networks, authentication, conversion of foreign protocols: see `gateway`.
#![forbid(unsafe_code)]

pub mod task;

mod batch;
mod check;
mod connection;
mod engine;
mod fault;
mod queue;
mod runner;
mod server;
mod timer;
mod turns;
mod worker;

pub use engine::Description;
pub use fault::Fault;
pub use server::{Ended, serve};
pub use task::{EngineChoice, Task};
pub use worker::worker_main;
