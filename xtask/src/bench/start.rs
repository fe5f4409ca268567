//! How long `freehold up` takes from exec to its first 200 of `/v2/health/ready`, on a data folder
//! that is there already, and how much memory it then holds while nobody asks anything.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::{Row, median};
use crate::Failure;
use crate::places::Places;

const RUNS: usize = 11;
const START_MAX: Duration = Duration::from_millis(300);
const MEMORY_MIB_MAX: u64 = 100;

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long it is left alone before its memory is read.
const IDLE: Duration = Duration::from_secs(2);

/// Starts and stops the program a few times.
pub(super) fn run(places: &Places) -> Result<Vec<Row>, Failure> {
    let data = places.cache.join("bench-start");
    let _ = fs::remove_dir_all(&data);
    fs::create_dir_all(&data).map_err(|error| Failure::at(data.display(), error))?;
    let program = places.target.join("release/freehold");
    // The first start makes the folder, and is not counted.
    Cloud::start(&program, &data)?.stop()?;
    let mut times = Vec::new();
    let mut memory_mib = 0;
    for run in 0..RUNS {
        let cloud = Cloud::start(&program, &data)?;
        times.push(cloud.took);
        if run == 0 {
            thread::sleep(IDLE);
            memory_mib = cloud.memory_mib()?;
        }
        cloud.stop()?;
    }
    let _ = fs::remove_dir_all(&data);
    let took = median(times);
    Ok(vec![
        Row {
            work: "exec to the first 200 of `/v2/health/ready`".into(),
            measured: format!("{} ms", took.as_millis()),
            beside: String::new(),
            must: format!("≤ {} ms", START_MAX.as_millis()),
            reached: took <= START_MAX,
        },
        Row {
            work: "idle memory (resident)".into(),
            measured: format!("{memory_mib} MiB"),
            beside: String::new(),
            must: format!("≤ {MEMORY_MIB_MAX} MiB"),
            reached: memory_mib <= MEMORY_MIB_MAX,
        },
    ])
}

/// A running program. One that is dropped without being stopped is killed.
struct Cloud {
    child: Child,
    took: Duration,
}

impl Cloud {
    fn start(program: &Path, data: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::at(program.display(), error);
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.map_err(failed)?;
        let mut command = Command::new(program);
        command.arg("up").arg("--data").arg(data).arg("--listen").arg(address.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let child = command.spawn().map_err(failed)?;
        let mut cloud = Self { child, took: Duration::ZERO };
        while !ready(address) {
            if let Some(status) = cloud.child.try_wait().map_err(failed)? {
                return Err(Failure::new(format!(
                    "freehold up ended before it was ready: {status}"
                )));
            }
            if start.elapsed() > PATIENCE {
                return Err(Failure::new(format!("not ready after {} s", PATIENCE.as_secs())));
            }
            thread::sleep(Duration::from_millis(1));
        }
        cloud.took = start.elapsed();
        Ok(cloud)
    }

    fn memory_mib(&self) -> Result<u64, Failure> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).map_err(|error| Failure::at(&path, error))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kib.map(|kib| kib / 1024).ok_or_else(|| Failure::new(format!("{path} has no VmRSS")))
    }

    fn stop(mut self) -> Result<(), Failure> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status();
        asked.map_err(|error| Failure::at("kill", error))?;
        let status = self.child.wait().map_err(|error| Failure::at("freehold up", error))?;
        if status.success() {
            return Ok(());
        }
        Err(Failure::new(format!("freehold up did not stop in order: {status}")))
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        // After an orderly stop there is nothing left to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ready(address: SocketAddr) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"GET /v2/health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        std::io::Result::Ok(start == *b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
