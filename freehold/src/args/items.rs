//! Words about items: written, published, shown and shared.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use types::{Name, Reference};

use super::examples;

#[derive(Debug, Subcommand)]
pub enum ItemCommand {
    /// List your items
    List,
    /// Show an item
    Show {
        /// NAME of yours, or ACCOUNT/NAME; @VERSION for another than the newest
        item: Reference,
    },
    /// Say who may see and use an item
    Share(ShareArguments),
    /// Count what others made of an item
    Usage {
        /// The item
        item: Reference,
    },
}

#[derive(Debug, Args)]
#[command(after_help = examples::SHARE)]
pub struct ShareArguments {
    /// The item or endpoint
    pub name: Reference,
    /// Everybody
    #[arg(long, conflicts_with_all = ["with", "nobody"])]
    pub everybody: bool,
    /// These accounts
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "nobody")]
    pub with: Vec<Name>,
    /// Nobody but you
    #[arg(long)]
    pub nobody: bool,
}

#[derive(Debug, Args)]
pub struct InitArguments {
    /// The folder to look at
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Replace a freehold.toml that is there
    #[arg(long)]
    pub force: bool,
}

#[derive(Debug, Args)]
#[command(after_help = examples::PUBLISH)]
pub struct PublishArguments {
    /// The folder with freehold.toml at its root
    #[arg(default_value = ".")]
    pub folder: PathBuf,
    /// Share a new item with everybody
    #[arg(long, conflicts_with = "with")]
    pub everybody: bool,
    /// Share a new item with these accounts
    #[arg(long, value_name = "ACCOUNT")]
    pub with: Vec<Name>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::PIPELINE)]
pub struct PipelineArguments {
    /// The pipeline's name
    pub name: Name,
    /// The models, first to last
    #[arg(required = true, num_args = 1..)]
    pub stages: Vec<Reference>,
    /// What it does, in a sentence
    #[arg(long, default_value = "")]
    pub summary: String,
    /// What it is about
    #[arg(long, default_value = "pipeline")]
    pub category: String,
    /// Share it with everybody
    #[arg(long)]
    pub everybody: bool,
}
