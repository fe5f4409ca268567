//! `freehold suggest`: what serves best, with reasons, and what nearly does, with what it misses.

use api::client::Client;
use api::items::{Findings, Found, NearMiss, SuggestRequest};

use super::{search, wording};
use crate::args::SuggestArguments;
use crate::exit::Failure;
use crate::output::{Output, note, table};

/// Carries out the command.
pub(super) async fn run(
    arguments: SuggestArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let findings = client.suggest(&wish(arguments)).await?;
    if findings.found.is_empty() && !out.json() {
        note("nothing there")?;
    }
    out.text(&findings, tables)
}

/// What serves; below it what nearly does. A table of nothing is left out.
fn tables(Findings { found, near }: &Findings) -> String {
    let mut tables = Vec::new();
    if !found.is_empty() {
        let heads = ["item", "kind", "score", "figures", "reasons"];
        tables.push(table(&heads, found.iter().map(|found| row(found, &found.reasons))));
    }
    if !near.is_empty() {
        let heads = ["nearly", "kind", "score", "figures", "misses"];
        let row = |NearMiss { found, misses }: &NearMiss| row(found, misses);
        tables.push(table(&heads, near.iter().map(row)));
    }
    tables.join("\n")
}

fn row(Found { item, score_milli, .. }: &Found, why: &[String]) -> Vec<String> {
    vec![
        wording::newest(item).to_string(),
        item.kind.to_string(),
        format!("{}.{:03}", score_milli / 1_000, score_milli % 1_000),
        wording::figures(&item.listing.figures),
        why.join("\n"),
    ]
}

fn wish(SuggestArguments { facts, dataset, cpu }: SuggestArguments) -> SuggestRequest {
    SuggestRequest {
        text: search::text(&facts.text),
        kind: facts.kind,
        category: facts.category,
        subcategory: facts.subcategory,
        dataset,
        data: None,
        accuracy_ppm_min: facts.accuracy,
        latency_us_max: facts.latency,
        memory_bytes_max: facts.memory.map(|mib| mib.saturating_mul(1 << 20)),
        cpu_milli_max: cpu,
        limit: Some(facts.limit),
    }
}
