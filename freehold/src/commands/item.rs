//! `freehold item`: what the catalogue shows, who may see it, and how often it was used.

use serde::Serialize;

use api::client::Client;
use api::items::{Item, Listing, ShareRequest, Sharing, Version};
use types::{FigureName, Reference};

use super::wording::{self, word};
use super::{every, owner};
use crate::args::{ItemCommand, ShareArguments};
use crate::exit::Failure;
use crate::output::{Output, bytes, time};

/// An item and one of its versions.
#[derive(Serialize)]
struct Shown {
    item: Item,
    version: Version,
}

/// Carries out the command.
pub(super) async fn run(
    command: ItemCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        ItemCommand::List => {
            let items: Vec<Item> =
                every(|page| async move { client.items_list(&page).await }).await?;
            out.list(&items, &["item", "kind", "accuracy", "shared with", "summary"], |item| {
                vec![
                    wording::newest(item).to_string(),
                    item.kind.to_string(),
                    wording::figure(&item.listing.figures, FigureName::AccuracyPpm),
                    item.sharing.as_ref().map(wording::sharing).unwrap_or_default(),
                    item.listing.summary.clone(),
                ]
            })
        }
        ItemCommand::Show { item } => show(&item, client, out).await,
        ItemCommand::Share(share) => {
            let sharing = sharing_of(&share)?;
            let account = owner(client, &share.name).await?;
            let item = client.item_fetch(&account, &share.name.name).await?;
            let wanted = ShareRequest { sharing, generation: item.generation };
            let item = client.item_share(&account, &share.name.name, &wanted).await?;
            out.one(&item, |item| {
                vec![
                    ("item".to_owned(), wording::newest(item).to_string()),
                    (
                        "shared with".to_owned(),
                        item.sharing.as_ref().map(wording::sharing).unwrap_or_default(),
                    ),
                ]
            })
        }
        ItemCommand::Usage { item } => {
            let account = owner(client, &item).await?;
            let usage = client.item_usage(&account, &item.name).await?;
            out.one(&usage, |usage| {
                vec![
                    ("requests".to_owned(), usage.requests.to_string()),
                    ("failures".to_owned(), usage.failures.to_string()),
                    ("trainings".to_owned(), usage.trainings.to_string()),
                    ("accounts".to_owned(), usage.accounts.to_string()),
                ]
            })
        }
    }
}

/// With whom the arguments share.
pub(super) fn sharing_of(share: &ShareArguments) -> Result<Sharing, Failure> {
    if share.everybody {
        return Ok(Sharing::Everybody);
    }
    if share.nobody {
        return Ok(Sharing::Nobody);
    }
    if share.with.is_empty() {
        return Err(Failure::usage("it is not said with whom to share")
            .hint("give --everybody, --with ACCOUNT (as often as needed) or --nobody"));
    }
    Ok(Sharing::Accounts { accounts: share.with.clone() })
}

async fn show(reference: &Reference, client: &Client, out: &Output) -> Result<(), Failure> {
    let account = owner(client, reference).await?;
    let item = client.item_fetch(&account, &reference.name).await?;
    let number = reference.version.unwrap_or(item.newest);
    let version = client.version_fetch(&account, &reference.name, number).await?;
    out.one(&Shown { item, version }, rows)
}

fn rows(shown: &Shown) -> Vec<(String, String)> {
    let Shown { item, version } = shown;
    let listing = &version.listing;
    let mut rows = Rows(Vec::new());
    rows.add("item", &version.reference.to_string());
    rows.add("kind", &item.kind.to_string());
    rows.add("title", &listing.title);
    rows.add("summary", &listing.summary);
    let category = [listing.category.as_str(), listing.subcategory.as_str()];
    rows.add("category", category.join(" / ").trim_end_matches(" / "));
    rows.add("tags", &listing.tags.join(", "));
    rows.add("license", &listing.license);
    rows.add("shared with", &item.sharing.as_ref().map(wording::sharing).unwrap_or_default());
    rows.add("input", &wording::format(listing.input.as_ref()));
    rows.add("output", &wording::format(listing.output.as_ref()));
    rows.add("channels", &listing.channels.join(", "));
    rows.add("parameters", &parameters(listing));
    rows.add("stages", &lines(&listing.stages));
    rows.add("needs", &needs(listing));
    rows.add("figures", &wording::figures(&listing.figures));
    rows.add(
        "package",
        &format!("{}, SHA-256 {}", bytes(version.package_bytes), version.package_sha256),
    );
    let file = |file: &api::items::PackageFile| format!("{} ({})", file.path, bytes(file.bytes));
    let files: Vec<String> = version.files.iter().flatten().map(file).collect();
    rows.add("files", &files.join("\n"));
    rows.add("signed by", &version.signed_by);
    if let Some(lineage) = &version.lineage {
        let mut from = vec![lineage.algorithm.to_string()];
        from.extend(lineage.data.iter().map(|data| format!("{}={}", data.channel, data.dataset)));
        from.push(format!("with {}", lineage.parameters));
        rows.add("trained from", &from.join("\n"));
    }
    rows.add("made", &time(version.created_at_ms));
    rows.add("documentation", &listing.documentation);
    rows.0
}

/// Rows of what there is; what is empty is left out.
struct Rows(Vec<(String, String)>);

impl Rows {
    fn add(&mut self, key: &str, value: &str) {
        if !value.trim().is_empty() {
            self.0.push((key.to_owned(), value.to_owned()));
        }
    }
}

fn lines(references: &[Reference]) -> String {
    references.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn needs(listing: &Listing) -> String {
    let Some(runtime) = &listing.runtime else { return String::new() };
    let requires = &listing.requires;
    let memory = bytes(requires.memory_bytes);
    format!("{memory} of memory, {} m of processor, runtime {}", requires.cpu_milli, word(runtime))
}

/// `epochs: integer, 20 by default. How often ...`, one a line.
fn parameters(listing: &Listing) -> String {
    let Some(known) = listing.parameters.as_object() else { return String::new() };
    let line = |(name, about): (&String, &serde_json::Value)| {
        let text = |key: &str| about.get(key).and_then(|it| it.as_str()).unwrap_or_default();
        let mut line = format!("{name}: {}", text("type"));
        if let Some(default) = about.get("default") {
            line += &format!(", {default} by default");
        }
        if !text("description").is_empty() {
            line += &format!(". {}", text("description"));
        }
        line
    };
    known.iter().map(line).collect::<Vec<_>>().join("\n")
}
