//! Whole clouds, made of the real program, spoken to as users do.

mod accidents;
mod bad_input;
mod cli;
mod demo;
mod grpc;
mod killed;
mod routes;
mod sharing;
mod story;
mod world;
