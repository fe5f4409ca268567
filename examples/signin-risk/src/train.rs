//! Training, from the events of the channel to a model that can be published as it is.
//!
//! Always true: the newest fifth of the events is held out, and no number it was judged by was
//! learnt from it; on failure nothing stands in the model folder, and the reason in
//! `output/failure`.

use std::io::Write;
use std::path::Path;

use crate::features::{self, Row};
use crate::learn::{self, Score};
use crate::{Failure, contract, manifest, onnx};

/// Fewer events than this teach nothing.
const ROWS_MIN: usize = 50;

/// One event in this many is held out.
const HELD_OUT: usize = 5;

/// Trains by the contract below `root`, and prints its progress to `out`.
pub(crate) fn run(root: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let outcome = train(root, out);
    if let Err(failure) = &outcome {
        contract::write_failure(root, failure)?;
    }
    outcome
}

fn train(root: &Path, out: &mut impl Write) -> Result<(), Failure> {
    let settings = contract::settings(root)?;
    contract::check_input(root)?;
    let rows = features::of_events(contract::events(root)?);
    let (learnt, held_out) = split(&rows)?;
    writeln!(out, "learning from {} events, judging by {}", learnt.len(), held_out.len())?;
    let network = learn::fit(learnt, &settings, |epoch, loss| {
        let (done, epochs) = (f64::from(epoch) / f64::from(settings.epochs), settings.epochs);
        writeln!(out, "progress {done:.2} epoch {epoch}/{epochs} loss {loss:.3}")?;
        out.flush()
    })?;
    let score = network.score(held_out);
    writeln!(out, "{}", report(&score))?;
    let manifest = manifest::text(&network, &score, held_out);
    contract::write_model(root, "model.onnx", &onnx::file(&network))?;
    contract::write_model(root, "freehold.toml", manifest.as_bytes())
}

/// The events to learn from, and those to judge by: the newest, as it will be in use.
fn split(rows: &[Row]) -> Result<(&[Row], &[Row]), Failure> {
    if rows.len() < ROWS_MIN {
        let count = rows.len();
        return Err(Failure(format!("{count} events are too few: give at least {ROWS_MIN}")));
    }
    let (learnt, held_out) = rows.split_at(rows.len() - rows.len() / HELD_OUT);
    let risky = learnt.iter().filter(|row| row.risky).count();
    if risky == 0 || risky == learnt.len() {
        let all = if risky == 0 { "ordinary" } else { "an attack" };
        return Err(Failure(format!(
            "every event to learn from is {all}: give both kinds, labelled in the columns \
             \"Is Attack IP\" and \"Is Account Takeover\""
        )));
    }
    Ok((learnt, held_out))
}

fn report(score: &Score) -> String {
    let Score { rows, right, risky, risky_found, false_alarms } = score;
    format!(
        "held out: {right} of {rows} right; {risky_found} of {risky} risky ones found, \
         {false_alarms} false alarms"
    )
}
