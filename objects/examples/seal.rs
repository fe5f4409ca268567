//! Seals a file into a folder and prints what it took; `sha256sum` and `cp` are its peers.
//!
//! Usage: `seal FILE FOLDER`.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a program for benchmarks")]

use std::error::Error;
use std::time::Instant;

use tokio_util::io::ReaderStream;
use uuid::Uuid;

use objects::{AccountKeys, Blobs, Options, Store};
use types::{AccountId, ObjectId};

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(folder)) = (arguments.next(), arguments.next()) else {
        return Err("usage: seal FILE FOLDER".into());
    };
    let store = Store::new(Blobs::open(&folder, Options::default()).await?);
    let keys = AccountKeys::generate(AccountId::new(Uuid::new_v4()));
    let object = ObjectId::new(Uuid::new_v4());

    let body = ReaderStream::with_capacity(tokio::fs::File::open(&file).await?, 1 << 20);
    let started = Instant::now();
    let sealed = store.put_stream(&keys, object, "application/octet-stream", body).await?;
    println!("seconds {:.3}", started.elapsed().as_secs_f64());
    println!("bytes {}", sealed.bytes);
    println!("chunks {}", sealed.chunks.len());
    println!("sha256 {}", sealed.sha256);
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("memory_peak {}", peak.unwrap_or(" unknown").trim());
    Ok(())
}
