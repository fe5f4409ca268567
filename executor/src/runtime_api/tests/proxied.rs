//! The way out, through the same listener.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use workflow::{BoxFuture, Clock};

use super::*;
use crate::egress::{Dial, WayOut};
use crate::logs::{LogReader, Logs};
use egress::Refused;

/// Leads to a server on this machine, under the name `open.example` and no other.
#[derive(Debug)]
struct Leads(std::net::SocketAddr);

impl Dial for Leads {
    fn dial<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, Result<TcpStream, Refused>> {
        Box::pin(async move {
            match (host, port) {
                ("open.example", 80) => Ok(TcpStream::connect(self.0).await.unwrap()),
                ("open.example", _) => Err(Refused::Unreachable("nobody is there".to_owned())),
                _ => Err(Refused::Forbidden("not named".to_owned())),
            }
        })
    }
}

/// A server that answers each request with what it has read of it, and then ends the connection.
async fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut seen = vec![0; 4_096];
            let count = stream.read(&mut seen).await.unwrap();
            let length = format!("HTTP/1.1 200 OK\r\ncontent-length: {count}\r\n\r\n");
            stream.write_all(&[length.as_bytes(), &seen[..count]].concat()).await.unwrap();
        }
    });
    address
}

async fn with_way_out() -> (Runtime, Program, LogReader) {
    let logs = Logs::new();
    let reader = logs.reader();
    let way = Some(WayOut::new(Arc::new(Leads(echo().await))));
    let outlet = Outlet { way, logs, clock: Clock::manual(7).0 };
    let (runtime, program) = served_with(Some(outlet)).await;
    (runtime, program, reader)
}

#[tokio::test]
async fn a_request_for_a_url_is_passed_on_and_told_of() {
    let (runtime, mut program, mut log) = with_way_out().await;
    let said = "proxy-authorization: Basic x\r\nx-mine: 1\r\n";
    let (status, _, seen) = program.ask("POST http://open.example/a?b", said, b"body").await;
    assert_eq!(status, 200);
    assert!(seen.starts_with("POST /a?b HTTP/1.1\r\n") && seen.contains("x-mine: 1"), "{seen}");
    assert!(seen.contains("host: open.example\r\n"), "{seen}");
    assert!(!seen.contains("Basic"), "{seen}");
    for (line, wanted) in [
        ("GET http://closed.example/", (403, "not named")),
        ("GET http://open.example:81/", (502, "nobody is there")),
        ("GET ftp://open.example/", (400, "the proxy takes")),
    ] {
        let (status, _, told) = program.ask(line, "", b"").await;
        assert!(status == wanted.0 && told.contains(wanted.1), "{line}: {status} {told}");
    }
    // The Runtime API is there as ever, also where it is asked as a proxy would be.
    for line in ["GET /2018-06-01/ping", "GET http://127.0.0.1:9001/2018-06-01/ping"] {
        let (status, _, told) = program.ask(line, "", b"").await;
        assert_eq!((status, told.as_str()), (200, "pong"), "{line}");
    }
    drop(runtime);
    let mut lines = Vec::new();
    while let Some(line) = log.ready() {
        lines.push(line.line);
    }
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("EGRESS open.example:80 connected to 127.0.0.1:"), "{lines:?}");
    assert_eq!(lines[1], "EGRESS closed.example:80 not allowed: not named");
    assert_eq!(lines[2], "EGRESS open.example:81 not reached: nobody is there");
}

#[tokio::test]
async fn a_tunnel_carries_bytes_both_ways_and_ends_with_the_program() {
    let (_runtime, mut program, _log) = with_way_out().await;
    program.0.write_all(b"CONNECT open.example:80 HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut head = [0; 12];
    program.0.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    program.0.write_all(b"any bytes \x00\xff").await.unwrap();
    let mut rest = Vec::new();
    program.0.read_to_end(&mut rest).await.unwrap();
    assert!(rest.ends_with(b"any bytes \x00\xff"), "{rest:?}");
}

#[tokio::test]
async fn who_has_no_way_out_is_told_so() {
    let logs = Logs::new();
    let outlet = Outlet { way: None, logs: logs.clone(), clock: Clock::manual(7).0 };
    let (_runtime, mut program) = served_with(Some(outlet)).await;
    for line in ["CONNECT open.example:80", "GET http://open.example/"] {
        let (status, _, told) = program.ask(line, "", b"").await;
        assert!(status == 403 && told.contains("no egress"), "{line}: {status} {told}");
    }
    assert!(logs.reader().ready().unwrap().line.contains("no egress"));
}
