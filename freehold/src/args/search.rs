//! Words about finding: what is looked for, and what is at hand.

use clap::Args;

use types::{ItemKind, Reference};

use super::examples;
use super::values::{parse_kind, parse_ms, parse_share};

#[derive(Debug, Args)]
pub struct SearchArguments {
    #[command(flatten)]
    pub facts: FactsArguments,
    /// What it takes: tensors, table, json or a media type
    #[arg(long)]
    pub format: Option<String>,
}

/// What is looked for.
#[derive(Debug, Args)]
pub struct FactsArguments {
    /// Words, in any order
    pub text: Vec<String>,
    /// algorithm, dataset, model, pipeline or notebook
    #[arg(long, value_parser = parse_kind)]
    pub kind: Option<ItemKind>,
    /// Such as security
    #[arg(long)]
    pub category: Option<String>,
    /// Such as sign-in-risk
    #[arg(long)]
    pub subcategory: Option<String>,
    /// Least accuracy, such as 0.9
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    pub accuracy: Option<u64>,
    /// Longest median latency, in milliseconds
    #[arg(long, value_name = "MS", value_parser = parse_ms)]
    pub latency: Option<u64>,
    /// Largest memory, in MiB
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u64>,
    /// Most results
    #[arg(long, default_value_t = 20)]
    pub limit: u32,
}

#[derive(Debug, Args)]
#[command(after_help = examples::SUGGEST)]
pub struct SuggestArguments {
    #[command(flatten)]
    pub facts: FactsArguments,
    /// A data set at hand
    #[arg(long)]
    pub dataset: Option<Reference>,
    /// Processor at hand, in thousandths
    #[arg(long, value_name = "MILLI")]
    pub cpu: Option<u32>,
}
