//! The laws of this room: what is written is read back, what is broken is refused with a cure.

#![allow(clippy::unwrap_used, reason = "a test stops where something is not as it must be")]

mod archive;
mod corpus;
mod manifest;
mod npy;
mod oip;
mod onnx;
mod protobuf;
mod table;

#[test]
fn every_error_code_is_there_once_and_plain() {
    let codes: std::collections::BTreeSet<&str> = formats::CODES.into();
    assert_eq!(codes.len(), formats::CODES.len());
    let plain = |code: &&str| code.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase());
    assert!(codes.iter().all(plain));
}
