//! Drift: whether a stream's events, field by field, still are as those of another time were; or what
//! a variant answered in a run, beside another run.
//!
//! Fields are the scalars in an event's data, by their paths, and its type, region, group and label;
//! of answers what they predict, what became of them, and whether they were right.
//!
//! Always true: what is told is [`policy::drift`]'s of these events in the order of their times;
//! memory is that of [`REFERENCE_MAX`] events of the reference or [`REFERENCE_BYTES_MAX`], whichever is
//! less. Absent on purpose: what is done about it.

use std::collections::BTreeMap;

use policy::drift::{FIELDS_MAX, Settings, Told, Value, Watch};

use crate::error::Error;
use crate::key::Folder;
use crate::replay::{self, Record, files};
use crate::select::{Selected, Selection};
use crate::stream::Stream;

/// Most events of the reference that are learnt from, drawn at random of all of them: the more, the
/// smaller the changes that are found.
pub const REFERENCE_MAX: usize = 10_000;
/// Most memory of them, in bytes, by what is counted for each field; of larger ones fewer are held.
pub const REFERENCE_BYTES_MAX: usize = 64 << 20;
/// What a field takes beside its name and its value, in bytes.
const FIELD_BYTES: usize = 96;
/// Most names of fields that are told which the reference did not have.
const NEW_MAX: usize = 20;
/// How deep fields are looked for in data.
const DEPTH_MAX: usize = 4;
/// Most fields of an event that are looked at: far more than are watched.
const FIELDS_EVENT_MAX: usize = 256;
/// How much of a word counts, in bytes.
const WORD_BYTES_MAX: usize = 64;
/// Longest name of a field, with its path, in bytes: what has a longer one is not watched, since names
/// that are cut would be one.
const NAME_BYTES_MAX: usize = 256;
/// Fields that may be found out later: events that come without are no change.
const FOUND_OUT: [&str; 2] = ["label", "right"];

/// What is said of a selection beside its reference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drift {
    /// Events of the reference.
    pub reference: u64,
    /// Those of them that were learnt from.
    pub learnt: u64,
    /// Events that were watched.
    pub events: u64,
    /// By field, in the order of their names.
    pub fields: Vec<Field>,
    /// Fields that the reference did not have, some of them.
    pub new: Vec<String>,
}

/// What is said of a field.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name: a path, such as `data.amount`.
    pub name: String,
    /// What is said.
    pub told: Told,
    /// The event by which it was clear that the field has changed: its number in the stream, and when
    /// it happened, in Unix nanoseconds.
    pub alarm: Option<(u64, u64)>,
}

/// A value as it is held.
#[derive(Clone, Debug, PartialEq)]
enum Held {
    Number(f64),
    Word(Box<str>),
}

type Fields = BTreeMap<String, Held>;

impl Held {
    fn value<'a>(name: &str, fields: &'a Fields) -> Value<'a> {
        match fields.get(name) {
            None if FOUND_OUT.contains(&name) => Value::Unknown,
            None => Value::Missing,
            Some(Self::Number(number)) => Value::Number(*number),
            Some(Self::Word(word)) => Value::Word(word),
        }
    }

    fn word(text: &str) -> Self {
        Self::Word(text[..text.floor_char_boundary(WORD_BYTES_MAX)].into())
    }
}

impl Stream {
    /// Watches what is selected for changes against the reference. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Stream::select`].
    pub fn drift(
        &self,
        reference: &Selection,
        watched: &Selection,
        settings: Settings,
    ) -> Result<Drift, Error> {
        let reference = self.select(reference)?.map(|event| Ok(fields(&event?)));
        let watched = self.select(watched)?.map(|event| {
            let event = event?;
            Ok((fields(&event), event.sequence, event.event.time_ns))
        });
        watch(reference, watched, settings)
    }
}

/// Watches what a variant answered in a run for changes against one of another run, or of the same:
/// records of these folders, by the variants' places. An event counts once. Blocks.
///
/// # Errors
///
/// As [`files::read`].
pub fn of_runs(
    (reference, incumbent): (impl Into<Folder>, u16),
    (watched, candidate): (impl Into<Folder>, u16),
    settings: Settings,
) -> Result<Drift, replay::Error> {
    // What cannot be read is told, and not passed over.
    let counts = |record: &Result<Record, replay::Error>, place: u16| {
        let is_one = |it: &Record| it.variant == place && it.copy == 0 && it.outcome.is_sent();
        record.as_ref().map_or(true, is_one)
    };
    let reference = files::read(reference)?.filter(|record| counts(record, incumbent));
    let watched = files::read(watched)?.filter(|record| counts(record, candidate));
    let watched = watched.map(|record| {
        let record = record?;
        let time_ns = record.happened_ns.unwrap_or(record.intended_ns);
        Ok((answered(&record), record.sequence, time_ns))
    });
    watch(reference.map(|record| Ok(answered(&record?))), watched, settings)
}

/// Learns one, and watches the other: fields, the event's number, and when it happened.
fn watch<E>(
    reference: impl Iterator<Item = Result<Fields, E>>,
    watched: impl Iterator<Item = Result<(Fields, u64, u64), E>>,
    settings: Settings,
) -> Result<Drift, E> {
    let mut sample = Sample::new(settings.seed);
    for fields in reference {
        sample.learn(fields?);
    }
    let Sample { held: sample, seen, .. } = sample;
    let names = names(&sample);
    let columns: Vec<Vec<Value<'_>>> = names
        .iter()
        .map(|name| sample.iter().map(|fields| Held::value(name, fields)).collect())
        .collect();
    let mut watch = Watch::new(columns.iter().map(Vec::as_slice), settings);
    drop(columns);
    let mut alarms = vec![None; names.len()];
    let mut new = Vec::new();
    for event in watched {
        let (fields, sequence, time_ns) = event?;
        let values: Vec<Value<'_>> = names.iter().map(|name| Held::value(name, &fields)).collect();
        for field in watch.learn(&values) {
            alarms[field] = Some((sequence, time_ns));
        }
        for name in fields.keys().filter(|name| names.binary_search(name).is_err()) {
            if new.len() < NEW_MAX && names.len() < FIELDS_MAX && !new.contains(name) {
                new.push(name.clone());
            }
        }
    }
    let told = names.into_iter().zip(watch.told()).zip(alarms);
    let fields = told.map(|((name, told), alarm)| Field { name, told, alarm }).collect();
    let learnt = sample.len() as u64;
    Ok(Drift { reference: seen, learnt, events: watch.events(), fields, new })
}

/// The fields of what was answered.
fn answered(record: &Record) -> Fields {
    let predicted = match (record.score, record.class.as_deref()) {
        (Some(score), _) => Some(Held::Number(score)),
        (None, class) => class.map(Held::word),
    };
    let right = record.right.map(|right| Held::word(if right { "true" } else { "false" }));
    let outcome = Some(Held::word(record.outcome.word()));
    let all = [("outcome", outcome), ("prediction", predicted), ("right", right)];
    all.into_iter().filter_map(|(name, held)| Some((name.to_owned(), held?))).collect()
}

/// Events of a reference, each with the same chance to be held (Vitter's algorithm R), in an order that
/// only the seed knows: so that half of them are as good as all, where they are too large.
struct Sample {
    seed: u64,
    held: Vec<Fields>,
    /// How many may be held.
    most: usize,
    bytes: usize,
    seen: u64,
}

impl Sample {
    fn new(seed: u64) -> Self {
        Self { seed, held: Vec::new(), most: REFERENCE_MAX, bytes: 0, seen: 0 }
    }

    fn learn(&mut self, fields: Fields) {
        self.seen += 1;
        let at = drawn(self.seen, self.seed);
        if self.held.len() < self.most {
            self.bytes += bytes(&fields);
            self.held.push(fields);
            let last = self.held.len() - 1;
            self.held.swap(at.min(last), last);
        } else if let Some(place) = self.held.get_mut(at) {
            self.bytes = self.bytes + bytes(&fields) - bytes(place);
            *place = fields;
        }
        while self.bytes > REFERENCE_BYTES_MAX && self.held.len() > 1 {
            self.most = self.held.len() / 2;
            self.held.truncate(self.most);
            self.bytes = self.held.iter().map(bytes).sum();
        }
    }
}

/// A place among so many, by chance.
fn drawn(number: u64, seed: u64) -> usize {
    let digest = blake3::hash(&[number.to_le_bytes(), seed.to_le_bytes()].concat());
    let mut word = [0; 8];
    word.copy_from_slice(&digest.as_bytes()[..8]);
    usize::try_from(u64::from_le_bytes(word) % number).unwrap_or(usize::MAX)
}

/// What an event's fields take in memory, about.
fn bytes(fields: &Fields) -> usize {
    let of = |(name, held): (&String, &Held)| {
        let word = if let Held::Word(word) = held { word.len() } else { 0 };
        FIELD_BYTES + name.len() + word
    };
    fields.iter().map(of).sum()
}

/// The names of fields, in their order: those that most events of the sample have, where there are
/// too many.
fn names(sample: &[Fields]) -> Vec<String> {
    let mut counts: BTreeMap<&String, usize> = BTreeMap::new();
    for name in sample.iter().flat_map(BTreeMap::keys) {
        *counts.entry(name).or_default() += 1;
    }
    let mut names: Vec<(&String, usize)> = counts.into_iter().collect();
    names.sort_by_key(|(name, count)| (std::cmp::Reverse(*count), *name));
    let mut names: Vec<String> =
        names.into_iter().take(FIELDS_MAX).map(|(name, _)| name.clone()).collect();
    names.sort_unstable();
    names
}

/// The fields of an event.
fn fields(selected: &Selected) -> Fields {
    let event = &selected.event;
    let mut fields = Fields::new();
    let plain = [("type", &event.kind), ("region", &event.region), ("group", &event.group)];
    for (name, text) in plain.into_iter().filter(|(_, text)| !text.is_empty()) {
        fields.insert(name.to_owned(), Held::word(text));
    }
    if let Some(label) = &selected.label {
        fields.insert("label".to_owned(), Held::word(label));
    }
    if let Ok(data) = serde_json::from_slice::<serde_json::Value>(&event.data) {
        collect("data", &data, DEPTH_MAX, &mut fields);
    }
    fields
}

fn collect(path: &str, value: &serde_json::Value, depth: usize, fields: &mut Fields) {
    use serde_json::Value as Json;
    let held = match value {
        Json::Null | Json::Array(_) => return,
        Json::Bool(truth) => Held::word(if *truth { "true" } else { "false" }),
        Json::Number(number) => Held::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Held::word(text),
        Json::Object(members) => {
            let fits = |name: &str| depth > 0 && path.len() + 1 + name.len() <= NAME_BYTES_MAX;
            for (name, member) in members.iter().filter(|(name, _)| fits(name)) {
                collect(&format!("{path}.{name}"), member, depth - 1, fields);
            }
            return;
        }
    };
    if fields.len() < FIELDS_EVENT_MAX {
        fields.insert(path.to_owned(), held);
    }
}

#[cfg(test)]
mod tests;
