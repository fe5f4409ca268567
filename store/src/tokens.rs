//! Tokens: how callers prove for which account they speak. Only the hash of a secret is here.
//!
//! Always true: a revocation is never taken back; gateways hear of every new and revoked token.

use types::{AccountId, Digest, Name, TokenId};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::statement::Row;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    pub id: TokenId,
    pub account_id: AccountId,
    pub label: String,
    /// `reader`, `developer`, `owner` or `operator`.
    pub role: String,
    pub secret_sha256: Digest,
    pub created_at_ms: u64,
    /// Never where absent.
    pub expires_at_ms: Option<u64>,
    /// Not revoked where absent.
    pub revoked_at_ms: Option<u64>,
    /// By which AWS's clients sign for it, where it has one.
    pub access_key: Option<AccessKeyRow>,
}

/// An access key of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessKeyRow {
    /// Its name, sent openly.
    pub name: String,
    /// Its secret, sealed by the master key, in hex.
    pub sealed_secret: String,
}

/// A token that may call, and the name of its account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveToken {
    pub token: TokenRow,
    pub account_name: Name,
}

fn token(row: &Row) -> Result<TokenRow, Error> {
    let name: Option<String> = row.get("access_key")?;
    let sealed_secret: Option<String> = row.get("sealed_secret")?;
    let access_key = name.zip(sealed_secret);
    Ok(TokenRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        label: row.get("label")?,
        role: row.get("role")?,
        secret_sha256: row.get("secret_sha256")?,
        created_at_ms: row.get("created_at_ms")?,
        expires_at_ms: row.get("expires_at_ms")?,
        revoked_at_ms: row.get("revoked_at_ms")?,
        access_key: access_key.map(|(name, sealed_secret)| AccessKeyRow { name, sealed_secret }),
    })
}

/// Adds a token. [`Error::Unique`] when its secret is another token's.
pub async fn token_insert(tx: &mut Tx<'_>, row: &TokenRow) -> Result<(), Error> {
    tx.sql("insert a token", include_str!("tokens/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.label)
        .bind(&row.role)
        .bind(&row.secret_sha256)
        .bind(&row.created_at_ms)
        .bind(&row.expires_at_ms)
        .bind(&row.revoked_at_ms)
        .bind(&row.access_key.as_ref().map(|key| key.name.clone()))
        .bind(&row.access_key.as_ref().map(|key| key.sealed_secret.clone()))
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// Fetches one token of an account.
pub async fn token_fetch(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    id: TokenId,
) -> Result<TokenRow, Error> {
    let text = include_str!("tokens/fetch.sql");
    let row = tx.sql("fetch a token", text).bind(&id).bind(&account_id).first().await?;
    token(&row.ok_or_else(|| missing(id))?)
}

/// Fetches the token of a secret with this hash, revoked or not.
pub async fn token_fetch_by_secret(
    tx: &mut Tx<'_>,
    secret_sha256: &Digest,
) -> Result<TokenRow, Error> {
    let text = include_str!("tokens/fetch_by_secret.sql");
    let row = tx.sql("fetch a token by its secret", text).bind(secret_sha256).first().await?;
    // The hash stays out of the text: it would be of use to nobody but an attacker.
    let missing = || Error::NotFound { what: "token", id: "of this secret".to_owned() };
    token(&row.ok_or_else(missing)?)
}

/// Fetches the token of an access key, revoked or not.
pub async fn token_fetch_by_access_key(tx: &mut Tx<'_>, name: &str) -> Result<TokenRow, Error> {
    let text = include_str!("tokens/fetch_by_access_key.sql");
    let fetch = tx.sql("fetch a token by its access key", text).bind(&name.to_owned());
    let missing = || Error::NotFound { what: "access key", id: name.chars().take(40).collect() };
    token(&fetch.first().await?.ok_or_else(missing)?)
}

/// Lists tokens that have an access key by id, of every account, after one, at most `limit`.
pub async fn tokens_list_keyed(
    tx: &mut Tx<'_>,
    after: Option<TokenId>,
    limit: u32,
) -> Result<Vec<TokenRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let list = tx.sql("list access keys", include_str!("tokens/keyed.sql"));
    let rows = list.bind(&after).bind(&limit).every().await?;
    rows.iter().map(token).collect()
}

/// Replaces the sealed secret of an access key, where it is still what it was.
pub async fn token_reseal(
    tx: &mut Tx<'_>,
    id: TokenId,
    (before, after): (&str, &str),
) -> Result<(), Error> {
    let text = "UPDATE tokens SET sealed_secret = $3 WHERE id = $1 AND sealed_secret = $2";
    let reseal = tx.sql("reseal an access key", text);
    reseal.bind(&id).bind(&before.to_owned()).bind(&after.to_owned()).run().await.map(|_| ())
}

/// Lists the tokens of an account by id, after one, at most `limit`.
pub async fn tokens_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<TokenId>,
    limit: u32,
) -> Result<Vec<TokenRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let list = tx.sql("list tokens", include_str!("tokens/list.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    rows.iter().map(token).collect()
}

/// Every token that is neither revoked nor past its end at `now_ms`, for gateways.
pub async fn tokens_list_live(tx: &mut Tx<'_>, now_ms: u64) -> Result<Vec<LiveToken>, Error> {
    let rows =
        tx.sql("list live tokens", include_str!("tokens/live.sql")).bind(&now_ms).every().await?;
    let live =
        |row: &Row| Ok(LiveToken { token: token(row)?, account_name: row.get("account_name")? });
    rows.iter().map(live).collect()
}

/// Revokes a token of an account. Doing so again changes nothing.
pub async fn token_revoke(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    id: TokenId,
    now_ms: u64,
) -> Result<TokenRow, Error> {
    let changed = tx
        .sql("revoke a token", include_str!("tokens/revoke.sql"))
        .bind(&id)
        .bind(&account_id)
        .bind(&now_ms)
        .run()
        .await?;
    if changed == 1 {
        feed_bump(tx, Topic::Routes);
    }
    token_fetch(tx, account_id, id).await
}

fn missing(id: TokenId) -> Error {
    Error::NotFound { what: "token", id: id.to_string() }
}
