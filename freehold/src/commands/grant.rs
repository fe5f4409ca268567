//! `freehold grant`: what lets other accounts link to a function.

use api::client::Client;
use api::grants::{CreateGrant, ErrorDetail, Grant, ReceivedGrant, UpdateGrant};
use api::items::Sharing;
use types::CallLimits;

use super::every;
use crate::args::{GrantCommand, GrantSettings, LimitArguments};
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: GrantCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        GrantCommand::Create(wanted) => {
            let settings = wanted.settings;
            let made = CreateGrant {
                name: wanted.name,
                function: wanted.function,
                sharing: sharing(&settings).unwrap_or(Sharing::Nobody),
                limits: limits(settings.limits),
                errors: errors(&settings),
                qualifier: settings.qualifier.unwrap_or_default(),
                description: settings.description.unwrap_or_default(),
            };
            let made = client.grant_create(&made).await?;
            out.one(&made, rows)?;
            let owner = client.whoami().await?.account.name;
            note(&format!("others link to it: freehold link create NAME {owner}/{}", made.name))
        }
        GrantCommand::Update(wanted) => {
            let before = client.grant_fetch(&wanted.name).await?;
            let settings = wanted.settings;
            let change = UpdateGrant {
                sharing: sharing(&settings),
                limits: told(settings.limits),
                errors: settings.hide_errors.then_some(ErrorDetail::Type),
                qualifier: settings.qualifier,
                description: settings.description,
                generation: before.generation,
            };
            out.one(&client.grant_update(&wanted.name, &change).await?, rows)
        }
        GrantCommand::List => {
            let all: Vec<Grant> =
                every(|page| async move { client.grants_list(&page).await }).await?;
            out.list(&all, &["grant", "function", "qualifier", "with", "limits"], |grant| {
                vec![
                    grant.name.to_string(),
                    grant.function.to_string(),
                    grant.qualifier.clone(),
                    with(&grant.sharing),
                    words(&grant.limits),
                ]
            })
        }
        GrantCommand::Show { name } => out.one(&client.grant_fetch(&name).await?, rows),
        GrantCommand::Received => {
            let all: Vec<ReceivedGrant> =
                every(|page| async move { client.grants_received(&page).await }).await?;
            out.list(&all, &["grant", "limits", "description"], |grant| {
                let name = format!("{}/{}", grant.owner, grant.name);
                vec![name, words(&grant.limits), grant.description.clone()]
            })
        }
        GrantCommand::Delete { name } => {
            client.grant_delete(&name).await?;
            note(&format!("{name} is taken back: links to it are broken"))
        }
    }
}

/// With whom; none where nobody was named.
fn sharing(settings: &GrantSettings) -> Option<Sharing> {
    match (settings.everybody, settings.accounts.is_empty()) {
        (true, _) => Some(Sharing::Everybody),
        (false, true) => None,
        (false, false) => Some(Sharing::Accounts { accounts: settings.accounts.clone() }),
    }
}

fn errors(settings: &GrantSettings) -> ErrorDetail {
    if settings.hide_errors { ErrorDetail::Type } else { ErrorDetail::Message }
}

/// Limits as they were told.
pub(super) fn limits(told: LimitArguments) -> CallLimits {
    CallLimits {
        rate_per_min: told.per_minute,
        burst: told.burst,
        concurrency: told.concurrency,
        calls_per_day: told.per_day,
        ends_at_ms: told.ends,
    }
}

/// The same; none where none was told.
pub(super) fn told(told: LimitArguments) -> Option<CallLimits> {
    let limits = limits(told);
    (limits != CallLimits::default()).then_some(limits)
}

/// Limits for people.
pub(super) fn words(limits: &CallLimits) -> String {
    let parts = [
        limits.rate_per_min.map(|rate| format!("{rate} a minute")),
        limits.concurrency.map(|count| format!("{count} at one time")),
        limits.calls_per_day.map(|count| format!("{count} a day")),
        limits.ends_at_ms.map(|end_ms| format!("until {}", time(end_ms))),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}

fn with(sharing: &Sharing) -> String {
    match sharing {
        Sharing::Nobody => "nobody".to_owned(),
        Sharing::Everybody => "everybody".to_owned(),
        Sharing::Accounts { accounts } => {
            accounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
    }
}

fn rows(grant: &Grant) -> Vec<(String, String)> {
    let errors = match grant.errors {
        ErrorDetail::Message => "type and message",
        ErrorDetail::Type => "type only",
    };
    let rows = [
        ("grant", grant.name.to_string()),
        ("function", grant.function.to_string()),
        ("qualifier", grant.qualifier.clone()),
        ("with", with(&grant.sharing)),
        ("limits", words(&grant.limits)),
        ("errors", errors.to_owned()),
        ("description", grant.description.clone()),
        ("made", time(grant.created_at_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
