//! Accounts: who owns things, and their sealed secrets.
//!
//! Always true: a name is never given twice and never changes; the two counters of an account,
//! of objects made and of claims of chunks settled, only grow.

use std::collections::BTreeMap;

use types::{AccountId, Name};

use crate::Tx;
use crate::error::Error;
use crate::lists::{ACCOUNT_ID_CHARS, batches};
use crate::statement::Row;
use crate::words::words;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    pub id: AccountId,
    pub name: Name,
    /// Whether its operators run the cloud.
    pub operator: bool,
    pub created_at_ms: u64,
}

words! {
    /// What a secret of an account is for.
    pub enum SecretKind {
        /// Names and keys of chunks.
        Dedup = "dedup",
        /// Seals the keys of objects.
        Key = "key",
    }
}

/// A secret of an account, sealed under the master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountSecretRow {
    pub account_id: AccountId,
    pub kind: SecretKind,
    /// From 1; the newest seals.
    pub version: u32,
    pub sealed: String,
}

fn account(row: &Row) -> Result<AccountRow, Error> {
    Ok(AccountRow {
        id: row.get("id")?,
        name: row.get("name")?,
        operator: row.get("operator")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

fn secret(row: &Row) -> Result<AccountSecretRow, Error> {
    Ok(AccountSecretRow {
        account_id: row.get("account_id")?,
        kind: row.get("kind")?,
        version: row.get("version")?,
        sealed: row.get("sealed")?,
    })
}

fn missing(id: AccountId) -> Error {
    Error::NotFound { what: "account", id: id.to_string() }
}

/// Adds an account. [`Error::Unique`] when the name is taken.
pub async fn account_insert(tx: &mut Tx<'_>, row: &AccountRow) -> Result<(), Error> {
    tx.sql("insert an account", include_str!("accounts/insert.sql"))
        .bind(&row.id)
        .bind(&row.name)
        .bind(&row.operator)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    Ok(())
}

/// Fetches one account.
pub async fn account_fetch(tx: &mut Tx<'_>, id: AccountId) -> Result<AccountRow, Error> {
    let text = "SELECT id, name, operator, created_at_ms FROM accounts WHERE id = $1";
    let row = tx.sql("fetch an account", text).bind(&id).first().await?;
    account(&row.ok_or_else(|| missing(id))?)
}

/// Fetches the account of this name.
pub async fn account_fetch_by_name(tx: &mut Tx<'_>, name: &Name) -> Result<AccountRow, Error> {
    let text = "SELECT id, name, operator, created_at_ms FROM accounts WHERE name = $1";
    let row = tx.sql("fetch an account by name", text).bind(name).first().await?;
    let missing = || Error::NotFound { what: "account", id: name.to_string() };
    account(&row.ok_or_else(missing)?)
}

/// Lists accounts by id, after one, at most `limit`.
pub async fn accounts_list(
    tx: &mut Tx<'_>,
    after: Option<AccountId>,
    limit: u32,
) -> Result<Vec<AccountRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let text = include_str!("accounts/list.sql");
    let rows = tx.sql("list accounts", text).bind(&after).bind(&limit).every().await?;
    rows.iter().map(account).collect()
}

/// The names of these accounts; those that do not exist are left out.
pub async fn accounts_names(
    tx: &mut Tx<'_>,
    ids: &[AccountId],
) -> Result<BTreeMap<AccountId, Name>, Error> {
    let mut names = BTreeMap::new();
    for batch in batches(ids, ACCOUNT_ID_CHARS) {
        let text = include_str!("accounts/names.sql");
        let found = tx.sql("list names of accounts", text).bind(&batch.joined).bind(&batch.count);
        for row in found.every().await? {
            names.insert(row.get("id")?, row.get("name")?);
        }
    }
    Ok(names)
}

/// The ids of the accounts of these names; [`Error::NotFound`] names the first that is missing.
pub async fn accounts_by_names(tx: &mut Tx<'_>, names: &[Name]) -> Result<Vec<AccountId>, Error> {
    let mut ids = Vec::with_capacity(names.len());
    for name in names {
        ids.push(account_fetch_by_name(tx, name).await?.id);
    }
    Ok(ids)
}

/// How many objects the account ever made: the guard of garbage marking.
pub async fn account_objects_sequence(tx: &mut Tx<'_>, id: AccountId) -> Result<u64, Error> {
    let text = "SELECT objects_sequence FROM accounts WHERE id = $1";
    let row = tx.sql("fetch the objects' sequence", text).bind(&id).first().await?;
    row.ok_or_else(|| missing(id))?.get("objects_sequence")
}

/// How many claims of chunks of the account were settled: the guard of a commit, read before its
/// chunks are looked for.
pub async fn account_chunk_claims(tx: &mut Tx<'_>, id: AccountId) -> Result<u64, Error> {
    let text = "SELECT chunk_claims FROM accounts WHERE id = $1";
    let row = tx.sql("fetch the claims of chunks", text).bind(&id).first().await?;
    row.ok_or_else(|| missing(id))?.get("chunk_claims")
}

/// Takes the account's next number of an object.
pub(crate) async fn account_objects_next(tx: &mut Tx<'_>, id: AccountId) -> Result<u64, Error> {
    let text = include_str!("accounts/objects_next.sql");
    let row = tx.sql("number an object", text).bind(&id).first().await?;
    row.ok_or_else(|| missing(id))?.get("objects_sequence")
}

/// Counts a claim of chunks that was settled.
pub(crate) async fn account_claims_settled(tx: &mut Tx<'_>, id: AccountId) -> Result<(), Error> {
    let text = "UPDATE accounts SET chunk_claims = chunk_claims + 1 WHERE id = $1";
    tx.sql("count a claim of chunks", text).bind(&id).run().await.map(|_| ())
}

/// Adds a secret. [`Error::Unique`] when there is one of this kind and version.
pub async fn account_secret_insert(tx: &mut Tx<'_>, row: &AccountSecretRow) -> Result<(), Error> {
    tx.sql("insert a secret of an account", include_str!("accounts/secret_insert.sql"))
        .bind(&row.account_id)
        .bind(&row.kind)
        .bind(&row.version)
        .bind(&row.sealed)
        .run()
        .await?;
    Ok(())
}

/// The secrets of an account, by kind and version.
pub async fn account_secrets_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
) -> Result<Vec<AccountSecretRow>, Error> {
    let text = include_str!("accounts/secrets.sql");
    let rows = tx.sql("list secrets of an account", text).bind(&account_id).every().await?;
    rows.iter().map(secret).collect()
}

/// Stores a secret sealed under another master key, where it still is sealed as `sealed_before`.
/// [`Error::Conflict`] where it is not.
pub async fn account_secret_reseal(
    tx: &mut Tx<'_>,
    row: &AccountSecretRow,
    sealed_before: &str,
) -> Result<(), Error> {
    let changed = tx
        .sql("reseal a secret of an account", include_str!("accounts/secret_reseal.sql"))
        .bind(&row.account_id)
        .bind(&row.kind)
        .bind(&row.version)
        .bind(&row.sealed)
        .bind(&sealed_before.to_owned())
        .run()
        .await?;
    if changed == 1 {
        return Ok(());
    }
    let why = "has another secret than the one that was resealed";
    Err(Error::Conflict { what: "account", id: row.account_id.to_string(), why })
}
