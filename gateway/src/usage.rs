//! Usage: who called what how often, reported to control.
//!
//! Counts gather under a lock for a second; then they become a report with a number. A report that
//! control did not take is sent again unchanged before the next one is made.
//!
//! Always true: a request is in one report; a report sent twice counts once. Absent on purpose:
//! what was asked or answered. A producer learns counts, never content.

use std::collections::BTreeMap;

use api::internal::{UsageCount, UsageReport};
use parking_lot::Mutex;
use types::{AccountId, EndpointId};

/// Most pairs of caller and endpoint in one report, so that it fits a request's body.
const COUNTS_MAX: usize = 10_000;

/// What was counted and not yet reported.
#[derive(Debug)]
pub(crate) struct Usage {
    counts: Mutex<BTreeMap<(EndpointId, Option<AccountId>), Count>>,
    outgoing: Mutex<Outgoing>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    requests: u64,
    failures: u64,
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
        Self { counts: Mutex::default(), outgoing: Mutex::new(outgoing) }
    }

    /// Counts a request.
    pub(crate) fn count(&self, endpoint: EndpointId, caller: Option<AccountId>, failed: bool) {
        let mut counts = self.counts.lock();
        let count = counts.entry((endpoint, caller)).or_default();
        count.requests += 1;
        count.failures += u64::from(failed);
    }

    /// How many reports hold all that was counted so far.
    pub(crate) fn due(&self) -> usize {
        let unsent = usize::from(self.outgoing.lock().unsent.is_some());
        unsent + self.counts.lock().len().div_ceil(COUNTS_MAX)
    }

    /// The report to send now: the one that was not taken, or a new one; none without counts.
    pub(crate) fn next_report(&self) -> Option<UsageReport> {
        let mut outgoing = self.outgoing.lock();
        if outgoing.unsent.is_none() {
            let counts = self.take();
            if counts.is_empty() {
                return None;
            }
            outgoing.last_number += 1;
            let (reporter, number) = (outgoing.reporter.clone(), outgoing.last_number);
            outgoing.unsent = Some(UsageReport { reporter, number, counts });
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
        let mut counts = self.counts.lock();
        let rest = match counts.keys().nth(COUNTS_MAX).copied() {
            Some(key) => counts.split_off(&key),
            None => BTreeMap::new(),
        };
        let taken = std::mem::replace(&mut *counts, rest);
        let count = |((endpoint, caller), count): ((EndpointId, Option<AccountId>), Count)| {
            let Count { requests, failures } = count;
            UsageCount { endpoint, caller, requests, failures }
        };
        taken.into_iter().map(count).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_that_was_not_taken_is_sent_again_unchanged() {
        let usage = Usage::new("here".to_owned());
        assert_eq!((usage.due(), usage.next_report()), (0, None));
        let endpoint = EndpointId::new(uuid::Uuid::from_u128(1));
        usage.count(endpoint, None, false);
        usage.count(endpoint, None, true);
        let first = usage.next_report().unwrap();
        assert_eq!((first.number, first.counts[0].requests, first.counts[0].failures), (1, 2, 1));
        assert_eq!(usage.due(), 1);
        usage.count(endpoint, None, false);
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
}
