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
    let found = client.suggest(&wish(arguments)).await?.found;
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
