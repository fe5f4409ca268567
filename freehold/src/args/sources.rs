//! Words about sources: streams that functions are fed from.

use clap::{Args, Subcommand};

use api::functions::sources::SourceStart;
use types::{FunctionName, Name, SourceId};

use super::examples;
use super::values::parse_time;

#[derive(Debug, Subcommand)]
#[command(after_help = examples::SOURCE)]
pub enum SourceCommand {
    /// Give a function the events of a stream, batch by batch, in order
    Add(SourceArguments),
    /// List the streams that a function is fed from, and how far it is
    List {
        /// The function
        function: FunctionName,
    },
    /// Show how a function is fed
    Show {
        /// The function
        function: FunctionName,
        /// The source
        source: SourceId,
    },
    /// Stop for a while; it goes on where it was
    Pause {
        /// The function
        function: FunctionName,
        /// The source
        source: SourceId,
    },
    /// Go on
    Resume {
        /// The function
        function: FunctionName,
        /// The source
        source: SourceId,
    },
    /// Feed it no more
    Delete {
        /// The function
        function: FunctionName,
        /// The source
        source: SourceId,
    },
}

#[derive(Debug, Args)]
pub struct SourceArguments {
    /// The function
    pub function: FunctionName,
    /// The stream
    pub stream: Name,
    /// A version or an alias [default: the latest]
    #[arg(long, value_name = "NAME")]
    pub qualifier: Option<String>,
    /// The first event: oldest, next, or a time such as 2026-11-23T08:00:00Z
    #[arg(long, default_value = "oldest", value_parser = parse_start)]
    pub from: SourceStart,
    /// Most events of a batch, 10000 at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub batch: u32,
    /// How long a batch waits to become full, such as 1s; 5m at most
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_time)]
    pub window: u64,
    /// A pattern of events, as `EventBridge` has them; others are left out
    #[arg(long = "filter", value_name = "JSON")]
    pub filters: Vec<String>,
    /// The function says which events it failed
    #[arg(long)]
    pub reports_failures: bool,
    /// A batch that fails comes again in halves
    #[arg(long)]
    pub bisect: bool,
    /// How often what failed comes again [default: for ever]
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// Age at which an event is given up, such as 1h; from 1m to 7d [default: never]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub age: Option<u64>,
    /// Who is told of what was given up: a function, the URL of a webhook, or stream:NAME [default:
    /// kept as dead]
    #[arg(long, value_name = "DESTINATION")]
    pub on_failure: Option<String>,
}

/// With which event to begin.
fn parse_start(text: &str) -> Result<SourceStart, String> {
    match text {
        "oldest" => Ok(SourceStart::Oldest),
        "next" => Ok(SourceStart::Next),
        text => {
            let time = text.parse::<jiff::Timestamp>().ok();
            let at_ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
            at_ms.map(SourceStart::AtMs).ok_or_else(|| {
                format!("{text:?} is none of oldest, next and a time: write 2026-11-23T08:00:00Z")
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_begins_with_an_event_that_can_be_told() {
        assert_eq!(parse_start("oldest"), Ok(SourceStart::Oldest));
        assert_eq!(parse_start("next"), Ok(SourceStart::Next));
        let at = parse_start("1970-01-01T00:00:01.5Z");
        assert_eq!(at, Ok(SourceStart::AtMs(1_500)));
        assert!(parse_start("yesterday").is_err());
    }
}
