//! The Runtime API: what a function's program asks from inside its sandbox, and what it is told.
//!
//! States of an instance: beginning (its program, or an extension, has not asked for work yet),
//! begun (all have), failed (one said that it cannot begin). States of an invocation: queued,
//! running, over.
//! Always true: an invocation goes to one caller of the program, in the order in which it came; no
//! more are out than the program may have, and the only one comes again where it asks without having
//! answered; an outcome is taken once; what nobody waits for any more is forgotten.
//! Absent on purpose: deadlines and the program's end, which its owner watches.
//! Source: AWS Lambda's Runtime API of 2018-06-01, and its Runtime Interface Emulator for refusals.

mod extensions;
mod http;
mod proxy;
mod server;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use types::Concurrency;
use workflow::Clock;

use crate::start::Work;

pub use extensions::Shutdown;
pub use streams::{STREAM_BYTES_MAX, Streamed};

use extensions::{Event, Extensions};

use crate::egress::Outlet;

/// Most bytes of an answer: what Lambda takes, 6 MiB and a little.
pub const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;
/// Most bytes of what a program says of an error; the rest of the stack is cut by its runtime.
pub const ERROR_BYTES_MAX: usize = 256 * 1024;

/// One call of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The request's id: unique, and free of anything but letters, digits and `-`.
    pub id: String,
    /// When its answer is of no more use, in milliseconds since 1970.
    pub deadline_ms: u64,
    /// What is handed to the handler.
    pub payload: Bytes,
    /// What was invoked, with its qualifier.
    pub function_arn: String,
    /// Of the caller's trace.
    pub trace_id: Option<String>,
    /// What the caller's SDK says of itself, JSON.
    pub client_context: Option<String>,
}

/// What became of a call.
#[derive(Debug, PartialEq)]
pub enum Outcome {
    /// The handler's answer.
    Answered {
        /// What it returned.
        payload: Bytes,
        /// Its media type, where the program told one.
        media_type: Option<String>,
    },
    /// The handler's answer, as it is made.
    Streamed(Streamed),
    /// The handler failed.
    Failed(Failure),
}

/// What a program says of an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Such as `Function.ValueError`; `Runtime.Unknown` or `Function.Unknown` where it said none.
    pub kind: String,
    /// JSON: `errorMessage`, `errorType`, `stackTrace`.
    pub payload: Bytes,
}

impl Failure {
    /// A failure that is told in our words, by its kind and its message.
    pub fn new(kind: &str, message: &str) -> Self {
        let payload = serde_json::json!({ "errorType": kind, "errorMessage": message });
        Self { kind: kind.to_owned(), payload: payload.to_string().into() }
    }
}

/// How far an instance has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It has not asked for work yet.
    Beginning,
    /// It has.
    Yes,
    /// It said that it cannot.
    Failed(Failure),
}

/// What extensions are told of the function that they run beside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The function's name.
    pub name: String,
    /// `$LATEST`, or a number.
    pub version: String,
    /// What is called in its package.
    pub handler: String,
    /// The number of its account.
    pub account: String,
}

impl About {
    /// What the variables of this work say.
    pub(crate) fn of(work: &Work) -> Self {
        let Work::Function(function) = work else { return Self::default() };
        let said = |name: &str| function.env.get(name).cloned().unwrap_or_default();
        Self {
            name: said("AWS_LAMBDA_FUNCTION_NAME"),
            version: said("AWS_LAMBDA_FUNCTION_VERSION"),
            handler: said("_HANDLER"),
            account: said("AWS_ACCOUNT_ID"),
        }
    }
}

/// The Runtime API of one instance. Clones are the same.
#[derive(Clone, Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    about: About,
    /// How many calls the program may have at a time.
    concurrency: Concurrency,
    clock: Clock,
    state: Mutex<State>,
    begun: watch::Sender<Begun>,
    /// Where connections of the program go; none where there is no proxy.
    outlet: Option<Outlet>,
    /// What an extension said, after which the instance is of no use.
    broken: watch::Sender<Option<Failure>>,
    /// Whether every extension has seen to the calls so far.
    ready: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the program has ever asked for work.
    asked: bool,
    /// Callers that wait for work, the longest waiting first.
    waiting: VecDeque<oneshot::Sender<Invocation>>,
    /// Work that waits for a caller, in the order in which it came.
    queued: VecDeque<Invocation>,
    /// What the program works on, by the request's id.
    running: BTreeMap<String, Invocation>,
    /// What it has answered last, where it has not asked for more since.
    answered: Option<String>,
    /// Where the outcome of each is awaited, by the request's id.
    awaited: BTreeMap<String, oneshot::Sender<Outcome>>,
    extensions: Extensions,
}

/// Why an outcome was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotTaken {
    /// Nobody waits for it.
    Unknown,
    /// The program is not where it could have one, but here.
    State(&'static str),
}

impl Runtime {
    /// Answers on this listener for as long as the returned future is polled.
    ///
    /// # Errors
    ///
    /// Where the listener cannot be watched.
    pub(crate) fn serve(
        listener: TcpListener,
        (about, clock): ((About, Concurrency), Clock),
        outlet: Option<Outlet>,
    ) -> io::Result<(Self, impl Future<Output = ()>)> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let runtime = Self::new((about, clock), outlet);
        Ok((runtime.clone(), http::serve(listener, runtime)))
    }

    fn outlet(&self) -> Option<&Outlet> {
        self.shared.outlet.as_ref()
    }

    /// Gives a program that is a server its work, through these sockets of its sandbox, for as long as
    /// the returned future is polled.
    pub(crate) fn of_server(
        sockets: Vec<OwnedFd>,
        about: (About, Concurrency),
        clock: Clock,
    ) -> (Self, impl Future<Output = ()>) {
        let runtime = Self::new((about, clock), None);
        (runtime.clone(), server::serve(sockets, runtime))
    }

    fn new(
        ((about, concurrency), clock): ((About, Concurrency), Clock),
        outlet: Option<Outlet>,
    ) -> Self {
        let shared = Shared {
            about,
            concurrency,
            clock,
            state: Mutex::default(),
            begun: watch::Sender::new(Begun::Beginning),
            outlet,
            broken: watch::Sender::new(None),
            ready: watch::Sender::new(true),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Waits until the program and its extensions have begun, or one says that it cannot.
    pub async fn begun(&self) -> Begun {
        let mut begun = self.shared.begun.subscribe();
        match begun.wait_for(|begun| *begun != Begun::Beginning).await {
            Ok(begun) => begun.clone(),
            // The sender lives as long as `self`.
            Err(_) => Begun::Beginning,
        }
    }

    /// Whether the program waits for work.
    pub fn is_waiting(&self) -> bool {
        let mut state = self.shared.state.lock();
        state.waiting.retain(|caller| !caller.is_closed());
        !state.waiting.is_empty()
    }

    /// Whether a call that is under way still waits for the program to ask for it: then the program
    /// has seen nothing of it.
    pub fn is_untouched(&self, id: &str) -> bool {
        self.shared.state.lock().queued.iter().any(|queued| queued.id == id)
    }

    /// Waits until every extension that is told of calls has seen to the last one; after
    /// [`Runtime::shut_down`], until every one that wanted to know has seen to the end.
    pub async fn ready(&self) {
        // The sender lives as long as `self`.
        let _ = self.shared.ready.subscribe().wait_for(|ready| *ready).await;
    }

    /// Whether every extension that is told of calls has seen to the last one.
    pub fn is_ready(&self) -> bool {
        *self.shared.ready.borrow()
    }

    /// Waits until an extension says that it cannot go on; for ever where none does.
    pub async fn broken(&self) -> Failure {
        let mut broken = self.shared.broken.subscribe();
        let said = broken.wait_for(Option::is_some).await.ok().and_then(|said| said.clone());
        match said {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }

    /// Whether an extension has said that it cannot go on.
    pub fn is_broken(&self) -> bool {
        self.shared.broken.borrow().is_some()
    }

    /// Tells extensions that the instance ends at that time, in milliseconds since 1970. False where
    /// there is no extension, and so nobody to give that time to.
    pub fn shut_down(&self, reason: Shutdown, deadline_ms: u64) -> bool {
        let mut state = self.shared.state.lock();
        state.extensions.tell(&Event::Shutdown { reason, deadline_ms });
        self.note_ready(&state);
        !state.extensions.is_empty()
    }

    /// Has the program do this, and waits for the outcome, for ever where it gives none. Dropping
    /// the future gives up the outcome; the program is told nothing.
    pub async fn invoke(&self, invocation: Invocation) -> Outcome {
        let (tell, outcome) = oneshot::channel();
        let given_up = GivenUp { runtime: self, id: invocation.id.clone() };
        {
            let mut state = self.shared.state.lock();
            state.extensions.tell(&Event::Invoke((&invocation).into()));
            self.note_ready(&state);
            state.awaited.insert(invocation.id.clone(), tell);
            state.queued.push_back(invocation);
            state.hand_out(self.shared.concurrency);
        }
        let outcome = outcome.await;
        match outcome {
            Ok(outcome) => {
                if matches!(outcome, Outcome::Streamed(_)) {
                    // It is over when its last piece was taken.
                    given_up.not_yet();
                }
                outcome
            }
            // Another call has the same id: its outcome counts.
            Err(_) => std::future::pending().await,
        }
    }

    /// The next work for a caller of the program.
    async fn next(&self) -> Invocation {
        loop {
            let (tell, next) = oneshot::channel();
            {
                let mut state = self.shared.state.lock();
                state.asked = true;
                state.answered = None;
                // Of several it is not known which one its caller has had.
                if let Some(unanswered) = state.running.values().next()
                    && self.shared.concurrency.is_one()
                {
                    return unanswered.clone();
                }
                state.waiting.push_back(tell);
                state.hand_out(self.shared.concurrency);
                self.note_begun(&mut state);
            }
            if let Ok(invocation) = next.await {
                return invocation;
            }
        }
    }

    /// The next event for an extension; none where it is not known.
    async fn next_event(&self, id: &str) -> Option<Event> {
        loop {
            let next = {
                let mut state = self.shared.state.lock();
                let next = state.extensions.next(id)?;
                self.note_begun(&mut state);
                self.note_ready(&state);
                next
            };
            match next.await {
                Ok(event) => return Some(event),
                // Another caller of the same extension has asked since.
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Notes whether all have begun.
    fn note_begun(&self, state: &mut State) {
        if !state.asked || !state.extensions.have_begun() {
            return;
        }
        state.extensions.close();
        self.shared.begun.send_if_modified(|begun| {
            let first = *begun == Begun::Beginning;
            if first {
                *begun = Begun::Yes;
            }
            first
        });
    }

    /// Notes whether all extensions are ready for another call.
    fn note_ready(&self, state: &State) {
        let now = state.extensions.are_ready();
        self.shared.ready.send_if_modified(|ready| std::mem::replace(ready, now) != now);
    }

    /// Takes the outcome of a call.
    fn over(&self, id: &str, outcome: Outcome) -> Result<(), NotTaken> {
        let mut state = self.shared.state.lock();
        state.may_answer(id)?;
        let awaited = state.awaited.remove(id).ok_or(NotTaken::Unknown)?;
        state.settle(id, self.shared.concurrency);
        awaited.send(outcome).map_err(|_| NotTaken::Unknown)
    }

    /// Notes that the program cannot begin; refused once it has asked for work.
    fn cannot_begin(&self, failure: Failure) -> Result<(), NotTaken> {
        let state = self.shared.state.lock();
        if state.asked {
            return Err(NotTaken::State(state.name()));
        }
        let failed = self.shared.begun.send_if_modified(|begun| {
            let first = *begun == Begun::Beginning;
            if first {
                *begun = Begun::Failed(failure);
            }
            first
        });
        if failed { Ok(()) } else { Err(NotTaken::State("InitError")) }
    }

    /// Notes what an extension says, after which the instance is of no use.
    fn extension_failed(&self, failure: Failure) {
        self.shared.begun.send_if_modified(|begun| {
            let first = *begun == Begun::Beginning;
            if first {
                *begun = Begun::Failed(failure.clone());
            }
            first
        });
        self.shared.broken.send_if_modified(|broken| {
            let first = broken.is_none();
            broken.get_or_insert(failure);
            first
        });
    }
}

impl State {
    /// Gives work to whoever waits for it the longest, where the program has less than it may have.
    fn hand_out(&mut self, concurrency: Concurrency) {
        while self.running.len() < concurrency.get() as usize
            && let Some(invocation) = self.queued.pop_front()
        {
            let Some(caller) = self.waiting.pop_front() else {
                return self.queued.push_front(invocation);
            };
            match caller.send(invocation.clone()) {
                Ok(()) => {
                    self.running.insert(invocation.id.clone(), invocation);
                }
                // That caller has gone.
                Err(back) => self.queued.push_front(back),
            }
        }
    }

    /// Notes that the program has answered, and gives it what waits.
    fn settle(&mut self, id: &str, concurrency: Concurrency) {
        self.running.remove(id);
        self.answered = Some(id.to_owned());
        self.hand_out(concurrency);
    }

    /// Whether the program may tell an outcome of this call now.
    fn may_answer(&self, id: &str) -> Result<(), NotTaken> {
        if self.running.contains_key(id) {
            return Ok(());
        }
        let known = self.answered.as_deref() == Some(id) || self.awaited.contains_key(id);
        Err(if known { NotTaken::State(self.name()) } else { NotTaken::Unknown })
    }

    /// What the program does, in the words of Lambda's emulator.
    fn name(&self) -> &'static str {
        match (self.asked, self.running.is_empty(), self.answered.is_some()) {
            (false, ..) => "Started",
            (true, false, _) => "Running",
            (true, true, true) => "ResponseSent",
            (true, true, false) => "Ready",
        }
    }
}

/// What a call is told whose answer is too large.
fn too_large(bytes_max: u64) -> Failure {
    let message =
        format!("Response payload size exceeded maximum allowed payload size ({bytes_max} bytes).");
    Failure::new("Function.ResponseSizeTooLarge", &message)
}

/// Forgets a call whose outcome nobody waits for any more.
struct GivenUp<'a> {
    runtime: &'a Runtime,
    id: String,
}

impl GivenUp<'_> {
    /// The program still works on it, and whoever reads its answer sees to the end.
    fn not_yet(mut self) {
        self.id.clear();
    }
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        let mut state = self.runtime.shared.state.lock();
        state.awaited.remove(&self.id);
        state.queued.retain(|queued| queued.id != self.id);
        state.running.remove(&self.id);
        state.hand_out(self.runtime.shared.concurrency);
    }
}

#[cfg(test)]
mod tests;
