//! `freehold link`: functions of other accounts, under a name of one's own.

use api::client::Client;
use api::grants::{CreateLink, Link, UpdateLink};
use serde_json::{Map, Value};

use super::every;
use super::grant::{limits, told, words};
use crate::args::{LinkCommand, LinkSettings};
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: LinkCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        LinkCommand::Create(wanted) => {
            let to = wanted.to;
            let whole = to.account.clone().filter(|_| to.version.is_none());
            let owner = whole.ok_or_else(|| {
                Failure::usage(format!("{to} is no grant: write owner/grant"))
                    .hint("freehold grant received lists what you were given")
            })?;
            let settings = wanted.settings;
            let made = CreateLink {
                name: wanted.name,
                owner,
                grant: to.name,
                parameters: parameters(&settings)?.unwrap_or_default(),
                limits: limits(settings.limits),
                tokens: settings.tokens,
                description: settings.description.unwrap_or_default(),
            };
            let made = client.link_create(&made).await?;
            out.one(&made, rows)?;
            note(&format!("call it: freehold function invoke {} '{{}}'", made.name))
        }
        LinkCommand::Update(wanted) => {
            let before = client.link_fetch(&wanted.name).await?;
            let settings = wanted.settings;
            let change = UpdateLink {
                parameters: parameters(&settings)?,
                limits: told(settings.limits),
                tokens: (!settings.tokens.is_empty()).then_some(settings.tokens),
                description: settings.description,
                generation: before.generation,
            };
            out.one(&client.link_update(&wanted.name, &change).await?, rows)
        }
        LinkCommand::List => {
            let all: Vec<Link> =
                every(|page| async move { client.links_list(&page).await }).await?;
            out.list(&all, &["link", "to", "limits", "state"], |link| {
                vec![
                    link.name.to_string(),
                    format!("{}/{}", link.owner, link.grant),
                    words(&link.limits),
                    link.broken.clone().unwrap_or_else(|| "works".to_owned()),
                ]
            })
        }
        LinkCommand::Show { name } => out.one(&client.link_fetch(&name).await?, rows),
        LinkCommand::Delete { name } => {
            client.link_delete(&name).await?;
            note(&format!("the link {name} is removed"))
        }
    }
}

/// The parameters that were told; none where none were. What is no JSON is text.
fn parameters(settings: &LinkSettings) -> Result<Option<Map<String, Value>>, Failure> {
    if settings.parameters.is_empty() {
        return Ok(None);
    }
    let pair = |text: &String| {
        let refuse = || Failure::usage(format!("--set {text}: write NAME=VALUE"));
        let (name, value) = text.split_once('=').ok_or_else(refuse)?;
        let value = serde_json::from_str(value).unwrap_or_else(|_| value.into());
        Ok((name.to_owned(), value))
    };
    settings.parameters.iter().map(pair).collect::<Result<_, _>>().map(Some)
}

fn rows(link: &Link) -> Vec<(String, String)> {
    let parameters = Value::Object(link.parameters.clone()).to_string();
    let tokens: Vec<String> = link.tokens.iter().map(ToString::to_string).collect();
    let rows = [
        ("link", link.name.to_string()),
        ("to", format!("{}/{}", link.owner, link.grant)),
        ("state", link.broken.clone().unwrap_or_else(|| "works".to_owned())),
        ("parameters", if link.parameters.is_empty() { String::new() } else { parameters }),
        ("limits", words(&link.limits)),
        ("tokens", tokens.join(", ")),
        ("description", link.description.clone()),
        ("made", time(link.created_at_ms)),
    ];
    let filled = rows.into_iter().filter(|(_, value)| !value.is_empty());
    filled.map(|(key, value)| (key.to_owned(), value)).collect()
}
