//! Sign-ins for the demo, generated: the same ones each time.

use api::streams::EventLabel;
use serde_json::{Value, json};

/// Sign-ins, ten a second as they happened.
const COUNT: u64 = 900;
const EVERY_MS: u64 = 100;
/// Where chance begins.
const SEED: u64 = 0x0005_163f_1e5a_a917;
/// One in so many turns out otherwise than anybody could have told.
const ODD: u64 = 50;

/// A sign-in, and whether it turned out to be an attack.
#[derive(Debug)]
pub(super) struct Recorded {
    number: u64,
    user: u64,
    country: &'static str,
    failures: u64,
    new_device: bool,
    pub(super) risky: bool,
}

/// The sign-ins.
pub(super) fn recorded() -> Vec<Recorded> {
    let mut state = SEED;
    // SplitMix64 (Steele, Lea and Flood, 2014).
    let mut chance = move |below: u64| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = state;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % below
    };
    let one = |number: u64| {
        let country = ["no", "no", "no", "se", "de"][usize::try_from(chance(5)).unwrap_or(0)];
        let (failures, new_device) = (chance(7), chance(4) == 0);
        let strange = country != "no" || new_device;
        let risky = (failures >= 3 && strange) != (chance(ODD) == 0);
        Recorded { number, user: chance(80), country, failures, new_device, risky }
    };
    (0..COUNT).map(one).collect()
}

impl Recorded {
    /// What a model is given.
    pub(super) fn data(&self) -> Value {
        let Self { user, country, failures, new_device, .. } = self;
        json!({
            "user": format!("user-{user}"), "country": country, "failures": failures,
            "new_device": new_device,
        })
    }

    /// As an event of `CloudEvents`.
    pub(super) fn event(&self) -> Value {
        let (second, ms) = (self.number * EVERY_MS / 1_000, self.number * EVERY_MS % 1_000);
        let time = format!("2026-11-23T08:{:02}:{:02}.{ms:03}Z", second / 60, second % 60);
        json!({
            "specversion": "1.0", "id": format!("signin-{}", self.number), "source": "/demo",
            "type": "sign-in", "time": time, "subject": format!("user-{}", self.user),
            "region": self.country, "datacontenttype": "application/json", "data": self.data(),
        })
    }

    /// What it turned out to be.
    pub(super) fn label(&self) -> EventLabel {
        let id = format!("signin-{}", self.number);
        EventLabel { source: "/demo".to_owned(), id, label: self.risky.to_string() }
    }
}
