//! How right captured answers were, counted anew every few seconds within the windows that control
//! asks about.
//!
//! Always true: only what this gateway holds is counted; an event counts for the variant that
//! answered it, once its label is known, and not where that was another one then, nor where the caller
//! was to blame; one look reads a bounded number of events; looks come one after another, and those of
//! one endpoint take a small part of the time, whatever others take.
//! Absent on purpose: what follows from the counts, and whether a variant has enough of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::endpoints::captures::CAPTURED_TYPE;
use api::internal::{AccuracyCount, AccuracyWatch, VariantAccuracy};
use api::runs::Judged as Asked;
use events::replay::accuracy::{Accuracy, Terms};
use events::replay::{FromJson, Outcome};
use events::select::{Most, Recent};
use policy::segments::{SEALED_BYTES_MAX, SEALED_EVENTS_MAX};
use types::{EndpointId, Name};

use super::{Target, event};
use crate::error::Error;
use crate::hub::Hub;
use crate::streams::blocking;

/// Most sealed events that one look reads: two whole segments. Segments are read whole or not at all,
/// so that where something is left out the newest 262,144 were read at least. What the log has beside
/// them, which is a file of 64 MiB at most while the disk has room, is read too. It takes some seconds
/// at most.
const EVENTS_MAX: u64 = 524_288;
const _: () = assert!(EVENTS_MAX == 2 * SEALED_EVENTS_MAX, "the newest segment is always read");
/// Most bytes of them: five whole segments, so that the newest 100,000 are read where a request and its
/// answer have 2.5 KiB.
const BYTES_MAX: u64 = 5 * SEALED_BYTES_MAX;
/// After a look an endpoint is not looked at for so many times as long as it took, so that its looks
/// take a twentieth of one processor at most, and all looks one.
const REST: u64 = 19;
/// What was answered so soon after a change of a variant does not count: gateways hear of it within
/// moments, and the clocks of hosts differ by little.
const SETTLES_MS: u64 = 10_000;
const NS_PER_MS: u64 = 1_000_000;

/// Looks until the gateway stops.
pub(crate) async fn run(hub: Arc<Hub>) {
    let mut dues = Dues::default();
    while rested(&hub, hub.settings.right_period_ms).await {
        let watched: BTreeSet<EndpointId> = {
            let table = hub.table.load();
            table.captures().filter(|it| is_watched(it)).map(|it| it.endpoint).collect()
        };
        dues.keep(&watched);
        for endpoint in watched {
            let now_ms = hub.clock.now_ms();
            if !dues.is_due(endpoint, now_ms) {
                continue;
            }
            // What is asked about, and since when a variant is what it is, may differ since the others
            // were looked at.
            let Some(target) = current(&hub, endpoint) else { continue };
            let looked = look(&hub, &target).await;
            if hub.tasks.stopping().is_cancelled() {
                return;
            }
            let turn = (now_ms, hub.clock.now_ms());
            let next_within_ms = dues.looked(endpoint, turn, hub.settings.right_period_ms);
            match looked {
                Ok(counted) if counted.is_empty() => {}
                Ok(mut counted) => {
                    for count in &mut counted {
                        count.next_within_ms = next_within_ms;
                    }
                    hub.usage.tell_accuracies(endpoint, counted);
                }
                Err(error) => {
                    let cause = workflow::chain(&error);
                    tracing::info!(endpoint = %target.name, cause, "right answers were not counted");
                }
            }
        }
    }
}

/// Whether control asks how right answers of an endpoint were.
fn is_watched(target: &Target) -> bool {
    !target.told.watched.is_empty()
}

/// What is told of an endpoint's capture now, if it is watched.
fn current(hub: &Hub, endpoint: EndpointId) -> Option<Arc<Target>> {
    let table = hub.table.load();
    table.captures().find(|it| it.endpoint == endpoint && is_watched(it)).map(Arc::clone)
}

/// When endpoints are looked at again, of those that were looked at.
#[derive(Debug, Default)]
struct Dues(BTreeMap<EndpointId, Due>);

/// When an endpoint is looked at again: in milliseconds of one clock, which does not go back.
#[derive(Clone, Copy, Debug)]
struct Due {
    at_ms: u64,
    /// How long the last look took.
    took_ms: u64,
}

impl Dues {
    /// Forgets endpoints that are not watched any more.
    fn keep(&mut self, watched: &BTreeSet<EndpointId>) {
        self.0.retain(|endpoint, _| watched.contains(endpoint));
    }

    fn is_due(&self, endpoint: EndpointId, now_ms: u64) -> bool {
        self.0.get(&endpoint).is_none_or(|due| due.at_ms <= now_ms)
    }

    /// An endpoint was looked at from the first time to the second. Gives within how many milliseconds
    /// it is looked at again, where rounds through all endpoints are so far apart and looks take as long
    /// as they did: its rest, and a round that it may just miss.
    fn looked(
        &mut self,
        endpoint: EndpointId,
        (from_ms, until_ms): (u64, u64),
        period_ms: u64,
    ) -> u64 {
        let took_ms = until_ms.saturating_sub(from_ms);
        let rest_ms = took_ms.saturating_mul(REST);
        self.0.insert(endpoint, Due { at_ms: until_ms.saturating_add(rest_ms), took_ms });
        let round_ms = self.0.values().fold(0_u64, |sum, due| sum.saturating_add(due.took_ms));
        rest_ms.saturating_add(round_ms).saturating_add(period_ms)
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
    let mut ways = ways(&target.told.watched, &target.told.since_ms, now_ms);
    let windows = ways.iter().flat_map(|way| &way.windows);
    let from_ms = windows.map(|window| window.from_ms).min().unwrap_or(now_ms);
    let (begin_ns, source) = (from_ms.saturating_mul(NS_PER_MS), event::source(&target.name));
    let most = Most { events: EVENTS_MAX, bytes: BYTES_MAX };
    let reached = stream.lately(CAPTURED_TYPE, (begin_ns, most), |event| {
        if event.source() == source {
            add(&mut ways, &event);
        }
    });
    let reached_ms = reached?.div_ceil(NS_PER_MS);
    let told = |way: Way| {
        let told = move |window: Window| window.told(target, &way.judged, (reached_ms, now_ms));
        way.windows.into_iter().map(told)
    };
    Ok(ways.into_iter().flat_map(told).collect())
}

/// The windows in which predictions are read in one way.
struct Way {
    judged: Asked,
    reads: FromJson,
    windows: Vec<Window>,
}

/// What is counted within one window.
struct Window {
    length_ms: u64,
    from_ms: u64,
    /// By their names.
    variants: BTreeMap<String, Counts>,
}

/// What is known of an event that may count, whichever window has it.
struct Given<'a> {
    time_ns: u64,
    variant: &'a str,
    label: &'a str,
    is_ok: bool,
    answer: Option<&'a str>,
}

struct Counts {
    variant: Name,
    since_ms: u64,
    accuracy: Accuracy,
    left_out: u64,
}

/// Windows that are watched, by the ways in which predictions are read, so that an answer is read once
/// for each way.
fn ways(watched: &[AccuracyWatch], since_ms: &BTreeMap<Name, u64>, now_ms: u64) -> Vec<Way> {
    let mut ways: Vec<Way> = Vec::new();
    for AccuracyWatch { window_ms, judged } in watched {
        let window = Window::new((*window_ms, judged), since_ms, now_ms);
        if let Some(way) = ways.iter_mut().find(|way| way.judged == *judged) {
            way.windows.push(window);
        } else {
            let pointer = Some(judged.prediction.clone().unwrap_or_default());
            let reads = FromJson { score: pointer.clone(), class: pointer };
            ways.push(Way { judged: judged.clone(), reads, windows: vec![window] });
        }
    }
    ways
}

/// Counts an event, where it is one that counts.
fn add(ways: &mut [Way], event: &Recent<'_>) {
    let Some(label) = event.label else { return };
    let Some(variant) = event.attribute("variant") else { return };
    let Some(status) = event.attribute("status").and_then(|it| it.parse().ok()) else { return };
    let is_ok = match Outcome::of_status(status) {
        Outcome::Ok => true,
        // The caller was to blame, or went away: it says nothing of the variant.
        Outcome::ClientError => return,
        _ => false,
    };
    let answer = event.attribute(events::ANSWER);
    let given = Given { time_ns: event.time_ns(), variant, label, is_ok, answer };
    for way in ways {
        way.add(&given);
    }
}

impl Way {
    fn add(&mut self, given: &Given<'_>) {
        let counts = self.windows.iter_mut().filter_map(|window| window.of(given));
        let mut read = None;
        for counts in counts {
            if given.is_ok && given.answer.is_none() {
                // It was good and too long, or tensors: what it said is not known.
                counts.left_out += 1;
                continue;
            }
            let said = read.get_or_insert_with(|| {
                let read = given.answer.map(|answer| self.reads.read(answer.as_bytes()));
                read.unwrap_or_default()
            });
            let said = (said.score, said.class.as_deref());
            counts.accuracy.learn(given.is_ok, said, Some(given.label));
        }
    }
}

impl Window {
    fn new((window_ms, asked): (u64, &Asked), since_ms: &BTreeMap<Name, u64>, now_ms: u64) -> Self {
        let terms = Arc::new(Terms::of_ppm(asked.threshold_ppm, asked.positive.as_deref()));
        let counts = |(variant, since_ms): (&Name, &u64)| {
            let accuracy = Accuracy::new(Arc::clone(&terms));
            let (variant, since_ms) = (variant.clone(), *since_ms);
            (variant.to_string(), Counts { variant, since_ms, accuracy, left_out: 0 })
        };
        Self {
            length_ms: window_ms,
            from_ms: now_ms.saturating_sub(window_ms),
            variants: since_ms.iter().map(counts).collect(),
        }
    }

    /// Where an event counts, if it does.
    fn of(&mut self, given: &Given<'_>) -> Option<&mut Counts> {
        let counts = self.variants.get_mut(given.variant)?;
        let from_ms = self.from_ms.max(counts.since_ms.saturating_add(SETTLES_MS));
        (given.time_ns >= from_ms.saturating_mul(NS_PER_MS)).then_some(counts)
    }

    fn told(
        self,
        target: &Target,
        judged: &Asked,
        (reached_ms, now_ms): (u64, u64),
    ) -> AccuracyCount {
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
            window_ms: self.length_ms,
            judged: judged.clone(),
            from_ms: self.from_ms.max(reached_ms),
            counted_at_ms: now_ms,
            // It is known when the look has ended.
            next_within_ms: 0,
            variants: self.variants.into_values().map(told).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const PERIOD_MS: u64 = 10_000;

    fn endpoint(number: u128) -> EndpointId {
        EndpointId::new(Uuid::from_u128(number))
    }

    /// Looks in so many rounds, of endpoints whose looks take so long; gives how many each had. From
    /// the second round on each has to come within what was told.
    fn looks(took: &[u64], rounds: u64) -> Vec<u64> {
        let endpoints: Vec<EndpointId> = (1..=took.len() as u128).map(endpoint).collect();
        let (mut dues, mut now_ms) = (Dues::default(), 0);
        let mut told_ms: BTreeMap<EndpointId, u64> = BTreeMap::new();
        let mut looks = vec![0; took.len()];
        for round in 0..rounds {
            now_ms += PERIOD_MS;
            for (place, endpoint) in endpoints.iter().enumerate() {
                if !dues.is_due(*endpoint, now_ms) {
                    continue;
                }
                let until_ms = now_ms + took[place];
                let within_ms = dues.looked(*endpoint, (now_ms, until_ms), PERIOD_MS);
                // In the first round it is not known yet how long the others take.
                let is_told = dues.0.len() == took.len();
                let before = told_ms.remove(endpoint);
                assert!(before.is_none_or(|by_ms| now_ms <= by_ms), "{took:?} {round}");
                told_ms.extend(is_told.then_some((*endpoint, until_ms + within_ms)));
                (looks[place], now_ms) = (looks[place] + 1, until_ms);
            }
        }
        looks
    }

    /// It is due 114 s after each look, and is looked at in the next round; the other one in each.
    #[test]
    fn one_that_takes_long_rests_alone() {
        assert_eq!(looks(&[6_000, 2], 60), [5, 60]);
    }

    proptest! {
        #[test]
        fn it_is_looked_at_again_within_what_was_told(
            took in prop::collection::vec(0_u64..20_000, 1..8),
        ) {
            prop_assert!(looks(&took, 200).into_iter().all(|looks| looks > 1));
        }
    }

    #[test]
    fn who_is_not_watched_any_more_is_forgotten() {
        let mut dues = Dues::default();
        assert_eq!(dues.looked(endpoint(1), (0, 1_000), PERIOD_MS), 30_000);
        assert!(!dues.is_due(endpoint(1), 19_999) && dues.is_due(endpoint(1), 20_000));
        assert!(dues.is_due(endpoint(2), 0));
        dues.keep(&BTreeSet::from([endpoint(2)]));
        assert!(dues.0.is_empty());
    }

    #[test]
    fn answers_are_read_once_for_each_way() {
        let judged =
            |pointer: &str| Asked { prediction: Some(pointer.to_owned()), ..Asked::default() };
        let watch = |window_ms, pointer| AccuracyWatch { window_ms, judged: judged(pointer) };
        let watched = [watch(1, "/a"), watch(2, "/b"), watch(3, "/a")];
        let ways = ways(&watched, &BTreeMap::new(), 10);
        let told: Vec<(Asked, Vec<u64>)> = ways
            .into_iter()
            .map(|way| (way.judged, way.windows.iter().map(|it| it.length_ms).collect()))
            .collect();
        assert_eq!(told, [(judged("/a"), vec![1, 3]), (judged("/b"), vec![2])]);
    }
}
