//! Words about accounts: whose cloud and token, and who else has some.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use types::Name;

use super::examples;

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
        /// Also make an access key, by which boto3, awscli and their like sign
        #[arg(long)]
        access_key: bool,
    },
    /// List tokens
    List,
    /// Revoke a token
    Revoke {
        /// Its id, as `freehold token list` shows it
        id: types::TokenId,
    },
}
