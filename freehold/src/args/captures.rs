//! Words about captures: live requests of an endpoint that are kept as events.

use clap::{Args, Subcommand};

use types::Name;

use super::examples;
use super::values::parse_share_bp;

#[derive(Debug, Subcommand)]
#[command(after_help = examples::CAPTURE)]
pub enum CaptureCommand {
    /// Show which requests are kept, and what became of them
    Show {
        /// The endpoint
        name: Name,
    },
    /// Keep requests, in place of what was kept before
    Set(CaptureArguments),
    /// Keep no more; what was kept stays in the stream
    Delete {
        /// The endpoint
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct CaptureArguments {
    /// The endpoint
    pub name: Name,
    /// The stream that takes them
    #[arg(long)]
    pub stream: Name,
    /// The part of the keys whose requests are kept, such as 5%, or all
    #[arg(long, default_value = "all", value_parser = parse_part)]
    pub share: u32,
    /// Keep no answers
    #[arg(long, conflicts_with = "answers")]
    pub requests: bool,
    /// Keep answers alone: what cannot be replayed
    #[arg(long)]
    pub answers: bool,
    /// The header that says of whom a request is [default: freehold-key]
    #[arg(long, value_name = "HEADER")]
    pub key: Option<String>,
}

/// A share, or all, in ten-thousandths.
fn parse_part(text: &str) -> Result<u32, String> {
    match text {
        "all" => Ok(api::endpoints::captures::CAPTURE_WHOLE_BP),
        text => parse_share_bp(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_a_part() {
        assert_eq!(parse_part("all"), Ok(10_000));
        assert_eq!(parse_part("0.5%"), Ok(50));
        assert!(parse_part("some").is_err());
    }
}
