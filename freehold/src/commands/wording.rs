//! Wording: how figures, formats and sharing read in tables.

use api::endpoints::{Endpoint, StageStatus};
use api::items::{Item, Sharing};
use types::{Figure, FigureName, Format, Grade, Reference};

use crate::output::{bytes, micros, share};

/// Whom it is shared with.
pub(super) fn sharing(sharing: &Sharing) -> String {
    match sharing {
        Sharing::Nobody => "nobody".to_owned(),
        Sharing::Everybody => "everybody".to_owned(),
        Sharing::Accounts { accounts } if accounts.is_empty() => "nobody".to_owned(),
        Sharing::Accounts { accounts } => {
            accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

/// The reference of an item's newest version.
pub(super) fn newest(item: &Item) -> Reference {
    Reference {
        account: Some(item.account.clone()),
        name: item.name.clone(),
        version: Some(item.newest),
    }
}

/// Figures, one a line: `accuracy 97.50 % (claimed)`.
pub fn figures(figures: &[Figure]) -> String {
    let line = |figure: &Figure| {
        let (what, value) = figure_words(figure);
        format!("{what} {value} ({})", grade(figure.grade))
    };
    figures.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The value of the most trusted figure of this name; empty where there is none.
pub(super) fn figure(figures: &[Figure], name: FigureName) -> String {
    let best = figures.iter().filter(|figure| figure.name == name).max_by_key(|it| it.grade);
    best.map(|figure| figure_words(figure).1).unwrap_or_default()
}

fn figure_words(figure: &Figure) -> (&'static str, String) {
    let value = figure.value;
    match figure.name {
        FigureName::AccuracyPpm => ("accuracy", share(value)),
        FigureName::LatencyP50Us => ("median latency", micros(value)),
        FigureName::LatencyP99Us => ("99 of 100 under", micros(value)),
        FigureName::MemoryPeakBytes => ("peak memory", bytes(value)),
        FigureName::StartUs => ("start", micros(value)),
        FigureName::PackageBytes => ("package", bytes(value)),
    }
}

const fn grade(grade: Grade) -> &'static str {
    match grade {
        Grade::Claimed => "claimed",
        Grade::Measured => "measured",
        Grade::Verified => "verified",
    }
}

/// A format, one part a line; empty where there is none.
pub(super) fn format(format: Option<&Format>) -> String {
    match format {
        None => String::new(),
        Some(Format::Tensors { tensors }) => {
            let line = |tensor: &types::TensorSpec| {
                let size = |size: &i64| if *size < 0 { "any".to_owned() } else { size.to_string() };
                let shape: Vec<String> = tensor.shape.iter().map(size).collect();
                format!("{}: {} [{}]", tensor.name, tensor.datatype.as_str(), shape.join(", "))
            };
            tensors.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        Some(Format::Table { columns }) => {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            format!("table of {}", names.join(", "))
        }
        Some(Format::Json { schema: None }) => "JSON".to_owned(),
        Some(Format::Json { schema: Some(_) }) => "JSON by a schema".to_owned(),
        Some(Format::Media { media_type }) => media_type.clone(),
    }
}

/// The stages of an endpoint, one a line.
pub(super) fn stages(endpoint: &Endpoint) -> String {
    let line = |stage: &StageStatus| match &stage.engine {
        Some(engine) => format!("{}: {}, by {engine}", stage.source, stage.state),
        None => format!("{}: {}", stage.source, stage.state),
    };
    endpoint.stages.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The engines that run an endpoint.
pub fn engines(endpoint: &Endpoint) -> String {
    let mut engines: Vec<&str> =
        endpoint.stages.iter().filter_map(|stage| stage.engine.as_deref()).collect();
    engines.dedup();
    engines.join(", ")
}

/// A word of the API, as serde writes it.
pub(super) fn word<T: serde::Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}
