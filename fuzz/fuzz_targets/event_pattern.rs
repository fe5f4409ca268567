//! Feeds bytes to the target `event_pattern` of `targets.rs`.
#![no_main]

#[path = "../targets.rs"]
#[allow(dead_code, reason = "one target of several")]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    targets::event_pattern(data);
});
