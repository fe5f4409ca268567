//! Feeds bytes to the target `import_csv` of `stream_targets.rs`.
#![no_main]

#[path = "../stream_targets.rs"]
#[allow(dead_code, reason = "one target of several")]
mod stream_targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    stream_targets::import_csv(data);
});
