//! Variants of an endpoint, and how each is used.
//!
//! Always true: every change is one number, written with who decided it and why, and any earlier one
//! can be had again; a variant that answers live events is not removed; what goes to production is
//! ready to answer.

use access::Action;
use api::endpoints::{ChangeMode, CreateVariant, Endpoint, Modes, Variant};
use api::functions::LATEST;
use api::pages::{Page, PageQuery};
use policy::modes::{self, Change, Refusal};
use store::endpoints::modes::{ModesRow, modes_insert, modes_list};
use store::endpoints::{
    EndpointRow, EndpointState, endpoint_delete, endpoint_insert, variants_list,
};
use store::functions::aliases::{AliasRow, alias_fetch};
use store::functions::{FunctionRow, function_fetch_by_name};
use types::{AliasName, EndpointId, Mode, Name, TaskReference, Used};

use super::{main, own, resolve, row, shape as shape_endpoint, shown_state};
use crate::caller::Caller;
use crate::operations::items::from_json;
use crate::operations::{made, page, slice};
use crate::reconcilers::endpoints::NAME;
use crate::{Control, Error};

/// Shortest and longest bake: a second tells something of a busy endpoint, and a month of any.
const BAKE_MS: std::ops::RangeInclusive<u64> = 1_000..=30 * 24 * 3_600_000;
const REASON_BYTES_MAX: usize = 1_024;

/// Adds a variant, in test.
pub async fn create(
    control: &Control,
    caller: &Caller,
    name: &Name,
    request: CreateVariant,
) -> Result<Endpoint, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let (_, used) = used(control, &endpoint).await?;
    if used.len() >= modes::VARIANTS_MAX {
        return Err(conflict(&Refusal::TooMany));
    }
    let change =
        resolve(control, caller, &request.source, request.instance_type.as_deref()).await?;
    let names = (endpoint.name.clone(), request.variant);
    let variant = EndpointRow {
        variant_of: Some(endpoint.id),
        ..row(control, endpoint.account_id, names, change)
    };
    let inserted = control.shared.store.transact("make a variant", |tx| {
        let variant = variant.clone();
        Box::pin(async move { endpoint_insert(tx, &variant).await })
    });
    made(inserted.await, &format!("{name}@{}", variant.variant))?;
    control.wake(NAME);
    shape_endpoint(control, caller, endpoint).await
}

/// Removes a variant that answers nobody.
pub async fn remove(
    control: &Control,
    caller: &Caller,
    name: &Name,
    variant: &Name,
) -> Result<(), Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    if *variant == main() {
        let message = format!("{variant} goes with its endpoint: freehold endpoint delete {name}");
        return Err(Error::Conflict { code: "conflict", message });
    }
    let (_, used) = used(control, &endpoint).await?;
    let known = used.iter().find(|(row, _)| row.variant == *variant);
    let Some((row, used)) = known else {
        return Err(Error::NotFound { what: format!("the variant {name}@{variant}") });
    };
    if used.mode != Mode::Test {
        let message = format!("{variant} is used in mode {}: put it into test first", used.mode);
        return Err(Error::Conflict { code: "conflict", message });
    }
    let id = row.id;
    let removed =
        control.shared.store.transact("delete a variant", |tx| Box::pin(endpoint_delete(tx, id)));
    removed.await?;
    control.wake(NAME);
    Ok(())
}

/// Changes how a variant is used.
pub async fn change_mode(
    control: &Control,
    caller: &Caller,
    name: &Name,
    variant: &Name,
    request: ChangeMode,
) -> Result<Endpoint, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let ChangeMode { mode, share_bp, for_ms, reason, modes_number } = request;
    if reason.len() > REASON_BYTES_MAX {
        return Err(Error::invalid(format!("the reason has more than {REASON_BYTES_MAX} bytes")));
    }
    check_bake(for_ms)?;
    let until_ms = for_ms.map(|for_ms| control.now_ms().saturating_add(for_ms));
    let decided = Decided { by: caller.account_name.to_string(), reason };
    let to = Change { mode, share_bp, until_ms };
    decide(control, &endpoint, (variant, to), decided, modes_number).await?;
    shape_endpoint(control, caller, endpoint).await
}

/// Refuses a bake that is too short or too long.
pub(super) fn check_bake(for_ms: Option<u64>) -> Result<(), Error> {
    if for_ms.is_some_and(|for_ms| !BAKE_MS.contains(&for_ms)) {
        return Err(Error::invalid("a bake takes from a second to 30 days: change for_ms"));
    }
    Ok(())
}

/// Who or what decided a change, and why.
pub(crate) struct Decided {
    pub(crate) by: String,
    pub(crate) reason: String,
}

/// Changes how a variant is used, where nothing was changed since change `number_seen`.
pub(crate) async fn decide(
    control: &Control,
    endpoint: &EndpointRow,
    (variant, to): (&Name, Change),
    decided: Decided,
    number_seen: u64,
) -> Result<u64, Error> {
    let (number, used) = used(control, endpoint).await?;
    if number != number_seen {
        return Err(Error::Stale { stored: number });
    }
    let next = changed(endpoint, &used, (variant, to))?;
    write(control, endpoint.id, (&next, number_seen), decided).await
}

/// How variants are used after a change of one, where it can be made now.
pub(super) fn changed(
    endpoint: &EndpointRow,
    used: &[(EndpointRow, Used)],
    (variant, to): (&Name, Change),
) -> Result<Vec<Used>, Error> {
    if let Some((row, _)) = used.iter().find(|(row, _)| row.variant == *variant) {
        let live = matches!(to.mode, Mode::Canary | Mode::Bake | Mode::Production);
        if live && row.state != EndpointState::Ready {
            let message = format!("{variant} is {}: what answers has to be ready", row.state);
            return Err(Error::Conflict { code: "conflict", message });
        }
        let function = |row: &EndpointRow| matches!(row.source, TaskReference::Function { .. });
        let other = |(it, used): &(EndpointRow, Used)| {
            used.mode == Mode::Production && function(it) != function(row)
        };
        if to.mode == Mode::Shadow && used.iter().any(other) {
            let message = format!(
                "{variant} cannot shadow what is in production: one is a function and the other is \
                 not, so they take different requests"
            );
            return Err(Error::Conflict { code: "conflict", message });
        }
    }
    let now: Vec<Used> = used.iter().map(|(_, used)| used.clone()).collect();
    modes::change(&now, variant, to).map_err(|refusal| match refusal {
        Refusal::Unknown { .. } => {
            Error::NotFound { what: format!("the variant {}@{variant}", endpoint.name) }
        }
        Refusal::Alone { .. } => conflict(&refusal),
        other => Error::invalid(other.to_string()),
    })
}

/// How variants were used, the newest change first.
pub async fn history(
    control: &Control,
    caller: &Caller,
    name: &Name,
    query: &PageQuery,
) -> Result<Page<Modes>, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsRead).await?;
    let slice = slice::<u64>(query)?;
    let (id, limit, before) = (endpoint.id, slice.limit, slice.after);
    let read = control
        .shared
        .store
        .read("list modes", |tx| Box::pin(modes_list(tx, id, before, limit + 1)));
    let mut all = Vec::new();
    for row in read.await? {
        let ModesRow { number, modes, decided_by, reason, at_ms, .. } = row;
        all.push(Modes { number, modes: from_json(&modes)?, decided_by, reason, at_ms });
    }
    Ok(page(all, limit, |it| it.number.to_string(), |it| it))
}

/// Has variants used again as they were by an earlier change; 0 is how the endpoint began.
pub async fn restore(
    control: &Control,
    caller: &Caller,
    name: &Name,
    number: u64,
) -> Result<Endpoint, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let (now, used) = used(control, &endpoint).await?;
    let earlier = as_of(control, &endpoint, number).await?;
    let again = again(control, &used, &earlier)?;
    let reason = format!("as it was by change {number}");
    let decided = Decided { by: caller.account_name.to_string(), reason };
    write(control, endpoint.id, (&again, now), decided).await?;
    shape_endpoint(control, caller, endpoint).await
}

/// How variants were used from a change on; 0 is how the endpoint began.
pub(super) async fn as_of(
    control: &Control,
    endpoint: &EndpointRow,
    number: u64,
) -> Result<Vec<Used>, Error> {
    if number == 0 {
        return Ok(vec![in_production(main())]);
    }
    change(control, endpoint.id, number).await?.ok_or_else(|| Error::NotFound {
        what: format!("change {number} of the endpoint {}", endpoint.name),
    })
}

/// The variants there are, used again as they were.
pub(super) fn again(
    control: &Control,
    used: &[(EndpointRow, Used)],
    earlier: &[Used],
) -> Result<Vec<Used>, Error> {
    let there = |it: &Used| used.iter().any(|(row, _)| row.variant == it.variant);
    if let Some(gone) = earlier.iter().find(|it| it.mode != Mode::Test && !there(it)) {
        let message = format!("{} was removed since: add it again first", gone.variant);
        return Err(Error::Conflict { code: "conflict", message });
    }
    let now_ms = control.now_ms();
    let again = used.iter().map(|(row, _)| {
        let known = earlier.iter().find(|it| it.variant == row.variant);
        // A bake whose time is over is none any more.
        let known = known.filter(|it| it.until_ms.is_none_or(|end_ms| end_ms > now_ms));
        known.cloned().unwrap_or_else(|| modes::tested(row.variant.clone()))
    });
    let again: Vec<Used> = again.collect();
    let answers = |mode: Mode| matches!(mode, Mode::Canary | Mode::Bake | Mode::Production);
    let unready = used.iter().zip(&again).find(|((row, now), next)| {
        answers(next.mode) && !answers(now.mode) && row.state != EndpointState::Ready
    });
    if let Some(((row, _), _)) = unready {
        let message = format!("{} is {}: what answers has to be ready", row.variant, row.state);
        return Err(Error::Conflict { code: "conflict", message });
    }
    modes::check(&again).map_err(|refusal| conflict(&refusal))?;
    Ok(again)
}

/// What a change had decided.
async fn change(
    control: &Control,
    id: EndpointId,
    number: u64,
) -> Result<Option<Vec<Used>>, Error> {
    let read = control
        .shared
        .store
        .read("fetch modes", |tx| Box::pin(modes_list(tx, id, Some(number.saturating_add(1)), 1)));
    let row = read.await?.into_iter().find(|row| row.number == number);
    row.map(|row| from_json(&row.modes)).transpose()
}

async fn write(
    control: &Control,
    endpoint_id: EndpointId,
    (modes, number_seen): (&[Used], u64),
    decided: Decided,
) -> Result<u64, Error> {
    let row = row_of(control, endpoint_id, (modes, number_seen), decided)?;
    let written = control.shared.store.transact("change modes", |tx| {
        let row = row.clone();
        Box::pin(async move { modes_insert(tx, &row).await })
    });
    match written.await {
        Err(store::Error::Unique { .. }) => Err(Error::Stale { stored: row.number }),
        other => {
            other?;
            say(control, &row, modes).await?;
            Ok(row.number)
        }
    }
}

/// Writes a change into the endpoint's log.
pub(super) async fn say(control: &Control, row: &ModesRow, modes: &[Used]) -> Result<(), Error> {
    let words: Vec<String> = modes.iter().map(|it| format!("{} {}", it.variant, it.mode)).collect();
    let text = format!("change {} by {}: {}", row.number, row.decided_by, words.join(", "));
    control.say(&row.endpoint_id.to_string(), "modes", &text).await
}

/// The change that follows on `number_seen`.
pub(super) fn row_of(
    control: &Control,
    endpoint_id: EndpointId,
    (modes, number_seen): (&[Used], u64),
    decided: Decided,
) -> Result<ModesRow, Error> {
    Ok(ModesRow {
        endpoint_id,
        number: number_seen + 1,
        modes: serde_json::to_value(modes)
            .map_err(|error| Error::internal("could not write modes", error))?,
        decided_by: decided.by,
        reason: decided.reason,
        at_ms: control.now_ms(),
    })
}

/// An endpoint's variants with how each is used, itself the first; and the number of the change.
pub(crate) async fn used(
    control: &Control,
    endpoint: &EndpointRow,
) -> Result<(u64, Vec<(EndpointRow, Used)>), Error> {
    let id = endpoint.id;
    let read = control.shared.store.read("read variants", |tx| {
        Box::pin(async move {
            let newest = modes_list(tx, id, None, 1).await?;
            Ok::<_, store::Error>((newest, variants_list(tx, id).await?))
        })
    });
    let (newest, rows) = read.await?;
    let newest = newest.into_iter().next();
    let number = newest.as_ref().map_or(0, |row| row.number);
    let all: Vec<Used> = match newest {
        Some(row) => from_json(&row.modes)?,
        None => vec![in_production(main())],
    };
    let used = |row: EndpointRow| {
        let known = all.iter().find(|used| used.variant == row.variant).cloned();
        let used = known.unwrap_or_else(|| modes::tested(row.variant.clone()));
        (row, used)
    };
    Ok((number, rows.into_iter().map(used).collect()))
}

fn in_production(variant: Name) -> Used {
    Used { mode: Mode::Production, ..modes::tested(variant) }
}

/// A variant for those who ask.
pub(super) fn shape(row: &EndpointRow, used: &Used) -> Variant {
    let (source, error) = (row.source.clone(), row.error.clone());
    Variant { used: used.clone(), source, state: shown_state(row.state), error }
}

fn conflict(refusal: &Refusal) -> Error {
    Error::Conflict { code: "conflict", message: refusal.to_string() }
}

/// What a variant answers with: what is wanted of it may still be starting.
pub(crate) fn answers(row: &EndpointRow) -> &TaskReference {
    row.served.as_ref().map_or(&row.source, |served| &served.what.source)
}

/// Since when a variant is what it is now: since it serves this, or since what stands behind a name of
/// a function was changed, in Unix milliseconds. What was measured before was something else.
pub(super) async fn since_ms(control: &Control, row: &EndpointRow) -> Result<u64, Error> {
    let TaskReference::Function { name, qualifier } = answers(row) else {
        return Ok(since_of(row, None, &[]));
    };
    let (account, name, qualifier) = (row.account_id, name.clone(), qualifier.clone());
    let read = control.shared.store.read("see since when a function is so", move |tx| {
        let (name, qualifier) = (name.clone(), qualifier.clone());
        Box::pin(async move {
            let function = function_fetch_by_name(tx, account, &name).await?;
            let Ok(alias) = qualifier.parse::<AliasName>() else { return Ok((function, None)) };
            let alias = match alias_fetch(tx, function.id, &alias).await {
                Err(store::Error::NotFound { .. }) => None,
                alias => Some(alias?),
            };
            Ok::<_, store::Error>((function, alias))
        })
    });
    match read.await {
        Ok((function, alias)) => Ok(since_of(row, Some(&function), alias.as_slice())),
        // What is gone answers nothing.
        Err(store::Error::NotFound { .. }) => Ok(since_of(row, None, &[])),
        Err(error) => Err(error.into()),
    }
}

/// As [`since_ms`], of a variant whose function has these aliases; none where it has no function, or
/// that is gone.
pub(crate) fn since_of(
    row: &EndpointRow,
    function: Option<&FunctionRow>,
    aliases: &[AliasRow],
) -> u64 {
    let served_ms = row.served.as_ref().map_or(0, |served| served.since_ms);
    let own_ms = row.created_at_ms.max(served_ms);
    let (TaskReference::Function { qualifier, .. }, Some(function)) = (answers(row), function)
    else {
        return own_ms;
    };
    if matches!(qualifier.as_str(), "" | LATEST) {
        return own_ms.max(function.changed_at_ms);
    }
    // A version by its number is never another one.
    let alias = aliases.iter().find(|alias| alias.name.as_str() == qualifier.as_str());
    let Some(alias) = alias else { return own_ms };
    let latest_ms = if alias.version.is_none() { function.changed_at_ms } else { 0 };
    own_ms.max(alias.changed_at_ms).max(latest_ms)
}
