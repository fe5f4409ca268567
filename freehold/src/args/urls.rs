//! Words about the URLs of functions.

use clap::{Args, Subcommand, ValueEnum};

use api::functions::urls::UrlAuth;
use types::FunctionName;

#[derive(Debug, Subcommand)]
pub enum UrlCommand {
    /// Give a function, or an alias of it, a URL
    Create(UrlArguments),
    /// Show a function's URLs
    Show {
        /// The function
        name: FunctionName,
    },
    /// Change how a URL answers; its address stays, and so does what is not named
    Update(UrlArguments),
    /// Remove a URL; a new one has another address
    Delete {
        /// The function
        name: FunctionName,
        /// The alias whose URL is meant [default: the function's own]
        #[arg(long, value_name = "ALIAS")]
        qualifier: Option<String>,
    },
}

/// Who may call a URL.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum UrlAuthWord {
    /// Everybody
    None,
    /// Whoever may call the function: requests are signed with an access key, or carry a token
    Iam,
}

impl From<UrlAuthWord> for UrlAuth {
    fn from(word: UrlAuthWord) -> Self {
        match word {
            UrlAuthWord::None => Self::None,
            UrlAuthWord::Iam => Self::Iam,
        }
    }
}

#[derive(Debug, Args)]
pub struct UrlArguments {
    /// The function
    pub name: FunctionName,
    /// The alias whose URL is meant [default: the function's own]
    #[arg(long, value_name = "ALIAS")]
    pub qualifier: Option<String>,
    /// Who may call it [default: iam]
    #[arg(long)]
    pub auth: Option<UrlAuthWord>,
    /// Whether answers reach their callers while they are made [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    pub stream: Option<bool>,
    /// A site whose scripts may call it, such as `https://example.org`, or * for every one; may be
    /// given several times. With it, all that is said of other sites is said anew
    #[arg(long, value_name = "ORIGIN")]
    pub cors_origin: Vec<String>,
    /// A method that they may use [default: *]
    #[arg(long, value_name = "METHOD", requires = "cors_origin")]
    pub cors_method: Vec<String>,
    /// A header that they may send
    #[arg(long, value_name = "NAME", requires = "cors_origin")]
    pub cors_header: Vec<String>,
    /// A header of answers that they may read
    #[arg(long, value_name = "NAME", requires = "cors_origin")]
    pub cors_exposed: Vec<String>,
    /// They may send cookies and the like
    #[arg(long, requires = "cors_origin")]
    pub cors_credentials: bool,
    /// For how long browsers keep what they were told, in seconds
    #[arg(long, value_name = "S", requires = "cors_origin")]
    pub cors_max_age: Option<u32>,
}
