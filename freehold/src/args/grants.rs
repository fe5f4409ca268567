//! Words about functions across accounts: grants, links and usage.

use clap::{Args, Subcommand};

use types::{FunctionName, Name, Reference, TokenId};

use super::examples;

#[derive(Debug, Subcommand)]
#[command(after_help = examples::GRANT)]
pub enum GrantCommand {
    /// Let other accounts link to a function
    Create(CreateGrantArguments),
    /// Change a grant; calls follow at once
    Update(UpdateGrantArguments),
    /// List the grants that you gave
    List,
    /// Show a grant
    Show {
        /// The grant
        name: Name,
    },
    /// List the grants that you were given
    Received,
    /// Take a grant back; links to it break
    Delete {
        /// The grant
        name: Name,
    },
}

#[derive(Debug, Args)]
pub struct CreateGrantArguments {
    /// Its name, by which others link to it
    pub name: Name,
    /// The function
    pub function: FunctionName,
    #[command(flatten)]
    pub settings: GrantSettings,
}

#[derive(Debug, Args)]
pub struct UpdateGrantArguments {
    /// The grant
    pub name: Name,
    #[command(flatten)]
    pub settings: GrantSettings,
}

/// What can be told at the beginning and changed later.
#[derive(Debug, Args)]
pub struct GrantSettings {
    /// An account that may link to it; may be repeated
    #[arg(long = "with", value_name = "ACCOUNT", conflicts_with = "everybody")]
    pub accounts: Vec<Name>,
    /// Every account may link to it
    #[arg(long)]
    pub everybody: bool,
    /// A version or an alias [default: the latest]
    #[arg(long, value_name = "NAME")]
    pub qualifier: Option<String>,
    /// Tell callers only the type of the function's errors, not the message
    #[arg(long)]
    pub hide_errors: bool,
    #[command(flatten)]
    pub limits: LimitArguments,
    /// What it does, for those who are given it
    #[arg(long)]
    pub description: Option<String>,
}

/// How much may be called.
#[derive(Clone, Copy, Debug, Args)]
pub struct LimitArguments {
    /// Most calls a minute
    #[arg(long, value_name = "CALLS")]
    pub per_minute: Option<u32>,
    /// Most calls at once within that rate [default: a second's]
    #[arg(long, value_name = "CALLS", requires = "per_minute")]
    pub burst: Option<u32>,
    /// Most calls under way at one time
    #[arg(long, value_name = "CALLS")]
    pub concurrency: Option<u32>,
    /// Most calls of a day, which begins at midnight, UTC
    #[arg(long, value_name = "CALLS")]
    pub per_day: Option<u64>,
    /// When it ends, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    pub ends: Option<u64>,
}

#[derive(Debug, Subcommand)]
#[command(after_help = examples::LINK)]
pub enum LinkCommand {
    /// Give a function of another account a name of your own
    Create(CreateLinkArguments),
    /// Change a link; calls follow at once
    Update(UpdateLinkArguments),
    /// List your links
    List,
    /// Show a link
    Show {
        /// The link
        name: FunctionName,
    },
    /// Remove a link
    Delete {
        /// The link
        name: FunctionName,
    },
}

#[derive(Debug, Args)]
pub struct CreateLinkArguments {
    /// Your name for it
    pub name: FunctionName,
    /// The grant, as owner/grant
    pub to: Reference,
    #[command(flatten)]
    pub settings: LinkSettings,
}

#[derive(Debug, Args)]
pub struct UpdateLinkArguments {
    /// The link
    pub name: FunctionName,
    #[command(flatten)]
    pub settings: LinkSettings,
}

/// What can be told at the beginning and changed later.
#[derive(Debug, Args)]
pub struct LinkSettings {
    /// A member of every event, whatever its caller says: NAME=JSON, or NAME=TEXT; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE")]
    pub parameters: Vec<String>,
    /// A token that may call it; may be repeated [default: every token of the account]
    #[arg(long = "for-token", value_name = "ID")]
    pub tokens: Vec<TokenId>,
    #[command(flatten)]
    pub limits: LimitArguments,
    /// What it is for
    #[arg(long)]
    pub description: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = examples::USAGE)]
pub struct UsageArguments {
    /// What others made of your functions, by grant
    #[arg(long)]
    pub sold: bool,
    /// Of the last so many days
    #[arg(long, default_value_t = 30, value_name = "DAYS")]
    pub days: u64,
}
