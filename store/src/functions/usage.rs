//! Usage of functions: what calls came to, by the hour, for whoever pays and whoever owns.
//!
//! Always true: counts only grow; who reports is numbered elsewhere, so that nothing counts twice.

use types::{AccountId, FunctionId, GrantId, ServiceId, ServiceKeyId};

use crate::Tx;
use crate::error::Error;
use crate::statement::Row;

/// What calls came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    pub calls: u64,
    /// The function's own errors.
    pub failures: u64,
    /// Crashes, and limits that were passed.
    pub faults: u64,
    pub duration_ms: u64,
    pub memory_mib_ms: u64,
}

/// What calls of an hour, or of more, came to that have all of this in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUsageRow {
    pub payer: AccountId,
    pub owner: AccountId,
    pub function: FunctionId,
    /// None for calls of the owner's own.
    pub link: Option<FunctionId>,
    pub grant: Option<GrantId>,
    pub service: Option<ServiceId>,
    pub key: Option<ServiceKeyId>,
    pub sums: Sums,
}

/// What others' calls by one grant came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoldRow {
    pub function: FunctionId,
    pub grant: GrantId,
    pub sums: Sums,
}

/// Calls by one link and grant, with one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallsRow {
    pub link: Option<FunctionId>,
    pub grant: Option<GrantId>,
    pub key: Option<ServiceKeyId>,
    pub calls: u64,
}

fn text<T: ToString>(id: Option<&T>) -> String {
    id.map_or_else(String::new, ToString::to_string)
}

/// An id that is there unless its text is empty.
fn id<T: std::str::FromStr>(row: &Row, column: &'static str) -> Result<Option<T>, Error> {
    let text: String = row.get(column)?;
    Ok(text.parse().ok())
}

fn sums(row: &Row) -> Result<Sums, Error> {
    Ok(Sums {
        calls: row.get("calls")?,
        failures: row.get("failures")?,
        faults: row.get("faults")?,
        duration_ms: row.get("duration_ms")?,
        memory_mib_ms: row.get("memory_mib_ms")?,
    })
}

/// Adds to what calls of an hour came to.
pub async fn function_usage_add(
    tx: &mut Tx<'_>,
    hour_ms: u64,
    row: &FunctionUsageRow,
) -> Result<(), Error> {
    tx.sql("add usage of functions", include_str!("add_usage.sql"))
        .bind(&hour_ms)
        .bind(&row.payer)
        .bind(&row.owner)
        .bind(&row.function)
        .bind(&text(row.link.as_ref()))
        .bind(&text(row.grant.as_ref()))
        .bind(&text(row.service.as_ref()))
        .bind(&text(row.key.as_ref()))
        .bind(&row.sums.calls)
        .bind(&row.sums.failures)
        .bind(&row.sums.faults)
        .bind(&row.sums.duration_ms)
        .bind(&row.sums.memory_mib_ms)
        .run()
        .await?;
    Ok(())
}

/// What an account's calls came to from one hour up to another.
pub async fn function_usage_list(
    tx: &mut Tx<'_>,
    payer: AccountId,
    (from_ms, to_ms): (u64, u64),
) -> Result<Vec<FunctionUsageRow>, Error> {
    let list = tx.sql("sum up usage of functions", include_str!("used.sql"));
    let rows = list.bind(&payer).bind(&from_ms).bind(&to_ms).every().await?;
    let used = |row: &Row| {
        Ok(FunctionUsageRow {
            payer,
            owner: row.get("owner_id")?,
            function: row.get("function_id")?,
            link: id(row, "link_id")?,
            grant: id(row, "grant_id")?,
            service: id(row, "service_id")?,
            key: id(row, "key_id")?,
            sums: sums(row)?,
        })
    };
    rows.iter().map(used).collect()
}

/// What others' calls of an account's functions came to, from one hour up to another.
pub async fn function_usage_sold(
    tx: &mut Tx<'_>,
    owner: AccountId,
    (from_ms, to_ms): (u64, u64),
) -> Result<Vec<SoldRow>, Error> {
    let list = tx.sql("sum up what was sold", include_str!("sold.sql"));
    let rows = list.bind(&owner).bind(&from_ms).bind(&to_ms).every().await?;
    let sold = |row: &Row| {
        let (function, grant) = (row.get("function_id")?, row.get("grant_id")?);
        Ok(SoldRow { function, grant, sums: sums(row)? })
    };
    rows.iter().map(sold).collect()
}

/// Calls by each link, grant and key from one hour up to another.
pub async fn function_usage_calls(
    tx: &mut Tx<'_>,
    (from_ms, to_ms): (u64, u64),
) -> Result<Vec<CallsRow>, Error> {
    let list = tx.sql("count calls of a day", include_str!("calls_since.sql"));
    let rows = list.bind(&from_ms).bind(&to_ms).every().await?;
    let calls = |row: &Row| {
        Ok(CallsRow {
            link: id(row, "link_id")?,
            grant: id(row, "grant_id")?,
            key: id(row, "key_id")?,
            calls: row.get("calls")?,
        })
    };
    rows.iter().map(calls).collect()
}
