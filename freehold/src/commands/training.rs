//! `freehold training`: what is being trained, and ending it.

use api::client::Client;
use api::trainings::Training;

use super::every;
use super::wording::word;
use crate::args::TrainingCommand;
use crate::exit::Failure;
use crate::output::{Output, share, time};

/// Carries out the command.
pub(super) async fn run(
    command: TrainingCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        TrainingCommand::List => {
            let trainings: Vec<Training> =
                every(|page| async move { client.trainings_list(&page).await }).await?;
            let heads = ["training", "state", "progress", "algorithm", "model", "begun"];
            out.list(&trainings, &heads, |training| {
                vec![
                    training.id.to_string(),
                    word(&training.state),
                    progress(training),
                    training.request.algorithm.to_string(),
                    model(training),
                    time(training.created_at_ms),
                ]
            })
        }
        TrainingCommand::Show { id } => out.one(&client.training_fetch(id).await?, rows),
        TrainingCommand::Cancel { id } => out.one(&client.training_cancel(id).await?, rows),
    }
}

/// A training for people.
pub(super) fn rows(training: &Training) -> Vec<(String, String)> {
    let request = &training.request;
    let data: Vec<String> =
        request.data.iter().map(|(channel, dataset)| format!("{channel}={dataset}")).collect();
    let set: Vec<String> =
        request.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let rows = [
        ("training", training.id.to_string()),
        ("state", word(&training.state)),
        ("progress", progress(training)),
        ("algorithm", request.algorithm.to_string()),
        ("data", data.join("\n")),
        ("parameters", set.join("\n")),
        ("model", model(training)),
        ("error", training.error.clone().unwrap_or_default()),
        ("error code", training.error_code.clone().unwrap_or_default()),
        ("begun", time(training.created_at_ms)),
        ("ended", training.ended_at_ms.map(time).unwrap_or_default()),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}

fn progress(training: &Training) -> String {
    training.progress_ppm.map(|ppm| share(ppm.into())).unwrap_or_default()
}

/// The model, or the name it will have.
fn model(training: &Training) -> String {
    match &training.model {
        Some(model) => model.to_string(),
        None => format!("{} (not yet)", training.request.model),
    }
}
