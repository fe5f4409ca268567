//! Items: what an account has in the catalogue, who may see it, and what its newest version shows.
//!
//! Always true: a name is an account's only item of that name, for good; an item's generation
//! grows with every change; followers of the items hear of each.

use std::collections::{BTreeMap, BTreeSet};

use types::{AccountId, ItemId, ItemKind, Name};

use crate::Tx;
use crate::error::Error;
use crate::feeds::{Topic, change_append};
use crate::lists::{ITEM_ID_CHARS, batches};
use crate::sharing::{SharedWith, Sharing};
use crate::statement::{Row, Statement};

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemRow {
    pub id: ItemId,
    pub account_id: AccountId,
    pub name: Name,
    pub kind: ItemKind,
    pub sharing: Sharing,
    /// The newest version; 0 until there is one.
    pub newest: u32,
    /// Grows with every change of the item.
    pub generation: u64,
    pub created_at_ms: u64,
}

/// An item that has a version, with the name of its account and what its newest version shows.
#[derive(Clone, Debug, PartialEq)]
pub struct ListingRow {
    pub item: ItemRow,
    pub account_name: Name,
    /// The newest version's.
    pub listing: serde_json::Value,
    pub package_bytes: u64,
}

fn item(row: &Row) -> Result<ItemRow, Error> {
    let shared_with: SharedWith = row.get("sharing")?;
    Ok(ItemRow {
        id: row.get("id")?,
        account_id: row.get("account_id")?,
        name: row.get("name")?,
        kind: row.get("kind")?,
        sharing: Sharing::of(shared_with, BTreeSet::new()),
        newest: row.get("newest")?,
        generation: row.get("generation")?,
        created_at_ms: row.get("created_at_ms")?,
    })
}

/// Adds an item, without a version. [`Error::Unique`] when the account has one of this name.
///
/// Stored as it is but for `newest`, which is 0 until a version is inserted.
pub async fn item_insert(tx: &mut Tx<'_>, row: &ItemRow) -> Result<(), Error> {
    tx.sql("insert an item", include_str!("items/insert.sql"))
        .bind(&row.id)
        .bind(&row.account_id)
        .bind(&row.name)
        .bind(&row.kind)
        .bind(&row.sharing.shared_with())
        .bind(&row.generation)
        .bind(&row.created_at_ms)
        .run()
        .await?;
    grants_write(tx, row.id, &row.sharing).await?;
    change_append(tx, Topic::Items, row.id);
    Ok(())
}

/// Fetches one item.
pub async fn item_fetch(tx: &mut Tx<'_>, id: ItemId) -> Result<ItemRow, Error> {
    let fetch = tx.sql("fetch an item", include_str!("items/fetch.sql")).bind(&id);
    item_of(fetch.first().await?, tx, || id.to_string()).await
}

/// Fetches the item of this name in an account.
pub async fn item_fetch_by_name(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    name: &Name,
) -> Result<ItemRow, Error> {
    let fetch = tx.sql("fetch an item by name", include_str!("items/fetch_by_name.sql"));
    let row = fetch.bind(&account_id).bind(name).first().await?;
    item_of(row, tx, || name.to_string()).await
}

async fn item_of(
    row: Option<Row>,
    tx: &mut Tx<'_>,
    name: impl FnOnce() -> String,
) -> Result<ItemRow, Error> {
    let row = row.ok_or_else(|| Error::NotFound { what: "item", id: name() })?;
    let mut items = vec![item(&row)?];
    grants_read(tx, &mut items.iter_mut().collect::<Vec<_>>()).await?;
    Ok(items.remove(0))
}

/// Lists the items of an account by name, after one, at most `limit`; also those without a version.
pub async fn items_list(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&Name>,
    limit: u32,
) -> Result<Vec<ItemRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list items", include_str!("items/list.sql"));
    let rows = list.bind(&account_id).bind(&after).bind(&limit).every().await?;
    let mut items = rows.iter().map(item).collect::<Result<Vec<_>, _>>()?;
    grants_read(tx, &mut items.iter_mut().collect::<Vec<_>>()).await?;
    Ok(items)
}

/// How many items there are, for status.
pub async fn items_count(tx: &mut Tx<'_>) -> Result<u64, Error> {
    let text = "SELECT COUNT(*) AS count FROM items WHERE newest > 0";
    tx.sql("count items", text).only().await?.get("count")
}

/// Changes who may see an item, for generation `generation_seen`, and gives the new generation.
///
/// # Errors
///
/// [`Error::Stale`] when the item has changed since.
pub async fn item_share(
    tx: &mut Tx<'_>,
    id: ItemId,
    generation_seen: u64,
    sharing: &Sharing,
) -> Result<u64, Error> {
    let changed = tx
        .sql("share an item", include_str!("items/share.sql"))
        .bind(&id)
        .bind(&generation_seen)
        .bind(&sharing.shared_with())
        .run()
        .await?;
    if changed == 0 {
        let stored = item_fetch(tx, id).await?.generation;
        return Err(Error::Stale { what: "item", id: id.to_string(), stored });
    }
    let text = "DELETE FROM item_grants WHERE item_id = $1";
    tx.sql("delete grants of an item", text).bind(&id).run().await?;
    grants_write(tx, id, sharing).await?;
    change_append(tx, Topic::Items, id);
    Ok(generation_seen + 1)
}

/// Moves an item to its next version `number`; false where that is not its next.
pub(crate) async fn item_advance(tx: &mut Tx<'_>, id: ItemId, number: u32) -> Result<bool, Error> {
    let advance = tx.sql("advance an item", include_str!("items/advance.sql"));
    let changed = advance.bind(&id).bind(&number).run().await?;
    change_append(tx, Topic::Items, id);
    Ok(changed == 1)
}

/// Whether an account may see an item: its own, one shared with it, or one shared with everybody.
pub fn item_visible_to(item: &ItemRow, account_id: AccountId) -> bool {
    item.account_id == account_id
        || match &item.sharing {
            Sharing::Nobody => false,
            Sharing::Accounts(accounts) => accounts.contains(&account_id),
            Sharing::Everybody => true,
        }
}

/// What one item shows, where it has a version.
pub async fn listing_fetch(tx: &mut Tx<'_>, id: ItemId) -> Result<Option<ListingRow>, Error> {
    let fetch = tx.sql("fetch a listing", include_str!("items/listing.sql")).bind(&id);
    Ok(listings(fetch).await?.pop())
}

/// What every item shows, by id, after one, at most `limit`: the snapshot of an index.
pub async fn listings_list(
    tx: &mut Tx<'_>,
    after: Option<ItemId>,
    limit: u32,
) -> Result<Vec<ListingRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let list = tx.sql("list listings", include_str!("items/listings.sql"));
    listings(list.bind(&after).bind(&limit)).await
}

/// What the items of an account show, by name, after one, at most `limit`.
pub async fn listings_list_of(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<&Name>,
    limit: u32,
) -> Result<Vec<ListingRow>, Error> {
    let after = after.map_or_else(String::new, ToString::to_string);
    let list = tx.sql("list listings of an account", include_str!("items/listings_of.sql"));
    listings(list.bind(&account_id).bind(&after).bind(&limit)).await
}

/// What the items show that an account may see, by id, after one, at most `limit`.
pub async fn listings_visible_to(
    tx: &mut Tx<'_>,
    account_id: AccountId,
    after: Option<ItemId>,
    limit: u32,
) -> Result<Vec<ListingRow>, Error> {
    let after = after.map_or_else(String::new, |id| id.to_string());
    let list = tx.sql("list visible listings", include_str!("items/listings_visible.sql"));
    listings(list.bind(&account_id).bind(&after).bind(&limit)).await
}

async fn listings(list: Statement<'_, '_>) -> Result<Vec<ListingRow>, Error> {
    let (rows, tx) = list.every_and_tx().await?;
    let read = |row: &Row| {
        Ok(ListingRow {
            item: item(row)?,
            account_name: row.get("account_name")?,
            listing: row.get("listing")?,
            package_bytes: row.get("package_bytes")?,
        })
    };
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, Error>>()?;
    let mut items: Vec<_> = found.iter_mut().map(|listing| &mut listing.item).collect();
    grants_read(tx, &mut items).await?;
    Ok(found)
}

/// Fills in the accounts of the items that are shared with accounts.
async fn grants_read(tx: &mut Tx<'_>, items: &mut [&mut ItemRow]) -> Result<(), Error> {
    let shared = items.iter().filter(|item| matches!(item.sharing, Sharing::Accounts(_)));
    let ids: Vec<ItemId> = shared.map(|item| item.id).collect();
    let mut grants: BTreeMap<ItemId, BTreeSet<AccountId>> = BTreeMap::new();
    for batch in batches(&ids, ITEM_ID_CHARS) {
        let list = tx.sql("list grants of items", include_str!("items/grants.sql"));
        for row in list.bind(&batch.joined).bind(&batch.count).every().await? {
            grants.entry(row.get("item_id")?).or_default().insert(row.get("account_id")?);
        }
    }
    for item in items {
        if let Sharing::Accounts(accounts) = &mut item.sharing {
            *accounts = grants.remove(&item.id).unwrap_or_default();
        }
    }
    Ok(())
}

async fn grants_write(tx: &mut Tx<'_>, id: ItemId, sharing: &Sharing) -> Result<(), Error> {
    for account_id in sharing.accounts() {
        let text = "INSERT INTO item_grants (item_id, account_id) VALUES ($1, $2)";
        tx.sql("grant an item", text).bind(&id).bind(&account_id).run().await?;
    }
    Ok(())
}
