//! Allowances: how much of links, grants and keys is called, and no more than their limits say.
//!
//! Always true: a call takes from all that limit it or from none; what it took for its time is given
//! back however it ends; one that did not run is not counted for its day.
//! Absent on purpose: other gateways, of whose calls it is heard when usage is reported.

use std::collections::HashMap;
use std::sync::Arc;

use api::internal::functions::{FunctionCount, UsageTaken};
use parking_lot::Mutex;
use policy::allowance::{Allowance, Limits, Refusal};
use types::{CallLimits, FunctionId, GrantId, ServiceKeyId};
use workflow::Clock;

use crate::error::Error;

/// Subjects that are remembered; beyond it those that rest are forgotten first.
const KNOWN_MAX: usize = 100_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// What has limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Link(FunctionId),
    Grant(GrantId),
    Key(ServiceKeyId),
}

/// A subject with its limits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limited {
    pub(crate) subject: Subject,
    pub(crate) limits: Limits,
    /// Calls of this day that control knew of.
    pub(crate) calls_today: u64,
}

/// What is used of every subject that has limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Allowances {
    used: Arc<Mutex<HashMap<Subject, Allowance>>>,
}

/// What a call took.
#[derive(Debug)]
pub(crate) struct Taken {
    of: Allowances,
    subjects: Vec<Subject>,
    at_us: u64,
    ran: bool,
}

impl Subject {
    fn id(self) -> String {
        match self {
            Self::Link(id) => id.to_string(),
            Self::Grant(id) => id.to_string(),
            Self::Key(id) => id.to_string(),
        }
    }

    /// Whose limit it is, in words.
    fn words(self) -> &'static str {
        match self {
            Self::Link(_) => "the link",
            Self::Grant(_) => "the grant",
            Self::Key(_) => "the key",
        }
    }

    fn is_of(self, count: &FunctionCount) -> bool {
        match self {
            Self::Link(id) => count.link == Some(id),
            Self::Grant(id) => count.grant == Some(id),
            Self::Key(id) => count.key == Some(id),
        }
    }
}

impl Limited {
    pub(crate) fn new(subject: Subject, limits: &CallLimits, calls_today: u64) -> Self {
        Self { subject, limits: Limits::from(limits), calls_today }
    }
}

impl Allowances {
    /// Takes one call from each of these.
    ///
    /// # Errors
    ///
    /// The refusal of the first that has none left, in words; nothing was taken then.
    pub(crate) fn take(&self, all: &[Limited], now_us: u64) -> Result<Taken, Error> {
        if all.is_empty() {
            let (of, subjects) = (self.clone(), Vec::new());
            return Ok(Taken { of, subjects, at_us: now_us, ran: false });
        }
        let mut used = self.used.lock();
        let mut taken = Vec::with_capacity(all.len());
        for limited in all {
            let new = || Allowance::new(limited.calls_today, now_us);
            let allowance = used.get(&limited.subject).copied().unwrap_or_else(new);
            let after = allowance.take(&limited.limits, now_us);
            taken.push(after.map_err(|refusal| refused(limited.subject, refusal))?);
        }
        if used.len() + all.len() > KNOWN_MAX {
            used.retain(|_, allowance| allowance.under_way() > 0 || allowance.calls(now_us) > 0);
        }
        for (limited, after) in all.iter().zip(taken) {
            used.insert(limited.subject, after);
        }
        let subjects = all.iter().map(|limited| limited.subject).collect();
        Ok(Taken { of: self.clone(), subjects, at_us: now_us, ran: false })
    }

    /// Control has taken a report with these counts, and told what the days have.
    pub(crate) fn hear(&self, told: &UsageTaken, reported: &[FunctionCount]) {
        let mut used = self.used.lock();
        let known: HashMap<String, Subject> =
            used.keys().map(|subject| (subject.id(), *subject)).collect();
        for day in &told.days {
            let Some(subject) = known.get(&day.of) else { continue };
            let of_it = reported
                .iter()
                .filter(|count| subject.is_of(count) && count.hour_ms / DAY_MS == day.day);
            let own = of_it.map(|count| count.consumption.calls).sum();
            if let Some(allowance) = used.get_mut(subject) {
                *allowance = allowance.hear(day.day, day.calls, own);
            }
        }
    }
}

impl Taken {
    /// The call ran, and counts.
    pub(crate) fn ran(&mut self) {
        self.ran = true;
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if self.subjects.is_empty() {
            return;
        }
        let mut used = self.of.used.lock();
        for subject in &self.subjects {
            if let Some(allowance) = used.get_mut(subject) {
                *allowance = allowance.give_back(self.at_us, self.ran);
            }
        }
    }
}

/// The error that a refusal is to the caller.
fn refused(subject: Subject, refusal: Refusal) -> Error {
    let whose = subject.words();
    match refusal {
        Refusal::TooFast { us } => Error::TooFast { wait_ms: us.div_ceil(1_000) },
        Refusal::Busy { max } => Error::Reserved { max },
        Refusal::Spent { max, us } => Error::Spent { whose, max, wait_ms: us.div_ceil(1_000) },
        Refusal::Ended | Refusal::Never => {
            Error::LinkBroken { reason: format!("{whose} lets no call through: {refusal}") }
        }
    }
}

/// When the hour of a time began, in milliseconds.
pub(crate) fn hour_ms(clock: &Clock) -> u64 {
    const HOUR_MS: u64 = 3_600_000;
    clock.now_ms() / HOUR_MS * HOUR_MS
}
