//! Usage: who called what how often, reported to control.
//!
//! Counts gather under a lock for a second; then they become a report with a number. A report that
//! control did not take is sent again unchanged before the next one is made.
//!
//! Always true: a request is in one report; a report sent twice counts once; lines of links' logs
//! are numbered, and those that came too fast are told of. Absent on purpose: what was asked or
//! answered. A producer learns counts, never content.

use std::collections::BTreeMap;

use api::internal::functions::sources::SourceCount;
use api::internal::functions::{FunctionCount, LinkLog};
use api::internal::{CaptureCount, LiveCount, UsageCount, UsageReport};
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
}

impl Usage {
    /// Nothing counted; `reporter` is unique for this start of this gateway.
    pub(crate) fn new(reporter: String) -> Self {
        let outgoing = Outgoing { reporter, last_number: 0, unsent: None };
        let (counts, functions, lines) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (captures, sources, live) = (Mutex::default(), Mutex::default(), Mutex::default());
        let outgoing = Mutex::new(outgoing);
        Self { counts, functions, live, lines, captures, sources, outgoing }
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
        let unsent = usize::from(self.outgoing.lock().unsent.is_some());
        let counts = self.counts.lock().len().div_ceil(COUNTS_MAX);
        let functions = self.functions.lock().len().div_ceil(COUNTS_MAX);
        let lines = usize::from(self.lines.lock().count > 0);
        let live = self.live.lock().len().div_ceil(LIVE_MAX);
        let captures = self.captures.lock().len().div_ceil(COUNTS_MAX);
        let sources = self.sources.lock().len().div_ceil(COUNTS_MAX);
        let told = counts.max(functions).max(lines).max(live);
        unsent + told.max(captures).max(sources)
    }

    /// The report to send now: the one that was not taken, or a new one; none without counts.
    pub(crate) fn next_report(&self) -> Option<UsageReport> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.unsent.is_none() {
            let (counts, functions, link_logs) =
                (self.take(), self.take_functions(), self.take_lines());
            let captures: Vec<_> =
                first(&mut self.captures.lock(), COUNTS_MAX).into_values().collect();
            let sources: Vec<_> =
                first(&mut self.sources.lock(), COUNTS_MAX).into_values().collect();
            let live = self.take_live();
            let empty = counts.is_empty() && functions.is_empty() && link_logs.is_empty();
            if empty && captures.is_empty() && sources.is_empty() && live.is_empty() {
                return None;
            }
            outgoing.last_number += 1;
            let (reporter, number) = (outgoing.reporter.clone(), outgoing.last_number);
            outgoing.unsent = Some(UsageReport {
                reporter,
                number,
                counts,
                functions,
                link_logs,
                live,
                captures,
                sources,
            });
        }
        outgoing.unsent.clone()
    }

    /// Control took the report of this number.
    pub(crate) fn taken(&self, number: u64) {
        let mut outgoing = self.outgoing.lock();
        if outgoing.unsent.as_ref().is_some_and(|report| report.number == number) {
            outgoing.unsent = None;
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

    fn take_lines(&self) -> Vec<LinkLog> {
        let mut lines = self.lines.lock();
        lines.count = 0;
        let taken = std::mem::take(&mut lines.waiting);
        taken.into_iter().map(|(link, lines)| LinkLog { link, lines }).collect()
    }
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
mod tests {
    use super::*;

    #[test]
    fn a_report_that_was_not_taken_is_sent_again_unchanged() {
        let usage = Usage::new("here".to_owned());
        assert_eq!((usage.due(), usage.next_report()), (0, None));
        let endpoint = EndpointId::new(uuid::Uuid::from_u128(1));
        usage.count((endpoint, None), (false, false));
        usage.count((endpoint, None), (true, true));
        let first = usage.next_report().unwrap();
        assert_eq!((first.counts[0].aside, first.counts[0].aside_failures), (1, 1));
        assert_eq!((first.number, first.counts[0].requests, first.counts[0].failures), (1, 2, 1));
        assert_eq!(usage.due(), 1);
        usage.count((endpoint, None), (false, false));
        assert_eq!(usage.next_report(), Some(first));
        assert_eq!(usage.due(), 2);
        usage.taken(1);
        let second = usage.next_report().unwrap();
        assert_eq!((second.number, second.counts[0].requests), (2, 1));
        usage.taken(1);
        assert_eq!(usage.next_report(), Some(second));
        usage.taken(2);
        assert_eq!(usage.next_report(), None);
    }

    #[test]
    fn what_is_watched_is_told_whole_and_in_parts() {
        let usage = Usage::new("here".to_owned());
        let endpoint = |number: usize| EndpointId::new(uuid::Uuid::from_u128(number as u128));
        for number in 0..=LIVE_MAX {
            usage.watch(endpoint(number), number == 0, 1_500);
            usage.watch(endpoint(number), false, 20_000);
        }
        assert_eq!(usage.due(), 2);
        let first = usage.next_report().unwrap();
        assert_eq!((first.live.len(), first.live[0].requests, first.live[0].failures), (256, 2, 1));
        let told = &first.live[0];
        assert_eq!((told.sum_us, told.max_us, told.buckets.len()), (21_500, 20_000, 2));
        usage.taken(1);
        let second = usage.next_report().unwrap();
        assert_eq!((second.live.len(), second.live[0].failures), (1, 0));
        usage.taken(2);
        assert_eq!((usage.due(), usage.next_report()), (0, None));
    }
}
