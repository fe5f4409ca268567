//! `freehold search`: finds items by words and facts.

use api::client::Client;
use api::items::{Found, SearchQuery};
use types::FigureName;

use super::wording;
use crate::args::SearchArguments;
use crate::exit::Failure;
use crate::output::Output;

/// Carries out the command.
pub(super) async fn run(
    arguments: SearchArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let found = client.search(&query(arguments)).await?.found;
    let heads = ["item", "kind", "accuracy", "latency", "memory", "summary"];
    out.list(&found, &heads, |Found { item, .. }| {
        let figures = &item.listing.figures;
        vec![
            wording::newest(item).to_string(),
            item.kind.to_string(),
            wording::figure(figures, FigureName::AccuracyPpm),
            wording::figure(figures, FigureName::LatencyP50Us),
            wording::figure(figures, FigureName::MemoryPeakBytes),
            item.listing.summary.clone(),
        ]
    })
}

fn query(SearchArguments { facts, format }: SearchArguments) -> SearchQuery {
    SearchQuery {
        text: text(&facts.text),
        kind: facts.kind,
        category: facts.category,
        subcategory: facts.subcategory,
        format,
        accuracy_ppm_min: facts.accuracy,
        latency_us_max: facts.latency,
        memory_bytes_max: facts.memory.map(|mib| mib.saturating_mul(1 << 20)),
        limit: Some(facts.limit),
    }
}

/// The words of the command line as one text.
pub(super) fn text(words: &[String]) -> Option<String> {
    let text = words.join(" ");
    (!text.trim().is_empty()).then_some(text)
}
