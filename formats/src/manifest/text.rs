//! The manifest as text: reading with a place for every error, and writing with a word for readers.

use std::ops::Range;

use serde_json::Value;
use toml::de::{DeTable, DeValue};

use types::Runtime;

use super::check::{Broken, check_rules};
use super::{BYTES_MAX, Error, Manifest};

/// Time a request to a model may take where its manifest does not say, in milliseconds.
const ONNX_TIMEOUT_MS: u64 = 10_000;
/// Time a job may take where its manifest does not say, in milliseconds.
const JOB_TIMEOUT_MS: u64 = 3_600_000;

/// Reads a manifest and checks its rules.
///
/// # Errors
///
/// The first thing that is wrong, with its line and key.
pub fn parse(text: &str) -> Result<Manifest, Error> {
    if text.len() as u64 > BYTES_MAX {
        return Err(Error::Invalid {
            line: None,
            key: String::new(),
            problem: format!("{} bytes, above the limit of {BYTES_MAX}", text.len()),
            cure: "move long texts to the documentation file".to_owned(),
        });
    }
    let places = Places::of(text);
    let mut manifest: Manifest = toml::from_str(text).map_err(|error| places.explain(&error))?;
    if manifest.title.is_empty() {
        manifest.title = manifest.name.to_string();
    }
    if let Some(task) = &mut manifest.task
        && task.timeout_ms == 0
    {
        task.timeout_ms = match task.runtime {
            Runtime::Onnx => ONNX_TIMEOUT_MS,
            Runtime::Job => JOB_TIMEOUT_MS,
        };
    }
    check_rules(&manifest).map_err(|broken| places.locate(broken))?;
    Ok(manifest)
}

/// Writes a manifest, with a comment over each part.
///
/// A `null` in a JSON value, which TOML cannot say, is left out.
///
/// # Panics
///
/// On a number of 2^63 or more, which TOML cannot say and [`check`](super::check()) refuses.
pub fn write(manifest: &Manifest) -> String {
    let mut manifest = manifest.clone();
    drop_nulls(&mut manifest);
    let plain = toml::to_string(&manifest).expect("without nulls, a manifest is TOML");
    let mut text = String::from("# What this folder publishes.\n\n");
    let mut comments = COMMENTS.to_vec();
    for line in plain.lines() {
        if let Some(at) = comments.iter().position(|(start, _)| line.starts_with(start)) {
            text += &format!("# {}\n", comments.remove(at).1);
        }
        text += line;
        text.push('\n');
    }
    text
}

/// What is said over a line that starts so.
const COMMENTS: [(&str, &str); 12] = [
    ("summary = ", "One or two sentences, shown in the list of results."),
    ("category = ", "A name, such as security or image-classification."),
    ("channels = ", "Data sets the algorithm reads, as folders of /opt/ml/input/data."),
    ("stages = ", "Models, first to last; the output of each is the input of the next."),
    ("[input]", "What goes in."),
    ("[output]", "What comes out; of a data set, what it holds."),
    ("[task]", "How it runs. Times are in milliseconds."),
    ("[requires]", "What one instance needs; the item is offered where this fits."),
    ("[parameters.", "What the algorithm can be told."),
    ("[[tests]]", "Must hold before a version is published."),
    ("[[figures]]", "A number you claim; this cloud measures its own beside it."),
    ("[[examples]]", "How it is used."),
];

fn drop_nulls(manifest: &mut Manifest) {
    for example in &mut manifest.examples {
        example.input = example.input.take().and_then(without_nulls);
        example.output = example.output.take().and_then(without_nulls);
    }
    for parameter in manifest.parameters.values_mut() {
        parameter.default = parameter.default.take().and_then(without_nulls);
    }
    for test in &mut manifest.tests {
        match &mut test.input {
            super::TestInput::Request(value) => {
                *value = without_nulls(value.take())
                    .unwrap_or_else(|| Value::Object([].into_iter().collect()));
            }
            super::TestInput::Job { parameters, .. } => {
                parameters.retain(|_, value| !value.is_null());
                for value in parameters.values_mut() {
                    *value = without_nulls(value.take()).unwrap_or(Value::Bool(false));
                }
            }
            super::TestInput::File(_) => {}
        }
        for output in &mut test.expect.outputs {
            output.data = output.data.take().and_then(without_nulls);
        }
    }
}

fn without_nulls(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Array(items) => {
            Some(Value::Array(items.into_iter().filter_map(without_nulls).collect()))
        }
        Value::Object(fields) => {
            let kept =
                fields.into_iter().filter_map(|(key, value)| Some((key, without_nulls(value)?)));
            Some(Value::Object(kept.collect()))
        }
        other => Some(other),
    }
}

/// Where every key of a text stands.
struct Places<'t> {
    text: &'t str,
    places: Vec<Place>,
}

struct Place {
    /// Such as `tests[0].name`.
    key: String,
    key_span: Range<usize>,
    value_span: Range<usize>,
}

impl<'t> Places<'t> {
    fn of(text: &'t str) -> Self {
        let mut places = Vec::new();
        if let Ok(table) = DeTable::parse(text) {
            collect(table.get_ref(), "", &mut places);
        }
        Self { text, places }
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.text.get(..offset).unwrap_or(self.text);
        1 + before.matches('\n').count()
    }

    /// Puts line and key to an error of the TOML reader.
    fn explain(&self, error: &toml::de::Error) -> Error {
        let problem = error.message().trim().replace('\n', ", ");
        let offset = error.span().map(|span| span.start);
        let innermost =
            offset.and_then(|offset| {
                let holds = |span: &Range<usize>| span.contains(&offset);
                let holding = self
                    .places
                    .iter()
                    .filter(|place| holds(&place.key_span) || holds(&place.value_span));
                holding.min_by_key(|place| {
                    if holds(&place.key_span) { 0 } else { place.value_span.len() + 1 }
                })
            });
        let mut key = innermost.map(|place| place.key.clone()).unwrap_or_default();
        let mut line = offset.map(|offset| self.line(offset));
        let cure = cure_of(&problem);
        if let Some(name) = quoted_after(&problem, "missing field `") {
            // Of the root nothing stands there yet.
            line = line.filter(|_| innermost.is_some());
            key = if key.is_empty() { name.to_owned() } else { format!("{key}.{name}") };
        } else if let (Some(within), Some(name)) = (innermost, unknown_word(&problem))
            && let Some(found) = self.find_word(within, name)
        {
            line = Some(self.line(found.key_span.start));
            key.clone_from(&found.key);
        }
        Error::Invalid { line, key, problem, cure }
    }

    /// The place of a word below another place, for errors that only name what surrounds it.
    fn find_word(&self, within: &Place, word: &str) -> Option<&Place> {
        let mut below = self.places.iter().filter(|place| {
            place.key.strip_prefix(&within.key).is_some_and(|rest| rest.starts_with(['.', '[']))
        });
        below.find(|place| {
            let text = |span: &Range<usize>| {
                self.text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\''])
            };
            text(&place.key_span) == word || text(&place.value_span) == word
        })
    }

    /// Puts a line to a broken rule.
    fn locate(&self, broken: Broken) -> Error {
        let Broken { key, problem, cure } = broken;
        let stands = |place: &&Place| {
            key.strip_prefix(&place.key)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let nearest = self.places.iter().filter(stands).max_by_key(|place| place.key.len());
        let line = nearest.map(|place| self.line(place.key_span.start));
        Error::Invalid { line, key, problem, cure }
    }
}

fn collect(table: &DeTable<'_>, prefix: &str, places: &mut Vec<Place>) {
    for (name, value) in table {
        let dot = if prefix.is_empty() { "" } else { "." };
        let key = format!("{prefix}{dot}{}", name.get_ref());
        let (key_span, value_span) = (name.span(), value.span());
        places.push(Place { key: key.clone(), key_span, value_span });
        collect_value(value.get_ref(), &key, places);
    }
}

fn collect_value(value: &DeValue<'_>, key: &str, places: &mut Vec<Place>) {
    match value {
        DeValue::Table(table) => collect(table, key, places),
        DeValue::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let key = format!("{key}[{index}]");
                let (key_span, value_span) = (item.span(), item.span());
                places.push(Place { key: key.clone(), key_span, value_span });
                collect_value(item.get_ref(), &key, places);
            }
        }
        _ => {}
    }
}

/// What to do about an error of the TOML reader.
fn cure_of(problem: &str) -> String {
    if let Some(name) = quoted_after(problem, "missing field `") {
        let example = EXAMPLES.iter().find(|(key, _)| *key == name);
        return match example {
            Some((key, value)) => format!("add it, such as: {key} = {value}"),
            None => "add it".to_owned(),
        };
    }
    if let Some(name) = unknown_word(problem) {
        let (_, expected) = problem.split_once("expected").unwrap_or_default();
        let known = expected.split('`').skip(1).step_by(2);
        let steps = |known: &str| match distance(name, known) {
            // `memory` for `memory_mib` is near, however much is missing.
            _ if name.len() > 2 && (known.starts_with(name) || name.starts_with(known)) => 1,
            steps => steps,
        };
        let near = known.map(|known| (steps(known), known)).min();
        return match near {
            Some((steps, known)) if steps <= 2 => format!("did you mean `{known}`?"),
            _ => "remove it, or use one of those".to_owned(),
        };
    }
    if problem.starts_with("invalid type") || problem.starts_with("invalid value") {
        return "write the value as expected".to_owned();
    }
    if problem.starts_with("duplicate key") {
        return "keep one of them".to_owned();
    }
    if problem.contains(" is not a ") {
        return "correct the value".to_owned();
    }
    "check quotes, brackets and = on this line".to_owned()
}

/// A value for each key that must be there.
const EXAMPLES: [(&str, &str); 10] = [
    ("kind", "\"model\""),
    ("name", "\"signin-risk\""),
    ("summary", "\"Tells risky sign-ins from ordinary ones.\""),
    ("category", "\"security\""),
    ("runtime", "\"onnx\""),
    ("entry", "\"model.onnx\""),
    ("type", "\"integer\""),
    ("input", "{ file = \"tests/one.json\" }"),
    ("value", "950000"),
    ("source", "\"held-out tenth of the data set\""),
];

/// The word an error does not know.
fn unknown_word(problem: &str) -> Option<&str> {
    quoted_after(problem, "unknown field `").or_else(|| quoted_after(problem, "unknown variant `"))
}

fn quoted_after<'p>(problem: &'p str, start: &str) -> Option<&'p str> {
    let (_, rest) = problem.split_once(start)?;
    rest.split_once('`').map(|(quoted, _)| quoted)
}

/// How many letters to change, add or leave out between two words.
/// Source: Levenshtein distance, by rows.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.chars().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for (column, &other) in right.iter().enumerate() {
            let change = diagonal + usize::from(letter != other);
            diagonal = row[column + 1];
            row[column + 1] = change.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
