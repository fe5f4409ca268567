//! Features: what is known about a sign-in at its moment, as the numbers a model eats.
//!
//! Always true: a feature depends on the event and on earlier events alone; only successful
//! sign-ins make an address, network, country, agent or device familiar; everything remembered
//! has a limit. The order and meaning of the features is the contract between trainer and caller.

use std::collections::{HashMap, VecDeque};

use crate::event::Event;
use crate::time::{self, DAY_MS};

/// The features, in order.
pub(crate) const NAMES: [&str; 16] = [
    "hour_sin",
    "hour_cos",
    "weekend",
    "failed",
    "address_failures_1m",
    "address_failures_1h",
    "address_users_1h",
    "user_failures_1h",
    "new_address",
    "new_network",
    "new_country",
    "new_agent",
    "new_device",
    "unknown_user",
    "first_sign_in",
    "round_trip",
];

/// How many features there are.
pub(crate) const COUNT: usize = NAMES.len();

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;

/// Attempts remembered per address and per user: more than this in an hour is an attack anyway.
const ATTEMPTS_MAX: usize = 256;

/// Familiar values remembered per user and column; the oldest is forgotten first.
const FAMILIAR_MAX: usize = 32;

/// An event as numbers, with what it really was.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) index: u64,
    pub(crate) user: String,
    pub(crate) features: [f32; COUNT],
    pub(crate) risky: bool,
}

/// The features of every event, oldest first.
pub(crate) fn of_events(mut events: Vec<Event>) -> Vec<Row> {
    events.sort_by_key(|event| event.at_ms);
    let mut past = Past::default();
    let row = |event: Event| Row {
        index: event.index,
        features: past.next(&event),
        risky: event.attack || event.takeover,
        user: event.user,
    };
    events.into_iter().map(row).collect()
}

/// What is remembered of earlier events.
#[derive(Default)]
pub(crate) struct Past {
    users: HashMap<u64, User>,
    addresses: HashMap<u64, VecDeque<Attempt>>,
}

#[derive(Default)]
struct User {
    signed_in: bool,
    failures: VecDeque<Attempt>,
    /// Address, network, country, agent, device.
    familiar: [VecDeque<u64>; 5],
}

#[derive(Clone, Copy)]
struct Attempt {
    at_ms: i64,
    user: u64,
    failed: bool,
}

impl Past {
    /// The features of an event that is no older than any seen before; it becomes part of the past.
    pub(crate) fn next(&mut self, event: &Event) -> [f32; COUNT] {
        let attempt =
            Attempt { at_ms: event.at_ms, user: hash(&event.user), failed: !event.successful };
        let by_address = self.addresses.entry(hash(&event.address)).or_default();
        let from_address = counts(by_address, attempt);
        remember(by_address, attempt, ATTEMPTS_MAX);

        let known = !event.user.is_empty();
        let user = self.users.entry(attempt.user).or_default();
        let of_user = if known { counts(&mut user.failures, attempt) } else { Counts::default() };
        let values = [&event.address, &event.network, &event.country, &event.agent, &event.device];
        let news = user.news(values);
        if known {
            user.learn(values, attempt);
        }
        let first = !known || news.is_none();
        let [address, network, country, agent, device] = news.unwrap_or_default();
        let [hour_sin, hour_cos, weekend] = clock(event.at_ms);
        [
            hour_sin,
            hour_cos,
            weekend,
            truth(attempt.failed),
            log(from_address.minute_failures),
            log(from_address.hour_failures),
            log(from_address.users),
            log(of_user.hour_failures),
            truth(address),
            truth(network),
            truth(country),
            truth(agent),
            truth(device),
            truth(!known),
            truth(first),
            log(event.round_trip_ms.map_or(0, |ms| usize::try_from(ms).unwrap_or(usize::MAX))),
        ]
    }
}

impl User {
    /// Which values are new for a user who has signed in before; none for one who has not.
    fn news(&self, values: [&String; 5]) -> Option<[bool; 5]> {
        self.signed_in.then(|| {
            std::array::from_fn(|at| {
                says(values[at]) && !self.familiar[at].contains(&hash(values[at]))
            })
        })
    }

    fn learn(&mut self, values: [&String; 5], attempt: Attempt) {
        if attempt.failed {
            remember(&mut self.failures, attempt, ATTEMPTS_MAX);
            return;
        }
        self.signed_in = true;
        for (familiar, value) in self.familiar.iter_mut().zip(values) {
            if says(value) && !familiar.contains(&hash(value)) {
                remember(familiar, hash(value), FAMILIAR_MAX);
            }
        }
    }
}

/// What happened lately.
#[derive(Default)]
struct Counts {
    minute_failures: usize,
    hour_failures: usize,
    /// Users tried in the last hour.
    users: usize,
}

/// What happened in the hour before `now`; forgets what is older.
fn counts(attempts: &mut VecDeque<Attempt>, now: Attempt) -> Counts {
    while attempts.front().is_some_and(|first| first.at_ms <= now.at_ms - HOUR_MS) {
        attempts.pop_front();
    }
    let recent = |attempt: &&Attempt| attempt.at_ms > now.at_ms - MINUTE_MS;
    let failures = attempts.iter().filter(|attempt| attempt.failed);
    let mut users: Vec<u64> = attempts.iter().map(|attempt| attempt.user).collect();
    users.sort_unstable();
    users.dedup();
    Counts {
        minute_failures: failures.clone().filter(recent).count(),
        hour_failures: failures.count(),
        users: users.len(),
    }
}

fn remember<T>(memory: &mut VecDeque<T>, item: T, most: usize) {
    if memory.len() == most {
        memory.pop_front();
    }
    memory.push_back(item);
}

/// Whether a column says anything: the data set writes `-` where it does not know.
fn says(value: &str) -> bool {
    !matches!(value, "" | "-")
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "milliseconds of a day fit an f64; the model eats f32"
)]
fn clock(at_ms: i64) -> [f32; 3] {
    let turn = time::civil(at_ms).ms_of_day as f64 / DAY_MS as f64 * std::f64::consts::TAU;
    // 1970-01-01 was a Thursday.
    let weekday = (at_ms.div_euclid(DAY_MS) + 3).rem_euclid(7);
    [turn.sin() as f32, turn.cos() as f32, truth(weekday >= 5)]
}

fn truth(truth: bool) -> f32 {
    f32::from(u8::from(truth))
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "counts are small; the model eats f32"
)]
fn log(count: usize) -> f32 {
    (count as f64).ln_1p() as f32
}

/// FNV-1a, 64 bits: short, and the same everywhere.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate;

    fn at(name: &str) -> usize {
        NAMES.iter().position(|known| *known == name).unwrap()
    }

    fn event(at_ms: i64, user: &str, address: &str, successful: bool) -> Event {
        let mut event = generate::events(1, 1).unwrap().remove(0);
        event.at_ms = at_ms;
        event.user = user.to_owned();
        event.address = address.to_owned();
        event.successful = successful;
        event
    }

    #[test]
    fn only_success_makes_an_address_familiar() {
        let rows = of_events(vec![
            event(0, "7", "10.0.0.1", true),
            event(1, "7", "10.0.0.2", false),
            event(2, "7", "10.0.0.2", true),
            event(3, "7", "10.0.0.2", true),
        ]);
        let new: Vec<f32> = rows.iter().map(|row| row.features[at("new_address")]).collect();
        assert_eq!(new, [0.0, 1.0, 1.0, 0.0]);
        let first: Vec<f32> = rows.iter().map(|row| row.features[at("first_sign_in")]).collect();
        assert_eq!(first, [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn failures_of_an_address_are_forgotten_in_time() {
        let times = [0, 10_000, 59_999, 60_000, 3_600_000];
        let rows = of_events(times.map(|ms| event(ms, "", "10.0.0.9", false)).to_vec());
        let minute: Vec<f32> =
            rows.iter().map(|row| row.features[at("address_failures_1m")].exp_m1()).collect();
        for (seen, expected) in minute.iter().zip([0.0, 1.0, 2.0, 2.0, 0.0]) {
            assert!((seen - expected).abs() < 1e-5, "{minute:?}");
        }
        let hour = rows[4].features[at("address_failures_1h")].exp_m1();
        assert!((hour - 3.0).abs() < 1e-5, "{hour}");
        assert!(rows.iter().all(|row| row.features[at("unknown_user")] > 0.5));
    }

    #[test]
    fn later_events_change_nothing_about_earlier_ones() {
        let events = generate::events(3, 400).unwrap();
        let all = of_events(events.clone());
        assert_eq!(of_events(events[..250].to_vec()), all[..250]);
        assert!(all.iter().flat_map(|row| row.features).all(f32::is_finite));
    }
}
