//! Usage: what gateways counted, added once to the counts of every version that answered and of
//! every function that ran; and what that comes to.
//!
//! Always true: an owner sees sums by grant, and nothing of who called or by which name.

use std::collections::BTreeMap;

use access::{Action, Resource};
use api::internal::functions::{DayCalls, FunctionCount, LinkLog, UsageTaken};
use api::internal::{InstanceLogs, UsageReport};
use api::usage::{Consumption, FunctionUsage, SoldLine, SoldUsage, UsageLine, UsageQuery};
use store::Tx;
use store::accounts::accounts_names;
use store::endpoints::counts::{CountsRow, counts_add};
use store::endpoints::endpoint_fetch;
use store::functions::functions_names;
use store::functions::grants::{GrantRow, grants_list_all};
use store::functions::usage::{
    CallsRow, FunctionUsageRow, Sums, function_usage_add, function_usage_calls,
    function_usage_list, function_usage_sold,
};
use store::services::services_list_all;
use store::usage::{UsageRow, usage_record};
use types::{AccountId, EndpointId, FunctionId, GrantId, Name};

use crate::caller::Caller;
use crate::operations::endpoints::captures;
use crate::operations::endpoints::triggers::{right, seen};
use crate::operations::functions::sources;
use crate::operations::instances::take_logs;
use crate::operations::items::from_json;
use crate::operations::stages::ResolvedStage;
use crate::{Control, Error};

pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;
/// What is summed up where nobody says.
const PERIOD_MS: u64 = 30 * DAY_MS;

/// Adds a report.
pub async fn record(control: &Control, report: UsageReport) -> Result<UsageTaken, Error> {
    let rows = versions(control, &report).await?;
    let now_ms = control.now_ms();
    let functions: Vec<_> = report.functions.iter().map(function_row).collect();
    let counts = answered(&report);
    control
        .shared
        .store
        .transact("add a usage report", |tx| {
            let (reporter, rows, functions) = (report.reporter.clone(), &rows, &functions);
            let (counts, live) = (&counts, &report.live);
            let accuracies = &report.accuracies;
            let (captured, fed) = (&report.captures, &report.sources);
            Box::pin(async move {
                if usage_record(tx, &reporter, report.number, rows, now_ms).await? {
                    for (id, more) in counts {
                        counts_add(tx, *id, *more).await?;
                    }
                    seen::add(tx, live, now_ms).await?;
                    right::put(tx, accuracies, now_ms).await?;
                    for (hour_ms, row) in functions {
                        function_usage_add(tx, *hour_ms, row).await?;
                    }
                    captures::count(tx, captured).await?;
                    sources::count(tx, fed).await?;
                }
                Ok::<_, store::Error>(())
            })
        })
        .await?;
    for LinkLog { link, lines } in report.link_logs {
        // Its lines are numbered, so that they too are kept once.
        let key = (link.to_string(), report.reporter.clone());
        take_logs(control, key, InstanceLogs { lines }).await?;
    }
    taken(control, &report.functions).await
}

/// What each variant answered to customers.
fn answered(report: &UsageReport) -> BTreeMap<EndpointId, CountsRow> {
    let mut all: BTreeMap<EndpointId, CountsRow> = BTreeMap::new();
    let live = |all: u64, aside: u64| all.saturating_sub(aside);
    for count in &report.counts {
        let counts = all.entry(count.endpoint).or_default();
        counts.requests = counts.requests.saturating_add(live(count.requests, count.aside));
        counts.failures =
            counts.failures.saturating_add(live(count.failures, count.aside_failures));
    }
    all
}

/// What was counted of endpoints, by the versions that they run.
async fn versions(control: &Control, report: &UsageReport) -> Result<Vec<UsageRow>, Error> {
    let mut rows = Vec::new();
    for count in &report.counts {
        let id = count.endpoint;
        let read =
            control.shared.store.read("fetch an endpoint", |tx| Box::pin(endpoint_fetch(tx, id)));
        let endpoint = match read.await {
            Ok(endpoint) => endpoint,
            Err(store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let stages: Vec<ResolvedStage> = from_json(&endpoint.resolved)?;
        rows.extend(stages.iter().map(|stage| UsageRow {
            item_id: stage.item,
            version: stage.reference.version.unwrap_or(1),
            endpoint_id: Some(id),
            caller: count.caller,
            requests: count.requests,
            failures: count.failures,
            trainings: 0,
        }));
    }
    Ok(rows)
}

fn function_row(count: &FunctionCount) -> (u64, FunctionUsageRow) {
    let told = count.consumption;
    let sums = Sums {
        calls: told.calls,
        failures: told.failures,
        faults: told.faults,
        duration_ms: told.duration_ms,
        memory_mib_ms: told.memory_mib_ms,
    };
    let row = FunctionUsageRow {
        payer: count.payer,
        owner: count.owner,
        function: count.function,
        link: count.link,
        grant: count.grant,
        service: count.service,
        key: count.key,
        sums,
    };
    (count.hour_ms / HOUR_MS * HOUR_MS, row)
}

/// How many calls the day has now, of whatever the report counted.
async fn taken(control: &Control, counts: &[FunctionCount]) -> Result<UsageTaken, Error> {
    let limited = |count: &&FunctionCount| count.link.is_some() || count.key.is_some();
    let mut days: Vec<u64> =
        counts.iter().filter(limited).map(|count| count.hour_ms / DAY_MS).collect();
    days.sort_unstable();
    days.dedup();
    let mut taken = UsageTaken::default();
    for day in days {
        let read = control
            .shared
            .store
            .read("count calls of a day", |tx| Box::pin(async move { calls_of(tx, day).await }));
        let of_day = read.await?;
        let named = counts.iter().filter(|count| count.hour_ms / DAY_MS == day);
        let mut ids: Vec<String> = named.flat_map(limited_ids).collect();
        ids.sort_unstable();
        ids.dedup();
        taken.days.extend(ids.into_iter().map(|of| {
            let calls = of_day.get(&of).copied().unwrap_or(0);
            DayCalls { of, day, calls }
        }));
    }
    Ok(taken)
}

fn limited_ids(count: &FunctionCount) -> impl Iterator<Item = String> + use<> {
    let link = count.link.map(|id| id.to_string());
    let grant = count.grant.map(|id| id.to_string());
    link.into_iter().chain(grant).chain(count.key.map(|id| id.to_string()))
}

/// Calls of a day, by the id of each link, grant and key.
pub(crate) async fn calls_of(
    tx: &mut Tx<'_>,
    day: u64,
) -> Result<BTreeMap<String, u64>, store::Error> {
    let rows = function_usage_calls(tx, (day * DAY_MS, (day + 1) * DAY_MS)).await?;
    let mut calls = BTreeMap::new();
    for CallsRow { link, grant, key, calls: more } in rows {
        let link = link.map(|id| id.to_string());
        let grant = grant.map(|id| id.to_string());
        for id in link.into_iter().chain(grant).chain(key.map(|id| id.to_string())) {
            *calls.entry(id).or_default() += more;
        }
    }
    Ok(calls)
}

/// What the account's calls came to.
pub async fn used(
    control: &Control,
    caller: &Caller,
    query: UsageQuery,
) -> Result<FunctionUsage, Error> {
    control.authorize(caller, Action::UsageRead, Resource::account(caller.account))?;
    let (from_ms, to_ms) = period(control, query)?;
    let account = caller.account;
    let read = control.shared.store.read("sum up usage of functions", |tx| {
        Box::pin(async move {
            let rows = function_usage_list(tx, account, (from_ms, to_ms)).await?;
            let owners: Vec<AccountId> = rows.iter().map(|row| row.owner).collect();
            let accounts = accounts_names(tx, &owners).await?;
            let functions = functions_names(tx, account).await?;
            let grants = grants_list_all(tx).await?;
            let services = services_list_all(tx).await?;
            Ok::<_, store::Error>((rows, accounts, functions, grants, services))
        })
    });
    let (rows, accounts, functions, grants, services) = read.await?;
    let mut usage = FunctionUsage { from_ms, to_ms, ..FunctionUsage::default() };
    for row in rows {
        let Some(owner) = accounts.get(&row.owner).cloned() else { continue };
        let service = row.service.map(|id| {
            let service = services.iter().find(|it| it.service.id == id);
            service.map_or_else(|| id.to_string(), |it| it.service.name.to_string())
        });
        let key = row.key.map(|id| {
            let key = services.iter().flat_map(|it| &it.keys).find(|it| it.id == id);
            key.map_or_else(|| id.to_string(), |it| it.name.to_string())
        });
        let consumption = consumption(&row.sums);
        add(&mut usage.total, &consumption);
        usage.lines.push(UsageLine {
            name: name(&functions, row.link.unwrap_or(row.function)),
            owner,
            grant: row.grant.map(|id| grant_name(&grants, id)),
            service,
            key,
            consumption,
        });
    }
    Ok(usage)
}

/// What others' calls of the account's functions came to.
pub async fn sold(
    control: &Control,
    caller: &Caller,
    query: UsageQuery,
) -> Result<SoldUsage, Error> {
    control.authorize(caller, Action::UsageRead, Resource::account(caller.account))?;
    let (from_ms, to_ms) = period(control, query)?;
    let account = caller.account;
    let read = control.shared.store.read("sum up what was sold", |tx| {
        Box::pin(async move {
            let rows = function_usage_sold(tx, account, (from_ms, to_ms)).await?;
            let functions = functions_names(tx, account).await?;
            Ok::<_, store::Error>((rows, functions, grants_list_all(tx).await?))
        })
    });
    let (rows, functions, grants) = read.await?;
    let mut usage = SoldUsage { from_ms, to_ms, ..SoldUsage::default() };
    for row in rows {
        let consumption = consumption(&row.sums);
        add(&mut usage.total, &consumption);
        let grant = grant_name(&grants, row.grant);
        let function = functions.get(&row.function).cloned();
        usage.lines.push(SoldLine { grant, function, consumption });
    }
    Ok(usage)
}

/// From when to when, in whole hours.
fn period(control: &Control, query: UsageQuery) -> Result<(u64, u64), Error> {
    let now_ms = control.now_ms();
    let to_ms = query.to_ms.unwrap_or(now_ms + HOUR_MS) / HOUR_MS * HOUR_MS;
    let from_ms = query.from_ms.unwrap_or_else(|| to_ms.saturating_sub(PERIOD_MS));
    let from_ms = from_ms / HOUR_MS * HOUR_MS;
    if i64::try_from(to_ms).is_err() || from_ms > to_ms {
        return Err(Error::invalid("to_ms has to be a time after from_ms"));
    }
    Ok((from_ms, to_ms))
}

fn name(functions: &BTreeMap<FunctionId, types::FunctionName>, id: FunctionId) -> String {
    functions.get(&id).map_or_else(|| id.to_string(), ToString::to_string)
}

fn grant_name(grants: &[GrantRow], id: GrantId) -> String {
    let name: Option<&Name> = grants.iter().find(|row| row.id == id).map(|row| &row.name);
    name.map_or_else(|| id.to_string(), ToString::to_string)
}

fn consumption(sums: &Sums) -> Consumption {
    Consumption {
        calls: sums.calls,
        failures: sums.failures,
        faults: sums.faults,
        duration_ms: sums.duration_ms,
        memory_mib_ms: sums.memory_mib_ms,
    }
}

fn add(total: &mut Consumption, more: &Consumption) {
    total.calls += more.calls;
    total.failures += more.failures;
    total.faults += more.faults;
    total.duration_ms += more.duration_ms;
    total.memory_mib_ms += more.memory_mib_ms;
}
