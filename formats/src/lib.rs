//! Parsers and writers of foreign bytes: packages, images, manifests, ONNX, tensors on the wire, tables.
//!
//! Always true: no bytes make a parser panic, loop, or take more memory than its limits say; what
//! is written is read back as it was; an error says what was found and what to do about it.
//! Absent on purpose: the network, clocks, chance, and any decision about what parsed.
#![forbid(unsafe_code)]

pub mod archive;
pub mod cloudevents;
pub mod event_pattern;
pub mod http_api;
pub mod image;
pub mod manifest;
pub mod npy;
pub mod oip;
pub mod onnx;
pub mod schema;
pub mod sshd;
pub mod table;
pub mod weblog;
