//! What the processes say to each other and to clients: wire types, paths, the error body, the
//! typed client, and the listener that carries them.
//!
//! Always true: every type here is serialisable and nothing else in the house needs to be, but
//! stored records. Public types are under `/v1`; types of the modules in [`internal`] pass only
//! between control, gateways and agents, over mutual TLS or a local socket.
//! Absent on purpose: rows, decisions, storage.
#![forbid(unsafe_code)]

pub mod accounts;
pub mod chunks;
pub mod client;
pub mod document;
pub mod drain;
pub mod endpoints;
pub mod errors;
pub mod functions;
pub mod grants;
pub mod identity;
pub mod internal;
pub mod items;
pub mod listen;
pub mod objects;
pub mod pages;
pub mod problem;
pub mod publishes;
pub mod runs;
pub mod services;
pub mod status;
pub mod streams;
pub mod trainings;
pub mod triggers;
pub mod usage;

pub use problem::Problem;

/// Tells a gateway which generation of the routes holds a change.
pub const ROUTES_HEADER: &str = "freehold-routes";
/// Header that carries the request's id in every answer.
pub const REQUEST_ID_HEADER: &str = "x-request-id";
/// Header by which a creating call is made safe to repeat.
pub const IDEMPOTENCY_HEADER: &str = "idempotency-key";
