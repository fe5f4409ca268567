//! What a trigger does once it fires.
//!
//! Always true: all of it is written in one transaction with the firing, so that it is done once or
//! not at all, whoever else saw the same; what it saw, and what came of each action, is written
//! beside it; what cannot be done yet is tried again, and the rest is not done twice.

use api::triggers::{TriggerAction, TriggerDid, TriggerOutcome, TriggerSeen, TriggerSpec};
use policy::modes::Change;
use store::Tx;
use store::endpoints::EndpointRow;
use store::endpoints::modes::{ModesRow, modes_insert, modes_list};
use store::endpoints::notices::{NoticeRow, notice_insert};
use store::endpoints::triggers::{
    self as rows, FiringRow, TriggerRow, firing_insert, firing_next, firing_tell, firings_list,
    trigger_change,
};
use store::runs::{RunRow, run_fetch, run_insert, run_stop};
use types::{ErrorKind, Mode, Name, Used};

use super::runs::Sent;
use super::watch::settled;
use super::{Told, change_of, changes_modes, retrain, runs, stored, tell};
use crate::operations::endpoints::variants::{self, Decided};
use crate::operations::items::from_json;
use crate::operations::trainings;
use crate::{Control, Error};

/// Firings of an endpoint that are kept, the newest: those of a bad night, and of months before.
const FIRINGS_KEPT: u64 = 1_000;

/// Who decides, with the trigger's name behind it: no account has such a name.
pub(super) const BY: &str = "the trigger ";
/// How many of the last changes are looked through for the newest one that no trigger made.
pub(super) const CHANGES_MAX: u32 = 64;

/// Why a trigger fires, and what it finds.
pub(super) struct Cause<'a> {
    /// The change since which variants are used as they are.
    pub(super) number: u64,
    pub(super) used: &'a [(EndpointRow, Used)],
    pub(super) saw: TriggerSeen,
    pub(super) run: Option<&'a RunRow>,
}

/// What is written for one action.
pub(super) enum Write {
    Nothing,
    /// Variants are used so, by the next change.
    Modes(ModesRow, Vec<Used>),
    /// Replays wait, some of them for the end of another, which is to stop.
    Runs(Vec<Sent>),
    /// A model is trained.
    Training(Box<trainings::Prepared>),
    /// Somebody is to be told.
    Notice,
}

/// What one action comes to.
pub(super) struct Planned {
    write: Write,
    outcome: TriggerOutcome,
    words: String,
}

impl Planned {
    pub(super) fn done(write: Write, words: impl Into<String>) -> Self {
        Self { write, outcome: TriggerOutcome::Done, words: words.into() }
    }

    /// What cannot be done: yet, where it may be later.
    fn not(error: &Error) -> Self {
        let later = matches!(error, Error::Conflict { .. } | Error::Stale { .. });
        let outcome = if later { TriggerOutcome::Waiting } else { TriggerOutcome::Failed };
        Self { write: Write::Nothing, outcome, words: error.to_string() }
    }
}

/// Has a trigger fire, or tries again what could not be done when it `fired`; tells whether something
/// was written.
pub(super) async fn act(
    control: &Control,
    endpoint: &EndpointRow,
    (row, fired): (&TriggerRow, Option<FiringRow>),
    cause: Cause<'_>,
) -> Result<bool, Error> {
    let spec: TriggerSpec = from_json(&row.spec)?;
    let before: Option<Told> = fired.as_ref().map(|it| from_json(&it.told)).transpose()?;
    let (mut did, mut writes) = (Vec::new(), Vec::new());
    for (place, action) in spec.then.iter().enumerate() {
        let known = before.as_ref().and_then(|told| told.did.get(place));
        if let Some(known) = known.filter(|known| !waits(known)) {
            did.push(known.clone());
            continue;
        }
        let Planned { write, outcome, words } =
            plan(control, endpoint, (&spec, action), &cause).await?;
        did.push(TriggerDid { action: action.clone(), outcome, words });
        writes.push((place, write));
    }
    let is_as_before = before.as_ref().is_some_and(|told| told.did == did);
    if is_as_before && writes.iter().all(|(_, write)| matches!(write, Write::Nothing)) {
        return Ok(false);
    }
    let blocked = did.iter().any(waits);
    let changed = writes.iter().any(|(_, write)| matches!(write, Write::Modes(..)));
    let state = if blocked { rows::TriggerState::Blocked } else { rows::TriggerState::Fired };
    let next = TriggerRow { state, modes_number: cause.number + u64::from(changed), ..row.clone() };
    // What it saw first is kept, with what was done since.
    let told = match before {
        Some(told) => Told { did, ..told },
        None => Told { window_ms: spec.window_ms, saw: cause.saw, did },
    };
    let run = cause.run.map(|run| run.id);
    let firing = FiringRow {
        endpoint_id: endpoint.id,
        number: fired.map_or(0, |fired| fired.number),
        trigger: row.name.clone(),
        run_id: run,
        at_ms: control.now_ms(),
        told: stored(&told)?,
    };
    let written = write(control, endpoint, (next, firing), (&told, &writes)).await?;
    if written {
        say(control, endpoint, (row, &told), &writes).await?;
    }
    Ok(written)
}

/// A trigger's newest firing, where that is kept: where it is not, the trigger fires anew.
pub(super) async fn newest(
    control: &Control,
    row: &TriggerRow,
) -> Result<Option<FiringRow>, Error> {
    let (id, before) = (row.endpoint_id, row.firing.saturating_add(1));
    let read = control
        .shared
        .store
        .read("fetch a firing", |tx| Box::pin(firings_list(tx, id, Some(before), 1)));
    Ok(read.await?.into_iter().next().filter(|it| it.number == row.firing))
}

/// Whether something of a firing could not be done yet.
pub(super) fn is_blocked(firing: &FiringRow) -> Result<bool, Error> {
    let told: Told = from_json(&firing.told)?;
    Ok(told.did.iter().any(waits))
}

/// Whether it is a change of how variants are used that could not be made yet.
fn waits(did: &TriggerDid) -> bool {
    did.outcome == TriggerOutcome::Waiting && changes_modes(&did.action)
}

/// Writes a firing with all that it does; false where somebody was quicker.
async fn write(
    control: &Control,
    endpoint: &EndpointRow,
    (trigger, firing): (TriggerRow, FiringRow),
    (told, writes): (&Told, &[(usize, Write)]),
) -> Result<bool, Error> {
    let ids: Vec<_> = writes.iter().map(|_| control.clock().uuid()).collect();
    let written = control.shared.store.transact("fire a trigger", |tx| {
        let (mut trigger, mut firing, ids) = (trigger.clone(), firing.clone(), &ids);
        Box::pin(async move {
            if !can_stop(tx, writes).await? || !can_train(tx, writes).await? {
                return Ok(false);
            }
            let again = firing.number > 0;
            if !again {
                firing.number = firing_next(tx, endpoint.id).await?;
            }
            trigger.firing = trigger.firing.max(firing.number);
            if !trigger_change(tx, &trigger).await? {
                return Ok(false);
            }
            if again {
                firing_tell(tx, (endpoint.id, firing.number), &firing.told).await?;
            } else {
                firing_insert(tx, &firing, FIRINGS_KEPT).await?;
            }
            for ((place, write), id) in writes.iter().zip(ids) {
                match write {
                    Write::Nothing => {}
                    Write::Modes(row, _) => modes_insert(tx, row).await?,
                    Write::Runs(all) => send(tx, all, firing.at_ms).await?,
                    Write::Training(training) => training.insert(tx).await?,
                    Write::Notice => {
                        let notice: NoticeRow =
                            tell::notice((endpoint, &firing), (told, *place), *id);
                        notice_insert(tx, &notice).await?;
                    }
                }
            }
            Ok::<_, store::Error>(true)
        })
    });
    match written.await {
        // The use of variants was changed meanwhile, or a run was sent anew: it is judged again.
        Err(store::Error::Unique { .. }) => Ok(false),
        other => Ok(other?),
    }
}

/// Whether all runs that are to stop are under way still; what has ended is judged as such.
async fn can_stop(tx: &mut Tx<'_>, writes: &[(usize, Write)]) -> Result<bool, store::Error> {
    for (_, write) in writes {
        let Write::Runs(all) = write else { continue };
        for id in all.iter().filter_map(|it| it.stops) {
            if run_fetch(tx, id).await?.state.ended() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Whether no model that is to be trained is being so by now; where one is, it is judged again, and
/// that is told.
async fn can_train(tx: &mut Tx<'_>, writes: &[(usize, Write)]) -> Result<bool, store::Error> {
    for (_, write) in writes {
        let Write::Training(training) = write else { continue };
        if training.is_under_way(tx).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn send(tx: &mut Tx<'_>, all: &[Sent], now_ms: u64) -> Result<(), store::Error> {
    for Sent { stops, run } in all {
        if let Some(id) = stops {
            run_stop(tx, *id, now_ms).await?;
        }
        run_insert(tx, run).await?;
    }
    Ok(())
}

/// Writes into the endpoint's log what was done.
async fn say(
    control: &Control,
    endpoint: &EndpointRow,
    (row, told): (&TriggerRow, &Told),
    writes: &[(usize, Write)],
) -> Result<(), Error> {
    let did: Vec<&str> = told.did.iter().map(|did| did.words.as_str()).collect();
    let text = format!("{} fired: {}; {}", row.name, told.saw.words, did.join("; "));
    control.say(&endpoint.id.to_string(), "trigger", &text).await?;
    for (_, write) in writes {
        match write {
            Write::Modes(row, modes) => variants::say(control, row, modes).await?,
            Write::Training(_) => control.drivers().sagas.wake(),
            _ => {}
        }
    }
    Ok(())
}

async fn plan(
    control: &Control,
    endpoint: &EndpointRow,
    (spec, action): (&TriggerSpec, &TriggerAction),
    cause: &Cause<'_>,
) -> Result<Planned, Error> {
    let planned = match action {
        TriggerAction::Webhook { .. } | TriggerAction::Email { .. } => Ok(Planned {
            write: Write::Notice,
            outcome: TriggerOutcome::Waiting,
            words: String::new(),
        }),
        TriggerAction::Revert {} => revert(control, endpoint, (spec, cause)).await,
        TriggerAction::Out {} => {
            let to = Change { mode: Mode::Test, share_bp: 0, until_ms: None };
            let variant = spec.variant.as_ref();
            let variant = variant.ok_or_else(|| Error::invalid("no variant is named"));
            variant.and_then(|variant| used(control, endpoint, (variant, to), (spec, cause)))
        }
        TriggerAction::Deploy { variant, .. } => match change_of(action, control.now_ms()) {
            Some(to) => used(control, endpoint, (variant, to), (spec, cause)),
            None => Err(Error::invalid("it cannot be used so")),
        },
        TriggerAction::Replay { .. } => {
            runs::replay(control, endpoint, (spec, action), cause).await
        }
        TriggerAction::Retrain {} => retrain::retrain(control, endpoint, cause).await,
        TriggerAction::Change { .. } => match runs::changed(action) {
            Some(change) => runs::change(control, endpoint, (spec, &change), cause).await,
            None => Err(Error::invalid("nothing can be changed so")),
        },
    };
    match planned {
        Ok(planned) => Ok(planned),
        // Nothing can be said while the database is away: it is judged again.
        Err(error) if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable) => {
            Err(error)
        }
        Err(error) => Ok(Planned::not(&error)),
    }
}

/// Variants as they were used before the newest change that no trigger made: what another trigger has
/// reverted is not brought back.
async fn revert(
    control: &Control,
    endpoint: &EndpointRow,
    (spec, cause): (&TriggerSpec, &Cause<'_>),
) -> Result<Planned, Error> {
    let id = endpoint.id;
    let read = control
        .shared
        .store
        .read("list modes", |tx| Box::pin(modes_list(tx, id, None, CHANGES_MAX)));
    let settled = settled(&read.await?);
    let Some(before) = settled.checked_sub(1) else {
        return Err(Error::invalid("nothing was changed yet that could be reverted"));
    };
    let earlier = variants::as_of(control, endpoint, before).await?;
    let modes = variants::again(control, cause.used, &earlier)?;
    let words = format!("variants are used as before change {settled}");
    if cause.used.iter().map(|(_, used)| used).eq(&modes) {
        return Ok(Planned::done(Write::Nothing, words + " already"));
    }
    by_change(control, endpoint, (modes, words), (spec, cause))
}

/// A variant used in another way.
fn used(
    control: &Control,
    endpoint: &EndpointRow,
    (variant, to): (&Name, Change),
    around: (&TriggerSpec, &Cause<'_>),
) -> Result<Planned, Error> {
    let now = around.1.used.iter().find(|(_, used)| used.variant == *variant);
    if now.is_some_and(|(_, used)| used.mode == to.mode && used.share_bp == to.share_bp) {
        let words = format!("{variant} is in mode {} already", to.mode);
        return Ok(Planned::done(Write::Nothing, words));
    }
    let modes = variants::changed(endpoint, around.1.used, (variant, to))?;
    let words = format!("{variant} is in mode {}", to.mode);
    by_change(control, endpoint, (modes, words), around)
}

fn by_change(
    control: &Control,
    endpoint: &EndpointRow,
    (modes, words): (Vec<Used>, String),
    (spec, cause): (&TriggerSpec, &Cause<'_>),
) -> Result<Planned, Error> {
    let by = format!("{BY}{}", spec.name);
    let decided = Decided { by, reason: cause.saw.words.clone() };
    let row = variants::row_of(control, endpoint.id, (&modes, cause.number), decided)?;
    let words = format!("{words}, by change {}", row.number);
    Ok(Planned::done(Write::Modes(row, modes), words))
}
