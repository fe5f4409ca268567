//! Words about functions: made, changed, called and removed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use api::functions::sizes::SizingMode;
use types::{AliasName, Concurrency, EventId, FunctionName};

use super::examples;
use super::sources::SourceCommand;
use super::urls::UrlCommand;

#[derive(Debug, Subcommand)]
#[command(after_help = examples::FUNCTION)]
pub enum FunctionCommand {
    /// Make a function of a folder with its code
    Create(CreateFunctionArguments),
    /// Change its code or configuration; calls run the new at once
    Update(UpdateFunctionArguments),
    /// Make a numbered version, which stays as it is
    Publish {
        /// The function
        name: FunctionName,
        /// What is told about the version
        #[arg(long)]
        description: Option<String>,
    },
    /// Call it and print its answer
    Invoke(InvokeFunctionArguments),
    /// Print what it wrote, with a line before and after each call
    Logs {
        /// The function
        name: FunctionName,
        /// Go on with what comes
        #[arg(long, short)]
        follow: bool,
    },
    /// List your functions
    List,
    /// Show a function
    Show {
        /// The function
        name: FunctionName,
    },
    /// List its numbered versions
    Versions {
        /// The function
        name: FunctionName,
    },
    /// Name versions, and divide calls between two
    #[command(subcommand)]
    Alias(AliasCommand),
    /// Have it run at times
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Feed it from a stream of events
    #[command(subcommand)]
    Source(SourceCommand),
    /// Give it an address that any HTTP client calls
    #[command(subcommand)]
    Url(UrlCommand),
    /// Keep instances of a version or an alias warm, called or not, or show what is kept
    Provision(ProvisionArguments),
    /// Show how the memory of its instances is chosen, or change it
    Sizing(SizingArguments),
    /// List what was done about the memory of its instances, and why
    Sizes {
        /// The function
        name: FunctionName,
    },
    /// Tell what it would cost, and how long calls would take, with other memory
    Advise {
        /// The function
        name: FunctionName,
        /// A version or an alias [default: the latest]
        #[arg(long, value_name = "NAME")]
        qualifier: Option<String>,
    },
    /// Show what becomes of its events, or change it: retries, and who is told
    Events(EventsArguments),
    /// Look at events that were given up, and run them again
    #[command(subcommand)]
    Dead(DeadCommand),
    /// Remove it and its versions
    Delete {
        /// The function
        name: FunctionName,
    },
}

#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Make an alias
    Create(AliasArguments),
    /// Move an alias; calls by it follow at once
    Update(AliasArguments),
    /// List a function's aliases
    List {
        /// The function
        function: FunctionName,
    },
    /// Remove an alias
    Delete {
        /// The function
        function: FunctionName,
        /// The alias
        alias: AliasName,
    },
}

#[derive(Debug, Args)]
pub struct AliasArguments {
    /// The function
    pub function: FunctionName,
    /// The alias
    pub alias: AliasName,
    /// The version it names [default: $LATEST, or what it named]
    #[arg(long, value_name = "VERSION")]
    pub to: Option<String>,
    /// Another version, and its share of the calls in percent, such as 2=10
    #[arg(long, value_name = "VERSION=PERCENT")]
    pub other: Option<String>,
    /// How long after a change what was before may answer while the new starts, in milliseconds;
    /// 0 for not at all [default: 60000]
    #[arg(long, value_name = "MS")]
    pub max_stale: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Make a schedule
    Create(ScheduleArguments),
    /// List a function's schedules
    List {
        /// The function
        function: FunctionName,
    },
    /// Remove a schedule
    Delete {
        /// The function
        function: FunctionName,
        /// The schedule
        schedule: AliasName,
    },
}

#[derive(Debug, Args)]
pub struct ScheduleArguments {
    /// The function
    pub function: FunctionName,
    /// The schedule's name
    pub schedule: AliasName,
    /// When: "rate(5 minutes)", "cron(0 9 ? * MON-FRI *)" or "at(2026-11-22T09:00:00)"
    pub expression: String,
    /// Whose clock is meant, such as Europe/Berlin [default: UTC]
    #[arg(long)]
    pub zone: Option<String>,
    /// A version or an alias [default: the latest]
    #[arg(long, value_name = "NAME")]
    pub qualifier: Option<String>,
    /// What it is given, as JSON [default: the schedule's name and the time]
    #[arg(long, value_name = "JSON")]
    pub payload: Option<String>,
    /// What becomes of runs missed while the cloud was down: skip, once or all
    #[arg(long, default_value = "once", value_name = "WORD")]
    pub missed: String,
}

#[derive(Debug, Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("wanted").args(["instances", "none"]))]
pub struct ProvisionArguments {
    /// The function
    pub name: FunctionName,
    /// The version or alias; without it all are shown
    #[arg(long, value_name = "NAME", required_if_eq("none", "true"))]
    pub qualifier: Option<String>,
    /// Keep so many warm
    #[arg(long, value_name = "N", requires = "qualifier")]
    pub instances: Option<u32>,
    /// Keep none warm any more
    #[arg(long)]
    pub none: bool,
}

#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// List a function's events that were given up
    List {
        /// The function
        function: FunctionName,
    },
    /// Show such an event, and how each of its runs failed
    Show {
        /// The function
        function: FunctionName,
        /// The event
        event: EventId,
    },
    /// Have such an event run again
    Redrive {
        /// The function
        function: FunctionName,
        /// The event
        event: EventId,
    },
    /// Forget such an event
    Delete {
        /// The function
        function: FunctionName,
        /// The event
        event: EventId,
    },
}

/// How code is run.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum RuntimeWord {
    /// A program `bootstrap` in the folder
    Provided,
    /// A handler `module.function`, by the host's Python
    Python3,
    /// A handler `module.function`, by the host's Node.js
    Nodejs,
    /// A server on port 8080 with /ping and /invocations: an image, or a program `bootstrap`
    Server,
}

#[derive(Debug, Args)]
#[group(skip)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["code", "image"]))]
pub struct CreateFunctionArguments {
    /// Its name
    pub name: FunctionName,
    /// The folder with its code, or a zip file or tar archive of one
    #[arg(long, value_name = "FOLDER|ARCHIVE", requires = "runtime")]
    pub code: Option<PathBuf>,
    /// An image of a container in its place: a folder or a tar archive in OCI's layout
    #[arg(long, value_name = "FOLDER|ARCHIVE")]
    pub image: Option<PathBuf>,
    /// How its code is run [default for an image: its command asks for work, as Lambda's images do]
    #[arg(long)]
    pub runtime: Option<RuntimeWord>,
    #[command(flatten)]
    pub settings: FunctionSettings,
}

#[derive(Debug, Args)]
pub struct UpdateFunctionArguments {
    /// Its name
    pub name: FunctionName,
    /// The folder with its new code, or an archive of one [default: the code stays]
    #[arg(long, value_name = "FOLDER|ARCHIVE")]
    pub code: Option<PathBuf>,
    /// Its new image, where it is one
    #[arg(long, value_name = "FOLDER|ARCHIVE", conflicts_with = "code")]
    pub image: Option<PathBuf>,
    #[command(flatten)]
    pub settings: FunctionSettings,
}

/// What can be told at the beginning and changed later.
#[derive(Debug, Args)]
pub struct FunctionSettings {
    /// What is called in the code: module.function for Python and Node.js; for an image what stands
    /// behind its entry point [default: what the image says]
    #[arg(long)]
    pub handler: Option<String>,
    /// Memory of an instance, in MiB; 1769 come with a whole processor [default: 128]
    #[arg(long, value_name = "MIB")]
    pub memory: Option<u32>,
    /// Longest call, in milliseconds [default: 3000]
    #[arg(long, value_name = "MS")]
    pub timeout: Option<u64>,
    /// Calls that an instance may have at a time, for programs that ask for as many [default: 1]
    #[arg(long, value_name = "CALLS")]
    pub concurrency: Option<Concurrency>,
    /// A variable of its environment; may be repeated, and replaces those of before
    #[arg(long = "env", value_name = "NAME=VALUE")]
    pub environment: Vec<String>,
    /// A place that it may connect to; may be repeated, and replaces those of before; none for nowhere
    #[arg(long, value_name = "HOST:PORT")]
    pub egress: Vec<String>,
    /// What it does
    #[arg(long)]
    pub description: Option<String>,
}

/// Who chooses the memory of instances.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum SizingWord {
    /// The owner: instances have what the function asks for
    Off,
    /// The cloud, by what calls use
    Auto,
}

impl From<SizingWord> for SizingMode {
    fn from(word: SizingWord) -> Self {
        match word {
            SizingWord::Off => Self::Off,
            SizingWord::Auto => Self::Auto,
        }
    }
}

#[derive(Debug, Args)]
pub struct SizingArguments {
    /// The function
    pub name: FunctionName,
    /// Who chooses
    pub mode: Option<SizingWord>,
    /// Never less than this, in MiB [default: 32]
    #[arg(long, value_name = "MIB")]
    pub min: Option<u32>,
    /// Never more than this, in MiB [default: twice what the function asks for]
    #[arg(long, value_name = "MIB")]
    pub max: Option<u32>,
    /// Whether a call may be run twice without harm: then one that was killed for memory is run once
    /// more, at twice the size
    #[arg(long, value_name = "true|false")]
    pub idempotent: Option<bool>,
}

#[derive(Debug, Args)]
pub struct EventsArguments {
    /// The function
    pub name: FunctionName,
    /// A version or an alias that has settings of its own
    #[arg(long, value_name = "NAME")]
    pub qualifier: Option<String>,
    /// Runs after the first one, where the function fails: 0 to 2 [default: 2]
    #[arg(long, value_name = "NUMBER")]
    pub retries: Option<u32>,
    /// Age at which an event is given up, in seconds: 60 to 21600 [default: 21600]
    #[arg(long, value_name = "SECONDS")]
    pub age: Option<u64>,
    /// Who is told of each event that was answered: a function, the URL of a webhook, or stream:NAME; `none` for nobody
    #[arg(long, value_name = "DESTINATION")]
    pub on_success: Option<String>,
    /// Who is told of each event that was given up, in place of keeping it as dead
    #[arg(long, value_name = "DESTINATION")]
    pub on_failure: Option<String>,
}

#[derive(Debug, Args)]
pub struct InvokeFunctionArguments {
    /// The function
    pub name: FunctionName,
    /// The event, as JSON
    #[arg(conflicts_with = "file", default_value = "{}")]
    pub payload: String,
    /// A file with the event; - reads it from stdin
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// A version or an alias [default: the latest]
    #[arg(long, value_name = "NAME")]
    pub qualifier: Option<String>,
    /// Do not wait: have it kept and run, and run again where it fails
    #[arg(long, conflicts_with = "stream")]
    pub event: bool,
    /// Print the answer while it is made
    #[arg(long)]
    pub stream: bool,
}
