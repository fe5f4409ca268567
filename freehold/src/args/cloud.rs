//! Words about the cloud itself: trying it, looking at it, and keeping it.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::examples;
use super::values::parse_pair;
use crate::settings::ServerArguments;

#[derive(Debug, Args)]
#[command(after_help = examples::DEMO)]
pub struct DemoArguments {
    /// What is shown
    #[arg(value_enum, default_value_t = DemoWord::Main, value_name = "WHAT")]
    pub what: DemoWord,
    /// Judge the sign-ins of an sshd log, such as /var/log/auth.log
    #[arg(long, value_name = "FILE", conflicts_with = "what")]
    pub events: Option<PathBuf>,
    /// Keep the cloud's data here [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Leave the cloud running at the end, until Ctrl-C
    #[arg(long)]
    pub stay: bool,
}

/// What a demo shows.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DemoWord {
    /// Publish, search, train, deploy, infer
    Main,
    /// A deployment under load, a link across accounts, a service of two
    Functions,
    /// Recorded events sent to candidates, a gate, a bake, and one that comes back by itself
    Replay,
}

#[derive(Debug, Args)]
pub struct StatusArguments {
    /// Show sagas and reconcilers and what they did last (operators)
    #[arg(long, conflicts_with = "enrol")]
    pub tasks: bool,
    /// Make a token with which a process on another machine may enrol, once (operators):
    /// agent=NAME or gateway=NAME
    #[arg(long, value_name = "PROCESS=NAME", value_parser = parse_pair)]
    pub enrol: Option<(String, String)>,
}

#[derive(Debug, Subcommand)]
pub enum MasterKeyCommand {
    /// Put a fresh key into use; what the old one seals is resealed at the next start
    Rotate(MasterKeyArguments),
    /// Forget old keys, once nothing is sealed by them any more
    Prune(MasterKeyArguments),
}

#[derive(Debug, Args)]
pub struct MasterKeyArguments {
    #[command(flatten)]
    pub server: ServerArguments,
}

#[derive(Debug, Subcommand)]
#[command(after_help = examples::EVENTS_KEY)]
pub enum EventsKeyCommand {
    /// Make a file with a fresh key, readable by you alone
    New {
        /// The file, which must not exist
        file: PathBuf,
    },
    /// Put a fresh key first into the file; what older ones seal is sealed anew at the next start
    Rotate {
        /// The file
        file: PathBuf,
    },
    /// Show the key of the Parquet files of a stream or a run, for DuckDB, pyarrow or Spark
    Show {
        /// The stream's or run's folder, or a copy of it
        folder: PathBuf,
        /// The file with the key that it was made with
        #[arg(long, env = "FREEHOLD_EVENTS_KEY", value_name = "FILE")]
        events_key: PathBuf,
    },
}

#[derive(Debug, Args)]
#[command(after_help = examples::BACKUP)]
pub struct BackupArguments {
    #[command(flatten)]
    pub server: ServerArguments,
    /// The folder to write, which must not exist
    pub to: PathBuf,
}

#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The folder that `freehold backup` wrote
    pub from: PathBuf,
    /// The data folder to make, which must not exist or be empty
    #[arg(long, default_value = "freehold-data", env = "FREEHOLD_DATA")]
    pub data: PathBuf,
}
