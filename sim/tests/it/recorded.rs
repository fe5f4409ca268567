//! Recorded loads: eight hours of 500 functions, found beside the checkout.
//!
//! Always true: the halves of the time are held to less than the whole, by which the worth of a cold
//! start among several calls was chosen.

use std::fs;
use std::path::Path;

use policy::warmth::Policy;
use sim::report::Report;
use sim::trace::{MINUTE_MS, Trace};
use sim::{grid, replay};

use super::{Compared, compare};

/// The load, if its files are there.
pub(super) fn azure() -> Option<Trace> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/traces");
    let read = |name: &str| fs::read_to_string(folder.join(format!("azure2019_500f_{name}.csv")));
    let Ok(calls) = read("8h_invocations") else {
        println!("SKIPPED: there are no traces in {}", folder.display());
        return None;
    };
    let mut trace = Trace::read(&calls).unwrap();
    trace.tell_durations(&read("durations_ms").unwrap()).unwrap();
    trace.tell_memory(&read("memory_mb").unwrap()).unwrap();
    Some(trace)
}

fn each_call(trace: &Trace) -> impl Fn(Policy) -> Report {
    |policy| replay::replay(trace, policy, &replay::Settings::default())
}

#[test]
fn fixed_times_on_the_grid_are_as_published() {
    let Some(trace) = azure() else { return };
    let play = |minutes| grid::play(&trace, Policy::Fixed { keep_ms: minutes * MINUTE_MS });
    let ten = play(10);
    for (minutes, cold, share, idle) in [
        (1, 19_668, 1_000_000, 443),
        (10, 2_488, 1_000_000, 1_000),
        (60, 637, 250_000, 1_357),
        (120, 546, 166_666, 1_450),
    ] {
        let report = play(minutes);
        assert_eq!((report.cold, report.cold_share_p75_ppm), (cold, share), "{minutes} min");
        assert_eq!(report.idle_kib_ms * 1_000 / ten.idle_kib_ms, idle, "{minutes} min");
    }
}

#[test]
fn least_cost_is_better_on_the_grid_in_all_three_measures() {
    let Some(trace) = azure() else { return };
    let compared = compare("grid", |policy| grid::play(&trace, policy));
    assert!(compared.is_better_in_all());
    // And than what was published of the hybrid: 889 cold starts, a quarter, 0.95.
    let Compared { least_cost, .. } = &compared;
    assert!(least_cost.cold < 889 && least_cost.cold_share_p75_ppm < 250_000);
    assert!(compared.idle_milli(least_cost) < 950);
}

#[test]
fn least_cost_is_better_call_by_call_in_all_three_measures() {
    let Some(trace) = azure() else { return };
    assert!(compare("each call", each_call(&trace)).is_better_in_all());
}

#[test]
fn least_cost_is_no_worse_on_halves_of_the_time() {
    let Some(trace) = azure() else { return };
    for (what, minutes) in [("first half", 0..240), ("second half", 240..480)] {
        let part = trace.minutes(minutes);
        let on_grid = compare(&format!("grid, {what}"), |policy| grid::play(&part, policy));
        let by_call = compare(&format!("each call, {what}"), each_call(&part));
        for Compared { hybrid, least_cost, .. } in [&on_grid, &by_call] {
            assert!(least_cost.cold < hybrid.cold, "{what}");
            assert!(least_cost.cold_share_p75_ppm <= hybrid.cold_share_p75_ppm, "{what}");
            assert!(least_cost.idle_kib_ms < hybrid.idle_kib_ms, "{what}");
        }
    }
}
