//! Settings: small facts of the cloud, such as its sealed signing key.
//!
//! Always true: of two control planes that make the same fact at once, both get the one that was
//! stored.

use crate::Tx;
use crate::error::Error;

/// Fetches a fact, where it is stored.
pub async fn setting_find(tx: &mut Tx<'_>, key: &str) -> Result<Option<String>, Error> {
    let text = "SELECT value FROM settings WHERE key = $1";
    let row = tx.sql("fetch a setting", text).bind(&key.to_owned()).first().await?;
    row.map(|row| row.get("value")).transpose()
}

/// Stores a fact, over the one before.
pub async fn setting_store(tx: &mut Tx<'_>, key: &str, value: &str) -> Result<(), Error> {
    let text = "INSERT INTO settings (key, value) VALUES ($1, $2) \
                ON CONFLICT (key) DO UPDATE SET value = $2";
    let store = tx.sql("store a setting", text);
    store.bind(&key.to_owned()).bind(&value.to_owned()).run().await?;
    Ok(())
}

/// Stores a fact where there is none, and gives the one that is stored.
pub async fn setting_settle(tx: &mut Tx<'_>, key: &str, value: &str) -> Result<String, Error> {
    let text = "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let store = tx.sql("settle a setting", text);
    store.bind(&key.to_owned()).bind(&value.to_owned()).run().await?;
    setting_find(tx, key).await.map(Option::unwrap_or_default)
}
