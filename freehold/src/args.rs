//! Arguments: the words of the command line.
//!
//! Always true: every flag of a server is also a setting of the file and a `FREEHOLD_` variable of
//! the same name.

mod accounts;
mod captures;
mod cloud;
#[cfg(test)]
mod documents;
mod endpoints;
mod examples;
mod functions;
mod gates;
mod grants;
mod items;
mod judged;
mod runs;
mod search;
mod services;
mod simulate;
mod sources;
mod streams;
mod trainings;
mod triggers;
mod urls;
mod values;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::settings::{ProcessArguments, ServerArguments};

pub use accounts::{AccountCommand, LoginArguments, TokenCommand};
pub use captures::{CaptureArguments, CaptureCommand};
pub use cloud::{
    BackupArguments, DemoArguments, DemoWord, EventsKeyCommand, MasterKeyArguments,
    MasterKeyCommand, RestoreArguments, StatusArguments,
};
pub use endpoints::{
    DeployArguments, EndpointCommand, GateCommand, InvokeArguments, PromoteArguments,
    UpdateArguments, VariantCommand,
};
pub use functions::{
    AliasArguments, AliasCommand, CreateFunctionArguments, DeadCommand, EventsArguments,
    FunctionCommand, FunctionSettings, InvokeFunctionArguments, ProvisionArguments, RuntimeWord,
    ScheduleArguments, ScheduleCommand, SizingArguments, UpdateFunctionArguments,
};
pub use grants::{
    GrantCommand, GrantSettings, LimitArguments, LinkCommand, LinkSettings, UsageArguments,
};
pub use items::{InitArguments, ItemCommand, PipelineArguments, PublishArguments, ShareArguments};
pub use runs::{
    GroupWord, LateWord, LoadArguments, ReplayArguments, RunsCommand, SeriesArguments, SeriesWord,
    SweepArguments,
};
pub use search::{SearchArguments, SuggestArguments};
pub use services::{ServiceCommand, ServiceKeyCommand};
pub use simulate::{PolicyWord, SimulateArguments};
pub use sources::{SourceArguments, SourceCommand};
pub use streams::{
    DriftArguments, ExportArguments, ExportWord, ImportArguments, ImportWord, LabelArguments,
    MakeArguments, SelectionArguments, StreamArguments, StreamCommand,
};
pub use trainings::{TrainArguments, TrainingCommand};
pub use triggers::{Then, TriggerArguments, TriggerCommand};
pub use urls::{UrlArguments, UrlCommand};

/// Over the options that every command has.
const EVERYWHERE: &str = "Of every command";

/// A cloud for machine-learning models that you own.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, after_help = examples::FREEHOLD, propagate_version = true)]
pub struct Arguments {
    #[command(flatten)]
    pub client: ClientArguments,
    #[command(flatten)]
    pub output: OutputArguments,
    #[command(subcommand)]
    pub command: Command,
}

/// How a command reaches its cloud.
#[derive(Clone, Debug, Args)]
pub struct ClientArguments {
    /// The cloud's address [default: the one that `freehold login` kept]
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    #[arg(env = "FREEHOLD_SERVER", value_name = "URL")]
    pub server: Option<String>,
    /// The token to show [default: the one that `freehold login` kept]
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    #[arg(env = "FREEHOLD_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// A certificate authority to trust besides the system's, for an https address
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    #[arg(env = "FREEHOLD_AUTHORITY", value_name = "FILE")]
    pub authority: Option<PathBuf>,
}

/// How a command answers.
#[derive(Clone, Copy, Debug, Args)]
pub struct OutputArguments {
    /// Tables for people, or JSON for programs
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    #[arg(value_enum, default_value_t = Format::Table, env = "FREEHOLD_OUTPUT")]
    pub output: Format,
}

/// The form of answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Table,
    Json,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a whole cloud in one process
    Up(ServerArguments),
    /// Do the main job from nothing: publish, search, train, deploy, infer; or show code on demand
    Demo(DemoArguments),
    /// Show what runs, what the machines give, and what is missing and why it matters
    Status(StatusArguments),
    /// Keep an address and a token for the next commands
    Login(LoginArguments),
    /// Make and list accounts (operators)
    #[command(subcommand)]
    Account(AccountCommand),
    /// Make, list and revoke tokens (owners)
    #[command(subcommand)]
    Token(TokenCommand),
    /// Show items, their versions and use, and share them
    #[command(subcommand)]
    Item(ItemCommand),
    /// Write a freehold.toml by looking at a folder
    Init(InitArguments),
    /// Package, test, measure and list a folder
    Publish(PublishArguments),
    /// Find items by text and facts
    Search(SearchArguments),
    /// Get suggestions for what you have and need, with reasons
    Suggest(SuggestArguments),
    /// Publish a chain of models as a pipeline
    Pipeline(PipelineArguments),
    /// Train an algorithm on data sets; the model becomes yours
    Train(TrainArguments),
    /// Show and cancel trainings
    #[command(subcommand)]
    Training(TrainingCommand),
    /// Make an endpoint of a model, a pipeline or a function
    Deploy(DeployArguments),
    /// Show, share and remove endpoints
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Ask an endpoint
    Invoke(InvokeArguments),
    /// Run your own code on demand: make, call and change functions
    #[command(subcommand)]
    Function(FunctionCommand),
    /// Let other accounts link to your functions
    #[command(subcommand)]
    Grant(GrantCommand),
    /// Call functions of other accounts under names of your own
    #[command(subcommand)]
    Link(LinkCommand),
    /// Offer an API made of functions and links to users with keys
    #[command(subcommand)]
    Service(ServiceCommand),
    /// Keep events as they happen: take, select and label them
    #[command(subcommand)]
    Stream(StreamCommand),
    /// Send recorded events to an endpoint's variants, at any rate
    Replay(ReplayArguments),
    /// Show, stop and compare replays
    #[command(subcommand)]
    Runs(RunsCommand),
    /// Show what calls of functions came to
    Usage(UsageArguments),
    /// Show the log of a publishing, a training or an endpoint
    Logs(LogsArguments),
    /// Say what keeping instances warm would have cost on a recorded load
    Simulate(SimulateArguments),
    /// Explain an error code
    Explain {
        /// Such as `invalid_package`; all of them where absent
        #[arg(default_value = "")]
        code: String,
    },
    /// Write a completion script for your shell
    Completion {
        /// The shell
        shell: Shell,
    },
    /// Change the master key of a cloud that is stopped
    #[command(subcommand)]
    MasterKey(MasterKeyCommand),
    /// Make, rotate and use the key by which events are encrypted
    #[command(subcommand)]
    EventsKey(EventsKeyCommand),
    /// Copy a cloud's database and objects, not its events, into a folder
    Backup(BackupArguments),
    /// Put a copy back into an empty data folder
    Restore(RestoreArguments),
    /// Run control alone
    Control(ServerArguments),
    /// Run a gateway alone, or enrol one
    Gateway(ProcessArguments),
    /// Run an agent alone, or enrol one
    Agent(ProcessArguments),
}

#[derive(Debug, Args)]
#[command(after_help = examples::LOGS)]
pub struct LogsArguments {
    /// The id of a publishing or training, or the name of an endpoint
    pub subject: String,
    /// Go on until it ends
    #[arg(short, long)]
    pub follow: bool,
}

/// Writes a completion script to stdout.
pub fn write_completion(shell: Shell) {
    clap_complete::generate(shell, &mut Arguments::command(), "freehold", &mut std::io::stdout());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_contradict_nowhere() {
        Arguments::command().debug_assert();
    }
}
