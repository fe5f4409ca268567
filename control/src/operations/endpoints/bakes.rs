//! Bakes: candidates that answer a share of live events for a limited time, watched.
//!
//! Always true: what is counted is what was answered since the bake began; a decision is a change as
//! any other, with its reason, and is taken only where nobody has changed anything meanwhile.

use std::collections::BTreeMap;

use policy::bake::{Bake, Decision, judge};
use policy::evidence::counts::{Arm, Counts};
use policy::modes::{self, Change};
use store::endpoints::counts::{CountsRow, bake_begin, counts_fetch};
use store::endpoints::modes::{ModesRow, modes_list, modes_list_all};
use store::endpoints::{EndpointRow, endpoint_fetch};
use types::{EndpointId, Mode, Name, Used};
use workflow::reconciler::Status;

use super::variants::{self, Decided, since_ms};
use crate::operations::items::from_json;
use crate::{Control, Error};

/// How many of the last changes are looked through for the one by which a bake began.
const CHANGES_MAX: u32 = 200;
/// Who decides: no account has such a name.
pub(super) const BY: &str = "the bake";

/// Judges every bake, and carries out what is decided.
pub(crate) async fn watch(control: &Control) -> Status {
    let read = control.shared.store.read("list all modes", |tx| Box::pin(modes_list_all(tx)));
    let mut status = Status::default();
    let all = match read.await {
        Ok(all) => all,
        Err(error) => return Status::failed(error),
    };
    // What cannot be judged of one endpoint keeps no other one from being judged.
    for (id, row) in all {
        match judge_if_baking(control, id, &row).await {
            Ok(decided) => status.steps_done += decided,
            Err(error) => status.failures.push(workflow::chain(&error)),
        }
    }
    status
}

async fn judge_if_baking(control: &Control, id: EndpointId, row: &ModesRow) -> Result<u64, Error> {
    let modes: Vec<Used> = from_json(&row.modes)?;
    if modes.iter().any(|used| used.mode == Mode::Bake) {
        return judge_one(control, id, row.number).await;
    }
    Ok(0)
}

async fn judge_one(control: &Control, id: EndpointId, number: u64) -> Result<u64, Error> {
    let read =
        control.shared.store.read("fetch an endpoint", |tx| Box::pin(endpoint_fetch(tx, id)));
    let endpoint = read.await?;
    if endpoint.deleting {
        return Ok(0);
    }
    let (now, used) = variants::used(control, &endpoint).await?;
    let Some((incumbent, _)) = used.iter().find(|(_, used)| used.mode == Mode::Production) else {
        return Ok(0);
    };
    if now != number {
        return Ok(0);
    }
    let modes: Vec<Used> = used.iter().map(|(_, used)| used.clone()).collect();
    for (candidate, baking) in used.iter().filter(|(_, used)| used.mode == Mode::Bake) {
        let share_bp = modes::beside_production_bp(&modes, baking);
        let began = began(control, (id, number), (baking, share_bp), &incumbent.variant).await?;
        let seen = seen(control, began, (candidate, incumbent)).await?;
        let bake = Bake { share_bp, until_ms: baking.until_ms.unwrap_or(0) };
        let (mode, reason) = match judge(bake, seen, control.now_ms()) {
            Decision::GoOn => continue,
            Decision::Promote { reason } => (Mode::Production, reason),
            Decision::Revert { reason } => (Mode::Test, reason),
        };
        let to = Change { mode, share_bp: 0, until_ms: None };
        let decided = Decided { by: BY.to_owned(), reason };
        let to = (&candidate.variant, to);
        match variants::decide(control, &endpoint, to, decided, number).await {
            // What else bakes is judged by the number that this gave.
            Ok(_) => return Ok(1),
            // It cannot answer just now, and is judged again; others are judged meanwhile.
            Err(Error::Conflict { .. }) => {}
            // Somebody was quicker.
            Err(Error::Stale { .. }) => return Ok(0),
            Err(error) => return Err(error),
        }
    }
    Ok(0)
}

/// The number of the change by which this bake began: what is changed of others meanwhile does not
/// begin it anew, unless that changes its part of what it and production answer.
async fn began(
    control: &Control,
    (id, number): (EndpointId, u64),
    (baking, share_bp): (&Used, u32),
    incumbent: &Name,
) -> Result<u64, Error> {
    let read = control
        .shared
        .store
        .read("list modes", |tx| Box::pin(modes_list(tx, id, None, CHANGES_MAX)));
    let mut began = number;
    for row in read.await? {
        let modes: Vec<Used> = from_json(&row.modes)?;
        let in_production =
            |used: &Used| used.mode == Mode::Production && used.variant == *incumbent;
        if !modes.contains(baking)
            || !modes.iter().any(in_production)
            || modes::beside_production_bp(&modes, baking) != share_bp
        {
            break;
        }
        began = row.number;
    }
    Ok(began)
}

/// What both have answered since the change with this number, by which the candidate's bake began.
async fn seen(
    control: &Control,
    number: u64,
    (candidate, incumbent): (&EndpointRow, &EndpointRow),
) -> Result<Counts, Error> {
    let ids = [candidate.id, incumbent.id];
    // Another model under the same name is judged by what it answers itself.
    let since_ms = since_ms(control, candidate).await?.max(since_ms(control, incumbent).await?);
    let store = &control.shared.store;
    let counted = store.transact("count a bake", |tx| {
        Box::pin(async move {
            let now = counts_fetch(tx, &ids).await?;
            let told = ids.map(|id| now.get(&id).map_or([0, 0], |it| [it.requests, it.failures]));
            let began =
                bake_begin(tx, ids[0], (number, since_ms), &serde_json::json!(told)).await?;
            Ok::<_, store::Error>((now, began))
        })
    });
    let (now, began) = counted.await?;
    let began: [[u64; 2]; 2] = from_json(&began)?;
    let arm = |id: EndpointId, [requests, failures]: [u64; 2]| arm(&now, id, requests, failures);
    Ok(Counts { candidate: arm(candidate.id, began[0]), incumbent: arm(incumbent.id, began[1]) })
}

fn arm(now: &BTreeMap<EndpointId, CountsRow>, id: EndpointId, requests: u64, failures: u64) -> Arm {
    let now = now.get(&id).copied().unwrap_or_default();
    Arm {
        events: now.requests.saturating_sub(requests),
        bad: now.failures.saturating_sub(failures),
    }
}
