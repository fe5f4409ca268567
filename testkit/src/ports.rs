//! Ports that are ours for as long as this process lives.
//!
//! Always true: a port is held by a lock that every test process asks for, and lies below the
//! range the kernel draws from, so that a program that was killed finds its port free again.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;

/// Where the kernel does not look for ports of outgoing connections.
const FIRST: u16 = 20_000;
const LAST: u16 = 32_000;

/// Locks that were taken, and the port to try next.
static TAKEN: Mutex<(Vec<File>, u16)> = Mutex::new((Vec::new(), 0));

/// An address on the loopback with a port that nobody else uses.
pub fn take() -> SocketAddr {
    let mut taken = TAKEN.lock().expect("nobody panics while holding it");
    let folder = std::env::temp_dir().join("freehold-test-ports");
    std::fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let start = u16::try_from(std::process::id().wrapping_mul(37) % u32::from(LAST - FIRST))
        .expect("it is less than a u16");
    for _ in FIRST..LAST {
        let port = FIRST + (start + taken.1) % (LAST - FIRST);
        taken.1 = (taken.1 + 1) % (LAST - FIRST);
        let lock = File::create(folder.join(port.to_string())).expect("the folder is ours");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if lock.try_lock().is_ok() && TcpListener::bind(address).is_ok() {
            taken.0.push(lock);
            return address;
        }
    }
    panic!("no port is free between {FIRST} and {LAST}");
}
