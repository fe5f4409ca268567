//! The `/opt/ml` training contract: where a training program finds its input and leaves its output.
//!
//! Always true: nothing outside the root folder is read or written; a hyperparameter or setting
//! that is not known is refused, so that a slip of the pen is not silently the default.
//! Source: Amazon `SageMaker` developer guide, "How Amazon `SageMaker` provides training
//! information".

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Failure;
use crate::event::{self, EVENTS_MAX, Event};
use crate::learn::Settings;

/// The one input channel.
pub(crate) const CHANNEL: &str = "training";

/// Reads the hyperparameters; each may be written as a number or as text.
pub(crate) fn settings(root: &Path) -> Result<Settings, Failure> {
    let path = root.join("input/config/hyperparameters.json");
    let given: BTreeMap<String, Value> = read_json(&path)?.unwrap_or_default();
    let mut settings = Settings { epochs: 20, hidden: 8, learning_rate: 0.05, batch: 32, seed: 1 };
    for (name, value) in &given {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match name.as_str() {
            "epochs" => settings.epochs = number(name, &text, 1..=1_000)?,
            "hidden" => settings.hidden = number(name, &text, 0..=256)?,
            "batch" => settings.batch = number(name, &text, 1..=65_536)?,
            "seed" => settings.seed = number(name, &text, 0..=u64::MAX)?,
            "learning_rate" => settings.learning_rate = number(name, &text, 1e-6..=10.0)?,
            // Platforms add settings of their own under this prefix.
            name if name.starts_with("sagemaker_") => {}
            _ => {
                return Err(Failure(format!(
                    "{name:?} is no hyperparameter: use epochs, hidden, learning_rate, batch or seed"
                )));
            }
        }
    }
    Ok(settings)
}

fn number<T>(name: &str, text: &str, range: RangeInclusive<T>) -> Result<T, Failure>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        Failure(format!("hyperparameter {name} is {text:?}: use a number from {least} to {most}"))
    })
}

/// Refuses what this program cannot do: channels that are not files of CSV, and several machines.
pub(crate) fn check_input(root: &Path) -> Result<(), Failure> {
    let path = root.join("input/config/inputdataconfig.json");
    let channels: BTreeMap<String, BTreeMap<String, Value>> = read_json(&path)?.unwrap_or_default();
    for (name, channel) in &channels {
        let says = |key: &str| channel.get(key).and_then(Value::as_str).unwrap_or_default();
        if name != CHANNEL {
            return Err(Failure(format!(
                "channel {name:?} is not known: the only one is {CHANNEL}"
            )));
        }
        if says("TrainingInputMode") == "Pipe" {
            return Err(Failure(format!("channel {name} is a pipe: use the input mode File")));
        }
        if !matches!(says("ContentType"), "" | "text/csv" | "csv") {
            let content_type = says("ContentType");
            return Err(Failure(format!("channel {name} is {content_type}: give text/csv")));
        }
    }
    let path = root.join("input/config/resourceconfig.json");
    let resources: BTreeMap<String, Value> = read_json(&path)?.unwrap_or_default();
    let hosts = resources.get("hosts").and_then(Value::as_array).map_or(1, Vec::len);
    if hosts > 1 {
        return Err(Failure(format!("given {hosts} machines: this algorithm trains on one")));
    }
    Ok(())
}

/// Reads every CSV file of the training channel, in the order of their names.
pub(crate) fn events(root: &Path) -> Result<Vec<Event>, Failure> {
    let folder = root.join("input/data").join(CHANNEL);
    let entries = fs::read_dir(&folder).map_err(|error| Failure::at(&folder, error))?;
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    paths.sort();
    if paths.is_empty() {
        return Err(Failure::at(&folder, "no .csv file is in it"));
    }
    let mut events = Vec::new();
    for path in paths {
        let file = File::open(&path).map_err(|error| Failure::at(&path, error))?;
        let more = event::read(BufReader::new(file)).map_err(|error| Failure::at(&path, error))?;
        events.extend(more);
        if events.len() as u64 > EVENTS_MAX {
            return Err(Failure(format!("more than {EVENTS_MAX} events: give fewer files")));
        }
    }
    Ok(events)
}

/// Writes one file of the model.
pub(crate) fn write_model(root: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    write(&root.join("model").join(name), bytes)
}

/// Leaves the reason for a failed training where the platform looks for it.
pub(crate) fn write_failure(root: &Path, failure: &Failure) -> Result<(), Failure> {
    write(&root.join("output/failure"), failure.to_string().as_bytes())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder).map_err(|error| Failure::at(folder, error))?;
    fs::write(path, bytes).map_err(|error| Failure::at(path, error))
}

/// A JSON file; none where it is not there, for platforms that leave empty ones out.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::at(path, error)),
    };
    serde_json::from_str(&text).map(Some).map_err(|error| Failure::at(path, error))
}
