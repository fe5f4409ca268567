//! A stream of a NATS server with `JetStream`, filled as fast as it acknowledges.
//!
//! The protocol: <https://docs.nats.io/reference/reference-protocols/nats-protocol>; a message to a
//! stream that names a place for an answer is acknowledged there.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use bytes::Bytes;
use workflow::Clock;

/// The stream that is made, of one subject.
const MADE: &str = r#"{"name":"bench","subjects":["bench.in"],"storage":"file","num_replicas":1}"#;

/// Publishes events of these bytes, with so many unacknowledged at most; gives how long all took, and
/// how long each waited for its acknowledgement, in microseconds.
pub(super) fn publish(
    address: &str,
    (count, ahead): (u64, u64),
    data: &Bytes,
    clock: &Clock,
) -> (u64, Vec<u64>) {
    let mut socket = TcpStream::connect(address).expect("the server is there");
    socket.set_nodelay(true).expect("it is a socket");
    let mut answers = BufReader::new(socket.try_clone().expect("it is a socket"));
    let connect = "CONNECT {\"verbose\":false}\r\nSUB ack 1\r\n";
    let create = format!("PUB $JS.API.STREAM.CREATE.bench ack {}\r\n{MADE}\r\n", MADE.len());
    socket.write_all((connect.to_owned() + &create).as_bytes()).expect("the server takes it");
    let made = answer(&mut answers);
    assert!(made.contains("\"config\""), "{made}");
    let mut message = format!("PUB bench.in ack {}\r\n", data.len()).into_bytes();
    message.extend_from_slice(data);
    message.extend_from_slice(b"\r\n");
    let begun_us = clock.now_us();
    let (mut sent, mut sent_at, mut late) = (0, std::collections::VecDeque::new(), Vec::new());
    while (late.len() as u64) < count {
        let more = (ahead - sent_at.len() as u64).min(count - sent);
        if more > 0 {
            let all = message.repeat(usize::try_from(more).expect("it is small"));
            let now_us = clock.now_us();
            sent_at.extend(std::iter::repeat_n(now_us, usize::try_from(more).unwrap_or(0)));
            socket.write_all(&all).expect("the server takes them");
            sent += more;
        }
        // As many as are there, and at least one.
        loop {
            let told = answer(&mut answers);
            assert!(told.contains("\"seq\""), "{told}");
            late.push(clock.now_us() - sent_at.pop_front().expect("it was sent"));
            if sent_at.is_empty() || answers.buffer().is_empty() {
                break;
            }
        }
    }
    (clock.now_us() - begun_us, late)
}

/// The next answer.
fn answer(answers: &mut BufReader<TcpStream>) -> String {
    loop {
        let mut line = String::new();
        let read = answers.read_line(&mut line).expect("the server answers");
        assert!(read > 0, "the server went away");
        if line.starts_with("MSG ") {
            let bytes = line.trim_end().rsplit(' ').next().and_then(|it| it.parse().ok());
            let mut body = vec![0_u8; bytes.unwrap_or(0) + 2];
            answers.read_exact(&mut body).expect("the answer is whole");
            return String::from_utf8_lossy(&body).into_owned();
        }
        assert!(!line.starts_with("-ERR"), "{line}");
    }
}
