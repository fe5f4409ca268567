//! `freehold usage`: what calls of functions came to.

use api::client::Client;
use api::usage::{Consumption, UsageQuery};

use crate::args::UsageArguments;
use crate::exit::Failure;
use crate::output::{Output, table};

const DAY_MS: u64 = 24 * 3_600_000;

/// Carries out the command.
pub(super) async fn run(
    arguments: UsageArguments,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    let now_ms = workflow::Clock::system().now_ms();
    let from_ms = Some(now_ms.saturating_sub(arguments.days.saturating_mul(DAY_MS)));
    let query = UsageQuery { from_ms, to_ms: None };
    if arguments.sold {
        let usage = client.usage_sold(&query).await?;
        return out.text(&usage, |usage| {
            let row = |line: &api::usage::SoldLine| {
                let function = line.function.as_ref().map_or_else(String::new, ToString::to_string);
                with(vec![line.grant.clone(), function], &line.consumption)
            };
            let total = with(vec!["total".to_owned(), String::new()], &usage.total);
            table(&heads(&["grant", "function"]), usage.lines.iter().map(row).chain([total]))
        });
    }
    let usage = client.usage(&query).await?;
    out.text(&usage, |usage| {
        let row = |line: &api::usage::UsageLine| {
            let owner = match &line.grant {
                Some(grant) => format!("{}/{grant}", line.owner),
                None => String::new(),
            };
            let service = match (&line.service, &line.key) {
                (Some(service), Some(key)) => format!("{service} by {key}"),
                (service, _) => service.clone().unwrap_or_default(),
            };
            with(vec![line.name.clone(), owner, service], &line.consumption)
        };
        let total = vec!["total".to_owned(), String::new(), String::new()];
        let total = with(total, &usage.total);
        table(&heads(&["function", "grant", "service"]), usage.lines.iter().map(row).chain([total]))
    })
}

fn heads(first: &[&'static str]) -> Vec<&'static str> {
    let rest = ["calls", "failures", "faults", "duration", "memory"];
    first.iter().copied().chain(rest).collect()
}

fn with(mut row: Vec<String>, consumption: &Consumption) -> Vec<String> {
    let Consumption { calls, failures, faults, duration_ms, memory_mib_ms } = consumption;
    row.extend([calls, failures, faults].map(ToString::to_string));
    row.push(format!("{}.{:03} s", duration_ms / 1_000, duration_ms % 1_000));
    // A GiB for a second is 1,024,000 MiB for a millisecond.
    let thousandths = memory_mib_ms.div_ceil(1_024);
    row.push(format!("{}.{:03} GiB s", thousandths / 1_000, thousandths % 1_000));
    row
}
