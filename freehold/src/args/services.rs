//! Words about services: APIs made of functions and links.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use types::Name;

use super::examples;
use super::grants::LimitArguments;

#[derive(Debug, Subcommand)]
#[command(after_help = examples::SERVICE)]
pub enum ServiceCommand {
    /// Make a service of a description
    Create(DescribedService),
    /// Make a new version, which answers from now on
    Update(DescribedService),
    /// List your services
    List,
    /// Show a service
    Show {
        /// The service
        name: Name,
    },
    /// List its versions
    Versions {
        /// The service
        name: Name,
    },
    /// Remove a version that is not the newest
    DeleteVersion {
        /// The service
        name: Name,
        /// The version
        #[arg(value_name = "VERSION")]
        number: u32,
    },
    /// Make, list and end the keys of its users
    #[command(subcommand)]
    Key(ServiceKeyCommand),
    /// Remove it, its versions and its keys
    Delete {
        /// The service
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct DescribedService {
    /// The service
    pub name: Name,
    /// A file that describes it, in TOML, or in JSON where its name ends in .json
    #[arg(value_name = "FILE")]
    pub description: PathBuf,
}

#[derive(Debug, Subcommand)]
pub enum ServiceKeyCommand {
    /// Make a key; its secret is shown once
    Create {
        /// The service
        service: Name,
        /// The key's name
        key: Name,
        #[command(flatten)]
        limits: LimitArguments,
    },
    /// List the keys of a service
    List {
        /// The service
        service: Name,
    },
    /// End a key
    Delete {
        /// The service
        service: Name,
        /// The key
        key: Name,
    },
}
