//! The laws of this room: what is written is read back, what is broken is refused with a cure.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod archive;
mod corpus;
mod documents;
mod manifest;
mod npy;
mod oip;
mod onnx;
mod protobuf;
mod recorded;
mod table;
