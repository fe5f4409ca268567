//! Words about endpoints: made, changed, shared, asked and removed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use types::{Mode, Name, RunId, TaskReference};

use super::captures::CaptureCommand;
use super::gates::parse_condition;
use super::values::{parse_mode, parse_share_bp, parse_time};
use super::{ShareArguments, TriggerCommand, examples};

#[derive(Debug, Args)]
#[command(after_help = examples::DEPLOY)]
pub struct DeployArguments {
    /// The model or pipeline, or a function as function:NAME or function:NAME:ALIAS
    pub source: TaskReference,
    /// The endpoint's name [default: the item's, or the function's]
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<Name>,
    /// nano, small, medium or large [default: the smallest that fits]
    #[arg(long)]
    pub instance_type: Option<String>,
    /// Return at once instead of waiting until it is ready
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Subcommand)]
pub enum EndpointCommand {
    /// List your endpoints
    List,
    /// Show an endpoint
    Show {
        /// Its name
        name: Name,
    },
    /// Run another model or version, without a pause
    Update(UpdateArguments),
    /// Say who may call it
    Share(ShareArguments),
    /// Add, use and remove what it can answer with
    #[command(subcommand)]
    Variant(VariantCommand),
    /// Say what has to hold of a replay before its candidate is promoted
    #[command(subcommand)]
    Gate(GateCommand),
    /// Keep live requests as events of a stream
    #[command(subcommand)]
    Capture(CaptureCommand),
    /// Promote a variant where the gate says so of a replay of it
    Promote(PromoteArguments),
    /// Watch variants, and have something done when something comes to be so
    #[command(subcommand)]
    Trigger(TriggerCommand),
    /// List how its variants were used, and who decided it
    History {
        /// Its name
        name: Name,
    },
    /// Use its variants again as they once were
    Restore {
        /// Its name
        name: Name,
        /// The change, as the history has it; 0 is how it began
        change: u64,
    },
    /// Remove it
    Delete {
        /// Its name
        name: Name,
    },
}

#[derive(Debug, Subcommand)]
#[command(after_help = examples::VARIANT)]
pub enum VariantCommand {
    /// Add a variant; it sees no live event until it is used
    Add(AddVariantArguments),
    /// List its variants
    List {
        /// The endpoint
        name: Name,
    },
    /// Say how a variant is used
    Use(UseVariantArguments),
    /// Remove a variant that is in test
    Delete {
        /// The endpoint
        name: Name,
        /// The variant
        variant: Name,
    },
}

#[derive(Debug, Args)]
pub struct AddVariantArguments {
    /// The endpoint
    pub name: Name,
    /// The variant
    pub variant: Name,
    /// The model or pipeline, or a function as function:NAME or function:NAME:ALIAS
    pub source: TaskReference,
    /// nano, small, medium or large [default: the smallest that fits]
    #[arg(long)]
    pub instance_type: Option<String>,
    /// Return at once instead of waiting until it is ready
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Args)]
pub struct UseVariantArguments {
    /// The endpoint
    pub name: Name,
    /// The variant
    pub variant: Name,
    /// test, shadow, canary, bake or production
    #[arg(value_parser = parse_mode)]
    pub mode: Mode,
    /// The part of the keys that it answers or is shown, such as 5%
    #[arg(long, value_parser = parse_share_bp)]
    pub share: Option<u32>,
    /// How long it bakes, such as 30m
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub for_ms: Option<u64>,
    /// Why, for those who look later
    #[arg(long, default_value_t)]
    pub reason: String,
}

#[derive(Debug, Args)]
pub struct UpdateArguments {
    /// The endpoint
    pub name: Name,
    /// The model, pipeline or function it is to run
    pub source: TaskReference,
    /// nano, small, medium or large [default: the smallest that fits]
    #[arg(long)]
    pub instance_type: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::INVOKE)]
pub struct InvokeArguments {
    /// The endpoint: yours, or account.endpoint
    pub endpoint: String,
    /// The request, as JSON: {"inputs": {NAME: VALUES}} or {"instances": [ROWS]}
    #[arg(conflicts_with = "file")]
    pub request: Option<String>,
    /// A file with the request: .json, .csv or .npy; - reads JSON from stdin
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
#[command(after_help = examples::GATE)]
pub enum GateCommand {
    /// Show the gate of an endpoint
    Show {
        /// The endpoint
        name: Name,
    },
    /// Set it
    Set {
        /// The endpoint
        name: Name,
        /// METRIC<=VALUE, METRIC>=VALUE, or verdict; [region=NAME], [group=NAME] or * for each behind it
        #[arg(required = true, value_name = "CONDITION", value_parser = parse_condition)]
        conditions: Vec<api::endpoints::GateCondition>,
        /// Promote by itself when a replay has ended and all holds
        #[arg(long)]
        automatic: bool,
    },
    /// Ask what it says of a replay, and change nothing
    Ask {
        /// The endpoint
        name: Name,
        /// The replay
        #[arg(long)]
        run: RunId,
    },
    /// Take it away
    Delete {
        /// The endpoint
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct PromoteArguments {
    /// The endpoint
    pub name: Name,
    /// The variant
    pub variant: Name,
    /// The replay, in which the variant was the first
    #[arg(long)]
    pub run: RunId,
    /// canary, bake or production
    #[arg(long = "to", value_name = "MODE", default_value = "production", value_parser = parse_mode)]
    pub mode: Mode,
    /// The part of the keys that it answers, such as 5%
    #[arg(long, value_parser = parse_share_bp)]
    pub share: Option<u32>,
    /// How long it bakes, such as 30m
    #[arg(long = "for", value_name = "TIME", value_parser = parse_time)]
    pub for_ms: Option<u64>,
}
