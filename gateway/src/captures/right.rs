//! How right captured answers were, counted anew every few seconds within the windows that control
//! asks about.
//!
//! Always true: only what this gateway holds is counted; an event counts for the variant that
//! answered it, once its label is known, and not where that was another one then; one look reads a
//! bounded number of events, and looks take a small part of the time.
//! Absent on purpose: what follows from the counts, and whether a variant has enough of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::endpoints::captures::CAPTURED_TYPE;
use api::internal::{AccuracyCount, AccuracyWatch, VariantAccuracy};
use events::replay::accuracy::{Accuracy, Terms};
use events::replay::{FromJson, Outcome};
use events::select::{Most, Recent};
use types::Name;

use super::{Target, event};
use crate::error::Error;
use crate::hub::Hub;
use crate::streams::blocking;

/// Most events that one look reads, and most bytes of them: less than some seconds.
const EVENTS_MAX: u64 = 100_000;
/// See [`EVENTS_MAX`]: requests of 2.5 KiB with their answers come to both.
const BYTES_MAX: u64 = 256 << 20;
/// After a look nothing is read for so many times as long as it took, so that all looks together take
/// a twentieth of one processor at most. With very many endpoints some are not counted often enough to
/// be believed.
const REST: u64 = 19;
/// What was answered so soon after a change of a variant does not count: gateways hear of it within
/// moments, and the clocks of hosts differ by little.
const SETTLES_MS: u64 = 10_000;
/// What is noted of a request whose caller did not wait for its answer: nobody knows what that was.
const GONE: u16 = 499;
const NS_PER_MS: u64 = 1_000_000;

/// Looks until the gateway stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    while rested(&hub, hub.settings.right_period_ms).await {
        let table = hub.table.load_full();
        let watched = table.captures().filter(|it| !it.told.watched.is_empty());
        let targets: Vec<Arc<Target>> = watched.map(Arc::clone).collect();
        drop(table);
        for target in targets {
            let begun_ms = hub.clock.now_ms();
            match look(&hub, &target).await {
                Ok(counted) if counted.is_empty() => continue,
                Ok(counted) => hub.usage.tell_accuracies(target.endpoint, counted),
                Err(error) => {
                    let cause = workflow::chain(&error);
                    tracing::info!(endpoint = %target.name, cause, "right answers were not counted");
                }
            }
            let took_ms = hub.clock.now_ms().saturating_sub(begun_ms);
            if !rested(&hub, took_ms.saturating_mul(REST)).await {
                return;
            }
        }
    }
}

/// Waits; false where the gateway stops meanwhile.
async fn rested(hub: &Hub, ms: u64) -> bool {
    let stopping = hub.tasks.stopping();
    tokio::select! {
        () = hub.clock.sleep_ms(ms) => {}
        () = stopping.cancelled() => {}
    }
    !stopping.is_cancelled()
}

/// Counts what is in the windows of an endpoint; nothing where its stream is not open here: whoever
/// puts requests into it, or finds it on the disk, opens it.
async fn look(hub: &Hub, target: &Arc<Target>) -> Result<Vec<AccuracyCount>, Error> {
    let Some(stream) = hub.streams.here(target.told.stream) else { return Ok(Vec::new()) };
    let (target, now_ms) = (Arc::clone(target), hub.clock.now_ms());
    blocking(move || counted(&stream, &target, now_ms)).await
}

fn counted(
    stream: &events::Stream,
    target: &Target,
    now_ms: u64,
) -> Result<Vec<AccuracyCount>, Error> {
    let since_ms = &target.told.since_ms;
    let watched = target.told.watched.iter();
    let mut windows: Vec<Window> =
        watched.map(|watch| Window::new(watch, since_ms, now_ms)).collect();
    let from_ms = windows.iter().map(|window| window.from_ms).min().unwrap_or(now_ms);
    let (begin_ns, source) = (from_ms.saturating_mul(NS_PER_MS), event::source(&target.name));
    let most = Most { events: EVENTS_MAX, bytes: BYTES_MAX };
    let reached = stream.lately(CAPTURED_TYPE, (begin_ns, most), |event| {
        if event.source() == source {
            for window in &mut windows {
                window.add(&event);
            }
        }
    });
    let reached_ms = reached?.div_ceil(NS_PER_MS);
    Ok(windows.into_iter().map(|window| window.told(target, (reached_ms, now_ms))).collect())
}

/// What is counted within one window.
struct Window {
    watch: AccuracyWatch,
    from_ms: u64,
    reads: FromJson,
    /// By their names.
    variants: BTreeMap<String, Counts>,
}

struct Counts {
    variant: Name,
    since_ms: u64,
    accuracy: Accuracy,
    left_out: u64,
}

impl Window {
    fn new(watch: &AccuracyWatch, since_ms: &BTreeMap<Name, u64>, now_ms: u64) -> Self {
        let asked = &watch.judged;
        let terms = Arc::new(Terms::of_ppm(asked.threshold_ppm, asked.positive.as_deref()));
        let pointer = Some(asked.prediction.clone().unwrap_or_default());
        let counts = |(variant, since_ms): (&Name, &u64)| {
            let accuracy = Accuracy::new(Arc::clone(&terms));
            let (variant, since_ms) = (variant.clone(), *since_ms);
            (variant.to_string(), Counts { variant, since_ms, accuracy, left_out: 0 })
        };
        Self {
            from_ms: now_ms.saturating_sub(watch.window_ms),
            reads: FromJson { score: pointer.clone(), class: pointer },
            variants: since_ms.iter().map(counts).collect(),
            watch: watch.clone(),
        }
    }

    /// Counts an event, where it is one that counts.
    fn add(&mut self, event: &Recent<'_>) {
        let Some(label) = event.label else { return };
        let Some(status) = event.attribute("status").and_then(|it| it.parse().ok()) else { return };
        let Some(counts) = event.attribute("variant").and_then(|it| self.variants.get_mut(it))
        else {
            return;
        };
        let from_ms = self.from_ms.max(counts.since_ms.saturating_add(SETTLES_MS));
        if event.time_ns() < from_ms.saturating_mul(NS_PER_MS) || status == GONE {
            return;
        }
        let is_ok = Outcome::of_status(status) == Outcome::Ok;
        let said = match event.attribute(events::ANSWER) {
            Some(answer) => self.reads.read(answer.as_bytes()),
            // It was good and too long, or tensors: what it said is not known.
            None if is_ok => {
                counts.left_out += 1;
                return;
            }
            None => events::replay::Judged::default(),
        };
        counts.accuracy.learn(is_ok, (said.score, said.class.as_deref()), Some(label));
    }

    fn told(self, target: &Target, (reached_ms, now_ms): (u64, u64)) -> AccuracyCount {
        let told = |counts: Counts| {
            let classes = counts.accuracy.classes();
            let found = classes.found(counts.accuracy.terms().positive());
            VariantAccuracy {
                variant: counts.variant,
                since_ms: counts.since_ms,
                labelled: classes.events(),
                right: classes.right(),
                true_positives: found.both,
                predicted_positives: found.predicted,
                positives: found.right,
                left_out: counts.left_out,
            }
        };
        AccuracyCount {
            endpoint: target.endpoint,
            stream: target.told.stream,
            window_ms: self.watch.window_ms,
            judged: self.watch.judged,
            from_ms: self.from_ms.max(reached_ms),
            counted_at_ms: now_ms,
            variants: self.variants.into_values().map(told).collect(),
        }
    }
}
