//! `freehold train`: starts a training and follows it to its model.
//!
//! Always true: Ctrl-C ends the following, never the training.

use std::collections::BTreeMap;

use indicatif::ProgressBar;
use serde_json::Value;

use api::client::Client;
use api::trainings::{TrainRequest, Training, TrainingState};
use types::{Reference, TrainingId};

use super::logs::{Follower, Subject, sentence};
use super::training;
use crate::args::TrainArguments;
use crate::exit::Failure;
use crate::output::{Output, note};

/// Carries out the command.
pub(super) async fn run(
    arguments: TrainArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let detach = arguments.detach;
    let training = client.training_create(&request(arguments)?).await?;
    if detach {
        out.one(&training, training::rows)?;
        return note(&format!("to follow it: freehold logs -f {}", training.id));
    }
    let id = training.id;
    let bar = out.busy(&format!("training {id}"));
    let training = tokio::select! {
        followed = follow(client, id, &bar) => followed?,
        _ = tokio::signal::ctrl_c() => {
            bar.finish_and_clear();
            return Err(Failure::unavailable(format!("{id} is no longer followed, and goes on"))
                .hint(format!(
                    "`freehold logs -f {id}` follows it again, `freehold training cancel {id}` \
                     ends it"
                )));
        }
    };
    bar.finish_and_clear();
    out.one(&outcome(training)?, training::rows)
}

/// Tells the log line by line until the training has ended, and gives it then.
async fn follow(client: &Client, id: TrainingId, bar: &ProgressBar) -> Result<Training, Failure> {
    let mut follower = Follower::new(client, Subject::Training(id));
    loop {
        let log = follower.next().await?;
        for line in &log.lines {
            bar.suspend(|| note(&sentence(line)))?;
        }
        let training = client.training_fetch(id).await?;
        bar.set_message(progress(&training));
        if log.ended {
            return Ok(training);
        }
    }
}

/// The training, if it has a model.
///
/// # Errors
///
/// When it failed, was cancelled, or has not ended.
pub fn outcome(training: Training) -> Result<Training, Failure> {
    let id = training.id;
    let why = training.error.as_deref().unwrap_or("no reason is known");
    match training.state {
        TrainingState::Succeeded => Ok(training),
        TrainingState::Cancelled => {
            Err(Failure::refused(format!("{id} was cancelled")).code("cancelled"))
        }
        TrainingState::Failed => Err(Failure::refused(format!("{id} failed: {why}"))
            .hint(format!("the whole log: freehold logs {id}"))
            .code(training.error_code.as_deref().unwrap_or("training_failed"))),
        TrainingState::Waiting | TrainingState::Running | TrainingState::Publishing => {
            Err(Failure::unavailable(format!("{id} has not ended"))
                .hint(format!("follow it: freehold logs -f {id}")))
        }
    }
}

fn progress(training: &Training) -> String {
    let id = training.id;
    match (training.state, training.progress_ppm) {
        (TrainingState::Waiting, _) => format!("{id} waits for room"),
        (TrainingState::Running, Some(ppm)) => format!("training {id}: {} %", ppm / 10_000),
        (TrainingState::Publishing, _) => format!("testing and measuring the model of {id}"),
        _ => format!("training {id}"),
    }
}

fn request(arguments: TrainArguments) -> Result<TrainRequest, Failure> {
    let mut data = BTreeMap::new();
    for (channel, dataset) in arguments.data {
        let reference: Reference = dataset
            .parse()
            .map_err(|error| Failure::usage(format!("--data {channel}={dataset}: {error}")))?;
        if data.insert(channel.clone(), reference).is_some() {
            return Err(Failure::usage(format!("--data {channel}: it is given twice"))
                .hint("a channel takes one data set"));
        }
    }
    let mut parameters = BTreeMap::new();
    for (name, text) in arguments.parameters {
        if parameters.insert(name.clone(), value(text)).is_some() {
            return Err(Failure::usage(format!("--set {name}: it is given twice")));
        }
    }
    Ok(TrainRequest {
        algorithm: arguments.algorithm,
        data,
        parameters,
        instance_type: arguments.instance_type,
        model: arguments.model,
    })
}

/// A number or a truth where the text is one, else the text.
fn value(text: String) -> Value {
    match serde_json::from_str(&text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_) | Value::String(_))) => value,
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_parameter_is_the_number_it_looks_like_or_text() {
        for (text, wanted) in [
            ("3", json!(3)),
            ("0.05", json!(0.05)),
            ("true", json!(true)),
            ("adam", json!("adam")),
            ("\"3\"", json!("3")),
            ("[1]", json!("[1]")),
        ] {
            assert_eq!(value(text.to_owned()), wanted, "{text}");
        }
    }
}
