//! `freehold endpoint variant`: what an endpoint can answer with, and how each is used.

use std::time::{Duration, Instant};

use api::client::Client;
use api::endpoints::{ChangeMode, CreateVariant, Endpoint, EndpointState, Modes, Variant};
use types::{Name, Used};

use super::{every, rows, word};
use crate::args::VariantCommand;
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// How often a variant is looked at, and how long it is waited for.
const PAUSE: Duration = Duration::from_millis(200);
const WAIT: Duration = Duration::from_mins(10);

/// Carries out the command.
pub(super) async fn run(
    command: VariantCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        VariantCommand::Add(add) => {
            let (source, instance_type) = (add.source, add.instance_type);
            let wanted = CreateVariant { variant: add.variant.clone(), source, instance_type };
            client.variant_create(&add.name, &wanted).await?;
            if !add.detach {
                let busy = out.busy(&format!("starting {}@{}", add.name, add.variant));
                let ready = wait_until_ready(client, &add.name, &add.variant).await;
                busy.finish_and_clear();
                ready?;
            }
            list(&client.endpoint_fetch(&add.name).await?, out)
        }
        VariantCommand::List { name } => list(&client.endpoint_fetch(&name).await?, out),
        VariantCommand::Use(wanted) => {
            let modes_number = client.endpoint_fetch(&wanted.name).await?.modes_number;
            let change = ChangeMode {
                mode: wanted.mode,
                share_bp: wanted.share.unwrap_or(0),
                for_ms: wanted.for_ms,
                reason: wanted.reason,
                modes_number,
            };
            out.one(&client.variant_mode(&wanted.name, &wanted.variant, &change).await?, rows)
        }
        VariantCommand::Delete { name, variant } => {
            client.variant_delete(&name, &variant).await?;
            note(&format!("{name}@{variant} is being removed"))
        }
    }
}

/// Waits until a variant can be called.
///
/// # Errors
///
/// When it fails, or is not ready within ten minutes.
pub async fn wait_until_ready(client: &Client, name: &Name, variant: &Name) -> Result<(), Failure> {
    let begun = Instant::now();
    loop {
        let endpoint = client.endpoint_fetch(name).await?;
        let found = endpoint.variants.iter().find(|it| it.used.variant == *variant);
        let Some(found) = found else {
            return Err(Failure::refused(format!("{name}@{variant} was removed")));
        };
        let late = begun.elapsed() > WAIT;
        match found.state {
            EndpointState::Ready => return Ok(()),
            EndpointState::Failed | EndpointState::Deleting => {
                let why = found.error.as_deref().unwrap_or("it is being removed");
                let message = format!("{name}@{variant} did not become ready: {why}");
                return Err(Failure::refused(message).code("instance_failed"));
            }
            EndpointState::Starting if late => {
                let minutes = WAIT.as_secs() / 60;
                let message = format!("{name}@{variant} still starts after {minutes} minutes");
                return Err(Failure::unavailable(message));
            }
            EndpointState::Starting => tokio::time::sleep(PAUSE).await,
        }
    }
}

fn list(endpoint: &Endpoint, out: &Output) -> Result<(), Failure> {
    let heads = ["variant", "mode", "share", "until", "state", "source"];
    out.list(&endpoint.variants, &heads, |variant: &Variant| {
        vec![
            variant.used.variant.to_string(),
            variant.used.mode.to_string(),
            share(&variant.used),
            variant.used.until_ms.map(time).unwrap_or_default(),
            word(&variant.state),
            variant.source.to_string(),
        ]
    })
}

/// Lists how variants were used.
pub(super) async fn history(name: &Name, client: &Client, out: &Output) -> Result<(), Failure> {
    let all: Vec<Modes> = every(|page| async move { client.modes_list(name, &page).await }).await?;
    out.list(&all, &["change", "when", "decided by", "used", "reason"], |modes| {
        let used: Vec<String> = modes.modes.iter().map(used).collect();
        vec![
            modes.number.to_string(),
            time(modes.at_ms),
            modes.decided_by.clone(),
            used.join("\n"),
            modes.reason.clone(),
        ]
    })
}

/// The variants of an endpoint, one a line; empty where there is one.
pub(super) fn words(endpoint: &Endpoint) -> String {
    if endpoint.variants.len() < 2 {
        return String::new();
    }
    let line = |it: &Variant| format!("{}, {}: {}", used(&it.used), word(&it.state), it.source);
    endpoint.variants.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn used(used: &Used) -> String {
    let share = share(used);
    let space = if share.is_empty() { "" } else { " " };
    format!("{}: {}{space}{share}", used.variant, used.mode)
}

fn share(used: &Used) -> String {
    let (whole, rest) = (used.share_bp / 100, used.share_bp % 100);
    match (used.share_bp, rest) {
        (0, _) => String::new(),
        (_, 0) => format!("{whole}%"),
        _ => format!("{whole}.{rest:02}%").replace("0%", "%"),
    }
}
