//! Words about replays: begun, watched, compared.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use api::endpoints::GateCondition;
use api::runs::{DrillKind, RunDrill};
use types::{Name, RunId};

use super::examples;
use super::gates::parse_condition;
use super::judged::JudgedArguments;
use super::streams::SelectionArguments;
use super::values::{parse_rate, parse_share, parse_speed, parse_time};

#[derive(Debug, Args)]
#[command(after_help = examples::REPLAY)]
pub struct ReplayArguments {
    /// The endpoint, or one of its variants: risk, or risk@next
    pub endpoint: String,
    /// The stream whose events are sent
    #[arg(long)]
    pub stream: Name,
    /// Further variants that are sent the same events; the same one twice shows its own noise
    #[arg(long, value_name = "VARIANT")]
    pub against: Vec<Name>,
    /// Conditions to ask of each event too, as a candidate has to beat them: data.failures>=3
    #[arg(long, value_name = "CONDITIONS")]
    pub rule: Option<String>,
    #[command(flatten)]
    pub load: LoadArguments,
    #[command(flatten)]
    pub sweep: SweepArguments,
    /// For how long, such as 5m [default: to the last event]
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub for_ms: Option<u64>,
    /// What keeps its part of the whole at any time
    #[arg(long, value_enum, value_delimiter = ',')]
    pub group_by: Vec<GroupWord>,
    /// What becomes of sends that are late
    #[arg(long, value_enum, default_value_t)]
    pub late: LateWord,
    /// Most requests under way at a time
    #[arg(long, value_name = "N")]
    pub in_flight: Option<u32>,
    /// How long an answer may take, such as 5s [default: 30s]
    #[arg(long, value_parser = parse_time)]
    pub timeout: Option<u64>,
    /// Where chance begins; told by the run, to repeat it
    #[arg(long)]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub judged: JudgedArguments,
    /// End an instance of each variant, or of one, at a time of the run: kill@30s, kill@30s:next
    #[arg(long, value_name = "DRILL", value_parser = parse_drill, conflicts_with = "sweep")]
    pub drill: Vec<RunDrill>,
    /// Also of variants that answer live events, which then fail
    #[arg(long, requires = "drill")]
    pub drill_production: bool,
    /// Return at once instead of following it
    #[arg(long, conflicts_with = "sweep")]
    pub detach: bool,
    #[command(flatten)]
    pub selection: SelectionArguments,
}

/// When events are sent; one of these.
#[derive(Debug, Args)]
#[group(multiple = false)]
#[command(next_help_heading = "When events are sent")]
pub struct LoadArguments {
    /// At a rate, evenly, such as 500/s or 90/min
    #[arg(long, value_parser = parse_rate)]
    pub rate: Option<u64>,
    /// At a rate on average, as independent callers come
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    pub poisson: Option<u64>,
    /// So many times as fast as they happened, such as 10x
    #[arg(long, value_parser = parse_speed)]
    pub speed: Option<u64>,
    /// By a pattern in a file: steps, ramps, sines, spikes
    #[arg(long, value_name = "FILE")]
    pub pattern: Option<PathBuf>,
    /// As they happened; so it is where nothing is said
    #[arg(long)]
    pub as_recorded: bool,
    /// At rising rates, to find the largest one at which this holds, such as errors<=1%
    #[arg(long, value_name = "CONDITION", value_parser = parse_condition)]
    pub sweep: Option<GateCondition>,
}

/// Between which rates a sweep looks.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Of a sweep")]
pub struct SweepArguments {
    /// The first rate [default: 1/s]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, requires = "sweep")]
    pub from: Option<u64>,
    /// The largest rate that is tried [default: 10000/s]
    #[arg(long, value_name = "RATE", value_parser = parse_rate, requires = "sweep")]
    pub up_to: Option<u64>,
    /// How near to the largest rate the answer is to be [default: 10%]
    #[arg(long, value_name = "SHARE", value_parser = parse_share, requires = "sweep")]
    pub within: Option<u64>,
}

/// A drill such as `kill@30s`, or `kill@30s:VARIANT`.
fn parse_drill(text: &str) -> Result<RunDrill, String> {
    let wrong = || format!("{text:?} is no drill: write kill@30s, or kill@30s:VARIANT");
    let when = text.strip_prefix("kill@").ok_or_else(wrong)?;
    let (time, variant) = match when.split_once(':') {
        Some((time, variant)) => (time, Some(variant.parse().map_err(|_| wrong())?)),
        None => (when, None),
    };
    let at_ms = parse_time(time).map_err(|_| wrong())?;
    Ok(RunDrill { what: DrillKind::Kill, at_ms, variant })
}

/// By what events are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GroupWord {
    Region,
    Group,
    Type,
    Label,
}

/// What becomes of sends that are late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LateWord {
    /// They are sent at once
    #[default]
    Burst,
    /// They are sent while they are less than 10 ms late, else left out
    Window,
    /// They are left out
    Skip,
}

#[derive(Debug, Subcommand)]
#[command(after_help = examples::RUNS)]
pub enum RunsCommand {
    /// List your replays, the newest first
    List,
    /// Show a replay: how far it is, or what it came to
    Show {
        /// The replay
        id: RunId,
    },
    /// Show how a replay went over its time, or over the hours of the day
    Series(SeriesArguments),
    /// Say whether what a variant answers has changed, beside another replay
    Drift {
        /// The replay
        id: RunId,
        /// The replay whose answers are the reference
        #[arg(long, value_name = "RUN")]
        against: RunId,
        /// Of this variant [default: the first]
        #[arg(long)]
        variant: Option<String>,
        /// Beside this variant of the other [default: the same]
        #[arg(long, value_name = "VARIANT")]
        against_variant: Option<String>,
        /// At most one false alarm in so many answers
        #[arg(long, value_name = "ANSWERS", default_value_t = 100_000)]
        alarm_every: u64,
    },
    /// Stop a replay before its end
    Stop {
        /// The replay
        id: RunId,
    },
    /// Put what replays came to side by side
    Compare {
        /// The replays
        #[arg(num_args = 2.., required = true)]
        ids: Vec<RunId>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = examples::SERIES)]
pub struct SeriesArguments {
    /// The replay
    pub id: RunId,
    /// What a line is of
    #[arg(long, value_enum, default_value_t)]
    pub by: SeriesWord,
    /// How long a row is: 500ms, 10s, 5m, 1h [default: some 60 rows]
    #[arg(long)]
    pub step: Option<String>,
    /// By the hour of the day at which events happened
    #[arg(long, conflicts_with = "step")]
    pub hours: bool,
    /// The time zone of hours, such as Europe/Oslo [default: UTC]
    #[arg(long, conflicts_with = "step")]
    pub zone: Option<String>,
    /// Of this variant only
    #[arg(long)]
    pub variant: Option<String>,
    /// Of this region only
    #[arg(long)]
    pub region: Option<String>,
    /// Of this group only
    #[arg(long)]
    pub group: Option<String>,
}

/// What a line is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SeriesWord {
    #[default]
    Variant,
    Region,
    Group,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drills_are_read_or_refused_with_what_to_write() {
        let read = |text: &str| parse_drill(text).map(|it| (it.at_ms, it.variant));
        assert_eq!(read("kill@30s"), Ok((30_000, None)));
        assert_eq!(read("kill@500ms:next"), Ok((500, Some("next".parse().unwrap()))));
        for bad in ["kill", "kill@", "kill@30", "kill@30s:", "stop@30s", "kill@next:30s", "30s"] {
            assert!(read(bad).unwrap_err().contains("write kill@30s"), "{bad}");
        }
    }
}
