//! The Runtime API: what a function's program asks from inside its sandbox, and what it is told.
//!
//! States of an instance: beginning (it has not asked for work yet), begun (it has), failed (it
//! said that it cannot begin). States of an invocation: queued, running, over.
//! Always true: an invocation is handed out once, in the order in which it came; its outcome is
//! taken once; what nobody waits for any more is forgotten.
//! Absent on purpose: deadlines and the program's end, which its owner watches; extensions.
//! Source: AWS Lambda's Runtime API of 2018-06-01.

mod http;
mod proxy;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The handler's answer.
    Answered {
        /// What it returned.
        payload: Bytes,
        /// Its media type, where the program told one.
        media_type: Option<String>,
    },
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

/// The Runtime API of one instance. Clones are the same.
#[derive(Clone, Debug)]
pub struct Runtime {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    begun: watch::Sender<Begun>,
    /// Where connections of the program go; none where there is no proxy.
    outlet: Option<Outlet>,
}

#[derive(Debug, Default)]
struct State {
    /// Callers that wait for work, the longest waiting first.
    waiting: VecDeque<oneshot::Sender<Invocation>>,
    /// Work that waits for a caller, in the order in which it came.
    queued: VecDeque<Invocation>,
    /// Where the outcome of each is awaited, by the request's id.
    awaited: BTreeMap<String, oneshot::Sender<Outcome>>,
}

impl Runtime {
    /// Answers on this listener for as long as the returned future is polled.
    ///
    /// # Errors
    ///
    /// Where the listener cannot be watched.
    pub(crate) fn serve(
        listener: TcpListener,
        outlet: Option<Outlet>,
    ) -> io::Result<(Self, impl Future<Output = ()>)> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let begun = watch::Sender::new(Begun::Beginning);
        let shared = Shared { state: Mutex::default(), begun, outlet };
        let runtime = Self { shared: Arc::new(shared) };
        Ok((runtime.clone(), http::serve(listener, runtime)))
    }

    fn outlet(&self) -> Option<&Outlet> {
        self.shared.outlet.as_ref()
    }

    /// Waits until the program has begun, or says that it cannot.
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

    /// Has the program do this, and waits for the outcome, for ever where it gives none. Dropping
    /// the future gives up the outcome; the program is told nothing.
    pub async fn invoke(&self, invocation: Invocation) -> Outcome {
        let (tell, outcome) = oneshot::channel();
        let given_up = GivenUp { runtime: self, id: invocation.id.clone() };
        {
            let mut state = self.shared.state.lock();
            state.awaited.insert(invocation.id.clone(), tell);
            state.hand_out(invocation);
        }
        let outcome = outcome.await;
        drop(given_up);
        match outcome {
            Ok(outcome) => outcome,
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
                match state.queued.pop_front() {
                    Some(invocation) => return invocation,
                    None => state.waiting.push_back(tell),
                }
            }
            self.shared.begun.send_if_modified(|begun| {
                let first = *begun == Begun::Beginning;
                if first {
                    *begun = Begun::Yes;
                }
                first
            });
            if let Ok(invocation) = next.await {
                return invocation;
            }
        }
    }

    /// Takes the outcome of a call; false where nobody waits for it.
    fn over(&self, id: &str, outcome: Outcome) -> bool {
        let awaited = self.shared.state.lock().awaited.remove(id);
        awaited.is_some_and(|awaited| awaited.send(outcome).is_ok())
    }

    /// Notes that the program cannot begin.
    fn cannot_begin(&self, failure: Failure) {
        self.shared.begun.send_replace(Begun::Failed(failure));
    }
}

impl State {
    /// Gives work to whoever waits for it the longest; to the next who asks, where nobody does.
    fn hand_out(&mut self, mut invocation: Invocation) {
        while let Some(caller) = self.waiting.pop_front() {
            match caller.send(invocation) {
                Ok(()) => return,
                // That caller has gone.
                Err(back) => invocation = back,
            }
        }
        self.queued.push_back(invocation);
    }
}

/// Forgets a call whose outcome nobody waits for any more.
struct GivenUp<'a> {
    runtime: &'a Runtime,
    id: String,
}

impl Drop for GivenUp<'_> {
    fn drop(&mut self) {
        let mut state = self.runtime.shared.state.lock();
        state.awaited.remove(&self.id);
        state.queued.retain(|queued| queued.id != self.id);
    }
}

#[cfg(test)]
mod tests;
