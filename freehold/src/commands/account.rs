//! `freehold account`: who owns things.

use api::accounts::{Account, CreateAccount, CreatedAccount};
use api::client::Client;

use super::{every, token};
use crate::args::AccountCommand;
use crate::exit::Failure;
use crate::output::{Output, note, time};

/// Carries out the command.
pub(super) async fn run(
    command: AccountCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        AccountCommand::Create { name } => {
            let created = client.account_create(&CreateAccount { name }).await?;
            out.one(&created, created_rows)?;
            note("the token is shown this once; keep it: freehold login --token TOKEN")
        }
        AccountCommand::List => {
            let accounts: Vec<Account> =
                every(|page| async move { client.accounts_list(&page).await }).await?;
            out.list(&accounts, &["account", "made", "id"], |account| {
                let Account { id, name, created_at_ms } = account;
                vec![name.to_string(), time(*created_at_ms), id.to_string()]
            })
        }
        AccountCommand::RotateKey => {
            let rotated = client.key_rotate().await?;
            out.one(&rotated, |rotated| {
                vec![("key version".to_owned(), rotated.version.to_string())]
            })
        }
        AccountCommand::Whoami => {
            let whoami = client.whoami().await?;
            out.one(&whoami, |whoami| {
                let mut rows = vec![("account".to_owned(), whoami.account.name.to_string())];
                rows.extend(token::rows(&whoami.token));
                rows
            })
        }
    }
}

fn created_rows(created: &CreatedAccount) -> Vec<(String, String)> {
    vec![
        ("account".to_owned(), created.account.name.to_string()),
        ("id".to_owned(), created.account.id.to_string()),
        ("token".to_owned(), created.token.secret.clone()),
    ]
}
