//! `freehold function dead`: events that were given up.

use api::client::Client;
use api::functions::DeadEvent;
use types::FunctionName;

use super::super::every;
use crate::args::DeadCommand;
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: DeadCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        DeadCommand::List { function } => {
            let all = all(client, &function).await?;
            out.list(&all, &["event", "accepted", "given up", "runs", "last error"], |event| {
                vec![
                    event.id.to_string(),
                    time(event.accepted_at_ms),
                    time(event.given_up_at_ms),
                    event.failures.len().to_string(),
                    event.failures.last().map_or_else(String::new, |last| last.error.clone()),
                ]
            })
        }
        DeadCommand::Show { function, event } => {
            let all = all(client, &function).await?;
            let found = all.into_iter().find(|it| it.id == event).ok_or_else(|| {
                Failure::refused(format!("{function} has no dead event {event}"))
                    .hint("see which there are: freehold function dead list NAME")
            })?;
            out.one(&found, rows)
        }
        DeadCommand::Redrive { function, event } => {
            client.dead_event_redrive(&function, event).await?;
            note(&format!("{event} runs again"))
        }
        DeadCommand::Delete { function, event } => {
            client.dead_event_delete(&function, event).await?;
            note(&format!("{event} is forgotten"))
        }
    }
}

async fn all(client: &Client, function: &FunctionName) -> Result<Vec<DeadEvent>, Failure> {
    every(|page| async move { client.dead_events_list(function, &page).await }).await
}

/// An event for people: its payload, then each failure in its order.
fn rows(event: &DeadEvent) -> Vec<(String, String)> {
    let mut rows = vec![
        ("event".to_owned(), event.id.to_string()),
        ("accepted".to_owned(), time(event.accepted_at_ms)),
        ("given up".to_owned(), time(event.given_up_at_ms)),
        ("payload".to_owned(), event.payload.to_string()),
    ];
    if let Some(webhook) = &event.webhook {
        rows.insert(1, ("webhook".to_owned(), webhook.clone()));
    }
    for (place, failure) in event.failures.iter().enumerate() {
        let told = format!("{} {}: {}", time(failure.at_ms), failure.error, failure.message);
        rows.push((format!("run {}", place + 1), told));
    }
    rows
}
