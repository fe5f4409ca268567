//! Synthetic events: drawn from recorded ones, for loads that were not recorded.
//!
//! An event is drawn with replacement, of each kind (region, group and type) as often as it was
//! recorded; the gaps between two are drawn likewise. Numbers in its data can be moved a little, and
//! members of it can be drawn apart from the rest.
//!
//! Always true: the same events, settings and seed give the same events; memory is bounded; what was
//! drawn says so, and has no label: it is load, and never evidence.
//! Absent on purpose: models of a distribution; an algorithm can make events too, and send them.

use std::collections::BTreeMap;

use policy::replay::word;
use serde_json::Value;

use crate::error::Error;
use crate::event::{Event, LABEL};
use crate::select::Selected;

/// Most events that are made at a time.
pub const SYNTHETIC_MAX: u64 = 1_000_000;
/// Kinds that are kept apart; what comes after is counted to the last one.
const KINDS_MAX: usize = 1_024;
/// Events of a kind that are drawn from: of more, so many at random.
const OF_KIND_MAX: usize = 1_000;
/// Bytes of events that are drawn from, in all.
const BYTES_MAX: usize = 256 << 20;
/// Gaps that are drawn from: of more, so many at random.
const GAPS_MAX: usize = 100_000;
/// Members of data that are drawn apart, at most.
pub const APART_MAX: usize = 64;
/// The whole, of which a number is moved by a part.
const WHOLE_PPM: u32 = 1_000_000;

/// How events are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Where chance begins.
    pub seed: u64,
    /// What they say their source is.
    pub source: String,
    /// When the first one happens, in Unix nanoseconds; when the first recorded one did where 0.
    pub start_ns: u64,
    /// By what part numbers in data are moved at most, up or down, in millionths.
    pub jitter_ppm: u32,
    /// Members of data, such as `amount` or `card.country`, that are drawn apart from the rest.
    pub apart: Vec<String>,
}

impl Settings {
    /// What is wrong with it, and what to do.
    fn fault(&self) -> Option<String> {
        if self.jitter_ppm > WHOLE_PPM {
            return Some("numbers can be moved by all of them at most: 100 %".to_owned());
        }
        if self.apart.len() > APART_MAX {
            return Some(format!("draw at most {APART_MAX} members apart"));
        }
        let is_name = |path: &&String| path.split('.').any(str::is_empty);
        let unnamed = self.apart.iter().find(is_name);
        unnamed.map(|path| format!("{path:?} names no member: write like amount or card.country"))
    }
}

/// What was recorded, to draw from.
#[derive(Clone, Debug, Default)]
pub struct Prior {
    kinds: Vec<Kind>,
    /// How many events there were of the kinds up to each.
    until: Vec<u64>,
    gaps_ns: Vec<u64>,
    first_ns: u64,
}

/// Events of a kind: some of them, and how many there were.
#[derive(Clone, Debug, Default)]
struct Kind {
    count: u64,
    events: Vec<Event>,
}

impl Prior {
    /// Learns from events in the order of their times.
    ///
    /// # Errors
    ///
    /// Those of the events; [`Error::Selection`] where there are none, or they are too large.
    pub fn learn(
        selected: impl Iterator<Item = Result<Selected, Error>>,
        seed: u64,
    ) -> Result<Self, Error> {
        let mut kinds: BTreeMap<(String, String, String), Kind> = BTreeMap::new();
        let (mut prior, mut bytes, mut chance) = (Self::default(), 0, Chance::new(seed, 0));
        let (mut last_ns, mut gaps) = (None, 0);
        for it in selected {
            let event = it?.event;
            let time_ns = event.time_ns;
            match last_ns.replace(time_ns) {
                None => prior.first_ns = time_ns,
                Some(last_ns) => {
                    gaps += 1;
                    let gap_ns = time_ns.saturating_sub(last_ns);
                    chance.keep(&mut prior.gaps_ns, gap_ns, gaps, GAPS_MAX);
                }
            }
            let mut key = (event.region.clone(), event.group.clone(), event.kind.clone());
            if kinds.len() >= KINDS_MAX && !kinds.contains_key(&key) {
                key = kinds.keys().next_back().cloned().unwrap_or(key);
            }
            let kind = kinds.entry(key).or_default();
            kind.count += 1;
            let length = prost::Message::encoded_len(&event);
            let gone = chance.keep(&mut kind.events, event, kind.count, OF_KIND_MAX);
            bytes = bytes + length - gone.map_or(0, |it| prost::Message::encoded_len(&it));
            if bytes > BYTES_MAX {
                let message = format!(
                    "there are more than {} MiB of them to draw from: select a share, such as id:1%",
                    BYTES_MAX >> 20
                );
                return Err(Error::Selection { message });
            }
        }
        if kinds.is_empty() {
            let message = "there are none to draw from".to_owned();
            return Err(Error::Selection { message });
        }
        prior.kinds = kinds.into_values().collect();
        let mut sum = 0;
        prior.until = prior
            .kinds
            .iter()
            .map(|kind| {
                sum += kind.count;
                sum
            })
            .collect();
        Ok(prior)
    }

    /// So many events, in the order of their times.
    ///
    /// # Errors
    ///
    /// [`Error::Selection`] where the settings cannot be meant, or they are too many.
    pub fn draw<'a>(
        &'a self,
        settings: &'a Settings,
        count: u64,
    ) -> Result<impl Iterator<Item = Event> + 'a, Error> {
        let too_many = || format!("make at most {SYNTHETIC_MAX} at a time");
        let fault = settings.fault().or_else(|| (count > SYNTHETIC_MAX).then(too_many));
        if let Some(message) = fault {
            return Err(Error::Selection { message });
        }
        let first_ns = if settings.start_ns == 0 { self.first_ns } else { settings.start_ns };
        let mut time_ns = first_ns;
        Ok((0..count).map(move |number| {
            // Each event has chance of its own, so that fewer of them are the first of more.
            let mut chance = Chance::new(settings.seed, number + 1);
            if number > 0 && !self.gaps_ns.is_empty() {
                let gap_ns = self.gaps_ns[chance.below(self.gaps_ns.len())];
                time_ns = time_ns.saturating_add(gap_ns);
            }
            self.one(settings, number, time_ns, &mut chance)
        }))
    }

    fn one(&self, settings: &Settings, number: u64, time_ns: u64, chance: &mut Chance) -> Event {
        let all = self.until.last().copied().unwrap_or(1);
        let place = chance.below_u64(all);
        let kind = &self.kinds[self.until.partition_point(|until| *until <= place)];
        let drawn = |chance: &mut Chance| &kind.events[chance.below(kind.events.len())];
        let mut event = drawn(chance).clone();
        event.time_ns = time_ns;
        event.id = format!("{:x}-{number}", settings.seed);
        event.source.clone_from(&settings.source);
        event.attributes.remove(LABEL);
        event.attributes.insert("synthetic".to_owned(), "true".to_owned());
        if settings.jitter_ppm == 0 && settings.apart.is_empty() {
            return event;
        }
        // Data that is no JSON stays as it is.
        let Ok(mut data) = serde_json::from_slice::<Value>(&event.data) else { return event };
        for path in &settings.apart {
            let other = serde_json::from_slice::<Value>(&drawn(chance).data).ok();
            let value = other.as_ref().and_then(|other| member(other, path));
            if let (Some(value), Some(place)) = (value, member_mut(&mut data, path)) {
                *place = value.clone();
            }
        }
        if settings.jitter_ppm > 0 {
            move_numbers(&mut data, settings.jitter_ppm, chance);
        }
        event.data = serde_json::to_vec(&data).unwrap_or_default().into();
        event
    }
}

fn member<'a>(data: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(data, |value, name| value.get(name))
}

fn member_mut<'a>(data: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    path.split('.').try_fold(data, |value, name| value.get_mut(name))
}

/// Moves each number by a part of itself; whole ones stay whole.
fn move_numbers(value: &mut Value, jitter_ppm: u32, chance: &mut Chance) {
    match value {
        Value::Array(values) => {
            for value in values {
                move_numbers(value, jitter_ppm, chance);
            }
        }
        Value::Object(members) => {
            for value in members.values_mut() {
                move_numbers(value, jitter_ppm, chance);
            }
        }
        Value::Number(number) => {
            let part = i128::from(chance.below_u64(2 * u64::from(jitter_ppm) + 1));
            let whole = i128::from(WHOLE_PPM);
            let factor = whole + part - i128::from(jitter_ppm);
            if let Some(exact) = number.as_i128() {
                let moved = (exact * factor).div_euclid(whole);
                let fits = i64::try_from(moved).map(Value::from);
                if let Ok(moved) = fits.or_else(|_| u64::try_from(moved).map(Value::from)) {
                    *value = moved;
                }
            } else if let Some(real) = number.as_f64() {
                #[expect(clippy::cast_precision_loss, reason = "below two millions")]
                let moved = real * (factor as f64) / f64::from(WHOLE_PPM);
                *value = Value::from(moved);
            }
        }
        _ => {}
    }
}

/// Chance: word after word, the same from the same beginning.
struct Chance {
    seed: u64,
    number: u64,
}

impl Chance {
    fn new(seed: u64, stream: u64) -> Self {
        Self { seed: word(seed, stream), number: 0 }
    }

    fn below_u64(&mut self, most: u64) -> u64 {
        self.number += 1;
        let wide = u128::from(word(self.seed, self.number)) * u128::from(most);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.below_u64(most as u64)).unwrap_or(0)
    }

    /// Keeps what comes among so many of all that came, each as likely as every other; gives what
    /// had to go. `count` counts what came, with this one. Source: Vitter, algorithm R, 1985.
    fn keep<T>(&mut self, kept: &mut Vec<T>, new: T, count: u64, most: usize) -> Option<T> {
        if kept.len() < most {
            kept.push(new);
            return None;
        }
        let place = self.below_u64(count);
        match usize::try_from(place).ok().and_then(|place| kept.get_mut(place)) {
            Some(old) => Some(std::mem::replace(old, new)),
            None => Some(new),
        }
    }
}

#[cfg(test)]
mod tests;
