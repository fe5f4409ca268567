#![expect(clippy::disallowed_methods, reason = "tasks of a test end with its runtime")]

mod proxied;

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

mod extensions;
mod streams;

fn invocation(id: &str) -> Invocation {
    Invocation {
        id: id.to_owned(),
        deadline_ms: 1_700_000_000_000,
        payload: Bytes::from(format!("{{\"call\":\"{id}\"}}")),
        function_arn: "arn:aws:lambda:local:1:function:f:live".to_owned(),
        trace_id: Some("Root=1-2-3".to_owned()),
        client_context: None,
    }
}

fn answered(text: &str) -> Outcome {
    Outcome::Answered { payload: Bytes::from(text.to_owned()), media_type: None }
}

fn about() -> About {
    let [name, version, handler, account] = ["f", "7", "app.handler", "1"].map(str::to_owned);
    About { name, version, handler, account }
}

/// A runtime, and a program in miniature that speaks to it.
async fn served() -> (Runtime, Program) {
    served_with(None).await
}

/// The same, with this way out.
async fn served_with(outlet: Option<Outlet>) -> (Runtime, Program) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let about = (about(), Concurrency::default());
    let (runtime, serving) = Runtime::serve(listener, (about, Clock::system()), outlet).unwrap();
    tokio::spawn(serving);
    (runtime, Program(TcpStream::connect(address).await.unwrap()))
}

struct Program(TcpStream);

impl Program {
    /// Sends a request; gives the status, the head and the body of the answer.
    async fn ask(&mut self, line: &str, headers: &str, body: &[u8]) -> (u16, String, String) {
        let length = body.len();
        let head =
            format!("{line} HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n{headers}\r\n");
        self.0.write_all(head.as_bytes()).await.unwrap();
        // A refused body is not read to its end.
        let _ = self.0.write_all(body).await;
        let mut seen = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&seen).to_lowercase();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let told = head.split("content-length: ").nth(1).unwrap();
                let length: usize = told.lines().next().unwrap().parse().unwrap();
                if body.len() >= length {
                    let status = head[9..12].parse().unwrap();
                    let whole = String::from_utf8_lossy(&seen).into_owned();
                    let body = whole.split_once("\r\n\r\n").unwrap().1.to_owned();
                    return (status, head.to_owned(), body);
                }
            }
            let mut part = [0; 4_096];
            let count = self.0.read(&mut part).await.unwrap();
            assert!(count > 0, "the connection broke after {text:?}");
            seen.extend_from_slice(&part[..count]);
        }
    }

    /// Another connection to the same.
    async fn another(&self) -> Self {
        Self(TcpStream::connect(self.0.peer_addr().unwrap()).await.unwrap())
    }

    async fn next(&mut self) -> (u16, String, String) {
        self.ask("GET /2018-06-01/runtime/invocation/next", "", b"").await
    }
}

#[tokio::test]
async fn a_call_goes_to_the_program_and_its_answer_comes_back() {
    let (runtime, mut program) = served().await;
    let call = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(invocation("r-1")).await }
    });
    let (status, head, body) = program.next().await;
    assert_eq!((status, body.as_str()), (200, "{\"call\":\"r-1\"}"));
    for told in [
        "lambda-runtime-aws-request-id: r-1",
        "lambda-runtime-deadline-ms: 1700000000000",
        "lambda-runtime-invoked-function-arn: arn:aws:lambda:local:1:function:f:live",
        "lambda-runtime-trace-id: root=1-2-3",
        "content-type: application/json",
    ] {
        assert!(head.contains(told), "{told}: {head}");
    }
    assert!(!head.contains("client-context"), "{head}");
    let respond = "POST /2018-06-01/runtime/invocation/r-1/response";
    assert_eq!(program.ask(respond, "content-type: text/plain\r\n", b"42").await.0, 202);
    let media_type = Some("text/plain".to_owned());
    let payload = Bytes::from_static(b"42");
    assert_eq!(call.await.unwrap(), Outcome::Answered { payload, media_type });
}

#[tokio::test]
async fn what_the_program_may_not_say_now_is_refused() {
    let (runtime, mut program) = served().await;
    let respond = "POST /2018-06-01/runtime/invocation/r/response";
    let (status, _, body) = program.ask(respond, "", b"1").await;
    assert_eq!((status, body.contains("InvalidRequestID")), (400, true), "{body}");
    let call = tokio::spawn({
        let runtime = runtime.clone();
        async move { runtime.invoke(invocation("r")).await }
    });
    while runtime.shared.state.lock().awaited.is_empty() {
        tokio::task::yield_now().await;
    }
    let forbidden = [(respond, "Started")];
    for (line, from) in forbidden {
        let (status, _, body) = program.ask(line, "", b"1").await;
        assert_eq!(status, 403, "{line}");
        assert!(body.contains("InvalidStateTransition") && body.contains(from), "{body}");
    }
    assert_eq!(program.next().await.0, 200);
    let begin = "POST /2018-06-01/runtime/init/error";
    let (status, _, body) = program.ask(begin, "", b"{}").await;
    assert_eq!((status, body.contains("Running")), (403, true), "{body}");
    assert_eq!(program.ask(respond, "", b"1").await.0, 202);
    let (status, _, body) = program.ask(respond, "", b"2").await;
    assert_eq!((status, body.contains("ResponseSent")), (403, true), "{body}");
    assert_eq!(call.await.unwrap(), answered("1"));
}

#[tokio::test]
async fn a_program_that_asks_again_without_an_answer_is_told_the_same() {
    let (runtime, mut program) = served().await;
    let call = runtime.invoke(invocation("r"));
    let program = async {
        let first = program.next().await;
        // As where its connection broke before it had read the answer.
        let mut again = program.another().await;
        assert_eq!(again.next().await.2, first.2);
        let respond = "POST /2018-06-01/runtime/invocation/r/response";
        assert_eq!(again.ask(respond, "", b"1").await.0, 202);
    };
    assert_eq!(tokio::join!(call, program).0, answered("1"));
}

#[tokio::test]
async fn an_unknown_mode_of_answering_fails_the_call() {
    let (runtime, mut program) = served().await;
    let call = runtime.invoke(invocation("r"));
    let program = async {
        program.next().await;
        let respond = "POST /2018-06-01/runtime/invocation/r/response";
        let mode = "lambda-runtime-function-response-mode: some\r\n";
        program.ask(respond, mode, b"1").await
    };
    let (outcome, (status, _, body)) = tokio::join!(call, program);
    assert_eq!((status, body.contains("InvalidFunctionResponseMode")), (400, true), "{body}");
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.kind, "Runtime.InvalidResponseModeHeader");
}

#[tokio::test]
async fn what_was_never_stored_is_restored_at_once() {
    let (_runtime, mut program) = served().await;
    let (status, _, body) = program.ask("GET /2018-06-01/runtime/restore/next", "", b"").await;
    assert_eq!((status, body.as_str()), (200, ""));
}

#[tokio::test]
async fn errors_keep_their_kind_where_it_is_one() {
    let (runtime, mut program) = served().await;
    for (said, kind) in [
        ("lambda-runtime-function-error-type: Function.ValueError\r\n", "Function.ValueError"),
        ("lambda-runtime-function-error-type: Runtime.ExitError\r\n", "Runtime.ExitError"),
        ("lambda-runtime-function-error-type: ValueError\r\n", "Function.Unknown"),
        ("lambda-runtime-function-error-type: Runtime.no\r\n", "Runtime.Unknown"),
        ("", "Function.Unknown"),
    ] {
        let call = runtime.invoke(invocation("r"));
        let answer = async {
            program.next().await;
            program.ask("POST /2018-06-01/runtime/invocation/r/error", said, b"{}").await
        };
        let (outcome, answer) = tokio::join!(call, answer);
        let payload = Bytes::from_static(b"{}");
        assert_eq!(outcome, Outcome::Failed(Failure { kind: kind.to_owned(), payload }));
        assert_eq!(answer.0, 202);
    }
}

#[tokio::test]
async fn a_program_begins_or_says_why_not() {
    let (runtime, mut program) = served().await;
    let asking = tokio::spawn(async move { program.next().await });
    let begun = runtime.begun().await;
    asking.abort();
    assert_eq!(begun, Begun::Yes);
    let (runtime, mut program) = served().await;
    let said = "lambda-runtime-function-error-type: Runtime.ImportModuleError\r\n";
    let answer = program.ask("POST /2018-06-01/runtime/init/error", said, b"no module").await;
    assert_eq!(answer.0, 202);
    let payload = Bytes::from_static(b"no module");
    let kind = "Runtime.ImportModuleError".to_owned();
    assert_eq!(runtime.begun().await, Begun::Failed(Failure { kind, payload }));
}

#[tokio::test]
async fn what_is_too_large_is_the_functions_error_and_what_is_unknown_is_refused() {
    let (runtime, mut program) = served().await;
    let respond = "POST /2018-06-01/runtime/invocation/r/response";
    let call = runtime.invoke(invocation("r"));
    let said = async {
        program.next().await;
        program.ask(respond, "", &vec![b'x'; ANSWER_BYTES_MAX + 1]).await
    };
    let (outcome, (status, _, body)) = tokio::join!(call, said);
    assert_eq!((status, body.contains("6291556 bytes")), (413, true));
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.kind, "Function.ResponseSizeTooLarge");
    let mut program = program.another().await;
    assert_eq!(program.ask("GET /2018-06-01/ping", "", b"").await.2, "pong");
    assert_eq!(program.ask("GET /2099-01-01/else", "", b"").await.0, 404);
    let call = runtime.invoke(invocation("r"));
    let said = async {
        program.next().await;
        program.ask(respond, "", &vec![b'x'; ANSWER_BYTES_MAX]).await
    };
    let (outcome, (status, ..)) = tokio::join!(call, said);
    assert_eq!(status, 202);
    let Outcome::Answered { payload, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(payload.len(), ANSWER_BYTES_MAX);
}

/// What happens to a runtime, one after the other.
#[derive(Clone, Copy, Debug)]
enum Event {
    Call,
    Ask,
    /// The caller that has waited the longest goes away.
    Leave,
    GiveUp,
    Answer,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    use self::Event::{Answer, Ask, Call, GiveUp, Leave};
    vec(prop_oneof![Just(Call), Just(Ask), Just(Leave), Just(GiveUp), Just(Answer)], 0..60)
}

proptest! {
    /// Calls are handed out in order, no more at a time than the program may have, and again only
    /// while they are unanswered and it may have one; nothing that was given up is handed out later;
    /// each outcome goes to its own call; in the end nothing is kept.
    #[test]
    fn no_more_calls_are_handed_out_than_a_program_may_have_and_in_order(
        events in events(),
        most in 1..4_u32,
    ) {
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio.block_on(async move {
            let concurrency = Concurrency::try_from(most).unwrap();
            let about = (About::default(), concurrency);
            let runtime = Runtime::new((about, Clock::system()), None);
            let (mut calls, mut asks) = (VecDeque::new(), VecDeque::new());
            let (mut handed, mut count) = (Vec::<String>::new(), 0);
            let mut unanswered: VecDeque<String> = VecDeque::new();
            for event in events {
                match event {
                    Event::Call => {
                        count += 1;
                        let (own, id) = (runtime.clone(), format!("r-{count}"));
                        let call = tokio::spawn(async move {
                            let invocation = invocation(&id);
                            (own.invoke(invocation).await, id)
                        });
                        calls.push_back((count, call));
                    }
                    Event::Ask => {
                        let own = runtime.clone();
                        asks.push_back(tokio::spawn(async move { own.next().await }));
                    }
                    Event::Leave => drop(asks.pop_front().map(|ask| ask.abort())),
                    Event::GiveUp => drop(calls.pop_back().map(|(_, call)| call.abort())),
                    Event::Answer => {
                        if let Some(id) = unanswered.pop_front() {
                            // It may have been given up.
                            let _ = runtime.over(&id, answered(&id));
                        }
                    }
                }
                // Lets every task come as far as it can.
                for _ in 0..4 {
                    tokio::task::yield_now().await;
                }
                let mut open = VecDeque::new();
                for ask in asks.drain(..) {
                    if ask.is_finished() {
                        if let Ok(Invocation { id, .. }) = ask.await {
                            if unanswered.contains(&id) {
                                assert!(concurrency.is_one(), "{id} came twice");
                            } else {
                                handed.push(id.clone());
                                unanswered.push_back(id);
                            }
                        }
                    } else {
                        open.push_back(ask);
                    }
                }
                asks = open;
                assert!(runtime.shared.state.lock().running.len() <= most as usize);
            }
            let numbers: Vec<u32> = handed.iter().map(|id| id[2..].parse().unwrap()).collect();
            assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]), "{numbers:?}");
            for id in unanswered {
                let _ = runtime.over(&id, answered(&id));
            }
            for (_, call) in calls {
                if call.is_finished() {
                    let (outcome, id) = call.await.unwrap();
                    assert_eq!(outcome, answered(&id));
                } else {
                    call.abort();
                    let _ = call.await;
                }
            }
            for _ in 0..4 {
                tokio::task::yield_now().await;
            }
            let state = runtime.shared.state.lock();
            assert!(state.awaited.is_empty() && state.queued.is_empty(), "{state:?}");
        });
    }
}
