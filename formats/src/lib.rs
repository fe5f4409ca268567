//! Parsers and writers of foreign bytes: packages, manifests, ONNX, tensors on the wire, tables.
//!
//! Always true: no bytes make a parser panic, loop, or take more memory than its limits say; what
//! is written is read back as it was; an error says what was found and what to do about it.
//! Absent on purpose: the network, clocks, chance, and any decision about what parsed.
#![forbid(unsafe_code)]

pub mod archive;
pub mod manifest;
pub mod npy;
pub mod oip;
pub mod onnx;
pub mod table;

/// Every error code of this room. Each has a page in `docs/errors`.
pub const CODES: [&str; 12] = [
    archive::CODE_INVALID,
    archive::CODE_LIMIT,
    archive::CODE_IO,
    manifest::CODE_INVALID,
    manifest::CODE_NOTHING_FOUND,
    manifest::CODE_PARAMETER,
    onnx::CODE_INVALID,
    oip::CODE_INVALID,
    oip::CODE_TENSOR,
    oip::CODE_UNSAYABLE,
    table::CODE_INVALID,
    npy::CODE_INVALID,
];
