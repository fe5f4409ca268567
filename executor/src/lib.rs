//! Instances on this host: sandboxes, their limits, their logs and how they ended.
//!
//! The room is a plan and an apply. [`plan`] says, without touching the machine, what a sandbox
//! shall be; the hidden command `freehold sandbox` ([`sandbox_main`]) makes it so, in a process of
//! its own with one thread; the executor watches it from outside and reports its end.
//!
//! Always true: an instance sees its package, its inputs and its scratch folder, and nothing else
//! of this host; it has no network, or a loopback of its own, from which a proxy may lead out; no process of it outlives it, nor the
//! executor.
//! Absent on purpose: what an instance is for, where packages come from.

pub mod attempts;
pub mod egress;
pub mod error;
pub mod exit;
pub mod features;
pub mod instance;
pub mod logs;
pub mod oci;
pub mod onnxruntime;
pub mod plan;
pub mod runtime_api;
pub mod start;

mod cgroup;
mod change;
mod descriptors;
mod executor;
mod folders;
mod launch;
mod machine;
mod parked;
mod sandbox;
mod supervise;
mod tree;
mod watch;
mod zygote;

pub use error::Error;
pub use executor::{Executor, Settings};
pub use exit::{Ending, Exit};
pub use features::{Feature, features};
pub use instance::{Running, Usage};
pub use launch::{Launched, Level, Overhead, Sandbox, Socket};
pub use logs::{Line, LogReader, Stream};
pub use oci::Choice;
pub use onnxruntime::{OrtFound, onnxruntime_search};
pub use parked::Parked;
pub use sandbox::sandbox_main;
pub use start::{Function, Image, Job, Parking, Start, Work};
