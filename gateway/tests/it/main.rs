//! The gateway from outside: real sockets on the loopback, a fake worker behind a Unix socket that
//! speaks the frame, and a fake control.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod access;
mod accidents;
mod captures;
mod console;
mod functions;
mod grpc;
mod invocations;
mod management;
mod remote;
mod rest;
mod sources;
mod urls;
mod usage;
mod world;
