//! Every decision, as a plain function of a snapshot, the time and the settings.
//!
//! The live system and a simulator run the same functions. Reasons come back as data.
//!
//! Always true: the same arguments give the same answer on every machine; every function is
//! total; an answer that ranks ends with an id, so that it is unique. Floats are in [`evidence`],
//! [`accuracy`] and [`drift`] only.
//! Absent on purpose: clocks, chance, logs, storage, hash order.
#![forbid(unsafe_code)]
#![deny(clippy::float_arithmetic, clippy::disallowed_methods, clippy::disallowed_types)]

#[allow(clippy::float_arithmetic, reason = "statistics, whose functions are those of libm")]
pub mod accuracy;
pub mod advise;
pub mod alias;
pub mod allowance;
pub mod backoff;
pub mod bake;
pub mod batch_size;
pub mod batching;
pub mod capture;
pub mod cors;
pub mod deploy;
pub mod dispatch;
#[allow(clippy::float_arithmetic, reason = "statistics, whose functions are those of libm")]
pub mod drift;
pub mod egress;
#[allow(clippy::float_arithmetic, reason = "statistics, whose functions are those of libm")]
pub mod evidence;
pub mod feeding;
pub mod fleet;
pub mod garbage;
pub mod gates;
pub mod linking;
pub mod modes;
pub mod parking;
pub mod placement;
pub mod polling;
pub mod provision;
pub mod ranking;
pub mod rate;
pub mod renewal;
pub mod replay;
pub mod resize;
pub mod retry;
pub mod schedule;
pub mod segments;
pub mod sketch;
pub mod triggers;
pub mod warmth;
