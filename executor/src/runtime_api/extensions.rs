//! Extensions: programs beside the handler that are told of calls and of the end.
//!
//! States of one: registered (it has not asked for an event yet) → waiting ⇄ working.
//! Always true: an event is handed out once, in the order in which it came; one that asked for no
//! calls holds up nothing after it has asked once.
//! Absent on purpose: extensions of layers, which somebody else would have to start: whoever
//! registers was started by the function's program, and may ask for the shutdown too.
//! Source: AWS Lambda's Extensions API of 2020-01-01.

use std::collections::{BTreeMap, VecDeque};

use tokio::sync::oneshot;

use super::Invocation;

/// Most extensions of an instance. Source: Lambda's limit.
pub(super) const EXTENSIONS_MAX: usize = 10;
/// Longest name. Source: Lambda's limit of a file's name, which an extension is named after.
const NAME_BYTES_MAX: usize = 128;

/// What an extension may be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Kind {
    Invoke,
    Shutdown,
}

/// Why an instance is about to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Nobody needs it.
    Spindown,
    /// Its call ran past the deadline.
    Timeout,
    /// It failed.
    Failure,
}

/// What an extension is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Invoke(Told),
    Shutdown { reason: Shutdown, deadline_ms: u64 },
}

/// What an extension is told of a call: all but its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) deadline_ms: u64,
    pub(super) function_arn: String,
    pub(super) trace_id: Option<String>,
}

impl From<&Invocation> for Told {
    fn from(invocation: &Invocation) -> Self {
        Self {
            id: invocation.id.clone(),
            deadline_ms: invocation.deadline_ms,
            function_arn: invocation.function_arn.clone(),
            trace_id: invocation.trace_id.clone(),
        }
    }
}

/// Why an extension was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Name,
    Closed,
    Known,
    TooMany,
}

/// The extensions of one instance, by their identifiers.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    all: BTreeMap<String, Extension>,
    /// Whether the instance has begun, after which nobody registers.
    closed: bool,
    /// Whether they were told of the end.
    ending: bool,
}

#[derive(Debug)]
struct Extension {
    name: String,
    events: Vec<Kind>,
    /// Whether it has ever asked for an event.
    asked: bool,
    waiting: Option<oneshot::Sender<Event>>,
    /// At most the calls that the program may have at a time and the shutdown: the next call waits
    /// until these have been seen to.
    queued: VecDeque<Event>,
}

impl Extensions {
    /// Takes an extension under this identifier.
    pub(super) fn register(
        &mut self,
        id: String,
        name: &str,
        events: Vec<Kind>,
    ) -> Result<(), Refusal> {
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(Refusal::Name);
        }
        if self.closed {
            return Err(Refusal::Closed);
        }
        if self.all.values().any(|known| known.name == name) {
            return Err(Refusal::Known);
        }
        if self.all.len() >= EXTENSIONS_MAX {
            return Err(Refusal::TooMany);
        }
        let (name, queued) = (name.to_owned(), VecDeque::new());
        let extension = Extension { name, events, asked: false, waiting: None, queued };
        self.all.insert(id, extension);
        Ok(())
    }

    /// Lets nobody register from now on.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    /// Whether there is one of this identifier.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.all.contains_key(id)
    }

    /// Whether there is any.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether each has begun.
    pub(super) fn have_begun(&self) -> bool {
        self.all.values().all(|extension| extension.asked)
    }

    /// Whether each that is told of calls has seen to the ones before; once they were told of the end,
    /// whether each that wanted to know has seen to that.
    pub(super) fn are_ready(&self) -> bool {
        let kind = if self.ending { Kind::Shutdown } else { Kind::Invoke };
        let told = |extension: &&Extension| extension.events.contains(&kind);
        let ready = |extension: &Extension| {
            let waits = extension.waiting.as_ref().is_some_and(|waiting| !waiting.is_closed());
            waits && extension.queued.is_empty()
        };
        self.all.values().filter(told).all(ready)
    }

    /// The next event for an extension; none where there is no such extension.
    pub(super) fn next(&mut self, id: &str) -> Option<oneshot::Receiver<Event>> {
        let extension = self.all.get_mut(id)?;
        extension.asked = true;
        let (tell, next) = oneshot::channel();
        // An older caller of the same extension has gone, or waits in vain from now on.
        extension.waiting = Some(tell);
        extension.hand_out();
        Some(next)
    }

    /// Tells whoever wants to know of such.
    pub(super) fn tell(&mut self, event: &Event) {
        let kind = match event {
            Event::Invoke(_) => Kind::Invoke,
            Event::Shutdown { .. } => Kind::Shutdown,
        };
        self.ending |= kind == Kind::Shutdown;
        for extension in self.all.values_mut().filter(|known| known.events.contains(&kind)) {
            extension.queued.push_back(event.clone());
            extension.hand_out();
        }
    }
}

impl Extension {
    fn hand_out(&mut self) {
        if self.queued.is_empty() {
            return;
        }
        let Some(waiting) = self.waiting.take() else { return };
        if let Some(event) = self.queued.pop_front()
            && let Err(back) = waiting.send(event)
        {
            // Its caller has gone; it is kept for the next.
            self.queued.push_front(back);
        }
    }
}
