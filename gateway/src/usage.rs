//! Usage: who called what how often, reported to control.
//!
//! Counts gather under a lock for a second; then they become a report with a number. A report that
//! control did not take is sent again unchanged before the next one is made; where it refuses one,
//! what is billed goes alone, and the rest in halves, so that one entry keeps no other back.
//!
//! Always true: a request is in one report; a report sent twice counts once; what is billed is never
//! let go, and the rest not in silence; lines of links' logs are numbered. Absent on purpose: what
//! was asked or answered. A producer learns counts, never content.

mod halves;

use std::collections::{BTreeMap, VecDeque};

use api::internal::functions::sources::SourceCount;
use api::internal::functions::{FunctionCount, LinkLog};
use api::internal::{AccuracyCount, CaptureCount, LiveCount, UsageCount, UsageReport};
use api::pages::LogLine;
use api::usage::Consumption;
use parking_lot::Mutex;
use policy::sketch::Sketch;
use types::{AccountId, EndpointId, FunctionId, GrantId, ServiceId, ServiceKeyId, SourceId};

use crate::captures::Fate;

/// Most pairs of caller and endpoint in one report, so that it fits a request's body.
const COUNTS_MAX: usize = 10_000;

/// Most variants that are watched in one report: of each there may be thousands of buckets.
const LIVE_MAX: usize = 256;

/// Most endpoints in one report of which it is told how right they are: each may have twenty windows.
const ACCURACIES_MAX: usize = 256;

/// Most sources in one report: of each there are words, each byte of which may take six in JSON.
const SOURCES_MAX: usize = 1_000;

/// Most bytes of a report: half of what control reads. What is above is sent in halves.
const REPORT_BYTES_MAX: usize = 16 << 20;

/// Most lines of links' logs that wait for one report: what a database takes in a second beside
/// its other work.
const LINES_MAX: usize = 1_000;

/// What was counted and not yet reported.
#[derive(Debug)]
pub(crate) struct Usage {
    counts: Mutex<BTreeMap<(EndpointId, Option<AccountId>), Count>>,
    functions: Mutex<BTreeMap<FunctionUse, Consumption>>,
    live: Mutex<BTreeMap<EndpointId, Live>>,
    lines: Mutex<Lines>,
    captures: Mutex<BTreeMap<EndpointId, CaptureCount>>,
    sources: Mutex<BTreeMap<SourceId, SourceCount>>,
    /// The newest of each endpoint.
    accuracies: Mutex<BTreeMap<EndpointId, Vec<AccuracyCount>>>,
    outgoing: Mutex<Outgoing>,
}

/// What calls of functions have in common that are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FunctionUse {
    /// When the hour began.
    pub(crate) hour_ms: u64,
    pub(crate) payer: AccountId,
    pub(crate) owner: AccountId,
    pub(crate) function: FunctionId,
    pub(crate) link: Option<FunctionId>,
    pub(crate) grant: Option<GrantId>,
    pub(crate) service: Option<ServiceId>,
    pub(crate) key: Option<ServiceKeyId>,
}

#[derive(Debug, Default)]
struct Lines {
    written: u64,
    dropped: u64,
    waiting: BTreeMap<FunctionId, Vec<LogLine>>,
    count: usize,
}

/// What a variant answered that is watched.
#[derive(Debug, Default)]
struct Live {
    requests: u64,
    failures: u64,
    times_us: Sketch,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    failures: u64,
    aside: u64,
    aside_failures: u64,
}

#[derive(Debug)]
struct Outgoing {
    reporter: String,
    last_number: u64,
    unsent: Option<UsageReport>,
    /// Parts of what was taken for a report and was too much for one; they get numbers later.
    parts: VecDeque<UsageReport>,
    /// Whether control has refused what is billed.
    kept: bool,
}

/// What becomes of a report that control refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is sent in parts.
    Parted,
    /// It was one entry that nobody is billed for, and is not sent any more.
    LetGo(Box<UsageReport>),
    /// It is sent again as it is: it is numbers that are billed, and another control may take them.
    Kept {
        /// Whether none was refused so since one was taken.
        is_first: bool,
    },
}

impl Usage {
    /// Nothing counted; `reporter` is unique for this start of this gateway.
    pub(crate) fn new(reporter: String) -> Self {
        let parts = VecDeque::new();
        let outgoing = Outgoing { reporter, last_number: 0, unsent: None, parts, kept: false };
        let (counts, functions, lines) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (captures, sources, live) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (accuracies, outgoing) = (Mutex::default(), Mutex::new(outgoing));
        Self { counts, functions, live, lines, captures, sources, accuracies, outgoing }
    }

    /// Counts a request, which a replay may have sent.
    pub(crate) fn count(&self, of: (EndpointId, Option<AccountId>), (failed, aside): (bool, bool)) {
        let mut counts = self.counts.lock();
        let count = counts.entry(of).or_default();
        count.requests += 1;
        count.failures += u64::from(failed);
        count.aside += u64::from(aside);
        count.aside_failures += u64::from(aside && failed);
    }

    /// Counts a request to a variant that is watched, which took so many microseconds.
    pub(crate) fn watch(&self, endpoint: EndpointId, failed: bool, us: u64) {
        let mut live = self.live.lock();
        let live = live.entry(endpoint).or_default();
        live.requests += 1;
        live.failures += u64::from(failed);
        live.times_us.add(us);
    }

    /// Counts a call of a function.
    pub(crate) fn count_function(&self, of: FunctionUse, more: &Consumption) {
        let mut functions = self.functions.lock();
        let sum = functions.entry(of).or_default();
        sum.calls += more.calls;
        sum.failures += more.failures;
        sum.faults += more.faults;
        sum.duration_ms += more.duration_ms;
        sum.memory_mib_ms = sum.memory_mib_ms.saturating_add(more.memory_mib_ms);
    }

    /// Counts what became of a request that was to be kept.
    pub(crate) fn count_captured(&self, endpoint: EndpointId, fate: Fate) {
        let mut captures = self.captures.lock();
        let none = CaptureCount { endpoint, kept: 0, no_room: 0, elsewhere: 0, failed: 0 };
        let count = captures.entry(endpoint).or_insert(none);
        *match fate {
            Fate::Kept => &mut count.kept,
            Fate::NoRoom => &mut count.no_room,
            Fate::Elsewhere => &mut count.elsewhere,
            Fate::Failed => &mut count.failed,
        } += 1;
    }

    /// Tells how right answers of an endpoint were, in the place of what waits to be told of it.
    pub(crate) fn tell_accuracies(&self, endpoint: EndpointId, counted: Vec<AccuracyCount>) {
        self.accuracies.lock().insert(endpoint, counted);
    }

    /// Counts events of a source, and says how far it is now.
    pub(crate) fn count_source(&self, more: SourceCount) {
        let mut sources = self.sources.lock();
        let before = sources.remove(&more.source);
        let sum = |of: fn(&SourceCount) -> u64| before.as_ref().map_or(0, of) + of(&more);
        let (delivered, filtered) = (sum(|it| it.delivered), sum(|it| it.filtered));
        let given_up = sum(|it| it.given_up);
        sources.insert(more.source, SourceCount { delivered, filtered, given_up, ..more });
    }

    /// Writes a line into a link's log, where there is room.
    pub(crate) fn log_link(&self, link: FunctionId, at_ms: u64, text: String) {
        let mut lines = self.lines.lock();
        if lines.count >= LINES_MAX {
            lines.dropped += 1;
            return;
        }
        let lost = std::mem::take(&mut lines.dropped);
        let lost = (lost > 0).then(|| format!("{lost} lines were not kept: they came too fast"));
        for (level, text) in lost.map(|text| ("warning", text)).into_iter().chain([("info", text)])
        {
            lines.written += 1;
            lines.count += 1;
            let (seq, source, level) = (lines.written, "platform".to_owned(), level.to_owned());
            let told = LogLine { seq, at_ms, source, level, text };
            lines.waiting.entry(link).or_default().push(told);
        }
    }

    /// How many reports hold all that was counted so far.
    pub(crate) fn due(&self) -> usize {
        let unsent = {
            let outgoing = self.outgoing.lock();
            usize::from(outgoing.unsent.is_some()) + outgoing.parts.len()
        };
        let counts = self.counts.lock().len().div_ceil(COUNTS_MAX);
        let functions = self.functions.lock().len().div_ceil(COUNTS_MAX);
        let lines = usize::from(self.lines.lock().count > 0);
        let live = self.live.lock().len().div_ceil(LIVE_MAX);
        let captures = self.captures.lock().len().div_ceil(COUNTS_MAX);
        let sources = self.sources.lock().len().div_ceil(SOURCES_MAX);
        let accuracies = self.accuracies.lock().len().div_ceil(ACCURACIES_MAX);
        let told = counts.max(functions).max(lines).max(live);
        unsent + told.max(captures).max(sources).max(accuracies)
    }

    /// Whether there are parts of what was too much for one report.
    pub(crate) fn has_parts(&self) -> bool {
        !self.outgoing.lock().parts.is_empty()
    }

    /// The report to send now: the one that was not taken, or a new one; none without counts.
    pub(crate) fn next_report(&self) -> Option<UsageReport> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.unsent.is_none() {
            let mut report = outgoing.parts.pop_front().unwrap_or_else(|| self.gathered());
            while bytes(&report) > REPORT_BYTES_MAX
                && let Some(rest) = halves::cut(&mut report)
            {
                outgoing.parts.push_front(rest);
            }
            if halves::count(&report) == 0 {
                return None;
            }
            outgoing.last_number += 1;
            report.reporter.clone_from(&outgoing.reporter);
            report.number = outgoing.last_number;
            outgoing.unsent = Some(report);
        }
        outgoing.unsent.clone()
    }

    /// What was counted, as much as fits a report.
    fn gathered(&self) -> UsageReport {
        UsageReport {
            reporter: String::new(),
            number: 0,
            counts: self.take(),
            functions: self.take_functions(),
            link_logs: self.take_lines(),
            live: self.take_live(),
            captures: first(&mut self.captures.lock(), COUNTS_MAX).into_values().collect(),
            sources: first(&mut self.sources.lock(), SOURCES_MAX).into_values().collect(),
            accuracies: self.take_accuracies(),
        }
    }

    /// Control refused the report of this number, which it had added nothing of.
    pub(crate) fn refused(&self, number: u64) -> Refused {
        let mut outgoing = self.outgoing.lock();
        let Some(mut report) = outgoing.unsent.take_if(|report| report.number == number) else {
            return Refused::Parted;
        };
        let beside = halves::unbilled(&mut report);
        let is_billed = halves::count(&report) > 0;
        if is_billed && halves::count(&beside) == 0 {
            outgoing.unsent = Some(report);
            let is_first = !std::mem::replace(&mut outgoing.kept, true);
            return Refused::Kept { is_first };
        }
        let mut rest = beside;
        if is_billed {
            outgoing.parts.push_front(rest);
            outgoing.parts.push_front(report);
            return Refused::Parted;
        }
        let Some(later) = halves::cut(&mut rest) else { return Refused::LetGo(Box::new(rest)) };
        outgoing.parts.push_front(later);
        outgoing.parts.push_front(rest);
        Refused::Parted
    }

    /// Control took the report of this number.
    pub(crate) fn taken(&self, number: u64) {
        let mut outgoing = self.outgoing.lock();
        if outgoing.unsent.as_ref().is_some_and(|report| report.number == number) {
            outgoing.unsent = None;
            outgoing.kept = false;
        }
    }

    fn take(&self) -> Vec<UsageCount> {
        let taken = first(&mut self.counts.lock(), COUNTS_MAX);
        let count = |((endpoint, caller), count): ((EndpointId, Option<AccountId>), Count)| {
            let Count { requests, failures, aside, aside_failures } = count;
            UsageCount { endpoint, caller, requests, failures, aside, aside_failures }
        };
        taken.into_iter().map(count).collect()
    }

    fn take_functions(&self) -> Vec<FunctionCount> {
        let taken = first(&mut self.functions.lock(), COUNTS_MAX);
        let count = |(of, consumption): (FunctionUse, Consumption)| FunctionCount {
            hour_ms: of.hour_ms,
            payer: of.payer,
            owner: of.owner,
            function: of.function,
            link: of.link,
            grant: of.grant,
            service: of.service,
            key: of.key,
            consumption,
        };
        taken.into_iter().map(count).collect()
    }

    fn take_live(&self) -> Vec<LiveCount> {
        let taken = first(&mut self.live.lock(), LIVE_MAX);
        let count = |(endpoint, live): (EndpointId, Live)| {
            let (Live { requests, failures, .. }, times) = (&live, live.times_us.parts());
            LiveCount {
                endpoint,
                requests: *requests,
                failures: *failures,
                buckets: times.buckets,
                sum_us: times.sum,
                max_us: times.max,
            }
        };
        taken.into_iter().map(count).collect()
    }

    fn take_accuracies(&self) -> Vec<AccuracyCount> {
        let taken = first(&mut self.accuracies.lock(), ACCURACIES_MAX);
        taken.into_values().flatten().collect()
    }

    fn take_lines(&self) -> Vec<LinkLog> {
        let mut lines = self.lines.lock();
        lines.count = 0;
        let taken = std::mem::take(&mut lines.waiting);
        taken.into_iter().map(|(link, lines)| LinkLog { link, lines }).collect()
    }
}

/// How large a report is as control reads it.
fn bytes(report: &UsageReport) -> usize {
    serde_json::to_vec(report).map_or(0, |json| json.len())
}

/// Takes the first entries, as many as fit a report.
fn first<K: Ord + Copy, V>(counts: &mut BTreeMap<K, V>, most: usize) -> BTreeMap<K, V> {
    let rest = match counts.keys().nth(most).copied() {
        Some(key) => counts.split_off(&key),
        None => BTreeMap::new(),
    };
    std::mem::replace(counts, rest)
}

#[cfg(test)]
mod tests;
