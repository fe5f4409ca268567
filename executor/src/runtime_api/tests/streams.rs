//! Answers in pieces, as programs write them.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::*;

const HEAD: &str = "POST /2018-06-01/runtime/invocation/r/response HTTP/1.1\r\nhost: x\r\n\
    content-type: text/plain\r\nlambda-runtime-function-response-mode: streaming\r\n\
    trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\
    transfer-encoding: chunked\r\n\r\n";

impl Program {
    async fn say(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(format!("{:x}\r\n", bytes.len()).as_bytes()).await?;
        self.0.write_all(bytes).await?;
        self.0.write_all(b"\r\n").await
    }

    /// The status of the next answer, with its body.
    async fn heard(&mut self) -> String {
        let mut seen = String::new();
        while !seen.ends_with('}') {
            let mut part = [0; 4_096];
            let count = self.0.read(&mut part).await.unwrap();
            assert!(count > 0, "{seen}");
            seen += &String::from_utf8_lossy(&part[..count]);
        }
        seen
    }
}

/// A call whose program has begun to answer in pieces.
async fn begun() -> (Runtime, Program, Streamed) {
    let (runtime, mut program) = served().await;
    let program = async {
        program.next().await;
        program.say(HEAD).await;
        program
    };
    let (outcome, program) = tokio::join!(runtime.invoke(invocation("r")), program);
    let Outcome::Streamed(pieces) = outcome else { panic!("{outcome:?}") };
    (runtime, program, pieces)
}

#[tokio::test]
async fn pieces_come_while_the_answer_is_made() {
    let (runtime, mut program, mut pieces) = begun().await;
    assert_eq!(pieces.media_type.as_deref(), Some("text/plain"));
    for piece in ["first", "second"] {
        program.piece(piece.as_bytes()).await.unwrap();
        assert_eq!(pieces.next().await, Ok(Some(Bytes::from(piece))));
        assert!(!runtime.shared.state.lock().running.is_empty());
    }
    program.say("0\r\n\r\n").await;
    assert_eq!(pieces.next().await, Ok(None));
    assert!(program.heard().await.starts_with("HTTP/1.1 202"));
    let state = runtime.shared.state.lock();
    assert!(state.running.is_empty() && state.awaited.is_empty(), "{state:?}");
}

#[tokio::test]
async fn an_error_behind_the_pieces_is_told_with_its_body() {
    let (_runtime, mut program, mut pieces) = begun().await;
    program.piece(b"some").await.unwrap();
    let body = BASE64_STANDARD.encode("{\"errorMessage\":\"no\"}");
    program.say("0\r\nLambda-Runtime-Function-Error-Type: Function.Sad\r\n").await;
    program.say(&format!("Lambda-Runtime-Function-Error-Body: {body}\r\n\r\n")).await;
    assert_eq!(pieces.next().await, Ok(Some(Bytes::from_static(b"some"))));
    let failure = pieces.next().await.unwrap_err();
    assert_eq!(
        (failure.kind.as_str(), &failure.payload[..]),
        ("Function.Sad", &b"{\"errorMessage\":\"no\"}"[..])
    );
}

#[tokio::test]
async fn an_answer_that_breaks_off_has_failed() {
    let (runtime, mut program, mut pieces) = begun().await;
    program.piece(b"some").await.unwrap();
    assert_eq!(pieces.next().await, Ok(Some(Bytes::from_static(b"some"))));
    drop(program);
    assert_eq!(pieces.next().await.unwrap_err().kind, "Runtime.TruncatedResponse");
    while !runtime.shared.state.lock().running.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_program_is_read_as_fast_as_its_caller_reads() {
    let (_runtime, mut program, mut pieces) = begun().await;
    let piece = vec![7; 1 << 20];
    let mut written = 0;
    let writes = async {
        // What sockets hold is a few of these.
        for _ in 0..64 {
            program.piece(&piece).await.unwrap();
            written += 1;
        }
    };
    let waited = tokio::time::timeout(Duration::from_millis(200), writes).await;
    assert!(waited.is_err() && written < 32, "{written} MiB were taken and nobody read");
    let mut read = 0;
    while read < written << 20 {
        read += pieces.next().await.unwrap().unwrap().len();
    }
}

#[tokio::test]
async fn an_answer_in_pieces_has_a_limit() {
    let (_runtime, mut program, mut pieces) = begun().await;
    let piece = vec![7; 4 << 20];
    let writes = async {
        // The last one is refused, and its connection with it.
        for _ in 0..=STREAM_BYTES_MAX / piece.len() as u64 {
            if program.piece(&piece).await.is_err() {
                break;
            }
        }
    };
    let reads = async {
        let mut bytes = 0;
        loop {
            match pieces.next().await {
                Ok(piece) => bytes += piece.unwrap().len() as u64,
                Err(failure) => return (bytes, failure),
            }
        }
    };
    let (bytes, failure) = tokio::join!(reads, writes).0;
    assert!(bytes <= STREAM_BYTES_MAX && bytes > STREAM_BYTES_MAX - (8 << 20), "{bytes}");
    assert_eq!(failure.kind, "Function.ResponseSizeTooLarge");
    assert!(String::from_utf8_lossy(&failure.payload).contains("209715200 bytes"), "{failure:?}");
}

#[tokio::test]
async fn whoever_wants_it_whole_gets_it_whole_up_to_the_limit_of_such() {
    let (_runtime, mut program, pieces) = begun().await;
    let said = async {
        program.piece(b"one ").await.unwrap();
        program.piece(b"two").await.unwrap();
        program.say("0\r\n\r\n").await;
    };
    let (whole, ()) = tokio::join!(pieces.whole(), said);
    assert_eq!(whole, Ok(Bytes::from_static(b"one two")));
    let (_runtime, mut program, pieces) = begun().await;
    let large = vec![7; ANSWER_BYTES_MAX + 1];
    let said = async {
        // Nobody reads it to its end.
        let _ = program.piece(&large).await;
    };
    let (whole, ()) = tokio::join!(pieces.whole(), said);
    assert_eq!(whole.unwrap_err().kind, "Function.ResponseSizeTooLarge");
}
