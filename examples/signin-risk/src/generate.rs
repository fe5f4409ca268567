//! Made-up sign-ins: people who come back, mistype and travel, and attackers among them.
//!
//! Always true: the same seed and number of rows give the same events; time never goes back.
//! Attackers guess one user's password, spray one password over many users, or try stolen pairs;
//! a few of them look almost ordinary, and a few ordinary people come through an attacker's
//! address, so that no model can be right about everything.

use crate::Failure;
use crate::event::{EVENTS_MAX, Event};
use crate::random::Random;

/// 2020-02-03, a Monday: where the public data set begins.
const START_MS: i64 = 1_580_688_000_000;

/// Country, region, city, network, usual round trip in milliseconds.
const PLACES: [(&str, &str, &str, &str, u64); 8] = [
    ("NO", "Vestland", "Bergen", "29695", 30),
    ("NO", "Oslo", "Oslo", "2119", 20),
    ("NO", "Rogaland", "Stavanger", "15659", 35),
    ("SE", "Stockholm", "Stockholm", "3301", 45),
    ("DE", "Berlin", "Berlin", "3320", 60),
    ("GB", "England", "London", "2856", 55),
    ("US", "New York", "New York", "393398", 130),
    ("AU", "New South Wales", "Sydney", "1221", 310),
];

/// Where attackers' addresses are.
const ATTACKER_PLACES: [(&str, &str, &str, &str, u64); 5] = [
    ("US", "-", "-", "398986", 140),
    ("RU", "-", "-", "60117", 90),
    ("CN", "-", "-", "4134", 260),
    ("BR", "-", "-", "28573", 230),
    ("NL", "-", "-", "49981", 50),
];

/// User agent, browser, system, device.
const DEVICES: [(&str, &str, &str, &str); 8] = [
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/79.0.3945.130",
        "Chrome 79.0.3945",
        "Windows 10",
        "desktop",
    ),
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:72.0) Firefox/72.0",
        "Firefox 72.0",
        "Windows 10",
        "desktop",
    ),
    (
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_2) Safari/604.1",
        "Safari 13.0.4",
        "Mac OS X 10.15.2",
        "desktop",
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:72.0) Firefox/72.0", "Firefox 72.0", "Linux", "desktop"),
    (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 13_3) Mobile/15E148",
        "Mobile Safari 13.0.4",
        "iOS 13.3",
        "mobile",
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; Pixel 3) Chrome/79.0.3945.116 Mobile",
        "Chrome Mobile 79.0.3945",
        "Android 10",
        "mobile",
    ),
    (
        "Mozilla/5.0 (Linux; Android 9; SM-G960F) Chrome/79.0.3945.116 Mobile",
        "Chrome Mobile 79.0.3945",
        "Android 9",
        "mobile",
    ),
    ("Mozilla/5.0 (iPad; CPU OS 13_3) Mobile/15E148", "Mobile Safari 13.0.4", "iOS 13.3", "tablet"),
];

/// What attackers' programs say of themselves.
const BOTS: [(&str, &str, &str, &str); 3] = [
    ("python-requests/2.22.0", "Python Requests 2.22", "Other", "unknown"),
    (
        "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/79.0.3945.79",
        "HeadlessChrome 79.0.3945",
        "Linux",
        "bot",
    ),
    ("Mozilla/5.0 (Windows NT 6.1) Chrome/41.0.2227.0", "Chrome 41.0.2227", "Windows 7", "desktop"),
];

/// The first `rows` events of the world that `seed` makes.
pub(crate) fn events(seed: u64, rows: u64) -> Result<Vec<Event>, Failure> {
    if rows > EVENTS_MAX {
        return Err(Failure(format!("--rows is at most {EVENTS_MAX}")));
    }
    let mut world = World::new(seed, rows);
    // Sessions overlap, so a few more than asked for are made before the first ones are final.
    let mut events = Vec::new();
    let mut final_until_ms = START_MS;
    while (events.partition_point(|event: &Event| event.at_ms < final_until_ms) as u64) < rows {
        for _ in 0..=rows / 4 {
            world.session(&mut events);
        }
        final_until_ms = world.now_ms;
        events.sort_by_key(|event| event.at_ms);
    }
    events.truncate(usize::try_from(rows).unwrap_or(usize::MAX));
    for (event, index) in events.iter_mut().zip(0..) {
        event.index = index;
    }
    Ok(events)
}

/// Where an attempt comes from.
#[derive(Clone)]
struct Origin {
    address: String,
    place: (&'static str, &'static str, &'static str, &'static str, u64),
}

struct Person {
    id: String,
    home: Origin,
    work: Origin,
    devices: [usize; 2],
}

struct World {
    chance: Random,
    now_ms: i64,
    people: Vec<Person>,
    attackers: Vec<Origin>,
}

impl World {
    fn new(seed: u64, rows: u64) -> Self {
        let mut chance = Random::new(seed);
        let people = (0..(rows / 40).clamp(10, 20_000)).map(|_| Person::new(&mut chance)).collect();
        let attacker = |chance: &mut Random| Origin {
            address: format!("198.18.{}.{}", chance.below(256), chance.between(1, 254)),
            place: *chance.pick(&ATTACKER_PLACES),
        };
        let attackers = (0..60).map(|_| attacker(&mut chance)).collect();
        Self { chance, now_ms: START_MS, people, attackers }
    }

    /// One person's or attacker's attempts, starting at a later moment than the last session's.
    fn session(&mut self, events: &mut Vec<Event>) {
        let at_night = self.now_ms.rem_euclid(86_400_000) / 3_600_000 < 6;
        let gap_ms_max = if at_night { 600_000 } else { 90_000 };
        self.now_ms += self.chance.between(1_000, gap_ms_max).cast_signed();
        match self.chance.below(1_000) {
            0..8 => self.guessing(events),
            8..15 => self.spraying(events),
            15..30 => self.stuffing(events),
            _ => self.ordinary(events),
        }
    }

    fn ordinary(&mut self, events: &mut Vec<Event>) {
        let chance = &mut self.chance;
        let person = chance.pick(&self.people);
        let through_attacker = chance.chance(2_000);
        let origin = match chance.below(1_000) {
            _ if through_attacker => chance.pick(&self.attackers).clone(),
            0..700 => person.home.clone(),
            700..945 => person.work.clone(),
            945..985 => Origin { address: any_address(chance), place: person.home.place },
            _ => Origin { address: any_address(chance), place: *chance.pick(&PLACES) },
        };
        let device = match chance.below(1_000) {
            0..760 => &DEVICES[person.devices[0]],
            760..980 => &DEVICES[person.devices[1]],
            _ => chance.pick(&DEVICES),
        };
        let (failures, gives_up) = match chance.below(1_000) {
            0..930 => (0, false),
            930..990 => (chance.between(1, 3), false),
            _ => (chance.between(2, 4), true),
        };
        let attempts = failures + u64::from(!gives_up);
        let user = person.id.clone();
        let mut at_ms = self.now_ms;
        for attempt in 0..attempts {
            let mut event = self.attempt(at_ms, &origin, device);
            event.user.clone_from(&user);
            event.successful = attempt >= failures;
            event.attack = through_attacker;
            events.push(event);
            at_ms += self.chance.between(2_000, 15_000).cast_signed();
        }
    }

    /// Many passwords for one user, from one address.
    fn guessing(&mut self, events: &mut Vec<Event>) {
        let origin = self.chance.pick(&self.attackers).clone();
        let bot = self.chance.pick(&BOTS);
        let user = self.target(200_000);
        let attempts = self.chance.between(5, 25);
        let gets_in = !user.is_empty() && self.chance.chance(30_000);
        let mut at_ms = self.now_ms;
        for attempt in 1..=attempts {
            let gets_in = gets_in && attempt == attempts;
            self.attack(events, (at_ms, &origin, bot), &user, gets_in);
            at_ms += self.chance.between(400, 4_000).cast_signed();
        }
    }

    /// One password for many users, from one address.
    fn spraying(&mut self, events: &mut Vec<Event>) {
        let origin = self.chance.pick(&self.attackers).clone();
        let bot = self.chance.pick(&BOTS);
        let mut at_ms = self.now_ms;
        for _ in 0..self.chance.between(5, 30) {
            let user = self.target(350_000);
            let gets_in = !user.is_empty() && self.chance.chance(10_000);
            self.attack(events, (at_ms, &origin, bot), &user, gets_in);
            at_ms += self.chance.between(1_000, 20_000).cast_signed();
        }
    }

    /// A stolen pair, from an address that may look like the user's own.
    fn stuffing(&mut self, events: &mut Vec<Event>) {
        let mut origin = self.chance.pick(&self.attackers).clone();
        let mut device = self.chance.pick(&BOTS);
        let person = self.chance.pick(&self.people);
        let user = person.id.clone();
        if self.chance.chance(150_000) {
            origin.place = person.home.place;
            device = &DEVICES[person.devices[0]];
        }
        let mut at_ms = self.now_ms;
        for _ in 0..self.chance.between(1, 2) {
            let gets_in = self.chance.chance(300_000);
            self.attack(events, (at_ms, &origin, device), &user, gets_in);
            at_ms += self.chance.between(3_000, 60_000).cast_signed();
        }
    }

    /// A user to attack; nobody the system knows in `unknown_ppm` of a million cases.
    fn target(&mut self, unknown_ppm: u64) -> String {
        if self.chance.chance(unknown_ppm) {
            return String::new();
        }
        self.chance.pick(&self.people).id.clone()
    }

    fn attack(
        &mut self,
        events: &mut Vec<Event>,
        (at_ms, origin, device): (i64, &Origin, &(&str, &str, &str, &str)),
        user: &str,
        gets_in: bool,
    ) {
        let mut event = self.attempt(at_ms, origin, device);
        user.clone_into(&mut event.user);
        event.successful = gets_in;
        event.attack = true;
        event.takeover = gets_in;
        events.push(event);
    }

    /// An attempt by nobody, from here, with this device.
    fn attempt(
        &mut self,
        at_ms: i64,
        origin: &Origin,
        &(agent, browser, system, device): &(&str, &str, &str, &str),
    ) -> Event {
        let (country, region, city, network, usual_ms) = origin.place;
        let measured = self.chance.chance(600_000);
        let round_trip_ms = usual_ms + self.chance.below(usual_ms / 2 + 10);
        Event {
            index: 0,
            at_ms,
            user: String::new(),
            round_trip_ms: u32::try_from(round_trip_ms).ok().filter(|_| measured),
            address: origin.address.clone(),
            country: country.to_owned(),
            region: region.to_owned(),
            city: city.to_owned(),
            network: network.to_owned(),
            agent: agent.to_owned(),
            browser: browser.to_owned(),
            system: system.to_owned(),
            device: device.to_owned(),
            successful: false,
            attack: false,
            takeover: false,
        }
    }
}

impl Person {
    fn new(chance: &mut Random) -> Self {
        let place = *chance.pick(&PLACES);
        let device = |chance: &mut Random| {
            usize::try_from(chance.below(DEVICES.len() as u64)).unwrap_or_default()
        };
        Self {
            id: chance.any().cast_signed().to_string(),
            home: Origin { address: any_address(chance), place },
            work: Origin { address: any_address(chance), place },
            devices: [device(chance), device(chance)],
        }
    }
}

fn any_address(chance: &mut Random) -> String {
    format!("10.{}.{}.{}", chance.below(256), chance.below(256), chance.between(1, 254))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_world() {
        assert_eq!(events(5, 300).unwrap(), events(5, 300).unwrap());
        assert_ne!(events(5, 300).unwrap(), events(6, 300).unwrap());
    }

    #[test]
    fn time_never_goes_back_and_both_kinds_are_there() {
        let events = events(1, 4_000).unwrap();
        assert_eq!(events.len(), 4_000);
        assert!(events.is_sorted_by_key(|event| event.at_ms));
        let attacks = events.iter().filter(|event| event.attack).count();
        assert!((400..1_600).contains(&attacks), "{attacks}");
        assert!(events.iter().any(|event| event.takeover));
        assert!(events.iter().any(|event| event.user.is_empty()));
        assert!(!events.iter().any(|event| event.takeover && !event.successful));
    }
}
