//! Settings of functions: what surrounds their calls, by kind, for a whole function or for one of
//! its versions and aliases.
//!
//! Always true: there is one of a kind for a qualifier; gateways hear of each change.
//! Absent on purpose: what they mean.

use std::collections::BTreeMap;

use types::FunctionId;

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, feed_bump};
use crate::words::words;

words! {
    /// What a setting is about.
    pub enum SettingKind {
        /// How many calls run at one time.
        Concurrency = "concurrency",
        /// What becomes of events: tries, age, where their outcome goes.
        Events = "events",
        /// Which other accounts may call.
        Permissions = "permissions",
        /// How the memory of its instances is chosen.
        Sizing = "sizing",
        /// How many instances are kept warm.
        Provisioned = "provisioned",
        /// An address of its own.
        Url = "url",
        /// Words of its owner.
        Tags = "tags",
    }
}

/// A setting.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingRow {
    pub kind: SettingKind,
    /// A version or alias; empty for the whole function.
    pub qualifier: String,
    pub spec: serde_json::Value,
    pub changed_at_ms: u64,
}

fn setting(row: &crate::statement::Row) -> Result<SettingRow, Error> {
    Ok(SettingRow {
        kind: row.get("kind")?,
        qualifier: row.get("qualifier")?,
        spec: row.get("spec")?,
        changed_at_ms: row.get("changed_at_ms")?,
    })
}

/// Stores a setting, or replaces it.
pub async fn setting_put(tx: &mut Tx<'_>, id: FunctionId, row: &SettingRow) -> Result<(), Error> {
    tx.sql("store a setting of a function", include_str!("put_setting.sql"))
        .bind(&id)
        .bind(&row.kind)
        .bind(&row.qualifier)
        .bind(&row.spec)
        .bind(&row.changed_at_ms)
        .run()
        .await?;
    feed_bump(tx, Topic::Routes);
    Ok(())
}

/// The settings of a function.
pub async fn settings_list(tx: &mut Tx<'_>, id: FunctionId) -> Result<Vec<SettingRow>, Error> {
    let text = include_str!("list_settings.sql");
    let rows = tx.sql("list settings of a function", text).bind(&id).every().await?;
    rows.iter().map(setting).collect()
}

/// Every setting by its function, for routes.
pub async fn settings_list_all(
    tx: &mut Tx<'_>,
) -> Result<BTreeMap<FunctionId, Vec<SettingRow>>, Error> {
    let text = include_str!("all_settings.sql");
    let mut settings: BTreeMap<FunctionId, Vec<SettingRow>> = BTreeMap::new();
    for row in &tx.sql("list settings of functions", text).every().await? {
        settings.entry(row.get("function_id")?).or_default().push(setting(row)?);
    }
    Ok(settings)
}

/// Every setting of a kind with its function, the one that was changed the longest ago first.
pub async fn settings_list_of_kind(
    tx: &mut Tx<'_>,
    kind: SettingKind,
) -> Result<Vec<(FunctionId, SettingRow)>, Error> {
    let text = include_str!("settings_of_kind.sql");
    let rows = tx.sql("list settings of a kind", text).bind(&kind).every().await?;
    rows.iter().map(|row| Ok((row.get("function_id")?, setting(row)?))).collect()
}

/// Removes a setting, and tells whether it was there.
pub async fn setting_delete(
    tx: &mut Tx<'_>,
    id: FunctionId,
    (kind, qualifier): (SettingKind, &str),
) -> Result<bool, Error> {
    let text = include_str!("delete_setting.sql");
    let delete = tx.sql("delete a setting of a function", text);
    let gone = delete.bind(&id).bind(&kind).bind(&qualifier.to_owned()).run().await?;
    feed_bump(tx, Topic::Routes);
    Ok(gone == 1)
}
