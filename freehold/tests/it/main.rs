//! Whole clouds, made of the real program, spoken to as users do.

mod cli;
mod demo;
mod grpc;
mod sharing;
mod story;
mod world;
