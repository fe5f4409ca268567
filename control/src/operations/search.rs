//! Search and suggestions, and the task that keeps the index up with the store.

use tokio_util::sync::CancellationToken;

use access::{Action, Resource};
use api::items::{Findings, Found, Item, NearMiss, SearchQuery, SuggestRequest};
use catalog::index::{Entry, Hit, Near, Query, Visibility};
use policy::ranking::Wish;
use store::Topic;
use store::feeds::{Changes, changes_list};
use store::items::{ListingRow, listing_fetch, listings_list};
use store::usage::usage_sums;
use types::{Format, ItemId, ItemKind};

use crate::caller::Caller;
use crate::operations::items::{self, shape_listing};
use crate::{Control, Error};

/// Most results of one answer.
const RESULTS_MAX: u32 = 200;
/// Listings read at once for a snapshot.
const SNAPSHOT_LENGTH: u32 = 500;
/// How long the index waits for a change before it looks by itself.
const WAIT_MS: u64 = 10_000;
/// The pause after the store did not answer.
const RETRY_MS: u64 = 500;

/// Items by text and filters.
pub fn search(control: &Control, caller: &Caller, query: &SearchQuery) -> Result<Findings, Error> {
    let wish = Wish {
        kind: query.kind,
        category: query.category.clone(),
        subcategory: query.subcategory.clone(),
        accuracy_ppm_min: query.accuracy_ppm_min,
        latency_us_max: query.latency_us_max,
        memory_bytes_max: query.memory_bytes_max,
        ..Wish::default()
    };
    let text = query.text.clone().unwrap_or_default();
    let format = query.format.clone();
    let query = Query { text, format, wish, limit: limit(query.limit, 20)? };
    control.authorize(caller, Action::ItemsSearch, Resource::cloud())?;
    let hits = control.shared.index.find(caller.account, &query);
    Ok(Findings { found: hits.into_iter().map(shape).collect(), near: Vec::new() })
}

/// Items that serve what the caller has and needs, and items that nearly do.
pub async fn suggest(
    control: &Control,
    caller: &Caller,
    request: &SuggestRequest,
) -> Result<Findings, Error> {
    let data = match &request.dataset {
        None => request.data.clone(),
        Some(reference) => {
            let (seen, version) = items::resolve(control, caller, reference).await?;
            if seen.item.kind != ItemKind::Dataset {
                return Err(Error::wrong_kind(format!("{reference} is not a data set")));
            }
            data_format(&items::listing(&version.listing)?)
        }
    };
    let wish = Wish {
        kind: request.kind,
        category: request.category.clone(),
        subcategory: request.subcategory.clone(),
        data,
        accuracy_ppm_min: request.accuracy_ppm_min,
        latency_us_max: request.latency_us_max,
        memory_bytes_max: request.memory_bytes_max,
        cpu_milli_max: request.cpu_milli_max,
    };
    let text = request.text.clone().unwrap_or_default();
    let query = Query { text, format: None, wish, limit: limit(request.limit, 10)? };
    control.authorize(caller, Action::ItemsSearch, Resource::cloud())?;
    let suggested = control.shared.index.suggest(caller.account, &query);
    let near = |Near { hit, misses }| NearMiss { found: shape(hit), misses };
    Ok(Findings {
        found: suggested.hits.into_iter().map(shape).collect(),
        near: suggested.near.into_iter().map(near).collect(),
    })
}

/// What a data set holds.
fn data_format(listing: &catalog::Listing) -> Option<Format> {
    listing.output.clone().or_else(|| listing.input.clone())
}

fn limit(wanted: Option<u32>, default: u32) -> Result<usize, Error> {
    match wanted.unwrap_or(default) {
        0 => Err(Error::invalid("limit has to be at least 1")),
        limit if limit > RESULTS_MAX => {
            Err(Error::invalid(format!("limit has to be at most {RESULTS_MAX}")))
        }
        limit => Ok(limit as usize),
    }
}

fn shape(hit: Hit) -> Found {
    let entry = hit.entry;
    Found {
        item: Item {
            id: entry.item,
            account: entry.account_name,
            name: entry.name,
            kind: entry.kind,
            newest: entry.newest,
            sharing: None,
            generation: entry.generation,
            created_at_ms: entry.created_at_ms,
            listing: shape_listing(entry.listing),
        },
        score_milli: hit.score_milli,
        reasons: hit.reasons,
    }
}

/// Keeps the index up with the store until the tasks stop: a snapshot, then every change.
pub(crate) async fn follow(control: Control, stopping: CancellationToken) {
    let mut after = None;
    while !stopping.is_cancelled() {
        let round = async {
            match after {
                None => snapshot(&control).await,
                Some(after) => changes(&control, after).await,
            }
        };
        let done = tokio::select! {
            () = stopping.cancelled() => break,
            done = round => done,
        };
        match done {
            Ok(next) => after = next,
            Err(error) => {
                tracing::warn!(cause = %workflow::chain(&error), "the search index waits for the store");
                control.clock().sleep_ms(RETRY_MS).await;
            }
        }
    }
}

/// Reads every listing, and says after which generation the changes go on.
pub(crate) async fn snapshot(control: &Control) -> Result<Option<u64>, Error> {
    let store = &control.shared.store;
    let generation = store.feed_read(Topic::Items).await?;
    let mut entries = Vec::new();
    let mut after: Option<ItemId> = None;
    loop {
        let rows = store
            .read("list listings", |tx| Box::pin(listings_list(tx, after, SNAPSHOT_LENGTH)))
            .await?;
        let more = rows.len() == SNAPSHOT_LENGTH as usize;
        after = rows.last().map(|row| row.item.id);
        for row in rows {
            entries.push(entry(control, row).await?);
        }
        if !more {
            break;
        }
    }
    control.shared.index.replace(entries);
    Ok(Some(generation))
}

async fn changes(control: &Control, after: u64) -> Result<Option<u64>, Error> {
    let store = &control.shared.store;
    if store.feed_wait(Topic::Items, after, WAIT_MS).await? <= after {
        return Ok(Some(after));
    }
    let read = store.read("list changes of items", |tx| {
        Box::pin(changes_list(tx, Topic::Items, after, SNAPSHOT_LENGTH))
    });
    let rows = match read.await? {
        Changes::Gap { .. } => return Ok(None),
        Changes::Rows(rows) => rows,
    };
    let last = rows.last().map_or(after, |row| row.sequence);
    for row in rows {
        let Ok(id) = row.subject.parse::<ItemId>() else { continue };
        let listing = store.read("fetch a listing", |tx| Box::pin(listing_fetch(tx, id))).await?;
        match listing {
            Some(row) => control.shared.index.put(entry(control, row).await?),
            None => control.shared.index.remove(id),
        }
    }
    Ok(Some(last))
}

async fn entry(control: &Control, row: ListingRow) -> Result<Entry, Error> {
    let id = row.item.id;
    let usage = control.shared.store.read("sum usage", |tx| Box::pin(usage_sums(tx, id))).await?;
    Ok(Entry {
        item: id,
        account: row.item.account_id,
        account_name: row.account_name,
        name: row.item.name,
        kind: row.item.kind,
        newest: row.item.newest,
        generation: row.item.generation,
        created_at_ms: row.item.created_at_ms,
        visibility: match row.item.sharing {
            store::Sharing::Nobody => Visibility::Owner,
            store::Sharing::Accounts(accounts) => Visibility::Accounts(accounts),
            store::Sharing::Everybody => Visibility::Everybody,
        },
        listing: items::listing(&row.listing)?,
        uses: usage.requests.saturating_add(usage.trainings),
    })
}
