//! `freehold endpoint`: names that callers invoke.

mod capture;
mod gate;
mod trigger;
mod variant;

use api::client::Client;
use api::endpoints::{Endpoint, UpdateEndpoint};
use api::items::ShareRequest;
use types::{Name, Reference};

pub use variant::wait_until_ready as wait_until_variant_ready;

use super::wording::{self, word};
use super::{deploy, every, item, owner};
use crate::args::{EndpointCommand, UpdateArguments};
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: EndpointCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        EndpointCommand::List => {
            let endpoints: Vec<Endpoint> =
                every(|page| async move { client.endpoints_list(&page).await }).await?;
            let heads = ["endpoint", "state", "source", "instance", "shared with", "engine"];
            out.list(&endpoints, &heads, |endpoint| {
                vec![
                    endpoint.name.to_string(),
                    word(&endpoint.state),
                    endpoint.source.to_string(),
                    endpoint.instance_type.clone(),
                    wording::sharing(&endpoint.sharing),
                    wording::engines(endpoint),
                ]
            })
        }
        EndpointCommand::Show { name } => out.one(&client.endpoint_fetch(&name).await?, rows),
        EndpointCommand::Update(update) => {
            let UpdateArguments { name, source, instance_type } = update;
            let generation = client.endpoint_fetch(&name).await?.generation;
            let wanted = UpdateEndpoint { source, instance_type, generation };
            let endpoint = client.endpoint_update(&name, &wanted).await?;
            deploy::show_when_ready(endpoint, false, client, out).await
        }
        EndpointCommand::Share(share) => {
            let sharing = item::sharing_of(&share)?;
            let name = own(client, &share.name).await?;
            let generation = client.endpoint_fetch(&name).await?.generation;
            let wanted = ShareRequest { sharing, generation };
            out.one(&client.endpoint_share(&name, &wanted).await?, rows)
        }
        EndpointCommand::Variant(command) => variant::run(command, client, out).await,
        EndpointCommand::Gate(command) => gate::run(command, client, out).await,
        EndpointCommand::Capture(command) => capture::run(command, client, out).await,
        EndpointCommand::Promote(promote) => gate::promote(promote, client, out).await,
        EndpointCommand::Trigger(command) => trigger::run(command, client, out).await,
        EndpointCommand::History { name } => variant::history(&name, client, out).await,
        EndpointCommand::Restore { name, change } => {
            out.one(&client.modes_restore(&name, change).await?, rows)
        }
        EndpointCommand::Delete { name } => {
            client.endpoint_delete(&name).await?;
            note(&format!("{name} is being removed; calls are refused from now on"))
        }
    }
}

/// The name of an endpoint of the caller's own account.
async fn own(client: &Client, reference: &Reference) -> Result<Name, Failure> {
    if reference.version.is_some() {
        return Err(Failure::usage(format!(
            "{reference} is no endpoint: endpoints have no versions"
        ))
        .hint(format!("write {}", reference.name)));
    }
    if let Some(account) = &reference.account {
        let caller = owner(client, &Reference { account: None, ..reference.clone() }).await?;
        if *account != caller {
            return Err(Failure::usage(format!(
                "{reference} belongs to {account}, you are {caller}"
            ))
            .hint("only its owner can share an endpoint"));
        }
    }
    Ok(reference.name.clone())
}

/// An endpoint for people.
pub(super) fn rows(endpoint: &Endpoint) -> Vec<(String, String)> {
    let rows = [
        ("endpoint", endpoint.name.to_string()),
        ("others call it", format!("{}.{}", endpoint.account, endpoint.name)),
        ("state", word(&endpoint.state)),
        ("error", endpoint.error.clone().unwrap_or_default()),
        ("source", endpoint.source.to_string()),
        ("stages", wording::stages(endpoint)),
        ("variants", variant::words(endpoint)),
        ("instance", endpoint.instance_type.clone()),
        ("shared with", wording::sharing(&endpoint.sharing)),
        ("input", wording::format(endpoint.input.as_ref())),
        ("output", wording::format(endpoint.output.as_ref())),
        ("made", time(endpoint.created_at_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
