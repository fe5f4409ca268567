//! `freehold function alias`: names of versions.

use api::client::Client;
use api::functions::{Alias, CreateAlias, LATEST, Share, UpdateAlias};

use super::super::every;
use crate::args::{AliasArguments, AliasCommand};
use crate::exit::Failure;
use crate::output::{Output, note};

/// Ten-thousandths in a percent.
const PER_PERCENT: f64 = 100.0;

/// Carries out the command.
pub(super) async fn run(
    command: AliasCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        AliasCommand::Create(wanted) => {
            let AliasArguments { function, alias, to, other, max_stale } = wanted;
            let wanted = CreateAlias {
                name: alias,
                version: to.unwrap_or_else(|| LATEST.to_owned()),
                other: share(other.as_deref())?,
                max_stale_ms: max_stale,
                description: String::new(),
            };
            out.one(&client.alias_create(&function, &wanted).await?, rows)
        }
        AliasCommand::Update(wanted) => {
            let AliasArguments { function, alias, to, other, max_stale } = wanted;
            let all = all(client, &function).await?;
            let before = all.into_iter().find(|it| it.name == alias);
            let before = before.ok_or_else(|| {
                Failure::refused(format!("{function} has no alias {alias}"))
                    .hint("see which there are: freehold function alias list NAME")
            })?;
            let wanted = UpdateAlias {
                version: to,
                other: share(other.as_deref())?,
                max_stale_ms: max_stale,
                description: None,
                generation: before.generation,
            };
            out.one(&client.alias_update(&function, (&alias, &wanted)).await?, rows)
        }
        AliasCommand::List { function } => {
            let all = all(client, &function).await?;
            out.list(&all, &["alias", "version", "other", "may be stale"], |alias| {
                vec![
                    alias.name.to_string(),
                    alias.version.clone(),
                    other(alias),
                    format!("{} ms", alias.max_stale_ms),
                ]
            })
        }
        AliasCommand::Delete { function, alias } => {
            client.alias_delete(&function, &alias).await?;
            note(&format!("{function} has no alias {alias} any more"))
        }
    }
}

async fn all(client: &Client, function: &types::FunctionName) -> Result<Vec<Alias>, Failure> {
    every(|page| async move { client.aliases_list(function, &page).await }).await
}

/// A version and its share, written `2=10`: in percent, to the hundredth.
fn share(text: Option<&str>) -> Result<Option<Share>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let refuse = || Failure::usage(format!("--other {text}: write VERSION=PERCENT, such as 2=10"));
    let (version, percent) = text.split_once('=').ok_or_else(refuse)?;
    let percent: f64 = percent.trim_end_matches('%').parse().map_err(|_| refuse())?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(refuse());
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10000")]
    let share = (percent * PER_PERCENT).round() as u32;
    Ok(Some(Share { version: version.to_owned(), share }))
}

fn other(alias: &Alias) -> String {
    let percent = |share: u32| format!("{}.{:02} %", share / 100, share % 100);
    let told = alias.other.as_ref();
    told.map_or_else(String::new, |it| format!("{} {}", it.version, percent(it.share)))
}

fn rows(alias: &Alias) -> Vec<(String, String)> {
    let rows = [
        ("alias", alias.name.to_string()),
        ("version", alias.version.clone()),
        ("other", other(alias)),
        ("may be stale", format!("{} ms", alias.max_stale_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
