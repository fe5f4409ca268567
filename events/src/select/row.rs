//! Rows: an event as it lies in memory or in the columns of a segment, and whether it is wanted.
//!
//! Always true: an event is wanted or not whichever of the two it is.
//! Absent on purpose: statistics; see `prune`.

use std::borrow::Cow;
use std::cell::OnceCell;

use policy::replay::share;
use serde_json::Value;

use super::filter::{Is, Of, Term};
use super::{Filter, Key, Sample, Selection};
use crate::event::Event;
use crate::log::Stored;
use crate::segment::read::Rows;

/// An event, wherever it lies.
#[derive(Clone, Copy)]
pub(super) enum Row<'a> {
    Stored(&'a Stored),
    Sealed(&'a Rows, usize),
    /// One that no stream has.
    Event(&'a Event),
}

macro_rules! texts {
    ($($name:ident),*) => { $(
        pub(super) fn $name(self) -> &'a str {
            match self {
                Self::Stored(stored) => &stored.event.$name,
                Self::Sealed(rows, row) => rows.$name(row),
                Self::Event(event) => &event.$name,
            }
        }
    )* };
}

impl<'a> Row<'a> {
    texts!(id, source, kind, subject, region, group, content_type);

    pub(super) fn sequence(self) -> u64 {
        match self {
            Self::Stored(stored) => stored.sequence,
            Self::Sealed(rows, row) => rows.sequence(row),
            Self::Event(_) => 0,
        }
    }

    pub(super) fn time_ns(self) -> u64 {
        match self {
            Self::Stored(stored) => stored.event.time_ns,
            Self::Sealed(rows, row) => rows.time_ns(row),
            Self::Event(event) => event.time_ns,
        }
    }

    pub(super) fn data(self) -> &'a [u8] {
        match self {
            Self::Stored(stored) => &stored.event.data,
            Self::Sealed(rows, row) => rows.data(row),
            Self::Event(event) => &event.data,
        }
    }

    /// The value of an attribute.
    pub(super) fn attribute(self, name: &str) -> Option<&'a str> {
        match self {
            Self::Stored(stored) => stored.event.attributes.get(name).map(String::as_str),
            Self::Sealed(rows, row) => {
                rows.attributes(row).find(|(it, _)| *it == name).map(|(_, value)| value)
            }
            Self::Event(event) => event.attributes.get(name).map(String::as_str),
        }
    }

    pub(super) fn stored(self) -> Stored {
        match self {
            Self::Stored(stored) => stored.clone(),
            Self::Sealed(rows, row) => rows.stored(row),
            Self::Event(event) => Stored { sequence: 0, accepted_us: 0, event: event.clone() },
        }
    }
}

impl Selection {
    /// Whether an event is wanted, as far as that can be said without its label.
    pub(super) fn wants(&self, row: Row<'_>) -> bool {
        let (first, last) = self.numbers();
        let (first_ns, last_ns) = self.times_ns();
        let asked = |texts: &std::collections::BTreeSet<String>, text: &str| {
            texts.is_empty() || texts.contains(text)
        };
        (first_ns..=last_ns).contains(&row.time_ns())
            && (first..=last).contains(&row.sequence())
            && (self.sequences.is_empty() || self.sequences.contains(&row.sequence()))
            && asked(&self.regions, row.region())
            && asked(&self.groups, row.group())
            && asked(&self.kinds, row.kind())
            && asked(&self.subjects, row.subject())
            && asked(&self.ids, row.id())
            && self.sample.as_ref().is_none_or(|sample| sample.has(row))
            && self.filter.holds_of(row)
    }

    /// Whether an event with this label is wanted, that else is.
    pub(super) fn wants_label(&self, label: Option<&str>) -> bool {
        let mut of_label = self.filter.terms.iter().filter(|term: &&Term| term.of == Of::Label);
        of_label.all(|term| term.is.holds(label))
    }
}

impl Filter {
    /// Whether it holds of an event, as far as that can be said without its label.
    pub fn holds(&self, event: &Event) -> bool {
        self.holds_of(Row::Event(event))
    }

    /// Whether it asks of labels.
    pub fn asks_of_label(&self) -> bool {
        self.asks_of(|of| *of == Of::Label)
    }

    fn holds_of(&self, row: Row<'_>) -> bool {
        let data = OnceCell::new();
        self.terms.iter().all(|term| {
            let value: Option<Cow<'_, str>> = match &term.of {
                Of::Id => some(row.id()),
                Of::Source => some(row.source()),
                Of::Kind => some(row.kind()),
                Of::Subject => some(row.subject()),
                Of::Region => some(row.region()),
                Of::Group => some(row.group()),
                Of::ContentType => some(row.content_type()),
                Of::Attribute(name) => row.attribute(name).map(Cow::Borrowed),
                Of::Data(path) => {
                    let data = data.get_or_init(|| serde_json::from_slice(row.data()).ok());
                    data.as_ref().and_then(|data| member(data, path))
                }
                // It is asked once the label is known.
                Of::Label => return true,
            };
            term.is.holds(value.as_deref())
        })
    }
}

fn some(text: &str) -> Option<Cow<'_, str>> {
    (!text.is_empty()).then_some(Cow::Borrowed(text))
}

/// What stands at a path, as a text; none where nothing does.
fn member<'a>(data: &'a Value, path: &[String]) -> Option<Cow<'a, str>> {
    let found = path.iter().try_fold(data, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        value => value.get(name),
    });
    match found? {
        Value::Null => None,
        Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

impl Is {
    fn holds(&self, value: Option<&str>) -> bool {
        let number = |text: &str| text.parse::<f64>().ok();
        let compares = |with: &str, holds: fn(&f64, &f64) -> bool| {
            let pair = value.and_then(number).zip(number(with));
            pair.is_some_and(|(value, with)| holds(&value, &with))
        };
        match self {
            Self::There => value.is_some(),
            Self::Missing => value.is_none(),
            Self::Equal(text) => value == Some(text),
            Self::Other(text) => value != Some(text),
            Self::Less(text) => compares(text, f64::lt),
            Self::NotMore(text) => compares(text, f64::le),
            Self::More(text) => compares(text, f64::gt),
            Self::NotLess(text) => compares(text, f64::ge),
        }
    }
}

impl Sample {
    fn has(&self, row: Row<'_>) -> bool {
        let key = match &self.key {
            Key::Id => row.id(),
            Key::Subject => row.subject(),
            Key::Attribute(name) => row.attribute(name).unwrap_or_default(),
        };
        share::has(key.as_bytes(), self.salt.as_bytes(), self.share_bp)
    }
}
