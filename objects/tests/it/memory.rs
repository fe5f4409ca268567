//! The promise that sealing a body of any length takes at most 64 MiB of memory.

use std::io;
use std::process::Command;

use bytes::Bytes;
use futures::stream::{self, Stream};

use super::fixture::{MEDIA, folder_store, keys, noise, object};

/// Tells the child, which is this test binary, to run.
const RUN: &str = "OBJECTS_MEMORY_RUN";

/// The promised limit, of the whole process.
const MEMORY_KIB_MAX: u64 = 64 * 1024;

/// 100 MiB that are cut as usual, then 400 MiB that are cut at the largest size, no chunk twice.
fn large_body() -> impl Stream<Item = io::Result<Bytes>> {
    let usual = (0..100).map(|seed| noise(seed, 1 << 20));
    let largest = (0..200).map(|byte| vec![byte; 2 << 20]);
    stream::iter(usual.chain(largest).map(|piece| Ok(Bytes::from(piece))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "started by the next test"]
async fn seals_a_large_body() {
    if std::env::var_os(RUN).is_none() {
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let store = folder_store(root.path()).await;
    let sealed = store.put_stream(&keys(1), object(1), MEDIA, large_body()).await.unwrap();
    assert_eq!(sealed.bytes, 500 << 20);
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib <= MEMORY_KIB_MAX, "{peak_kib} KiB");
}

#[test]
fn sealing_a_large_body_takes_little_memory() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::seals_a_large_body", "--ignored"])
        .env(RUN, "yes")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
}
