//! Parked sandboxes of this host: sets of them, one for each runtime and size that was called
//! lately.
//!
//! Always true: a call never waits for a sandbox to be parked; a set has no more than `policy` says,
//! and one that this host cannot park for stays empty; an idle host, where nothing was called for
//! long, holds none.
//! Absent on purpose: how many (`policy::parking`), what one is (`executor`).

use executor::{Error, Function, Parked, Parking};
use parking_lot::Mutex;
use policy::parking::{Claims, Has, Settings, target};

use crate::Agent;

/// What sets are held to, with windows of [`super::sweep::SWEEP_MS`]. At most 64, which a host of today
/// does not start in the time that one takes; three deviations; and none where nothing came for as
/// long as an idle instance is kept.
const SETTINGS: Settings = Settings {
    min: 2,
    max: 64,
    window_us: super::sweep::SWEEP_MS * 1_000,
    deviations_milli: 3_000,
    quiet_windows_max: 600,
};
/// Parked of one set at the same time while it is filled: more would take the processors from calls.
const MAKING_MAX: u32 = 2;
/// Memory that a parked sandbox is counted with, in bytes. Measured: 3 MiB, and 15 MiB where its
/// interpreter could not be forked.
const PARKED_BYTES: u64 = 16 << 20;
/// The part of functions' memory that parked sandboxes may take.
const SHARE: u64 = 8;
/// How long it is taken to park one before that was measured, in microseconds.
const PARK_US: u64 = 50_000;
/// Sets of one host: more sizes than this are not worth a set each.
const SETS_MAX: usize = 32;

/// The parked sandboxes of this host.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    sets: Mutex<Vec<Set>>,
}

#[derive(Debug)]
struct Set {
    parking: Parking,
    waiting: Vec<Parked>,
    making: u32,
    /// How many there are to be, as of this window.
    target: u32,
    claims: Claims,
    /// Claims of this window.
    claimed: u32,
    park_us: u64,
    /// Whether parking works here; what does not is not tried again.
    works: bool,
}

impl Set {
    fn new(parking: Parking) -> Self {
        let claims = Claims::default();
        let (waiting, park_us) = (Vec::new(), PARK_US);
        Self { parking, waiting, making: 0, target: 0, claims, claimed: 0, park_us, works: true }
    }

    fn held(&self) -> u32 {
        u32::try_from(self.waiting.len()).unwrap_or(u32::MAX).saturating_add(self.making)
    }

    /// Decides anew how many there are to be, with this much room for more than are held.
    fn decide(&mut self, room: u32) {
        let room = room.saturating_add(self.held());
        let has = Has { target: self.target, lead_us: self.park_us, room };
        self.target = target(self.claims, &has, &SETTINGS).count;
    }
}

impl Sets {
    /// A sandbox that fits this function, if one is parked. Counts the claim in either case.
    pub(super) fn take(&self, parking: Parking, function: &Function) -> Option<Parked> {
        if !parking.fits(function, &parking.limits) {
            return None;
        }
        let mut sets = self.sets.lock();
        let known = sets.iter().position(|set| set.parking == parking);
        let place = known.or_else(|| {
            let fits = sets.len() < SETS_MAX;
            fits.then(|| sets.push(Set::new(parking))).map(|()| sets.len() - 1)
        })?;
        let set = &mut sets[place];
        set.claimed = set.claimed.saturating_add(1);
        set.waiting.pop()
    }

    /// How many more fit in the memory of this host that is for them.
    fn room(sets: &[Set], memory_bytes: u64) -> u32 {
        let held: u64 = sets.iter().map(|set| u64::from(set.held())).sum();
        let fit = memory_bytes / SHARE / PARKED_BYTES;
        u32::try_from(fit.saturating_sub(held)).unwrap_or(u32::MAX)
    }

    /// Ends a window: decides how many each set is to have, and gives back those that are too many.
    fn window_over(&self, memory_bytes: u64) -> Vec<Parked> {
        let mut sets = self.sets.lock();
        let mut surplus = Vec::new();
        for place in 0..sets.len() {
            let room = Self::room(&sets, memory_bytes);
            let set = &mut sets[place];
            set.claims = set.claims.after(std::mem::take(&mut set.claimed));
            set.decide(room);
            let keep = usize::try_from(set.target).unwrap_or(usize::MAX);
            surplus.extend(set.waiting.drain(keep.min(set.waiting.len())..));
        }
        sets.retain(|set| set.target > 0 || set.held() > 0 || !set.works);
        surplus
    }

    /// Gives all of them back.
    fn close(&self) -> Vec<Parked> {
        std::mem::take(&mut *self.sets.lock()).into_iter().flat_map(|set| set.waiting).collect()
    }

    /// What is to be parked next, counted as in the making.
    fn begin(&self, memory_bytes: u64) -> Option<Parking> {
        let mut sets = self.sets.lock();
        if Self::room(&sets, memory_bytes) == 0 {
            return None;
        }
        let lacks =
            |set: &&mut Set| set.works && set.making < MAKING_MAX && set.held() < set.target;
        let set = sets.iter_mut().find(lacks)?;
        set.making += 1;
        Some(set.parking)
    }

    /// Keeps what was parked, or notes why not; says whether the next may be tried at once.
    fn made(&self, parking: Parking, made: Result<Parked, Error>, took_us: u64) -> bool {
        let mut sets = self.sets.lock();
        let Some(set) = sets.iter_mut().find(|set| set.parking == parking) else { return false };
        set.making = set.making.saturating_sub(1);
        match made {
            Ok(parked) => {
                set.park_us = set.park_us - set.park_us / 8 + took_us / 8;
                set.waiting.push(parked);
                true
            }
            Err(Error::Refused { feature, why, .. }) => {
                tracing::info!(feature, why, "no sandboxes are parked on this host");
                set.works = false;
                false
            }
            Err(error) => {
                tracing::debug!(%error, "could not park a sandbox");
                false
            }
        }
    }
}

impl Agent {
    /// Has every set filled, in the background.
    pub(super) fn fill(&self) {
        let shared = &self.shared;
        while !shared.tasks.stopping().is_cancelled()
            && let Some(parking) =
                shared.functions.parked.begin(shared.settings.functions_memory_bytes)
        {
            let agent = self.clone();
            shared.tasks.spawn("function park", async move { agent.park(parking).await });
        }
    }

    async fn park(&self, parking: Parking) {
        let shared = &self.shared;
        let began_us = shared.clock.now_us();
        let made = shared.executor.park(parking).await;
        let took_us = shared.clock.now_us().saturating_sub(began_us);
        // One that comes after the end is dropped, and so ended.
        if shared.functions.parked.made(parking, made, took_us) {
            self.fill();
        }
    }

    /// Ends a window of the sets.
    pub(super) fn parking_window_over(&self) {
        let shared = &self.shared;
        let memory_bytes = shared.settings.functions_memory_bytes;
        drop(shared.functions.parked.window_over(memory_bytes));
        if shared.functions.parked.sets.lock().is_empty() {
            shared.executor.forget_zygote();
        }
        self.fill();
    }

    /// Ends every parked sandbox.
    pub(super) fn parking_over(&self) {
        drop(self.shared.functions.parked.close());
    }
}
