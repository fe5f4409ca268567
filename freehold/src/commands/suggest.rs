//! `freehold suggest`: what serves best, with reasons.

use api::client::Client;
use api::items::{Found, SuggestRequest};

use super::{search, wording};
use crate::args::SuggestArguments;
use crate::exit::Failure;
use crate::output::Output;

/// Carries out the command.
pub(super) async fn run(
    arguments: SuggestArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let found = client.suggest(&wish(arguments)?).await?.found;
    let heads = ["item", "kind", "score", "figures", "reasons"];
    out.list(&found, &heads, |Found { item, score_milli, reasons }| {
        vec![
            wording::newest(item).to_string(),
            item.kind.to_string(),
            format!("{}.{:03}", score_milli / 1_000, score_milli % 1_000),
            wording::figures(&item.listing.figures),
            reasons.join("\n"),
        ]
    })
}

fn wish(arguments: SuggestArguments) -> Result<SuggestRequest, Failure> {
    let SuggestArguments { search, dataset, cpu } = arguments;
    if search.format.is_some() {
        return Err(Failure::usage("suggest knows no --format")
            .hint("name the data at hand with --dataset REFERENCE"));
    }
    Ok(SuggestRequest {
        text: search::text(&search.text),
        kind: search.kind,
        category: search.category,
        subcategory: search.subcategory,
        dataset,
        data: None,
        accuracy_ppm_min: search.accuracy,
        latency_us_max: search.latency,
        memory_bytes_max: search.memory.map(|mib| mib.saturating_mul(1 << 20)),
        cpu_milli_max: cpu,
        limit: Some(search.limit),
    })
}
