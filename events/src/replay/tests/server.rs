//! A small server that answers as a test wants it to.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use parking_lot::Mutex;

use super::super::{Address, Variant};

/// How a server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should.
    Answer,
    /// Not at all, and keeps the connection.
    Hang,
    /// With half an answer, and keeps the connection.
    HalfAndHang,
    /// With half an answer, and ends the connection.
    HalfAndEnd,
    /// With what is no answer.
    Garbage,
    /// By ending the connection.
    End,
    /// As it should, and ends the connection each time without saying so.
    AnswerAndEnd,
    /// With a status of 503.
    Fail,
    /// Each of these in turn.
    Turns,
}

impl Manner {
    const TURNS: [Self; 8] = [
        Self::Answer,
        Self::Hang,
        Self::HalfAndHang,
        Self::HalfAndEnd,
        Self::Garbage,
        Self::End,
        Self::AnswerAndEnd,
        Self::Fail,
    ];
}

/// A request that it was asked.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) head: String,
    pub(super) body: String,
}

#[derive(Debug, Default)]
struct Log {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    is_gone: AtomicBool,
}

#[derive(Debug)]
pub(super) struct Server {
    address: Address,
    log: Arc<Log>,
}

impl Server {
    pub(super) fn tcp(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let log = Arc::new(Log::default());
        let serving = Arc::clone(&log);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, log) = (stream.unwrap(), Arc::clone(&serving));
                if log.is_gone.load(Ordering::SeqCst) {
                    return;
                }
                stream.set_nodelay(true).unwrap();
                let reading = stream.try_clone().unwrap();
                thread::spawn(move || serve(BufReader::new(reading), stream, manner, &log));
            }
        });
        Self { address, log }
    }

    pub(super) fn unix(path: &Path, manner: Manner) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let log = Arc::new(Log::default());
        let serving = Arc::clone(&log);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, log) = (stream.unwrap(), Arc::clone(&serving));
                let reading = stream.try_clone().unwrap();
                thread::spawn(move || serve(BufReader::new(reading), stream, manner, &log));
            }
        });
        Self { address: Address::Unix(path.to_path_buf()), log }
    }

    pub(super) fn variant(&self, name: &str) -> Variant {
        Variant {
            name: name.to_owned(),
            address: self.address.clone(),
            host: "server".to_owned(),
            path: "/asked".to_owned(),
            headers: vec![("authorization".to_owned(), "Bearer secret".to_owned())],
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.log.seen.lock().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.log.connections.load(Ordering::SeqCst)
    }

    /// Ends every connection at its next request, and takes no more.
    pub(super) fn go(&self) {
        self.log.is_gone.store(true, Ordering::SeqCst);
        if let Address::Tcp(address) = self.address {
            // It wakes whoever waits for connections.
            drop(std::net::TcpStream::connect(address));
        }
    }
}

fn serve(mut reading: impl BufRead, mut writing: impl Write, manner: Manner, log: &Log) {
    log.connections.fetch_add(1, Ordering::SeqCst);
    while let Some(seen) = request(&mut reading) {
        let number = {
            let mut all = log.seen.lock();
            all.push(seen);
            all.len()
        };
        if log.is_gone.load(Ordering::SeqCst) {
            return;
        }
        let manner = match manner {
            Manner::Turns => Manner::TURNS[number % Manner::TURNS.len()],
            manner => manner,
        };
        if !answer(&mut writing, manner) {
            return;
        }
    }
}

/// Whether the connection stays.
fn answer(writing: &mut impl Write, manner: Manner) -> bool {
    let body = "{\"score\":0.25,\"class\":\"yes\"}";
    let head =
        format!("HTTP/1.1 200 OK\r\nx-service-us: 7\r\ncontent-length: {}\r\n\r\n", body.len());
    let whole = format!("{head}{body}");
    let fail = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
    let (text, stays) = match manner {
        Manner::Answer | Manner::Turns => (whole.as_str(), true),
        Manner::Hang => ("", true),
        Manner::HalfAndHang => (&whole[..whole.len() - 4], true),
        Manner::HalfAndEnd => (&whole[..whole.len() - 4], false),
        Manner::Garbage => ("what is this\r\n\r\n", true),
        Manner::End => ("", false),
        Manner::AnswerAndEnd => (whole.as_str(), false),
        Manner::Fail => (fail, true),
    };
    writing.write_all(text.as_bytes()).is_ok() && stays
}

/// Reads a request; none where there are no more.
fn request(reading: &mut impl BufRead) -> Option<Seen> {
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reading.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(told) = line.strip_prefix("content-length: ") {
            length = told.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reading.read_exact(&mut body).ok()?;
    Some(Seen { head, body: String::from_utf8(body).unwrap() })
}
