//! Triggers of an endpoint: added, looked at, removed, and what they did.
//!
//! Always true: what a trigger may do, whoever adds it may do; what cannot be judged or done is
//! refused when it is added; at most one action of a trigger changes how variants are used.

mod act;
mod judge;
mod retrain;
pub(crate) mod right;
mod runs;
pub(crate) mod seen;
pub(crate) mod tell;
mod watch;

use access::webhooks::WebhookSecret;
use access::{Action, Resource};
use api::endpoints::GateCondition;
use api::pages::{Page, PageQuery};
use api::runs::{Load, RunSpec};
use api::triggers::{
    Firing, Trigger, TriggerAction, TriggerBurn, TriggerCondition, TriggerDid, TriggerOn,
    TriggerSeen, TriggerSpec, TriggerState, Triggers,
};
use policy::modes::{self, Change, Refusal};
use policy::triggers::{Burn, LIVE, RIGHT, TRIGGERS_MAX, WINDOW_MS_MAX, WINDOW_MS_MIN};
use serde::{Deserialize, Serialize};
use store::endpoints::EndpointRow;
use store::endpoints::notices::notices_list;
use store::endpoints::triggers::{
    self as rows, FiringRow, TriggerRow, firings_list, trigger_delete, trigger_insert,
    triggers_list,
};
use types::{EndpointId, Mode, Name};

use super::gates::measured::{condition, word};
use super::{own, variants};
use crate::caller::Caller;
use crate::operations::functions::destinations::check_webhook;
use crate::operations::items::from_json;
use crate::operations::{made, page, runs as all_runs, slice, streams};
use crate::{Control, Error};

pub(crate) use watch::watch;

/// Actions of one trigger: to tell two, to change one thing and to look closer.
const ACTIONS_MAX: usize = 4;
/// Longest address of an e-mail. Source: RFC 5321, section 4.5.3.1.3, without its brackets.
const ADDRESS_BYTES_MAX: usize = 254;

/// What is stored of a firing.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    window_ms: Option<u64>,
    saw: TriggerSeen,
    did: Vec<TriggerDid>,
}

/// Adds a trigger.
pub async fn create(
    control: &Control,
    caller: &Caller,
    name: &Name,
    spec: TriggerSpec,
) -> Result<Trigger, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let (number, used) = variants::used(control, &endpoint).await?;
    check(&spec)?;
    check_captured(control, endpoint.id, &spec).await?;
    let there = |variant: &Name| used.iter().any(|(row, _)| row.variant == *variant);
    let modes: Vec<_> = used.iter().map(|(_, used)| used.clone()).collect();
    for variant in named(&spec) {
        if !there(variant) {
            return Err(Error::NotFound { what: format!("the variant {name}@{variant}") });
        }
    }
    for action in &spec.then {
        if let Some(refusal) = refused(&modes, action) {
            return Err(Error::invalid(refusal.to_string()));
        }
        if matches!(action, TriggerAction::Replay { .. } | TriggerAction::Change { .. }) {
            control.authorize(caller, Action::RunsWrite, Resource::account(caller.account))?;
        }
        if matches!(action, TriggerAction::Retrain {}) {
            control.authorize(
                caller,
                Action::TrainingsCreate,
                Resource::account(caller.account),
            )?;
        }
        if let TriggerAction::Replay { stream, .. } = action {
            streams::own(control, caller, stream, Action::StreamsRead).await?;
        }
    }
    let row = TriggerRow {
        endpoint_id: endpoint.id,
        name: spec.name.clone(),
        spec: stored(&spec)?,
        live: spec.on == TriggerOn::Live,
        state: rows::TriggerState::Armed,
        changes: 0,
        modes_number: number,
        firing: 0,
        created_by: caller.account_name.to_string(),
        created_at_ms: control.now_ms(),
    };
    let inserted = control.shared.store.transact("add a trigger", |tx| {
        let row = row.clone();
        Box::pin(async move {
            if triggers_list(tx, row.endpoint_id).await?.len() >= TRIGGERS_MAX {
                return Ok(false);
            }
            trigger_insert(tx, &row).await?;
            Ok::<_, store::Error>(true)
        })
    });
    if !made(inserted.await, &row.name)? {
        let message = format!("{name} has {TRIGGERS_MAX} triggers: remove one first");
        return Err(Error::Conflict { code: "conflict", message });
    }
    shape(row, None, number)
}

/// The triggers of an endpoint, with what those of live events see now.
pub async fn list(control: &Control, caller: &Caller, name: &Name) -> Result<Triggers, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsRead).await?;
    let resource = Resource::account(endpoint.account_id);
    let may_change = control.authorize(caller, Action::EndpointsDeploy, resource).is_ok();
    let id = endpoint.id;
    let read = control.shared.store.read("list triggers", |tx| Box::pin(triggers_list(tx, id)));
    let all = read.await?;
    let live = watch::live(control, &endpoint, &all).await?;
    let mut triggers = Vec::new();
    for row in all {
        let now = if row.live { Some(live.judge(&row)?.1) } else { None };
        triggers.push(shape(row, now, live.settled)?);
    }
    let webhook_secret = may_change.then(|| secret(control, &endpoint).reveal());
    Ok(Triggers { triggers, webhook_secret })
}

/// Removes a trigger; what it did can still be seen.
pub async fn remove(
    control: &Control,
    caller: &Caller,
    name: &Name,
    trigger: &Name,
) -> Result<(), Error> {
    let endpoint = own(control, caller, name, Action::EndpointsDeploy).await?;
    let id = endpoint.id;
    let removed = control.shared.store.transact("remove a trigger", |tx| {
        let trigger = trigger.clone();
        Box::pin(async move { trigger_delete(tx, id, &trigger).await })
    });
    if removed.await? {
        return Ok(());
    }
    Err(Error::NotFound { what: format!("the trigger {trigger} of the endpoint {name}") })
}

/// What triggers did, the newest first.
pub async fn history(
    control: &Control,
    caller: &Caller,
    name: &Name,
    query: &PageQuery,
) -> Result<Page<Firing>, Error> {
    let endpoint = own(control, caller, name, Action::EndpointsRead).await?;
    let slice = slice::<u64>(query)?;
    let (id, limit, before) = (endpoint.id, slice.limit, slice.after);
    let read = control.shared.store.read("list firings", |tx| {
        Box::pin(async move {
            let firings = firings_list(tx, id, before, limit + 1).await?;
            let number = |row: Option<&FiringRow>| row.map_or(0, |row| row.number);
            let range = (number(firings.last()), number(firings.first()));
            let notices = notices_list(tx, id, range).await?;
            Ok::<_, store::Error>((firings, notices))
        })
    });
    let (firings, notices) = read.await?;
    let shaped = firings.into_iter().map(|row| {
        let Told { window_ms, saw, mut did } = from_json(&row.told)?;
        for notice in notices.iter().filter(|notice| notice.firing == row.number) {
            if let Some(did) = did.get_mut(notice.place as usize) {
                tell::overlay(did, notice);
            }
        }
        let FiringRow { number, trigger, at_ms, run_id: run, .. } = row;
        Ok(Firing { number, trigger, at_ms, run, window_ms, saw, did })
    });
    let shaped = shaped.collect::<Result<Vec<_>, Error>>()?;
    Ok(page(shaped, limit, |it| it.number.to_string(), |it| it))
}

/// By what receivers of an endpoint's notices know them.
fn secret(control: &Control, endpoint: &EndpointRow) -> WebhookSecret {
    WebhookSecret::of(&control.shared.webhooks, &endpoint.id.to_string())
}

/// A trigger for those who ask. One that fired before somebody changed the use of variants is armed.
fn shape(row: TriggerRow, now: Option<TriggerSeen>, settled: u64) -> Result<Trigger, Error> {
    let state = match watch::standing(&row, settled) {
        policy::triggers::State::Armed => TriggerState::Armed,
        policy::triggers::State::Fired => TriggerState::Fired,
        policy::triggers::State::Blocked => TriggerState::Blocked,
    };
    let TriggerRow { spec, created_by, created_at_ms, .. } = row;
    Ok(Trigger { spec: from_json(&spec)?, state, now, created_by, created_at_ms })
}

fn stored<T: Serialize>(value: &T) -> Result<serde_json::Value, Error> {
    serde_json::to_value(value).map_err(|error| Error::internal("could not write a trigger", error))
}

/// The variants that a trigger names.
fn named(spec: &TriggerSpec) -> impl Iterator<Item = &Name> {
    let of_actions = spec.then.iter().flat_map(|action| match action {
        TriggerAction::Deploy { variant, .. } => std::slice::from_ref(variant),
        TriggerAction::Replay { variants, .. } => variants.as_slice(),
        _ => &[],
    });
    spec.variant.iter().chain(of_actions)
}

/// Why a variant could never be used as an action says.
fn refused(modes: &[types::Used], action: &TriggerAction) -> Option<Refusal> {
    let TriggerAction::Deploy { variant, .. } = action else { return None };
    let to = change_of(action, 0)?;
    match modes::change(modes, variant, to) {
        Err(refusal @ (Refusal::Share { .. } | Refusal::End { .. })) => Some(refusal),
        _ => None,
    }
}

/// How a variant is used by an action.
fn change_of(action: &TriggerAction, now_ms: u64) -> Option<Change> {
    let TriggerAction::Deploy { mode, share_bp, for_ms, .. } = action else { return None };
    let until_ms = for_ms.map(|for_ms| now_ms.saturating_add(for_ms));
    Some(Change { mode: *mode, share_bp: *share_bp, until_ms })
}

/// What a burning budget is judged by.
fn burn_of(burn: &TriggerBurn, window_ms: u64) -> Burn {
    let TriggerBurn { objective_ppm, period_ms, budget_ppm } = *burn;
    Burn { objective_ppm, period_ms, budget_ppm, window_ms }
}

/// Whether an action changes how variants are used.
const fn changes_modes(action: &TriggerAction) -> bool {
    use TriggerAction::{Deploy, Out, Revert};
    matches!(action, Revert {} | Out {} | Deploy { .. })
}

/// Refuses what can never be judged or done.
fn check(spec: &TriggerSpec) -> Result<(), Error> {
    match (&spec.when, spec.on, spec.window_ms) {
        (_, TriggerOn::Replay, Some(_)) => {
            return Err(Error::invalid("a replay is judged as a whole: leave the window out"));
        }
        (_, TriggerOn::Live, None) => {
            return Err(Error::invalid("say over which window live events are judged, such as 5m"));
        }
        (TriggerCondition::Is(wanted), TriggerOn::Live, Some(window_ms)) => {
            check_live(wanted, window_ms)?;
        }
        (TriggerCondition::Is(wanted), TriggerOn::Replay, None) => drop(condition(wanted)?),
        (TriggerCondition::Burns(burn), TriggerOn::Live, Some(window_ms)) => {
            let checked = burn_of(burn, window_ms).check();
            checked.map_err(|refusal| Error::invalid(refusal.to_string()))?;
        }
        (TriggerCondition::Worse {}, TriggerOn::Replay, None) => {}
        (TriggerCondition::Worse {}, TriggerOn::Live, Some(_)) => {
            let message =
                "which of two variants is worse is known of the same events: watch replays";
            return Err(Error::invalid(message));
        }
        (TriggerCondition::Burns(_), TriggerOn::Replay, None) => {
            return Err(Error::invalid("a budget is spent by live events: leave the replays out"));
        }
    }
    right::check(spec)?;
    if spec.then.is_empty() || spec.then.len() > ACTIONS_MAX {
        return Err(Error::invalid(format!("a trigger does 1 to {ACTIONS_MAX} things")));
    }
    if spec.then.iter().filter(|action| changes_modes(action)).count() > 1 {
        let message = "only one action of a trigger may change how variants are used";
        return Err(Error::invalid(message));
    }
    if spec.then.iter().filter_map(runs::changed).count() > 1 {
        return Err(Error::invalid("one action says all that is changed of a replay"));
    }
    spec.then.iter().try_for_each(|action| check_action(spec, action))
}

fn check_live(wanted: &GateCondition, window_ms: u64) -> Result<(), Error> {
    condition(wanted)?;
    let metric = word(wanted.metric);
    if !(LIVE.contains(&metric) || RIGHT.contains(&metric)) || !wanted.scope.is_all() {
        let message = "of live events requests, errors_ppm, response_p50_us and response_p99_us are \
             known, and accuracy_ppm, precision_ppm and recall_ppm where they are captured, of all \
             regions and groups together: watch replays for the others";
        return Err(Error::invalid(message));
    }
    if !(WINDOW_MS_MIN..=WINDOW_MS_MAX).contains(&window_ms) {
        let message = format!("a window has {WINDOW_MS_MIN} to {WINDOW_MS_MAX} ms");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Refuses to watch how right answers are where they are not kept.
async fn check_captured(
    control: &Control,
    id: EndpointId,
    spec: &TriggerSpec,
) -> Result<(), Error> {
    if spec.on != TriggerOn::Live || !right::is_about(&spec.when) {
        return Ok(());
    }
    let read = control.shared.store.read("see what is captured", |tx| {
        Box::pin(async move { right::Accuracies::read(tx, id).await })
    });
    let Some(unknown) = read.await?.hindrance() else { return Ok(()) };
    let message = format!(
        "how right answers to live events are is known of those that a stream has, and {}: set a \
         capture of both, such as with `freehold endpoint capture set`, or watch replays",
        unknown.words()
    );
    Err(Error::Conflict { code: "conflict", message })
}

fn check_action(spec: &TriggerSpec, action: &TriggerAction) -> Result<(), Error> {
    match action {
        TriggerAction::Webhook { url } => check_webhook(url),
        TriggerAction::Email { to } => {
            let (name, domain) = to.rsplit_once('@').unwrap_or_default();
            let is_fine = |char: char| char.is_ascii_graphic() && !"<>,;:\"()[]\\".contains(char);
            if name.is_empty()
                || domain.is_empty()
                || !to.chars().all(is_fine)
                || to.len() > ADDRESS_BYTES_MAX
            {
                return Err(Error::invalid(format!("{to:?} is no address: write NAME@DOMAIN")));
            }
            Ok(())
        }
        TriggerAction::Revert {} | TriggerAction::Retrain {} => Ok(()),
        TriggerAction::Out {} if spec.variant.is_none() => {
            Err(Error::invalid("say which variant is watched: that one is taken out"))
        }
        TriggerAction::Out {} => Ok(()),
        TriggerAction::Deploy { mode, for_ms, .. } => {
            if !matches!(mode, Mode::Canary | Mode::Bake | Mode::Production) {
                return Err(Error::invalid("a trigger deploys to canary, bake or production"));
            }
            variants::check_bake(*for_ms)
        }
        TriggerAction::Replay { .. } if spec.on == TriggerOn::Replay => {
            Err(Error::invalid("a replay that starts a replay would never end: watch live events"))
        }
        TriggerAction::Replay { .. } => {
            replay_of(spec, action, (0, 0)).map_or(Ok(()), |spec| all_runs::check(&spec))
        }
        TriggerAction::Change { load, .. } => {
            let checked = runs::changed(action).map_or(Ok(()), |change| change.check());
            checked.map_err(|refusal| Error::invalid(refusal.to_string()))?;
            load.as_ref().map_or(Ok(()), all_runs::check_load)
        }
    }
}

/// The replay of an action, of the events between two times; its endpoint is still to be named.
fn replay_of(
    trigger: &TriggerSpec,
    action: &TriggerAction,
    (from_ms, to_ms): (u64, u64),
) -> Option<RunSpec> {
    let TriggerAction::Replay { stream, variants, rate_uhz } = action else { return None };
    let since = Some(crate::moment::iso8601(from_ms));
    let until = Some(crate::moment::iso8601(to_ms));
    Some(RunSpec {
        rule: None,
        endpoint: trigger.name.clone(),
        variants: variants.clone(),
        stream: stream.clone(),
        selection: api::streams::SelectionQuery { since, until, ..Default::default() },
        group_by: Vec::new(),
        load: rate_uhz.map_or(Load::AsRecorded, |uhz| Load::Rate { uhz }),
        for_ms: None,
        catch_up: api::runs::CatchUp::Burst,
        in_flight_max: None,
        timeout_ms: None,
        seed: None,
        judged: api::runs::Judged::default(),
        drills: Vec::new(),
        drill_production: false,
    })
}
