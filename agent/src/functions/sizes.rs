//! Sizes: what calls of a revision take on this host, and how much memory its instances have.
//!
//! States of a size: settled → asked for (control may have another host's trial) → on trial, on one
//! instance → settled, or rolled back.
//! Always true: `policy::resize` decides, within the owner's bounds; where nobody has sizes chosen,
//! instances have what the revision asks for. Absent on purpose: control groups, control.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use api::functions::sizes::{InputUse, SizeChange};
use api::internal::functions::sizes::{CallSizing, RevisionUsage, SettledSize, SizeAnswer};
use parking_lot::Mutex;
use policy::resize::usage::{INPUTS, Taken, Usage};
use policy::resize::{Bounds, PERCENT, Size, Step, Trial, Worse, again_kib, decide, grown_kib};
use types::RevisionId;

/// Latest calls whose middle is taken for what a call takes.
const LATEST: usize = 64;
/// One of so many calls is measured where nobody has sizes chosen, since that costs some reads,
const MEASURED_OF: u64 = 8;
/// and no more than one in so many milliseconds: a hundred a second tell what thousands would.
const MEASURED_MS: u64 = 10;
/// Between two questions whether a trial may begin, in milliseconds: another host's takes a while.
const ASK_MS: u64 = 60_000;

/// What an instance is known by, for as long as it lives.
pub(super) type Token = Arc<()>;

/// The size of a revision's instances on this host.
#[derive(Debug, Default)]
pub(super) struct Sizes(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    usage: Usage,
    /// Latest calls at the settled size: how long, and their processor time, in microseconds.
    latest: VecDeque<(u64, u64)>,
    /// What is settled; none for what the revision asks for.
    settled_kib: Option<u64>,
    refused_kib: Option<u64>,
    /// The step that this stands after.
    number: u64,
    trial: Option<OnTrial>,
    /// When it may be asked for a trial again.
    ask_at_ms: u64,
    /// Whether this host can change the size of an instance that runs.
    cannot: bool,
    /// Calls so far.
    calls: u64,
    /// When a call was measured last of those that were picked out.
    measured_ms: u64,
    /// Whether calls were measured since that was told of.
    untold: bool,
}

#[derive(Debug)]
struct OnTrial {
    kib: u64,
    /// The instance that tries it; it may have ended.
    instance: Weak<()>,
    calls_us: Vec<u64>,
    killed: bool,
}

/// A call that was measured.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    /// The size of its instance, in KiB.
    pub(super) kib: u64,
    pub(super) input_bytes: u64,
    pub(super) call_us: u64,
    pub(super) cpu_us: u64,
    /// The most memory that its instance has had, in KiB.
    pub(super) peak_kib: u64,
    /// It was killed for memory.
    pub(super) killed: bool,
}

impl Sizes {
    /// What the next instance has, in KiB, where the revision asks for so much.
    pub(super) fn kib(&self, asked_kib: u64) -> u64 {
        self.0.lock().settled_kib.unwrap_or(asked_kib)
    }

    /// Follows what a call says of sizes: what was settled on other hosts, or that nobody has them
    /// chosen any more.
    pub(super) fn follow(&self, told: Option<&CallSizing>) {
        let mut state = self.0.lock();
        if let Some(sizing) = told {
            state.adopt(&sizing.size);
        } else {
            // The number goes too: what was settled holds again where that is told again.
            (state.settled_kib, state.trial, state.number) = (None, None, 0);
        }
    }

    /// The size that an instance is to have for its next call, in KiB. The first one that asks while
    /// a size is on trial, and no other has it, tries it.
    pub(super) fn wanted_kib(&self, instance: &Token, asked_kib: u64) -> u64 {
        let mut state = self.0.lock();
        let settled_kib = state.settled_kib.unwrap_or(asked_kib);
        let Some(trial) = &mut state.trial else { return settled_kib };
        if trial.instance.strong_count() == 0 {
            trial.instance = Arc::downgrade(instance);
        }
        if trial.is_by(instance) { trial.kib } else { settled_kib }
    }

    /// Instances of this host keep the size that they have.
    pub(super) fn cannot_change(&self) {
        let mut state = self.0.lock();
        (state.cannot, state.trial) = (true, None);
    }

    /// Whether a call that begins is to be measured.
    pub(super) fn measures(&self, chosen: bool, now_ms: u64) -> bool {
        let mut state = self.0.lock();
        state.calls += 1;
        if chosen || state.calls <= LATEST as u64 {
            return true;
        }
        let due = now_ms >= state.measured_ms.saturating_add(MEASURED_MS);
        let measures = due && state.calls.is_multiple_of(MEASURED_OF);
        if measures {
            state.measured_ms = now_ms;
        }
        measures
    }

    /// Learns from a call, and says what is done about the size: for [`SizeChange::Tried`] control
    /// is to be asked, for [`SizeChange::Grown`] the instance is to be given more.
    pub(super) fn learn(
        &self,
        instance: &Token,
        measured: &Measured,
        (asked_kib, sizing): (u64, Option<&CallSizing>),
        now_ms: u64,
    ) -> Option<SizeChange> {
        let mut state = self.0.lock();
        state.learn(instance, measured, now_ms);
        let bounds = bounds(sizing?);
        if state.cannot {
            return None;
        }
        state.decide(instance, measured, (asked_kib, &bounds), now_ms)
    }

    /// What control made of a step.
    pub(super) fn answered(&self, change: &SizeChange, answer: &SizeAnswer) {
        let mut state = self.0.lock();
        state.adopt(&answer.size);
        if let SizeChange::Tried { to_kib, .. } = *change
            && answer.taken
        {
            let (instance, calls_us) = (Weak::new(), Vec::new());
            state.trial = Some(OnTrial { kib: to_kib, instance, calls_us, killed: false });
        }
    }

    /// What calls took, where some were measured since that was told of.
    pub(super) fn untold(&self, revision: RevisionId, asked_kib: u64) -> Option<RevisionUsage> {
        let mut state = self.0.lock();
        std::mem::take(&mut state.untold).then_some(())?;
        let middle = |of: fn(&(u64, u64)) -> u64| median(state.latest.iter().map(of));
        let (call_us, cpu_us) = (middle(|it| it.0), middle(|it| it.1));
        Some(RevisionUsage {
            revision,
            kib: state.settled_kib.unwrap_or(asked_kib),
            calls: state.usage.calls(u64::MAX),
            call_us,
            cpu_us,
            memory_kib: state.usage.memory_kib(PERCENT, u64::MAX)?,
            inputs: inputs(&state.usage),
        })
    }

    /// It could not be told of.
    pub(super) fn tell_again(&self) {
        self.0.lock().untold = true;
    }
}

impl State {
    /// Takes over what stands after a later step.
    fn adopt(&mut self, told: &SettledSize) {
        if told.number <= self.number {
            return;
        }
        if told.kib != self.settled_kib {
            self.trial = None;
        }
        (self.number, self.settled_kib, self.refused_kib) =
            (told.number, told.kib, told.refused_kib);
    }

    fn learn(&mut self, instance: &Token, measured: &Measured, now_ms: u64) {
        let Measured { kib, input_bytes, call_us, cpu_us, peak_kib, killed } = *measured;
        if self.usage == Usage::default() {
            self.usage = Usage::new(now_ms);
        }
        // What was killed would have taken more than it had.
        let memory_kib = if killed { peak_kib.max(kib) } else { peak_kib };
        let cpu_milli = cpu_us.saturating_mul(1_000) / call_us.max(1);
        self.usage.learn(Taken { input_bytes, memory_kib, cpu_milli }, now_ms);
        self.untold = true;
        if let Some(trial) = self.trial.as_mut().filter(|trial| trial.is_by(instance)) {
            trial.killed |= killed;
            trial.calls_us.push(call_us);
        } else if !killed {
            if self.latest.len() == LATEST {
                self.latest.pop_front();
            }
            self.latest.push_back((call_us, cpu_us));
        }
    }

    fn decide(
        &mut self,
        instance: &Token,
        measured: &Measured,
        (asked_kib, bounds): (u64, &Bounds),
        now_ms: u64,
    ) -> Option<SizeChange> {
        let before_us = median(self.latest.iter().map(|it| it.0));
        let trial = self.trial.as_ref().map(|trial| Trial {
            kib: trial.kib,
            calls: trial.calls_us.len() as u64,
            killed: trial.killed,
            call_us: median(trial.calls_us.iter().copied()),
            before_us,
        });
        let kib = self.settled_kib.unwrap_or(asked_kib);
        let size = Size { kib, trial, refused_kib: self.refused_kib };
        match decide(&size, &self.usage, u64::MAX, bounds) {
            Step::Try { kib: to_kib, used_kib } if now_ms >= self.ask_at_ms => {
                self.ask_at_ms = now_ms.saturating_add(ASK_MS);
                let calls = self.usage.calls(u64::MAX);
                Some(SizeChange::Tried { from_kib: kib, to_kib, used_kib, calls })
            }
            Step::Settle { kib: to_kib } => {
                let tried = self.trial.take().map(|it| it.calls_us).unwrap_or_default();
                (self.settled_kib, self.refused_kib) = (Some(to_kib), None);
                let (calls, call_us) = (tried.len() as u64, median(tried.iter().copied()));
                Some(SizeChange::Settled { from_kib: kib, to_kib, calls, call_us, before_us })
            }
            Step::RollBack { kib: to_kib, reason } => {
                let from_kib = self.trial.take()?.kib;
                self.refused_kib = Some(from_kib);
                Some(match reason {
                    Worse::Killed => SizeChange::RolledBackKilled { from_kib, to_kib },
                    Worse::Slower { milli: slower_milli } => {
                        SizeChange::RolledBackSlower { from_kib, to_kib, slower_milli }
                    }
                })
            }
            Step::Try { .. } | Step::Keep(_) => self.grown(instance, measured, bounds),
        }
    }

    /// Whether an instance that runs, and tries nothing, is given more.
    fn grown(&self, instance: &Token, measured: &Measured, bounds: &Bounds) -> Option<SizeChange> {
        let tries = self.trial.as_ref().is_some_and(|trial| trial.is_by(instance));
        if tries || measured.killed {
            return None;
        }
        let (from_kib, used_kib) = (measured.kib, measured.peak_kib);
        let to_kib = grown_kib(used_kib, from_kib, bounds)?;
        Some(SizeChange::Grown { from_kib, to_kib, used_kib })
    }
}

impl OnTrial {
    fn is_by(&self, instance: &Token) -> bool {
        std::ptr::eq(self.instance.as_ptr(), Arc::as_ptr(instance))
    }
}

/// The size at which a call that was killed for memory is run once more, in KiB.
pub(super) fn again(kib: u64, idempotent: bool, sizing: Option<&CallSizing>) -> Option<u64> {
    again_kib(kib, idempotent, 1, &bounds(sizing?))
}

fn bounds(sizing: &CallSizing) -> Bounds {
    Bounds { kib_min: sizing.kib_min, kib_max: sizing.kib_max }
}

/// What calls took by the size of their inputs; sizes of which none came are left out.
fn inputs(usage: &Usage) -> Vec<InputUse> {
    let mut before = 0;
    let mut inputs = Vec::new();
    for class in 0..INPUTS {
        let last = class + 1 == INPUTS;
        let bytes = if last { u64::MAX } else { 1024_u64 << (2 * class) };
        let calls = usage.calls(bytes);
        let used = usage.memory_kib(PERCENT, bytes).zip(usage.cpu_milli(PERCENT, bytes));
        if let Some((memory_kib, cpu_milli)) = used.filter(|_| calls > before) {
            let input_bytes_max = (!last).then_some(bytes);
            inputs.push(InputUse { input_bytes_max, calls, memory_kib, cpu_milli });
        }
        before = calls;
    }
    inputs
}

/// The one in the middle; 0 of none.
fn median(all: impl Iterator<Item = u64>) -> u64 {
    let mut all: Vec<u64> = all.collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED_KIB: u64 = 512 << 10;

    fn sizing() -> CallSizing {
        CallSizing { kib_min: 32 << 10, kib_max: 1 << 20, size: SettledSize::default() }
    }

    fn measured(kib: u64, peak_kib: u64, call_us: u64) -> Measured {
        Measured { kib, peak_kib, call_us, cpu_us: call_us / 2, ..Measured::default() }
    }

    /// Calls until something is done about the size, or fifty of them.
    fn call(sizes: &Sizes, instance: &Token, peak_kib: u64, call_us: u64) -> Option<SizeChange> {
        (0..50).find_map(|_| {
            let kib = sizes.wanted_kib(instance, ASKED_KIB);
            let measured = measured(kib, peak_kib, call_us);
            sizes.learn(instance, &measured, (ASKED_KIB, Some(&sizing())), 0)
        })
    }

    fn taken(number: u64) -> SizeAnswer {
        SizeAnswer { taken: true, size: SettledSize { number, ..SettledSize::default() } }
    }

    #[test]
    fn of_many_calls_few_are_measured() {
        let measured_of = |chosen: bool, calls_a_ms: usize| {
            let sizes = Sizes::default();
            let calls = (0..1_000).flat_map(|ms| std::iter::repeat_n(ms, calls_a_ms));
            calls.filter(|now_ms| sizes.measures(chosen, *now_ms)).count()
        };
        assert_eq!(measured_of(true, 1), 1_000);
        let seldom = measured_of(false, 1);
        assert!((LATEST + 50..=LATEST + 1_000 / 8).contains(&seldom), "{seldom}");
        let often = measured_of(false, 50);
        assert!((LATEST + 90..=LATEST + 1_000 / 10).contains(&often), "{often}");
    }

    #[test]
    fn a_size_is_tried_on_one_instance_and_then_all_have_it() {
        let (sizes, one, other) = (Sizes::default(), Token::default(), Token::default());
        let tried = call(&sizes, &one, 50_000, 1_000).unwrap();
        assert!(matches!(tried, SizeChange::Tried { calls: 20, .. }), "{tried:?}");
        assert_eq!(call(&sizes, &one, 50_000, 1_000), None, "control is asked once");
        assert_eq!(sizes.wanted_kib(&one, ASKED_KIB), ASKED_KIB, "it has not answered");
        sizes.answered(&tried, &taken(1));
        let small = sizes.wanted_kib(&one, ASKED_KIB);
        assert_eq!((small, sizes.wanted_kib(&other, ASKED_KIB)), (60 << 10, ASKED_KIB));
        assert_eq!(sizes.kib(ASKED_KIB), ASKED_KIB);
        let settled = call(&sizes, &one, 50_000, 1_010).unwrap();
        assert!(matches!(settled, SizeChange::Settled { calls: 20, .. }), "{settled:?}");
        assert_eq!((sizes.kib(ASKED_KIB), sizes.wanted_kib(&other, ASKED_KIB)), (small, small));
        // Nobody has sizes chosen any more.
        sizes.follow(None);
        assert_eq!(sizes.kib(ASKED_KIB), ASKED_KIB);
    }

    #[test]
    fn a_trial_that_is_slower_or_killed_is_rolled_back_and_not_tried_again() {
        for killed in [false, true] {
            let (sizes, one) = (Sizes::default(), Token::default());
            let tried = call(&sizes, &one, 50_000, 1_000).unwrap();
            sizes.answered(&tried, &taken(1));
            let kib = sizes.wanted_kib(&one, ASKED_KIB);
            let back = if killed {
                let measured = Measured { killed, ..measured(kib, kib, 10) };
                sizes.learn(&one, &measured, (ASKED_KIB, Some(&sizing())), 0)
            } else {
                call(&sizes, &one, 50_000, 1_100)
            };
            let kept = match back.unwrap() {
                SizeChange::RolledBackKilled { from_kib, to_kib } if killed => (from_kib, to_kib),
                SizeChange::RolledBackSlower { from_kib, to_kib, slower_milli: 100 } => {
                    (from_kib, to_kib)
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(kept, (kib, ASKED_KIB));
            assert_eq!(sizes.wanted_kib(&one, ASKED_KIB), ASKED_KIB);
            if !killed {
                assert_eq!(call(&sizes, &one, 50_000, 1_000), None);
            }
        }
    }

    #[test]
    fn a_trial_whose_instance_has_ended_goes_on_with_the_next() {
        let (sizes, one) = (Sizes::default(), Token::default());
        let tried = call(&sizes, &one, 50_000, 1_000).unwrap();
        sizes.answered(&tried, &taken(1));
        assert_eq!(sizes.wanted_kib(&one, ASKED_KIB), 60 << 10);
        drop(one);
        let next = Token::default();
        assert_eq!(sizes.wanted_kib(&next, ASKED_KIB), 60 << 10);
    }

    #[test]
    fn what_was_settled_elsewhere_is_followed_and_what_is_older_is_not() {
        let (sizes, one) = (Sizes::default(), Token::default());
        let told = |number, kib| CallSizing {
            size: SettledSize { number, kib, refused_kib: None },
            ..sizing()
        };
        sizes.follow(Some(&told(3, Some(100 << 10))));
        assert_eq!(sizes.wanted_kib(&one, ASKED_KIB), 100 << 10);
        sizes.follow(Some(&told(2, None)));
        assert_eq!(sizes.wanted_kib(&one, ASKED_KIB), 100 << 10);
        sizes.follow(Some(&told(4, None)));
        assert_eq!(sizes.wanted_kib(&one, ASKED_KIB), ASKED_KIB);
    }

    #[test]
    fn a_full_instance_is_given_more() {
        let (sizes, one) = (Sizes::default(), Token::default());
        let full = measured(ASKED_KIB, ASKED_KIB * 95 / 100, 10);
        let grown = sizes.learn(&one, &full, (ASKED_KIB, Some(&sizing())), 0).unwrap();
        let expected = SizeChange::Grown {
            from_kib: ASKED_KIB,
            to_kib: ASKED_KIB * 3 / 2,
            used_kib: ASKED_KIB * 95 / 100,
        };
        assert_eq!(grown, expected);
        assert_eq!(sizes.learn(&one, &full, (ASKED_KIB, None), 0), None, "nobody has it chosen");
    }

    #[test]
    fn what_calls_took_is_told_once_by_the_size_of_inputs() {
        let (sizes, one) = (Sizes::default(), Token::default());
        let revision = RevisionId::new(uuid::Uuid::from_u128(1));
        assert_eq!(sizes.untold(revision, ASKED_KIB), None);
        for (input_bytes, peak_kib) in [(10, 1_000), (10, 1_000), (1 << 21, 9_000)] {
            let measured = Measured { input_bytes, ..measured(ASKED_KIB, peak_kib, 100) };
            sizes.learn(&one, &measured, (ASKED_KIB, None), 0);
        }
        let told = sizes.untold(revision, ASKED_KIB).unwrap();
        assert_eq!((told.calls, told.call_us, told.cpu_us, told.kib), (3, 100, 50, ASKED_KIB));
        let inputs: Vec<_> =
            told.inputs.iter().map(|it| (it.input_bytes_max, it.calls, it.cpu_milli)).collect();
        assert_eq!(inputs, [(Some(1_024), 2, 511), (Some(4 << 20), 3, 511)]);
        assert_eq!(sizes.untold(revision, ASKED_KIB), None, "nothing is new");
        sizes.tell_again();
        assert!(sizes.untold(revision, ASKED_KIB).is_some());
    }
}
