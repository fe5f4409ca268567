//! Whole clouds, made of the real program, spoken to as users do.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends here")]
#![allow(clippy::print_stderr, reason = "what was passed over, and seeds, are said aloud")]

mod accidents;
mod bad_input;
mod captures;
mod cli;
mod clients;
mod demo;
mod deploys;
mod drills;
mod egress;
mod elsewhere;
mod encrypted;
mod functions;
mod grpc;
mod hosts;
mod images;
mod killed;
mod killed_agents;
mod links;
mod misbehaving;
mod provisioned;
mod renewal;
mod replays;
mod routes;
mod services;
mod several;
mod sharing;
mod story;
mod streaming;
mod streams;
mod traces;
mod triggers;
mod urls;
mod webhooks;
mod world;
