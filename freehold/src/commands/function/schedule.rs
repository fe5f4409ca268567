//! `freehold function schedule`: functions that run at times.

use api::client::Client;
use api::functions::{CreateSchedule, Schedule};

use super::super::every;
use super::super::wording;
use crate::args::{ScheduleArguments, ScheduleCommand};
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: ScheduleCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        ScheduleCommand::Create(wanted) => {
            let ScheduleArguments { function, schedule, expression, .. } = &wanted;
            let payload = wanted.payload.as_deref().map(serde_json::from_str).transpose();
            let payload = payload
                .map_err(|error| Failure::usage(format!("--payload is no JSON: {error}")))?;
            let missed = serde_json::from_value(wanted.missed.as_str().into()).map_err(|_| {
                Failure::usage(format!("--missed {}: use skip, once or all", wanted.missed))
            })?;
            let made = CreateSchedule {
                name: schedule.clone(),
                expression: expression.clone(),
                zone: wanted.zone.clone(),
                qualifier: wanted.qualifier.clone().unwrap_or_default(),
                payload,
                missed,
            };
            let made = client.schedule_create(function, &made).await?;
            out.one(&made, |made| {
                let heads = ["schedule", "when", "zone", "version", "missed", "next"];
                let heads = heads.map(str::to_owned).into_iter();
                heads.zip(row(made)).filter(|(_, value)| !value.is_empty()).collect()
            })
        }
        ScheduleCommand::List { function } => {
            let function = &function;
            let all: Vec<Schedule> =
                every(|page| async move { client.schedules_list(function, &page).await }).await?;
            out.list(&all, &["schedule", "when", "zone", "version", "missed", "next"], row)
        }
        ScheduleCommand::Delete { function, schedule } => {
            client.schedule_delete(&function, &schedule).await?;
            note(&format!("{function} has no schedule {schedule} any more"))
        }
    }
}

fn row(schedule: &Schedule) -> Vec<String> {
    vec![
        schedule.name.to_string(),
        schedule.expression.clone(),
        schedule.zone.clone(),
        schedule.qualifier.clone(),
        wording::word(&schedule.missed),
        schedule.next_at_ms.map_or_else(|| "over".to_owned(), time),
    ]
}
