//! Virtual hosts and recorded load, which drive the decisions of `policy`.
//!
//! A [`trace::Trace`] tells how often functions were called in each minute. [`replay`] simulates
//! every call of it by itself, [`grid`] only which minutes had one; both say in a [`report::Report`]
//! what a policy of keeping instances warm would have cost.
//!
//! Always true: the same trace, settings and seed give the same report on every machine.
//! Absent on purpose: floats, clocks, threads, and decisions: they are `policy`'s.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic, clippy::disallowed_methods, clippy::disallowed_types)]

pub mod chance;
pub mod grid;
pub mod replay;
pub mod report;
pub mod trace;
