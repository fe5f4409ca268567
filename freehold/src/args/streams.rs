//! Words about streams: made, filled, read and removed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use types::Name;

use super::examples;
use super::values::{parse_memory, parse_share, parse_time};

#[derive(Debug, Subcommand)]
#[command(after_help = examples::STREAM)]
pub enum StreamCommand {
    /// Make a stream
    Create(StreamArguments),
    /// List your streams
    List,
    /// Show how a stream is kept
    Show {
        /// The stream
        name: Name,
    },
    /// Change how a stream is kept
    Update(StreamArguments),
    /// Take the events that a file tells; those known already are not stored again
    Import(ImportArguments),
    /// Show the first events in the order of their times
    Head {
        /// The stream
        name: Name,
        /// How many
        #[arg(short = 'n', long, default_value_t = 10)]
        count: u64,
        #[command(flatten)]
        selection: SelectionArguments,
    },
    /// Write events to a file or to stdout, in the order of their times
    Export(ExportArguments),
    /// Sum up events: how many, from when to when, how often, of what kinds
    Stats {
        /// The stream
        name: Name,
        #[command(flatten)]
        selection: SelectionArguments,
    },
    /// Say which fields of events have changed, and since when, beside events of another time
    Drift(DriftArguments),
    /// Say what events turned out to be, by a file or by a rule
    Label(LabelArguments),
    /// Make events like those of a stream, for loads that were not recorded
    Make(MakeArguments),
    /// Remove all events of one subject, and their labels
    Forget {
        /// The stream
        name: Name,
        /// Whose events, as they name it
        #[arg(long)]
        subject: String,
    },
    /// Remove a stream and its events
    Delete {
        /// The stream
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct StreamArguments {
    /// The stream
    pub name: Name,
    /// What it is for
    #[arg(long)]
    pub description: Option<String>,
    /// For how long an event that comes again is known, such as 24h [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub dedupe_window: Option<u64>,
    /// How long events are kept, such as 30d [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub retain: Option<u64>,
    /// How much is kept, such as 10GiB, the newest [default: all]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub retain_size: Option<u64>,
}

/// Which events.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Which events")]
pub struct SelectionArguments {
    /// From this time on: 2026-11-23T08:00:00Z, or 2026-11-23 of the zone
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Up to, and without, this time
    #[arg(long, value_name = "TIME")]
    pub until: Option<String>,
    /// The time zone of times that do not say theirs, such as Europe/Oslo [default: UTC]
    #[arg(long)]
    pub zone: Option<String>,
    /// What has to hold, such as region=no,data.status!=500
    #[arg(long = "where", value_name = "CONDITIONS")]
    pub filter: Option<String>,
    /// A part by key, such as subject:5% or id:0.1%
    #[arg(long, value_name = "KEY:SHARE")]
    pub sample: Option<String>,
    /// These events exactly, by their numbers: 17,23,99
    #[arg(long, value_name = "NUMBERS")]
    pub sequences: Option<String>,
}

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportWord {
    /// JSON, one object a line: of CloudEvents, or any
    Jsonl,
    /// A table with a header
    Csv,
    /// Apache Parquet
    Parquet,
    /// A web server's access log, common or combined
    Weblog,
    /// A system's log with the sign-ins of OpenSSH's server
    Sshd,
}

/// How events are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ExportWord {
    /// CloudEvents in JSON, one a line
    #[default]
    Jsonl,
    /// A table with a header
    Csv,
    /// Apache Parquet
    Parquet,
}

#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The stream
    pub name: Name,
    /// The file
    pub file: PathBuf,
    /// What it holds [default: by its name]
    #[arg(long)]
    pub format: Option<ImportWord>,
    /// Which fields are what, such as time=TIMESTAMP,id=request,region=site,label=fraud
    #[arg(long, value_name = "PART=FIELD,…")]
    pub map: Option<String>,
    /// The source of events that do not say theirs
    #[arg(long)]
    pub source: Option<String>,
    /// The type of events that do not say theirs
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// The year of times that do not say theirs
    #[arg(long)]
    pub year: Option<i16>,
    /// The time zone of times that do not say theirs [default: UTC]
    #[arg(long)]
    pub zone: Option<String>,
}

#[derive(Debug, Args)]
pub struct ExportArguments {
    /// The stream
    pub name: Name,
    /// The file; - is stdout
    #[arg(long, default_value = "-")]
    pub to: PathBuf,
    /// How they are written
    #[arg(long, value_enum, default_value_t)]
    pub format: ExportWord,
    /// At most so many
    #[arg(long)]
    pub limit: Option<u64>,
    #[command(flatten)]
    pub selection: SelectionArguments,
}

#[derive(Debug, Args)]
pub struct LabelArguments {
    /// The stream
    pub name: Name,
    /// A table with the columns id and label, and perhaps source
    #[arg(required_unless_present = "label")]
    pub file: Option<PathBuf>,
    /// The label of all events that are selected, in place of a table
    #[arg(long, conflicts_with = "file")]
    pub label: Option<String>,
    #[command(flatten)]
    pub selection: SelectionArguments,
}

#[derive(Debug, Args)]
pub struct MakeArguments {
    /// The stream that gets them
    pub name: Name,
    /// The stream from which they are drawn: each kind as often as it was recorded
    #[arg(long, value_name = "STREAM")]
    pub from: Name,
    /// How many
    #[arg(short = 'n', long)]
    pub count: u64,
    /// Where chance begins; told, to make the same ones
    #[arg(long)]
    pub seed: Option<u64>,
    /// When the first one happens [default: when the first recorded one did]
    #[arg(long, value_name = "TIME")]
    pub start: Option<String>,
    /// By what part numbers in their data are moved at most, such as 5% [default: 0]
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub jitter: Option<u64>,
    /// Members of their data that are drawn apart from the rest: amount,card.country
    #[arg(long, value_name = "MEMBER", value_delimiter = ',')]
    pub apart: Vec<String>,
    #[command(flatten)]
    pub selection: SelectionArguments,
}

#[derive(Debug, Args)]
#[command(after_help = examples::DRIFT)]
pub struct DriftArguments {
    /// The stream
    pub name: Name,
    /// Beside events from this time on, as --since
    #[arg(long, value_name = "TIME", required_unless_present = "against_until")]
    pub against_since: Option<String>,
    /// Up to, and without, this time [default: --since]
    #[arg(long, value_name = "TIME")]
    pub against_until: Option<String>,
    /// At most one false alarm in so many events
    #[arg(long, value_name = "EVENTS", default_value_t = 100_000)]
    pub alarm_every: u64,
    #[command(flatten)]
    pub selection: SelectionArguments,
}
