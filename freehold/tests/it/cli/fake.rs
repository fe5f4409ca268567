//! A cloud of fixed answers: HTTP/1.1 on a port of its own, one thread, one request a connection.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// Answers by `METHOD /path`.
pub(super) type Answers = BTreeMap<String, (u16, Value)>;

/// A request that came.
#[derive(Clone, Debug)]
pub(super) struct Came {
    /// `METHOD /path?query`.
    pub(super) line: String,
    /// Names in lower case.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

/// The cloud.
pub(super) struct Fake {
    pub(super) address: String,
    came: Arc<Mutex<Vec<Came>>>,
}

impl Fake {
    /// Answers until the test ends.
    pub(super) fn start(answers: Answers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let came = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&came);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer(stream.unwrap(), &answers, &list);
            }
        });
        Self { address, came }
    }

    /// The requests so far whose line begins so.
    pub(super) fn came(&self, beginning: &str) -> Vec<Came> {
        let came = self.came.lock().unwrap();
        came.iter().filter(|one| one.line.starts_with(beginning)).cloned().collect()
    }
}

fn answer(stream: TcpStream, answers: &Answers, list: &Mutex<Vec<Came>>) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or(0) == 0 {
        return;
    }
    let line = line.trim_end().trim_end_matches(" HTTP/1.1").to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let known = line.split('?').next().unwrap_or_default().to_owned();
    list.lock().unwrap().push(Came { line, headers, body });
    let missing = || (404, super::answers::problem(404, "not_found", &known));
    let (status, value) = answers.get(&known).cloned().unwrap_or_else(missing);
    let text = if value.is_null() { String::new() } else { value.to_string() };
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n",
        text.len()
    );
    // The program may have gone away.
    let _ = reader.get_mut().write_all((head + &text).as_bytes());
}
