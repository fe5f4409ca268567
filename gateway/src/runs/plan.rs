//! What a run is to do, out of what was asked for.
//!
//! Always true: what a run begins with, its seed and which events there were, is written down before
//! its first send, so that going on with it sends what it would have sent.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use api::internal::RunRoute;
use api::runs::{CatchUp, GroupBy, Judged, Load, RunSpec};
use events::replay::{Address, Labelled, Plan, Variant};
use events::select::{Selected, Selection};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use policy::replay::pace;
use policy::replay::pattern::Pattern;
use policy::replay::schedule::{Arrivals, Mode, Settings};
use policy::replay::validity::Needs;
use policy::replay::{Event, Ratio};
use serde::{Deserialize, Serialize};

use super::judged::{Accuracies, Judging};
use super::{RECORDS, broken, folder, told, whose, write};
use crate::error::Error;
use crate::hub::Hub;
use crate::streams::{blocking, selection};

/// What a run lasts at most where nothing is said.
const RUN_MS_MAX: u64 = policy::replay::pattern::RUN_MS_MAX;
/// Strata of a run; what comes after is one more.
const STRATA_MAX: usize = 1_024;
/// Sends that are less late than this go, where late ones are left out by a window.
const WINDOW_NS: u64 = 10_000_000;
/// What a rule is called among the variants.
const RULE: &str = "rule";
/// Requests under way at a variant, where nothing is said.
const IN_FLIGHT: usize = 4_096;
/// How long an answer may take, where nothing is said.
const TIMEOUT_MS: u64 = 30_000;
/// What is written down.
const BEGUN: &str = "begun.json";

type Fault = Box<dyn std::error::Error + Send + Sync>;
type Events = Box<dyn Iterator<Item = Result<(Event, Labelled), Fault>> + Send>;

/// A run, ready to begin.
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) events: Events,
    pub(super) judge: Judging,
    pub(super) judged: Arc<Accuracies>,
}

/// With what a run has begun.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Begun {
    /// Whose it is.
    pub(super) account: types::AccountId,
    /// Names of its variants, in their order.
    pub(super) variants: Vec<String>,
    seed: u64,
    until_sequence: u64,
    /// How many events were selected; 0 where it does not matter.
    events: u64,
}

/// With what a run had begun, where it has.
pub(super) fn begun(folder: &Path) -> Option<Begun> {
    serde_json::from_slice(&std::fs::read(folder.join(BEGUN)).ok()?).ok()
}

/// Plans a run.
pub(super) async fn plan(
    hub: &Hub,
    (stream, told): (events::Stream, &Arc<RunRoute>),
    secret: &str,
) -> Result<Planned, Error> {
    let folder = folder(hub, told.run)?;
    let spec = told.spec.clone();
    let mut chosen = selection(&spec.selection)?;
    let seed = spec.seed.unwrap_or_else(|| u64::from_le_bytes(hub.clock.random::<8>()));
    let (place, from, wanted) = (folder.clone(), stream.clone(), chosen.clone());
    let counts =
        spec.for_ms.is_some() && matches!(spec.load, Load::Rate { .. } | Load::Poisson { .. });
    let variants = variants(hub, told, secret)?;
    let fresh = Begun {
        account: told.account,
        variants: variants.iter().map(|variant| variant.name.clone()).collect(),
        seed,
        until_sequence: *stream.committed().borrow(),
        events: 0,
    };
    let (keys, of) = (hub.streams.keys().clone(), whose(told.run));
    let begun = blocking(move || {
        // Its key is there before anything else is: what has begun without one has none.
        let kept = match begun(&place) {
            Some(_) => keys.known(&place, &of)?,
            None => keys.begun(&place, &of)?,
        };
        Ok((kept, begin(&place, &from, (wanted, counts), fresh)?))
    });
    let (kept, begun) = begun.await?;
    chosen.until_sequence = Some(begun.until_sequence);
    let schedule = schedule(&spec, &begun)?;
    let records = kept.within(RECORDS);
    let resume = records.path.join("run.json").exists();
    let plan = Plan {
        catch_up: match spec.catch_up {
            CatchUp::Burst => pace::CatchUp::Burst,
            CatchUp::Window => pace::CatchUp::Window { late_ns: WINDOW_NS },
            CatchUp::Skip => pace::CatchUp::Skip,
        },
        under_way_max: in_flight_max(&spec),
        timeout_ms: timeout_ms(&spec),
        service_header: api::endpoints::SERVICE_HEADER.to_owned(),
        took_header: api::endpoints::TOOK_HEADER.to_owned(),
        needs: Needs::default(),
        resume,
        ..Plan::new(&told.run.to_string(), records.clone(), variants, schedule)
    };
    let judged = Arc::new(Accuracies::new(plan.variants.len(), &spec.judged));
    let meters = told::endpoints(hub, told)
        .into_iter()
        .map(|endpoint| endpoint.map(|endpoint| hub.metrics.endpoints.replays(&endpoint)));
    let judge = Judging::new(&spec.judged, Arc::clone(&judged), meters.collect());
    let judge = if resume { blocking(move || counted(judge, records)).await? } else { judge };
    let events = blocking(move || {
        let selected = stream.select(&chosen).map_err(Error::from)?;
        let mut strata = Strata { by: spec.group_by, known: HashMap::new() };
        let events = selected.map(move |it| match it {
            Ok(it) => Ok(strata.place(it)),
            Err(error) => Err(Fault::from(error)),
        });
        Ok(Box::new(events) as Events)
    });
    Ok(Planned { plan, events: events.await?, judge, judged })
}

/// How long an answer may take.
pub(super) fn timeout_ms(spec: &RunSpec) -> u64 {
    spec.timeout_ms.unwrap_or(TIMEOUT_MS)
}

/// Most requests under way at one variant.
fn in_flight_max(spec: &RunSpec) -> usize {
    spec.in_flight_max.map_or(IN_FLIGHT, |most| most as usize)
}

/// Most requests of a run under way, at all variants and its rule together; more are answered by the
/// time the next ones come, so some have left and are not given back yet.
pub(super) fn under_way_max(spec: &RunSpec) -> usize {
    let arms = spec.variants.len() + usize::from(spec.rule.is_some());
    in_flight_max(spec).saturating_mul(arms).saturating_mul(2)
}

/// Counts what was recorded before a restart.
fn counted(judge: Judging, records: events::Folder) -> Result<Judging, Error> {
    for record in events::replay::files::read(records).map_err(Error::from)? {
        judge.again(&record.map_err(Error::from)?);
    }
    Ok(judge)
}

/// With what it begins, or with what it had begun.
fn begin(
    folder: &Path,
    stream: &events::Stream,
    (chosen, counts): (Selection, bool),
    fresh: Begun,
) -> Result<Begun, Error> {
    if let Some(known) = begun(folder) {
        return Ok(known);
    }
    let path = folder.join(BEGUN);
    let unsafe_disk = |error: std::io::Error| broken(&format!("{}: {error}", path.display()));
    let chosen = Selection { until_sequence: Some(fresh.until_sequence), ..chosen };
    let events = if counts { stream.stats(&chosen).map_err(Error::from)?.0.events } else { 0 };
    let begun = Begun { events, ..fresh };
    std::fs::create_dir_all(folder).map_err(unsafe_disk)?;
    write(&path, &serde_json::to_vec(&begun).unwrap_or_default())?;
    Ok(begun)
}

/// Where each variant is asked.
fn variants(hub: &Hub, told: &RunRoute, secret: &str) -> Result<Vec<Variant>, Error> {
    let socket = hub.settings.replay_socket.clone();
    let socket = socket.ok_or_else(|| broken("this gateway has no socket for replays"))?;
    let spec = &told.spec;
    let variant = |(place, name): (usize, &types::Name)| {
        // The same variant twice has two names, so that its own noise can be told.
        let again = spec.variants[..place].iter().filter(|it| *it == name).count();
        let shown = if again == 0 { name.to_string() } else { format!("{name}~{}", again + 1) };
        Variant {
            name: shown,
            address: Address::Unix(socket.clone()),
            host: "localhost".to_owned(),
            path: format!("/endpoints/{}@{name}/invocations", spec.endpoint),
            headers: vec![("authorization".to_owned(), format!("Bearer {secret}"))],
        }
    };
    let mut variants: Vec<Variant> = spec.variants.iter().enumerate().map(variant).collect();
    if let Some(text) = &spec.rule {
        let path = rule(text, &spec.judged)?;
        if variants.iter().any(|variant| variant.name == RULE) {
            let cure = "a variant is called rule already: use it, or give it another name";
            return Err(Error::bad_request(cure));
        }
        let last =
            variants.first().cloned().map(|it| Variant { name: RULE.to_owned(), path, ..it });
        variants.extend(last);
    }
    Ok(variants)
}

/// Where a rule is asked.
fn rule(text: &str, judged: &Judged) -> Result<String, Error> {
    crate::rules::rule(text)?;
    if !judged.threshold_ppm.is_none_or(|ppm| (1..=1_000_000).contains(&ppm)) {
        return Err(Error::bad_request(
            "a rule says 1 or 0: with a threshold above 1 it never holds, and with 0 always",
        ));
    }
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let at = judged.prediction.as_deref().unwrap_or_default();
    Ok(format!("/v1/rules/answers?where={}&at={}", encoded(text), encoded(at)))
}

fn schedule(spec: &RunSpec, begun: &Begun) -> Result<Settings, Error> {
    let duration_ms = spec.for_ms.map_or(RUN_MS_MAX, |for_ms| for_ms.min(RUN_MS_MAX));
    let seed = begun.seed;
    let mode = match &spec.load {
        Load::AsRecorded => Mode::Recorded { speed: Ratio::ONE },
        Load::Speed { milli } => {
            Mode::Recorded { speed: Ratio::new(*milli, 1_000).unwrap_or(Ratio::ONE) }
        }
        Load::Rate { uhz } => Mode::Constant { rate_uhz: *uhz },
        Load::Poisson { uhz } => Mode::Poisson { rate_uhz: *uhz, seed },
        Load::Pattern { pattern } => {
            let pattern = Pattern::parse(pattern);
            let pattern = pattern.map_err(|refusal| Error::bad_request(refusal.to_string()))?;
            Mode::Pattern { pattern, arrivals: Arrivals::Even }
        }
    };
    // Where rate and time are both said, the whole selection is spread over that time: events are left
    // out or repeated, each kind as often as any other.
    let factor = match &spec.load {
        Load::Rate { uhz } | Load::Poisson { uhz } if begun.events > 0 => {
            Ratio::of_rate(*uhz, begun.events, duration_ms)
        }
        _ => Some(Ratio::ONE),
    };
    let factor = factor.ok_or_else(|| Error::bad_request("nothing would be sent"))?;
    Ok(Settings { mode, duration_ns: duration_ms * 1_000_000, factor })
}

/// Numbers for what keeps its part of the whole.
struct Strata {
    by: Vec<GroupBy>,
    known: HashMap<Vec<String>, u32>,
}

impl Strata {
    fn place(&mut self, selected: Selected) -> (Event, Labelled) {
        let Selected { sequence, event, label, .. } = selected;
        let stratum = if self.by.is_empty() { 0 } else { self.number(&event, label.as_deref()) };
        (Event { time_ns: event.time_ns, sequence, stratum }, Labelled { event, label })
    }

    fn number(&mut self, event: &events::Event, label: Option<&str>) -> u32 {
        let part = |by: &GroupBy| match by {
            GroupBy::Region => event.region.clone(),
            GroupBy::Group => event.group.clone(),
            GroupBy::Type => event.kind.clone(),
            GroupBy::Label => label.unwrap_or_default().to_owned(),
        };
        let key: Vec<String> = self.by.iter().map(part).collect();
        if let Some(number) = self.known.get(&key) {
            return *number;
        }
        let number = u32::try_from(self.known.len().min(STRATA_MAX)).unwrap_or(u32::MAX);
        if self.known.len() < STRATA_MAX {
            self.known.insert(key, number);
        }
        number
    }
}
