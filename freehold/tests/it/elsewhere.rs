//! Another machine in miniature: a network namespace with an address, and servers in it.

use std::process::{Command, Stdio};

use testkit::wait::until;

/// Longest time until a server listens.
const LISTENS_S: u64 = 10;

/// The namespace; what runs in it ends with it.
pub(crate) struct Elsewhere {
    name: String,
    /// Our address at its link.
    pub(crate) near: String,
    /// Its address.
    pub(crate) far: String,
    servers: Vec<std::process::Child>,
}

impl Elsewhere {
    /// Makes it; none, said aloud, where that is not possible.
    pub(crate) fn make() -> Option<Self> {
        // Of the network for measurements, whose addresses are nobody's: RFC 2544.
        let number = std::process::id() % 0x3fff * 4;
        let address = |last: u32| format!("198.{}.{}.{}", 18, number >> 8, (number & 0xff) + last);
        let (near, far) = (address(1), address(2));
        let name = format!("fh{number}");
        let (a, b) = (format!("{name}a"), format!("{name}b"));
        let made = ip(&["netns", "add", &name])
            && ip(&["link", "add", &a, "type", "veth", "peer", "name", &b, "netns", &name])
            && ip(&["addr", "add", &format!("{near}/30"), "dev", &a])
            && ip(&["link", "set", &a, "up"])
            && ip(&["-n", &name, "addr", "add", &format!("{far}/30"), "dev", &b])
            && ip(&["-n", &name, "link", "set", &b, "up"]);
        if !made {
            ip(&["netns", "del", &name]);
            eprintln!("SKIPPED: no network namespace with an address can be made by `ip` here");
            return None;
        }
        Some(Self { name, near, far, servers: Vec::new() })
    }

    /// Runs Python there, and waits until it listens on a port.
    pub(crate) async fn serve(&mut self, words: &[&str], port: u16) {
        let mut server = Command::new("ip");
        server.args(["netns", "exec", &self.name, "/usr/bin/python3"]).args(words);
        server.current_dir("/etc/skel").stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().unwrap();
        testkit::processes::know(server.id());
        self.servers.push(server);
        until(LISTENS_S, "the server elsewhere to listen", || async {
            tokio::net::TcpStream::connect((self.far.as_str(), port)).await.ok()
        })
        .await;
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        for server in &mut self.servers {
            let _ = server.kill();
            let _ = server.wait();
        }
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(words: &[&str]) -> bool {
    Command::new("ip").args(words).stderr(Stdio::null()).status().is_ok_and(|it| it.success())
}
