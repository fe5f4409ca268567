//! Judges: what an answer predicts, read from its body.
//!
//! Always true: a judge sees every record of a run once, and answers beside the path of requests: a
//! slow one delays records, never sends. Absent on purpose: whether a prediction is right, which is
//! counted from records ([`policy::accuracy`]).

use std::sync::Arc;

use serde_json::Value;

use super::record::Record;

/// An answer that is judged.
#[derive(Debug)]
pub struct Answered<'a> {
    /// What became of the send so far, with its label.
    pub record: &'a Record,
    /// The first bytes of the answer's body.
    pub body: &'a [u8],
    /// Whether that is all of it.
    pub is_all: bool,
}

/// What a judge says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judged {
    /// What is predicted, as a number.
    pub score: Option<f64>,
    /// What is predicted, as a word.
    pub class: Option<Arc<str>>,
    /// Whether that was right, where there is a label.
    pub right: Option<bool>,
}

/// Reads answers, and follows the records of a run.
pub trait Judge<K>: Send + 'static {
    /// What was right of an event that was sent, whatever becomes of it; of what was kept of it.
    fn label(&mut self, _kept: &K) -> Option<Arc<str>> {
        None
    }

    /// What an answer predicts; asked of answers with a status only.
    fn judge(&mut self, _answer: &Answered<'_>) -> Judged {
        Judged::default()
    }

    /// A record as it is stored, of whatever outcome, in the order in which they end; of this leg
    /// only: those of earlier ones are read from their files.
    fn follow(&mut self, _record: &Record) {}
}

impl<K> Judge<K> for () {}

/// Reads a number and a word from answers in JSON.
#[derive(Clone, Debug, Default)]
pub struct FromJson {
    /// Where the number is, as a JSON pointer.
    pub score: Option<String>,
    /// Where the word is; a number or a truth value there is taken as its text.
    pub class: Option<String>,
}

impl Judge<Option<Arc<str>>> for FromJson {
    fn label(&mut self, kept: &Option<Arc<str>>) -> Option<Arc<str>> {
        kept.clone()
    }

    fn judge(&mut self, answer: &Answered<'_>) -> Judged {
        if answer.is_all { self.read(answer.body) } else { Judged::default() }
    }
}

impl FromJson {
    /// What a whole answer predicts; nothing where it is no JSON, or has nothing there.
    pub fn read(&self, body: &[u8]) -> Judged {
        let wanted = self.score.is_some() || self.class.is_some();
        let read: Option<Value> = wanted.then(|| serde_json::from_slice(body).ok()).flatten();
        let at = |pointer: &Option<String>| read.as_ref()?.pointer(pointer.as_ref()?);
        let score = at(&self.score).and_then(Value::as_f64);
        let class = at(&self.class).and_then(|value| match value {
            Value::String(text) => Some(Arc::from(text.as_str())),
            Value::Number(_) | Value::Bool(_) => Some(Arc::from(value.to_string())),
            _ => None,
        });
        Judged { score, class, right: None }
    }
}
