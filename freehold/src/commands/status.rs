//! `freehold status`: what runs, what the machines give, and what is missing and why it matters.
//!
//! Always true: what this machine gives is told also where no cloud answers; then as a failure.

use serde::Serialize;

use api::client::Client;
use api::status::{CreateEnrolment, Feature, HostStatus, Status, TaskStatus};

use crate::args::StatusArguments;
use crate::exit::Failure;
use crate::output::{Output, bytes, note, pairs, table, time};

/// Carries out the command.
pub(super) async fn run(
    arguments: StatusArguments,
    client: Result<Client, Failure>,
    out: &Output,
) -> Result<(), Failure> {
    let client = match client {
        Ok(client) => client,
        Err(unknown) if arguments.tasks || arguments.enrol.is_some() => return Err(unknown),
        Err(unknown) => return alone(unknown, out),
    };
    if arguments.tasks {
        let tasks = client.tasks_list().await?;
        return out.list(&tasks, &["task", "kind", "status"], |task| {
            let TaskStatus { name, kind, status } = task;
            vec![name.clone(), kind.clone(), status.to_string()]
        });
    }
    if let Some((process, name)) = arguments.enrol {
        return enrol(process, &name, &client, out).await;
    }
    match client.status().await {
        Ok(status) => out.text(&status, |status| text(&client.address().to_string(), status)),
        Err(silence) if silence.status().is_none() => alone(silence.into(), out),
        Err(refusal) => Err(refusal.into()),
    }
}

/// What is known without a cloud.
#[derive(Serialize)]
struct Alone {
    features: Vec<Feature>,
}

/// Tells what this machine gives, and ends with why nothing else is known.
fn alone(why: Failure, out: &Output) -> Result<(), Failure> {
    let alone = Alone { features: crate::features::isolation() };
    out.text(&alone, |alone| format!("what this machine gives\n\n{}", features(&alone.features)))?;
    Err(why)
}

async fn enrol(process: String, name: &str, client: &Client, out: &Output) -> Result<(), Failure> {
    if !matches!(process.as_str(), "agent" | "gateway") {
        return Err(Failure::usage(format!("--enrol {process:?}: there is no such process"))
            .hint("write agent=NAME or gateway=NAME"));
    }
    let name = name.parse().map_err(|error| Failure::usage(format!("--enrol: {error}")))?;
    let told = format!("on the other machine: freehold {process} enrol TOKEN --control URL");
    let enrolment = client.enrolment_create(&CreateEnrolment { process, name }).await?;
    out.one(&enrolment, |enrolment| {
        vec![
            ("token".to_owned(), enrolment.token.clone()),
            ("until".to_owned(), time(enrolment.expires_at_ms)),
        ]
    })?;
    note(&told)
}

fn text(address: &str, status: &Status) -> String {
    let rows = [
        ("cloud", address.to_owned()),
        ("version", status.version.clone()),
        ("database", status.database.clone()),
        ("objects", status.objects.clone()),
        ("items", status.items.to_string()),
        ("endpoints", status.endpoints.to_string()),
        ("instances", status.instances.to_string()),
    ];
    let rows: Vec<_> = rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let mut text = pairs(&rows);
    if status.hosts.is_empty() {
        text += "\nno host: nothing can be tested, trained or deployed; run `freehold agent`\n";
        return text;
    }
    let heads = ["host", "fleet", "state", "processor free", "memory free", "instances"];
    text.push('\n');
    text += &table(&heads, status.hosts.iter().map(host));
    for host in &status.hosts {
        text += &format!("\nwhat {} gives\n\n", host.name);
        text += &features(&host.features);
    }
    text
}

fn host(host: &HostStatus) -> Vec<String> {
    vec![
        host.name.to_string(),
        host.fleet.to_string(),
        if host.alive { "alive" } else { "SILENT" }.to_owned(),
        format!("{} m of {} m", host.cpu_milli_free, host.cpu_milli),
        format!("{} of {}", bytes(host.memory_bytes_free), bytes(host.memory_bytes)),
        host.instances.to_string(),
    ]
}

/// Features, the missing ones first.
fn features(features: &[Feature]) -> String {
    let mut sorted: Vec<&Feature> = features.iter().collect();
    sorted.sort_by_key(|feature| feature.held);
    let row = |feature: &Feature| {
        let held = if feature.held { "held" } else { "MISSING" };
        let Feature { name, matters, detail, .. } = feature.clone();
        vec![name, held.to_owned(), matters, detail]
    };
    table(&["feature", "state", "why it matters", "found"], sorted.into_iter().map(row))
}
