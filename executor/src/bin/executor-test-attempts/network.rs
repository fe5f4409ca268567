//! Attempts at addresses and sockets.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::libc::{self, c_int, c_long};

use crate::bait::Bait;
use crate::call::{at, call, works};
use crate::{Through, Try};

pub(crate) const TRIES: &[Try] = &[
    ("tcp-host", tcp_host),
    ("udp-out", udp_out),
    ("abstract-socket", abstract_socket),
    ("unix-socket", |bait| connects(&bait.socket)),
    ("neighbour-socket", neighbour_socket),
    ("service-sockets", service_sockets),
    ("raw-socket", raw_socket),
    ("packet-socket", |_| opens(libc::AF_PACKET, libc::SOCK_RAW, 0)),
    ("netlink", netlink),
    ("vsock", |_| opens(libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
    ("strange-sockets", strange_sockets),
    ("interfaces", interfaces),
];

fn tcp_host(bait: &Bait) -> Through {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, bait.port));
    TcpStream::connect_timeout(&at, Duration::from_secs(2)).ok().map(|_| at.to_string())
}

/// Connecting a datagram socket sends nothing, and works where there is a route.
fn udp_out(_: &Bait) -> Through {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    ["192.0.2.1:53", "169.254.169.254:80", "10.0.0.1:53"]
        .into_iter()
        .find(|to| socket.connect(to).is_ok())
        .map(|to| format!("a route to {to}"))
}

fn abstract_socket(bait: &Bait) -> Through {
    let address = UnixAddress::from_abstract_name(&bait.name).ok()?;
    UnixStream::connect_addr(&address).ok().map(|_| format!("@{}", bait.name))
}

fn connects(path: &Path) -> Through {
    let stream = UnixStream::connect(path).is_ok();
    let datagram = || UnixDatagram::unbound().is_ok_and(|socket| socket.connect(path).is_ok());
    (stream || datagram()).then(|| path.display().to_string())
}

fn neighbour_socket(bait: &Bait) -> Through {
    let listed = fs::read_dir(&bait.sockets).into_iter().flatten().flatten();
    connects(&bait.sockets.join("neighbour"))
        .or_else(|| listed.into_iter().find_map(|entry| connects(&entry.path())))
}

fn service_sockets(bait: &Bait) -> Through {
    let known = [
        "/run/docker.sock",
        "/var/run/docker.sock",
        "/run/containerd/containerd.sock",
        "/run/systemd/private",
        "/run/systemd/journal/socket",
        "/run/dbus/system_bus_socket",
        "/run/udev/control",
        "/dev/log",
        "/tmp/.X11-unix/X0",
    ];
    // And one that is there in any case.
    known.iter().map(Path::new).chain([bait.socket.as_path()]).find_map(connects)
}

fn opens(family: c_int, kind: c_int, protocol: c_int) -> Through {
    let args = [family, kind, protocol].map(c_long::from);
    works(&format!("a socket {family} {kind} {protocol}"), call(libc::SYS_socket, args))
}

fn raw_socket(_: &Bait) -> Through {
    opens(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
        .or_else(|| opens(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_RAW))
        .or_else(|| opens(libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_ICMPV6))
}

fn netlink(_: &Bait) -> Through {
    // Routes, audit, device events, netfilter.
    [0, 9, 15, 12].into_iter().find_map(|number| opens(libc::AF_NETLINK, libc::SOCK_RAW, number))
}

fn strange_sockets(_: &Bait) -> Through {
    let families =
        [libc::AF_ALG, libc::AF_KEY, libc::AF_BLUETOOTH, libc::AF_CAN, libc::AF_XDP, libc::AF_TIPC];
    let plain = families.into_iter().find_map(|family| {
        let kinds = [libc::SOCK_SEQPACKET, libc::SOCK_RAW, libc::SOCK_STREAM, libc::SOCK_DGRAM];
        kinds.into_iter().find_map(|kind| opens(family, kind, 0))
    });
    let mut pair = [0_i32; 2];
    plain.or_else(|| {
        let args = [libc::AF_TIPC.into(), libc::SOCK_STREAM.into(), 0, at(&mut pair)];
        works("a pair of TIPC sockets", call(libc::SYS_socketpair, args))
    })
}

fn interfaces(_: &Bait) -> Through {
    let from_proc = || {
        let text = fs::read_to_string("/proc/net/dev").ok()?;
        let names = text.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim()));
        names.into_iter().find(|name| *name != "lo").map(str::to_owned)
    };
    let from_sys = || {
        let mut entries = fs::read_dir("/sys/class/net").ok()?.flatten();
        entries
            .find(|entry| entry.file_name() != "lo")
            .map(|entry| entry.path().display().to_string())
    };
    from_proc().or_else(from_sys)
}
