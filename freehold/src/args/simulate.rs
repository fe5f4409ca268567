//! Words about simulating: which load, under which decisions.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::examples;
use super::values::parse_memory;

#[derive(Debug, Args)]
#[command(after_help = examples::SIMULATE)]
pub struct SimulateArguments {
    /// The trace: a CSV file of calls, by minutes or one by one
    pub trace: PathBuf,
    /// How long calls take: a CSV file that joins the trace [default: a second]
    #[arg(long, value_name = "FILE")]
    pub durations: Option<PathBuf>,
    /// How much memory functions have: a CSV file that joins the trace [default: 128 MiB]
    #[arg(long, value_name = "FILE")]
    pub sizes: Option<PathBuf>,
    /// How instances are kept warm; can be given again [default: all, beside each other]
    #[arg(long, value_enum, value_name = "POLICY")]
    pub policy: Vec<PolicyWord>,
    /// For how long `fixed` keeps an instance
    #[arg(long, value_name = "MINUTES", default_value_t = 10)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_440))]
    pub keep: u32,
    /// What moments within a minute, and durations, are drawn from
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Memory for instances, such as 64GiB [default: as much as is wanted]
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    pub memory: Option<u64>,
    /// How long a cold start takes
    #[arg(long, value_name = "MS", default_value_t = sim::replay::COLD_MS)]
    pub cold: u64,
    /// Count minutes with a call instead of calls, as published comparisons do
    #[arg(long, conflicts_with_all = ["durations", "sizes", "seed", "memory", "cold"])]
    pub grid: bool,
    /// The same as --output json
    #[arg(long)]
    pub json: bool,
}

/// A policy of keeping instances warm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum PolicyWord {
    /// A fixed time after every call
    Fixed,
    /// The published histogram of gaps
    Hybrid,
    /// The window that would have cost least
    LeastCost,
}
