//! `freehold login`: keeps an address and a token, after asking the cloud whose it is.
//!
//! Always true: what is kept was accepted a moment ago.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::{client, token};
use crate::args::{ClientArguments, LoginArguments};
use crate::credentials::Credentials;
use crate::exit::Failure;
use crate::output::{Output, note};

const ADDRESS: &str = "http://127.0.0.1:8000";
/// Where `freehold up` keeps its data, and the file in it with the operator's token.
const DATA_FOLDER: &str = "freehold-data";
const TOKEN_FILE: &str = "operator.token";

/// Carries out the command.
pub(super) async fn run(
    login: LoginArguments,
    arguments: &ClientArguments,
    out: &Output,
) -> Result<(), Failure> {
    let server = login.address.or_else(|| arguments.server.clone());
    let server = server.unwrap_or_else(|| ADDRESS.to_owned());
    let token = match (&arguments.token, &login.data) {
        (Some(token), None) => token.clone(),
        (_, Some(data)) => read_token(data)?,
        (None, None) => read_token(Path::new(DATA_FOLDER)).map_err(|failure| {
            let hint = "give --token TOKEN, or --data with the data folder of a cloud on this \
                        machine";
            Failure::usage(failure.message).hint(hint)
        })?,
    };
    let authority = arguments.authority.as_deref().map(whole_path).transpose()?;
    let whoami = client(&server, &token, authority.as_deref())?.whoami().await?;
    let kept = Credentials { server: server.clone(), token, authority }.keep()?;
    out.one(&whoami, |whoami| {
        let mut rows = vec![
            ("cloud".to_owned(), server.clone()),
            ("account".to_owned(), whoami.account.name.to_string()),
        ];
        rows.extend(token::rows(&whoami.token));
        rows
    })?;
    note(&format!("kept in {}", kept.display()))
}

fn read_token(data: &Path) -> Result<String, Failure> {
    let path = data.join(TOKEN_FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let message = format!("no token was given, and there is no {}", path.display());
            Err(Failure::usage(message).hint("`freehold up` writes it into its data folder"))
        }
        Err(error) => Err(Failure::usage(format!("{}: {error}", path.display()))
            .hint("only the user the cloud runs as can read it")),
    }
}

fn whole_path(path: &Path) -> Result<PathBuf, Failure> {
    let whole = std::path::absolute(path);
    whole.map_err(|error| Failure::usage(format!("--authority {}: {error}", path.display())))
}
