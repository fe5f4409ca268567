//! Arguments: the words of the command line.
//!
//! Always true: every flag of a server is also a setting of the file and a `FREEHOLD_` variable of
//! the same name.

#[cfg(test)]
mod documents;
mod examples;

use std::path::PathBuf;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use types::{ItemKind, Name, Reference};

use crate::settings::{ProcessArguments, ServerArguments};

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
    /// Do the main job from nothing: publish, search, train, deploy, infer
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
    /// Make an endpoint of a model or pipeline
    Deploy(DeployArguments),
    /// Show, share and remove endpoints
    #[command(subcommand)]
    Endpoint(EndpointCommand),
    /// Ask an endpoint
    Invoke(InvokeArguments),
    /// Show the log of a publishing, a training or an endpoint
    Logs(LogsArguments),
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
    /// Copy a cloud's database and objects into a folder
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
#[command(after_help = examples::DEMO)]
pub struct DemoArguments {
    /// Judge the sign-ins of an sshd log, such as /var/log/auth.log
    #[arg(long, value_name = "FILE")]
    pub events: Option<PathBuf>,
    /// Keep the cloud's data here [default: a temporary folder, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Leave the cloud running at the end, until Ctrl-C
    #[arg(long)]
    pub stay: bool,
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

#[derive(Debug, Args)]
#[command(after_help = examples::LOGIN)]
pub struct LoginArguments {
    /// The cloud's address [default: that of `freehold up` on this machine]
    pub address: Option<String>,
    /// Take the operator's token from this data folder of a cloud on this machine
    /// [default: freehold-data, where no --token is given]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account; prints its first token, once
    Create {
        /// Its name: a-z, 0-9 and -
        name: Name,
    },
    /// List accounts
    List,
    /// Say whose token this is
    Whoami,
    /// Make a fresh version of the account's key; no data is rewritten (owners)
    RotateKey,
}

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token; its secret is printed once
    Create {
        /// What it is for
        label: String,
        /// reader, developer, owner or operator
        #[arg(long, default_value = "developer")]
        role: String,
        /// How many days it lives [default: for ever]
        #[arg(long, value_name = "DAYS")]
        days: Option<u64>,
    },
    /// List tokens
    List,
    /// Revoke a token
    Revoke {
        /// Its id, as `freehold token list` shows it
        id: types::TokenId,
    },
}

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

#[derive(Debug, Args)]
#[command(after_help = examples::LOGS)]
pub struct LogsArguments {
    /// The id of a publishing or training, or the name of an endpoint
    pub subject: String,
    /// Go on until it ends
    #[arg(short, long)]
    pub follow: bool,
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

/// Writes a completion script to stdout.
pub fn write_completion(shell: Shell) {
    clap_complete::generate(shell, &mut Arguments::command(), "freehold", &mut std::io::stdout());
}

fn parse_kind(text: &str) -> Result<ItemKind, String> {
    text.parse().map_err(|error: types::kinds::UnknownKind| error.to_string())
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// A share such as 0.9 or 90%, in parts per million.
fn parse_share(text: &str) -> Result<u64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 10_000.0),
        None => (text, 1_000_000.0),
    };
    scaled(number, scale)
        .filter(|ppm| *ppm <= 1_000_000)
        .ok_or_else(|| format!("{text:?} is not a share: write 0.9 or 90%"))
}

/// Milliseconds such as 2.5, in microseconds.
fn parse_ms(text: &str) -> Result<u64, String> {
    scaled(text, 1_000.0).ok_or_else(|| format!("{text:?} is not a number of milliseconds"))
}

fn scaled(text: &str, scale: f64) -> Option<u64> {
    let value: f64 = text.trim().parse().ok()?;
    let value = value * scale;
    if !(0.0..=1e15).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let value = value.round() as u64;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_contradict_nowhere() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn shares_and_times_are_read_exactly() {
        assert_eq!(parse_share("0.9"), Ok(900_000));
        assert_eq!(parse_share("97.5%"), Ok(975_000));
        assert_eq!(parse_ms("2.5"), Ok(2_500));
        for bad in ["1.1", "-1", "x", "101%"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
    }
}
