use std::sync::{Arc, Mutex};

use api::identity::{Authority, Process, SigningRequest, Validity};

use super::*;

const START_MS: u64 = 1_760_000_000_000;
const HOUR_MS: u64 = 3_600_000;
/// A short one: every minute of it is looked at.
const LIFETIME_MS: u64 = 24 * HOUR_MS;

/// Makes certificates while it is there; remembers when each was asked for.
struct Fake {
    authority: Arc<Authority>,
    clock: Clock,
    asked: Arc<Mutex<Vec<u64>>>,
    /// Until then it is away.
    away_until_ms: u64,
}

impl Fake {
    fn make(&self) -> Identity {
        let request = SigningRequest::new().unwrap();
        let validity = Validity { now_ms: self.clock.now_ms(), lifetime_ms: LIFETIME_MS };
        let name = "front-1".parse().unwrap();
        let made = self.authority.sign(&request.request_pem, Process::Gateway, &name, validity);
        Identity { certificate_pem: made.unwrap(), key_pem: request.key_pem }
    }
}

impl Source for Fake {
    fn next(&mut self) -> BoxFuture<'_, Result<Identity, Failure>> {
        Box::pin(async {
            let now_ms = self.clock.now_ms();
            self.asked.lock().unwrap().push(now_ms - START_MS);
            if now_ms < self.away_until_ms {
                return Err(Failure::unavailable("control is away"));
            }
            Ok(self.make())
        })
    }

    fn cure(&self) -> String {
        "enrol again".to_owned()
    }
}

/// When certificates were asked for, since the start, in the time that passes; and whether it goes
/// on after that.
async fn asked(away_ms: u64, pass_ms: u64) -> (Vec<u64>, bool) {
    let (clock, time) = Clock::manual(START_MS);
    let tasks = Tasks::new();
    let asked = Arc::default();
    let authority = Arc::new(Authority::create(START_MS).unwrap());
    let away_until_ms = START_MS + away_ms;
    let (asks, now) = (Arc::clone(&asked), clock.clone());
    let source = Fake { authority, clock: now, asked: asks, away_until_ms };
    let first = source.make();
    let shown = Shown::new(&first).unwrap();
    spawn(source, &shown, &first, (&clock, &tasks)).unwrap();
    time.pass_ms(pass_ms).await;
    let goes_on = !tasks.running().is_empty();
    tasks.stop(1_000).await;
    let asked = asked.lock().unwrap().clone();
    (asked, goes_on)
}

#[tokio::test]
async fn a_certificate_is_replaced_before_its_end_again_and_again() {
    let (asked, goes_on) = asked(0, 3 * LIFETIME_MS).await;
    assert!(goes_on && (3..=4).contains(&asked.len()), "{asked:?}");
    let mut before_ms = 0;
    for at_ms in asked {
        let age_ms = at_ms - before_ms;
        let due = LIFETIME_MS * 2 / 3..=LIFETIME_MS * 3 / 4 + LOOK_MS;
        assert!(due.contains(&age_ms), "{age_ms}");
        before_ms = at_ms;
    }
}

#[tokio::test]
async fn while_control_is_away_it_is_asked_again_and_again() {
    let (asked, goes_on) = asked(20 * HOUR_MS, LIFETIME_MS + HOUR_MS).await;
    assert!(goes_on);
    let last_ms = *asked.last().unwrap();
    assert!(asked.len() > 5 && last_ms >= 20 * HOUR_MS, "{asked:?}");
    assert!(last_ms <= 20 * HOUR_MS + SETTINGS.pause_ms_max + LOOK_MS, "{last_ms}");
}

#[tokio::test]
async fn a_certificate_that_is_over_is_given_up() {
    let (asked, goes_on) = asked(u64::MAX / 4, 2 * LIFETIME_MS).await;
    assert!(!goes_on);
    assert!(*asked.last().unwrap() < LIFETIME_MS);
}
