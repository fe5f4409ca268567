//! Drills of a run: what may be done to its variants, and what is refused before the run begins.
//!
//! Always true: a variant that answers live events is spared unless that was asked for in words;
//! gateways ask the same again when the time has come.

use std::collections::BTreeSet;

use api::runs::{DRILLS_MAX, RunDrill, RunSpec};
use policy::replay::pattern::RUN_MS_MAX;
use store::endpoints::EndpointRow;
use types::{Name, TaskReference, Used};

use crate::Error;

/// Refuses drills that cannot be, of a run whose variants are named.
pub(super) fn check(spec: &RunSpec, used: &[(EndpointRow, Used)]) -> Result<(), Error> {
    if spec.drills.len() > DRILLS_MAX {
        return Err(Error::invalid(format!("a run has at most {DRILLS_MAX} drills")));
    }
    let mut known = BTreeSet::new();
    for drill in &spec.drills {
        let RunDrill { at_ms, variant, .. } = drill;
        if *at_ms >= spec.for_ms.unwrap_or(RUN_MS_MAX) {
            let message = format!("a drill at {at_ms} ms comes when nothing is sent any more");
            return Err(Error::invalid(message));
        }
        if let Some(name) = variant.as_ref().filter(|name| !spec.variants.contains(name)) {
            let message = format!("{name} is drilled, and is no variant of this run");
            return Err(Error::invalid(message));
        }
        let of: BTreeSet<&Name> = match variant {
            Some(name) => [name].into(),
            None => spec.variants.iter().collect(),
        };
        for name in of {
            if !known.insert((name, *at_ms)) {
                let message = format!("{name} is drilled twice at {at_ms} ms: leave one out");
                return Err(Error::invalid(message));
            }
            check_variant(spec, name, used)?;
        }
    }
    Ok(())
}

fn check_variant(spec: &RunSpec, name: &Name, used: &[(EndpointRow, Used)]) -> Result<(), Error> {
    let Some((row, used)) = used.iter().find(|(row, _)| row.variant == *name) else {
        return Ok(());
    };
    if matches!(row.source, TaskReference::Function { .. }) {
        let message = format!(
            "{name} is a function, whose instances come and go with its calls: drills end \
             instances of models; name the variant that is meant: kill@30s:VARIANT"
        );
        return Err(Error::invalid(message));
    }
    if used.mode.is_live() && !spec.drill_production {
        let message = format!(
            "{name} is used in mode {} and answers live events, which would fail: name the variant \
             that is meant (kill@30s:VARIANT), or allow it (--drill-production, drill_production)",
            used.mode
        );
        return Err(Error::Conflict { code: "conflict", message });
    }
    Ok(())
}
