//! Limits: how many requests at one time, and how fast, in all and for each caller.
//!
//! Always true: a place is given back when its request ends, however it ends; no caller can take
//! all places; a replay takes none of the others', and is not refused here what it was to send; state
//! of callers that rest is forgotten.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use policy::rate::{self, Bucket, Plan, Refusal};
use tokio::sync::Notify;
use types::{ServiceKeyId, TokenId};

use crate::error::Error;
use crate::settings::Settings;

/// Callers remembered before those that rest are forgotten.
const CALLERS_MAX: usize = 10_000;

/// Who is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Who {
    /// The holder of a token.
    Token(TokenId),
    /// Users of a service, by their key.
    Key(ServiceKeyId),
    /// Somebody without credentials, by address where it is known.
    Anonymous(Option<IpAddr>),
}

/// The limits and what is taken of them.
#[derive(Debug)]
pub(crate) struct Limits {
    settings: Arc<Settings>,
    state: Mutex<State>,
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    under_way: usize,
    callers: HashMap<Who, Taken>,
    /// Replays, which have as many places of their own as they may have under way.
    replays: HashMap<TokenId, Replay>,
}

#[derive(Debug)]
struct Replay {
    under_way: usize,
    most: usize,
}

#[derive(Debug)]
struct Taken {
    under_way: usize,
    /// None where there is no limit.
    bucket: Option<Bucket>,
}

/// A place among the requests under way.
pub(crate) struct Place {
    limits: Arc<Limits>,
    who: Who,
}

impl Limits {
    /// Nothing taken.
    pub(crate) fn new(settings: Arc<Settings>) -> Self {
        Self { settings, state: Mutex::default(), left: Notify::new() }
    }

    /// Takes a place for a request that came at `now_us`.
    ///
    /// # Errors
    ///
    /// [`Error::Busy`] when the gateway or the caller has too many under way, [`Error::TooFast`]
    /// when the caller asks too often.
    pub(crate) fn take(self: &Arc<Self>, who: Who, now_us: u64) -> Result<Place, Error> {
        let settings = &self.settings;
        let plan = plan(settings);
        let mut state = self.state.lock();
        if let Who::Token(token) = who
            && let Some(replay) = state.replays.get_mut(&token)
        {
            if replay.under_way >= replay.most {
                return Err(Error::Busy { what: "this replay" });
            }
            replay.under_way += 1;
            return Ok(Place { limits: Arc::clone(self), who });
        }
        if state.under_way >= settings.requests_max {
            return Err(Error::Busy { what: "this gateway" });
        }
        if state.callers.len() >= CALLERS_MAX && !state.callers.contains_key(&who) {
            state.callers.retain(|_, taken| taken.under_way > 0 || !taken.rests(now_us, plan));
            if state.callers.len() >= CALLERS_MAX {
                return Err(Error::Busy { what: "this gateway" });
            }
        }
        let full = || plan.map(|plan| Bucket::full(plan, now_us));
        let taken = state.callers.entry(who);
        let taken = taken.or_insert_with(|| Taken { under_way: 0, bucket: full() });
        if taken.under_way >= settings.requests_per_caller_max {
            return Err(Error::Busy { what: "this caller" });
        }
        if let (Some(bucket), Some(plan)) = (&mut taken.bucket, plan) {
            *bucket = rate::take(*bucket, 1, now_us, plan).map_err(too_fast)?;
        }
        taken.under_way += 1;
        state.under_way += 1;
        Ok(Place { limits: Arc::clone(self), who })
    }

    /// Gives a replay so many places of its own, beside those of all others.
    pub(crate) fn replay(&self, token: TokenId, most: usize) {
        let mut state = self.state.lock();
        let replay = state.replays.entry(token).or_insert(Replay { under_way: 0, most });
        replay.most = most;
    }

    /// Takes the places of a replay away, once they are given back.
    pub(crate) fn replayed(&self, token: TokenId) {
        let mut state = self.state.lock();
        if let Some(replay) = state.replays.get_mut(&token) {
            replay.most = 0;
        }
        state.replays.retain(|_, replay| replay.most > 0 || replay.under_way > 0);
    }

    /// Waits until no request is under way.
    pub(crate) async fn idle(&self) {
        loop {
            let left = self.left.notified();
            if self.state.lock().is_idle() {
                return;
            }
            left.await;
        }
    }
}

impl State {
    fn is_idle(&self) -> bool {
        self.under_way == 0 && self.replays.values().all(|replay| replay.under_way == 0)
    }

    /// Gives a place back.
    fn give_back(&mut self, who: Who) {
        if let Who::Token(token) = who
            && let Some(replay) = self.replays.get_mut(&token)
        {
            replay.under_way -= 1;
            if replay.most == 0 && replay.under_way == 0 {
                self.replays.remove(&token);
            }
            return;
        }
        self.under_way -= 1;
        if let Some(taken) = self.callers.get_mut(&who) {
            taken.under_way -= 1;
        }
    }
}

impl Taken {
    fn rests(&self, now_us: u64, plan: Option<Plan>) -> bool {
        match (self.bucket, plan) {
            (Some(bucket), Some(plan)) => bucket.is_full(now_us, plan),
            _ => true,
        }
    }
}

fn plan(settings: &Settings) -> Option<Plan> {
    let (burst, per_min) = (settings.rate_burst.max(1), settings.rate_per_min);
    (per_min > 0).then_some(Plan { burst, per_min })
}

fn too_fast(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Wait { us } => Error::TooFast { wait_ms: us.div_ceil(1_000) },
        Refusal::Never => Error::TooFast { wait_ms: u64::MAX },
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.limits.state.lock();
        state.give_back(self.who);
        if state.is_idle() {
            self.limits.left.notify_waiters();
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("who", &self.who).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(settings: Settings) -> Arc<Limits> {
        Arc::new(Limits::new(Arc::new(settings)))
    }

    #[test]
    fn no_caller_takes_all_places_and_every_place_comes_back() {
        let settings =
            Settings { requests_max: 3, requests_per_caller_max: 2, ..Settings::default() };
        let limits = limits(settings);
        let one = Who::Token(TokenId::new(uuid::Uuid::from_u128(1)));
        let held = [limits.take(one, 0).unwrap(), limits.take(one, 0).unwrap()];
        assert_eq!(limits.take(one, 0).unwrap_err(), Error::Busy { what: "this caller" });
        let other = limits.take(Who::Anonymous(None), 0).unwrap();
        let full = limits.take(Who::Anonymous(None), 0).unwrap_err();
        assert_eq!(full, Error::Busy { what: "this gateway" });
        drop((held, other));
        assert!(limits.take(one, 0).is_ok());
    }

    #[test]
    fn a_replay_has_places_of_its_own_and_takes_no_others() {
        let settings =
            Settings { requests_max: 1, requests_per_caller_max: 1, ..Settings::default() };
        let limits = limits(settings);
        let run = TokenId::new(uuid::Uuid::from_u128(7));
        limits.replay(run, 3);
        let held: Vec<Place> = (0..3).map(|_| limits.take(Who::Token(run), 0).unwrap()).collect();
        let full = limits.take(Who::Token(run), 0).unwrap_err();
        assert_eq!(full, Error::Busy { what: "this replay" });
        // Customers have theirs.
        let customer = limits.take(Who::Anonymous(None), 0).unwrap();
        assert!(limits.take(Who::Anonymous(None), 0).is_err());
        limits.replayed(run);
        assert!(limits.take(Who::Token(run), 0).is_err(), "it is over");
        drop((held, customer));
        assert!(limits.state.lock().replays.is_empty() && limits.state.lock().is_idle());
    }

    #[test]
    fn the_wait_that_is_told_is_enough() {
        let settings = Settings { rate_per_min: 180, rate_burst: 2, ..Settings::default() };
        let limits = limits(settings);
        let who = Who::Anonymous(None);
        for _ in 0..2 {
            assert!(limits.take(who, 1_000).is_ok());
        }
        let Err(Error::TooFast { wait_ms }) = limits.take(who, 1_000) else { panic!("too fast") };
        assert!(limits.take(who, 1_000 + wait_ms * 1_000).is_ok());
        assert!(limits.take(who, 1_000 + wait_ms * 1_000).is_err());
    }
}
