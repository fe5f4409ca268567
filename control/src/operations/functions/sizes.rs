//! Sizes of functions' instances: how they are chosen, what agents did about them, and advice.
//!
//! Always true: of all hosts one at most has an instance that tries another size; what an agent did
//! is written down with its reason before another host hears of it.
//! Absent on purpose: when a size is tried or kept (`policy::resize`, asked by agents).

use std::collections::BTreeMap;

use access::Action;
use api::functions::sizes::{
    Advice, AdviceQuery, AdvisedSize, MeasuredCalls, SizeChange, SizeStep, Sizing, SizingMode,
};
use api::internal::functions::sizes::{
    FunctionsUsage, RevisionUsage, SettledSize, SizeAnswer, SizeReport, USAGE_REVISIONS_MAX,
};
use policy::advise::{Measured, advise};
use policy::resize::needs_kib;
use store::functions::revision_fetch;
use store::functions::settings::{SettingKind, SettingRow};
use store::functions::sizes::{
    MeasureRow, STEPS_KEPT, SizeRow, SizeStepRow, measure_put, measures_list, size_fetch, size_put,
    size_step_insert, size_steps_list,
};
use store::hosts::hosts_list;
use types::{Concurrency, FunctionName, HostId, RevisionId};

use super::{MEMORY_MIB_MAX, MEMORY_MIB_MIN, fetch_described, own, settings, version_of};
use crate::caller::Caller;
use crate::operations::instances::found;
use crate::operations::items::from_json;
use crate::{Control, Error};

/// How long a host may have its trial for itself, in milliseconds: after that it has lost it, or
/// too few calls come for it to end.
const TRIAL_MS_MAX: u64 = 60 * 60_000;

/// How the memory of a function's instances is chosen.
pub async fn sizing(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
) -> Result<Sizing, Error> {
    let found = settings::fetch(control, caller, name, (SettingKind::Sizing, "")).await?;
    Ok(found.unwrap_or_default())
}

/// Changes that, as a whole.
pub async fn put_sizing(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    wanted: Sizing,
) -> Result<Sizing, Error> {
    let bounds = MEMORY_MIB_MIN..=MEMORY_MIB_MAX;
    let given = [wanted.memory_mib_min, wanted.memory_mib_max];
    if let Some(wrong) = given.into_iter().flatten().find(|mib| !bounds.contains(mib)) {
        let message = format!("a bound of {wrong} MiB: use {MEMORY_MIB_MIN} to {MEMORY_MIB_MAX}");
        return Err(Error::invalid(message));
    }
    if let (Some(min), Some(max)) = (wanted.memory_mib_min, wanted.memory_mib_max)
        && min > max
    {
        return Err(Error::invalid(format!("the least, {min} MiB, is above the most, {max} MiB")));
    }
    if wanted.mode == SizingMode::Auto {
        let concurrency = fetch_described(control, caller, name, "").await?.function.concurrency;
        check_alone(concurrency)?;
    }
    settings::put(control, caller, name, (SettingKind::Sizing, "", &wanted)).await?;
    Ok(wanted)
}

/// Refuses to have sizes chosen where calls share instances.
pub(super) fn check_alone(concurrency: Concurrency) -> Result<(), Error> {
    if concurrency.is_one() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "instances of this function have {concurrency} calls at a time, so what one takes is not \
         known, and their memory cannot be chosen: use sizing off, or concurrency 1"
    )))
}

/// What was done about a function's sizes, the last first.
pub async fn steps(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
) -> Result<Vec<SizeStep>, Error> {
    let (owner, _) = own(control, caller, name, Action::FunctionsRead).await?;
    let id = owner.id;
    let limit = u32::try_from(STEPS_KEPT).unwrap_or(u32::MAX);
    let (rows, hosts) = control
        .shared
        .store
        .read("list steps about sizes", |tx| {
            Box::pin(async move {
                let rows = size_steps_list(tx, id, limit).await?;
                Ok::<_, store::Error>((rows, hosts_list(tx).await?))
            })
        })
        .await?;
    let hosts: BTreeMap<HostId, _> = hosts.into_iter().map(|host| (host.id, host.name)).collect();
    let step = |row: SizeStepRow| {
        // The schema holds that there is such a host.
        let host = hosts.get(&row.host_id).cloned();
        let host = host.ok_or_else(|| Error::NotFound { what: format!("{}", row.host_id) })?;
        let SizeStepRow { number, at_ms, version, spec, .. } = row;
        Ok(SizeStep { number, at_ms, version, host, change: from_json(&spec)? })
    };
    rows.into_iter().map(step).collect()
}

/// Writes down what an agent did about the size of a revision's instances, or lets it begin a trial.
pub async fn report(
    control: &Control,
    id: RevisionId,
    report: SizeReport,
) -> Result<SizeAnswer, Error> {
    let SizeReport { host, change } = report;
    let spec = serde_json::to_value(change)
        .map_err(|error| Error::internal("could not write a step about a size", error))?;
    let at_ms = control.now_ms();
    let answered = control.shared.store.transact("write down a step about a size", |tx| {
        let spec = spec.clone();
        Box::pin(async move {
            let revision = revision_fetch(tx, id).await?;
            let before = size_fetch(tx, id).await?;
            let Some(after) = after(&before, (host, at_ms), &change) else {
                return Ok(SizeAnswer { taken: false, size: settled(&before) });
            };
            let version = version_of(&revision);
            let step = SizeStepRow { number: 0, at_ms, version, host_id: host, spec };
            let number = size_step_insert(tx, revision.function_id, &step).await?;
            let after = SizeRow { number, ..after };
            size_put(tx, &after).await?;
            Ok::<_, store::Error>(SizeAnswer { taken: true, size: settled(&after) })
        })
    });
    found(answered.await, || format!("the revision {id}"))
}

/// Where a size stands after a step; none where it may not be taken.
fn after(before: &SizeRow, (host, now_ms): (HostId, u64), change: &SizeChange) -> Option<SizeRow> {
    let elsewhere = before.trial.is_some_and(|(other, since_ms)| {
        other != host && now_ms.saturating_sub(since_ms) < TRIAL_MS_MAX
    });
    let after = before.clone();
    match *change {
        SizeChange::Tried { .. } if elsewhere => None,
        SizeChange::Tried { .. } => Some(SizeRow { trial: Some((host, now_ms)), ..after }),
        SizeChange::Settled { to_kib, .. } => {
            Some(SizeRow { settled_kib: Some(to_kib), refused_kib: None, trial: None, ..after })
        }
        SizeChange::RolledBackKilled { from_kib, .. }
        | SizeChange::RolledBackSlower { from_kib, .. } => {
            Some(SizeRow { refused_kib: Some(from_kib), trial: None, ..after })
        }
        SizeChange::Grown { .. } | SizeChange::RunAgain { .. } => Some(after),
    }
}

/// Takes over what calls of functions took on a host.
pub async fn take_usage(
    control: &Control,
    host: HostId,
    usage: FunctionsUsage,
) -> Result<(), Error> {
    if usage.revisions.len() > USAGE_REVISIONS_MAX {
        let limit = USAGE_REVISIONS_MAX.to_string();
        return Err(Error::TooLarge { what: "revisions of a report", limit });
    }
    let measured_at_ms = control.now_ms();
    let mut rows = Vec::with_capacity(usage.revisions.len());
    for revision in usage.revisions {
        let spec = serde_json::to_value(&revision)
            .map_err(|error| Error::internal("could not write what calls took", error))?;
        rows.push((revision.revision, MeasureRow { spec, measured_at_ms }));
    }
    let stored = control.shared.store.transact("store what calls took", |tx| {
        let rows = rows.clone();
        Box::pin(async move {
            for (revision, row) in &rows {
                measure_put(tx, (*revision, host), row).await?;
            }
            Ok::<_, store::Error>(())
        })
    });
    Ok(stored.await?)
}

/// What a function would cost, and how long its calls would take, at other sizes.
pub async fn advice(
    control: &Control,
    caller: &Caller,
    name: &FunctionName,
    query: &AdviceQuery,
) -> Result<Advice, Error> {
    let qualifier = query.qualifier.as_deref().unwrap_or_default();
    let described = fetch_described(control, caller, name, qualifier).await?;
    let id = described.revision;
    let read =
        control.shared.store.read("list what calls took", |tx| Box::pin(measures_list(tx, id)));
    let mut best: Option<(RevisionUsage, u64)> = None;
    for row in read.await? {
        let usage: RevisionUsage = from_json(&row.spec)?;
        if best.as_ref().is_none_or(|(other, _)| usage.calls > other.calls) {
            best = Some((usage, row.measured_at_ms));
        }
    }
    let version = described.function.version;
    let Some((usage, measured_at_ms)) = best else {
        let message = format!(
            "no call of {name}:{version} has been measured yet: call it, and ask again in some seconds"
        );
        return Err(Error::Conflict { code: "conflict", message });
    };
    Ok(shaped(version, &usage, measured_at_ms))
}

fn shaped(version: String, usage: &RevisionUsage, measured_at_ms: u64) -> Advice {
    let RevisionUsage { kib, calls, call_us, cpu_us, memory_kib, .. } = *usage;
    let measured = Measured { kib, call_us, cpu_us, needs_kib: needs_kib(memory_kib) };
    let advice = advise(&measured);
    let sizes = advice.iter().flat_map(|advice| {
        advice.sizes.iter().map(|size| AdvisedSize {
            memory_mib: size.kib >> 10,
            call_us: size.call_us,
            cost_mib_us: u64::try_from(size.cost >> 10).unwrap_or(u64::MAX),
            advised: *size == advice.best,
        })
    });
    Advice {
        version,
        measured: MeasuredCalls {
            memory_mib: kib >> 10,
            calls,
            call_us,
            cpu_us,
            memory_kib,
            measured_at_ms,
        },
        inputs: usage.inputs.clone(),
        sizes: sizes.collect(),
    }
}

/// How sizes are chosen, as gateways are told: nothing, where nothing was set.
pub(crate) fn sizing_of(rows: &[SettingRow]) -> Result<Option<Sizing>, Error> {
    let found: Option<Sizing> = settings::find(rows, SettingKind::Sizing, "")?;
    Ok(found.filter(|sizing| sizing.idempotent || sizing.mode != SizingMode::Off))
}

/// Where a size stands, as gateways and agents are told.
pub(crate) fn settled(row: &SizeRow) -> SettledSize {
    SettledSize { number: row.number, kib: row.settled_kib, refused_kib: row.refused_kib }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_at_most_tries_a_size() {
        let (one, other) = (host(1), host(2));
        let nothing = SizeRow::new(RevisionId::new(uuid::Uuid::from_u128(9)));
        let tried = SizeChange::Tried { from_kib: 8, to_kib: 4, used_kib: 3, calls: 20 };
        let trial = after(&nothing, (one, 5), &tried).unwrap();
        assert_eq!(trial.trial, Some((one, 5)));
        assert_eq!(after(&trial, (other, 6), &tried), None, "another host has one");
        assert!(after(&trial, (one, 6), &tried).is_some(), "it is its own, told twice");
        assert!(after(&trial, (other, 5 + TRIAL_MS_MAX), &tried).is_some(), "it was lost");

        let settled =
            SizeChange::Settled { from_kib: 8, to_kib: 4, calls: 20, call_us: 1, before_us: 1 };
        let settled = after(&trial, (one, 7), &settled).unwrap();
        assert_eq!((settled.settled_kib, settled.trial), (Some(4), None));
        let killed = SizeChange::RolledBackKilled { from_kib: 4, to_kib: 8 };
        let refused = after(&trial, (one, 7), &killed).unwrap();
        assert_eq!(
            (refused.settled_kib, refused.refused_kib, refused.trial),
            (None, Some(4), None)
        );
        let grown = SizeChange::Grown { from_kib: 8, to_kib: 12, used_kib: 8 };
        assert_eq!(after(&trial, (other, 7), &grown), Some(trial), "that is one instance's");
    }

    fn host(number: u128) -> HostId {
        HostId::new(uuid::Uuid::from_u128(number))
    }
}
