//! `freehold service`: APIs made of functions and links.

use std::path::Path;

use api::client::Client;
use api::services::{
    CreateService, CreateServiceKey, CreatedServiceKey, Service, ServiceKey, ServiceSpec,
    ServiceVersion, UpdateService,
};

use super::every;
use super::grant::{limits, words};
use crate::args::{ServiceCommand, ServiceKeyCommand};
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: ServiceCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        ServiceCommand::Create(wanted) => {
            let spec = read(&wanted.description)?;
            let made = client.service_create(&CreateService { name: wanted.name, spec }).await?;
            out.one(&made, rows)?;
            note(&format!("for its users: freehold service key create {} NAME", made.name))
        }
        ServiceCommand::Update(wanted) => {
            let spec = read(&wanted.description)?;
            let generation = client.service_fetch(&wanted.name).await?.generation;
            let wanted_spec = UpdateService { spec, generation };
            out.one(&client.service_update(&wanted.name, &wanted_spec).await?, rows)
        }
        ServiceCommand::List => {
            let all: Vec<Service> =
                every(|page| async move { client.services_list(&page).await }).await?;
            out.list(&all, &["service", "version", "operations", "path"], |service| {
                vec![
                    service.name.to_string(),
                    service.version.to_string(),
                    service.spec.operations.len().to_string(),
                    service.path.clone(),
                ]
            })
        }
        ServiceCommand::Show { name } => out.one(&client.service_fetch(&name).await?, rows),
        ServiceCommand::Versions { name } => {
            let name = &name;
            let all: Vec<ServiceVersion> =
                every(|page| async move { client.service_versions(name, &page).await }).await?;
            out.list(&all, &["version", "operations", "made"], |version| {
                vec![
                    version.version.to_string(),
                    version.spec.operations.len().to_string(),
                    time(version.created_at_ms),
                ]
            })
        }
        ServiceCommand::DeleteVersion { name, number } => {
            client.service_version_delete(&name, number).await?;
            note(&format!("{name} has no version {number} any more"))
        }
        ServiceCommand::Key(command) => key(command, client, out).await,
        ServiceCommand::Delete { name } => {
            client.service_delete(&name).await?;
            note(&format!("{name} is removed, with its versions and keys"))
        }
    }
}

async fn key(command: ServiceKeyCommand, client: &Client, out: &Output) -> Result<(), Failure> {
    match command {
        ServiceKeyCommand::Create { service, key, limits: told } => {
            let wanted = CreateServiceKey { name: key, limits: limits(told) };
            let made = client.service_key_create(&service, &wanted).await?;
            out.one(&made, |made: &CreatedServiceKey| {
                let rows = [
                    ("key", made.key.name.to_string()),
                    ("limits", words(&made.key.limits)),
                    ("secret", made.secret.clone()),
                ];
                rows.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            })?;
            note("the secret is not shown again")
        }
        ServiceKeyCommand::List { service } => {
            let service = &service;
            let all: Vec<ServiceKey> =
                every(|page| async move { client.service_keys(service, &page).await }).await?;
            out.list(&all, &["key", "limits", "made"], |key| {
                vec![key.name.to_string(), words(&key.limits), time(key.created_at_ms)]
            })
        }
        ServiceKeyCommand::Delete { service, key } => {
            client.service_key_delete(&service, &key).await?;
            note(&format!("{service} has no key {key} any more"))
        }
    }
}

/// A description, in TOML or JSON.
fn read(path: &Path) -> Result<ServiceSpec, Failure> {
    let wrong = |error: &dyn std::fmt::Display| {
        Failure::usage(format!("{}: {error}", path.display()))
            .hint("freehold service --help shows how a description looks")
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error))?;
    if path.extension().is_some_and(|extension| extension == "json") {
        return serde_json::from_str(&text).map_err(|error| wrong(&error));
    }
    toml::from_str(&text).map_err(|error| wrong(&error))
}

fn rows(service: &Service) -> Vec<(String, String)> {
    let operation = |it: &api::services::Operation| {
        format!("{} {} calls {}", it.method.as_str(), it.path, it.function)
    };
    let operations: Vec<String> = service.spec.operations.iter().map(operation).collect();
    let rows = [
        ("service", service.name.to_string()),
        ("version", service.version.to_string()),
        ("path", service.path.clone()),
        ("key", if service.spec.open { "none needed" } else { "needed" }.to_owned()),
        ("operations", operations.join("\n")),
        ("description", service.spec.description.clone()),
        ("made", time(service.created_at_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
