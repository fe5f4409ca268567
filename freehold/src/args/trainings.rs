//! Words about trainings.

use clap::{Args, Subcommand};

use types::{Name, Reference};

use super::examples;
use super::values::parse_pair;

#[derive(Debug, Args)]
#[command(after_help = examples::TRAIN)]
pub struct TrainArguments {
    /// The algorithm
    pub algorithm: Reference,
    /// A data set for a channel: CHANNEL=REFERENCE
    #[arg(long = "data", value_name = "CHANNEL=DATASET", required = true)]
    #[arg(value_parser = parse_pair)]
    pub data: Vec<(String, String)>,
    /// A parameter: NAME=VALUE
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parse_pair)]
    pub parameters: Vec<(String, String)>,
    /// The item that the model becomes a version of
    #[arg(long = "as", value_name = "NAME")]
    pub model: Name,
    /// nano, small, medium or large [default: the smallest that fits]
    #[arg(long)]
    pub instance_type: Option<String>,
    /// Return at once instead of following the log
    #[arg(long)]
    pub detach: bool,
}

#[derive(Debug, Subcommand)]
pub enum TrainingCommand {
    /// List your trainings, newest first
    List,
    /// Show a training
    Show {
        /// Its id, as `freehold training list` shows it
        id: types::TrainingId,
    },
    /// Cancel a training; nothing of it is kept
    Cancel {
        /// Its id
        id: types::TrainingId,
    },
}
