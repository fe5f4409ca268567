//! Words about endpoints: made, changed, shared, asked and removed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use types::{Name, Reference};

use super::{ShareArguments, examples};

#[derive(Debug, Args)]
#[command(after_help = examples::DEPLOY)]
pub struct DeployArguments {
    /// The model or pipeline
    pub source: Reference,
    /// The endpoint's name [default: the item's]
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
    /// Remove it
    Delete {
        /// Its name
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct UpdateArguments {
    /// The endpoint
    pub name: Name,
    /// The model or pipeline it is to run
    pub source: Reference,
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
