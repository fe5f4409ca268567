//! `freehold token`: what callers show.

use api::accounts::{CreateToken, Role, Token};
use api::client::Client;

use super::{every, wording};
use crate::args::TokenCommand;
use crate::exit::Failure;
use crate::output::{Output, note, time};

const DAY_MS: u64 = 24 * 3_600 * 1_000;

/// Carries out the command.
pub(super) async fn run(
    command: TokenCommand,
    client: &Client,
    out: &Output,
) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { label, role, days, access_key } => {
            let role = role_of(&role)?;
            let lifetime_ms = days.map(|days| days.saturating_mul(DAY_MS));
            let created =
                client.token_create(&CreateToken { label, role, lifetime_ms, access_key }).await?;
            out.one(&created, |created| {
                let mut rows = rows(&created.token);
                rows.push(("secret".to_owned(), created.secret.clone()));
                if let Some((key, secret)) =
                    created.token.access_key.as_ref().zip(created.secret_access_key.as_ref())
                {
                    rows.push(("AWS_ACCESS_KEY_ID".to_owned(), key.clone()));
                    rows.push(("AWS_SECRET_ACCESS_KEY".to_owned(), secret.clone()));
                }
                rows
            })?;
            note("the secret is shown this once; keep it: freehold login --token SECRET")
        }
        TokenCommand::List => {
            let tokens: Vec<Token> =
                every(|page| async move { client.tokens_list(&page).await }).await?;
            out.list(&tokens, &["token", "label", "role", "made", "state"], |token| {
                vec![
                    token.id.to_string(),
                    token.label.clone(),
                    wording::word(&token.role),
                    time(token.created_at_ms),
                    state(token),
                ]
            })
        }
        TokenCommand::Revoke { id } => {
            client.token_revoke(id).await?;
            note(&format!("{id} is revoked; who shows it is refused from now on"))
        }
    }
}

/// A token for people.
pub(super) fn rows(token: &Token) -> Vec<(String, String)> {
    vec![
        ("token".to_owned(), token.id.to_string()),
        ("label".to_owned(), token.label.clone()),
        ("role".to_owned(), wording::word(&token.role)),
        ("state".to_owned(), state(token)),
    ]
}

fn state(token: &Token) -> String {
    match (token.revoked_at_ms, token.expires_at_ms) {
        (Some(at_ms), _) => format!("revoked {}", time(at_ms)),
        (None, Some(at_ms)) => format!("until {}", time(at_ms)),
        (None, None) => "valid".to_owned(),
    }
}

fn role_of(text: &str) -> Result<Role, Failure> {
    serde_json::from_value(serde_json::Value::from(text)).map_err(|_| {
        Failure::usage(format!("--role {text:?}: there is no such role"))
            .hint("use reader, developer, owner or operator")
    })
}
