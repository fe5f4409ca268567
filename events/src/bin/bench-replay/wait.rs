//! The same waits without sending: what the machine itself is late by.

use policy::sketch::Sketch;
use rustix::thread::{clock_nanosleep_absolute, set_current_timer_slack};
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde_json::json;

use crate::{Failed, Plan};

/// Waits for each moment at which a send would be due, as an engine would at best.
pub(crate) fn wait(plan: &Plan) -> Result<(), Failed> {
    set_current_timer_slack(std::num::NonZeroU64::new(1))?;
    let mut late = Sketch::default();
    let began_ns = now_ns();
    for number in 0..plan.rate * plan.seconds {
        let due_ns = began_ns + number * 1_000_000_000 / plan.rate;
        let sleep_ns = due_ns - plan.spin_ns.min(due_ns);
        if now_ns() < sleep_ns {
            let until = Timespec {
                tv_sec: i64::try_from(sleep_ns / 1_000_000_000)?,
                tv_nsec: i64::try_from(sleep_ns % 1_000_000_000)?,
            };
            let _ = clock_nanosleep_absolute(ClockId::Monotonic, &until);
        }
        let mut at_ns = now_ns();
        while at_ns < due_ns {
            std::hint::spin_loop();
            at_ns = now_ns();
        }
        late.add(at_ns - due_ns);
    }
    println!("{}", json!({ "late": events::replay::report::Times::of(&late) }));
    Ok(())
}

fn now_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let part = |number: i64| u64::try_from(number).unwrap_or(0);
    part(time.tv_sec) * 1_000_000_000 + part(time.tv_nsec)
}
