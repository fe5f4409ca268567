//! Made loads: what least cost promises everywhere. Loads of such kinds, from other seeds, were
//! looked at when the way of widening windows was chosen.
//!
//! Always true: what is held is what it weighs, cold starts and idle memory together; a hybrid
//! that spends more memory may have fewer cold starts.

use policy::warmth::{Policy, worth_ms};
use sim::replay::{self, COLD_MS};
use sim::report::Report;
use sim::{grid, trace::Trace};

use super::{Compared, compare, load};

/// Cold starts by what they are worth, together with idle memory. A cold start is worth the same
/// memory of a large instance for a short time as of a small one for long.
fn cost(report: &Report, worth_kib_ms: u128) -> u128 {
    u128::from(report.cold) * worth_kib_ms + report.idle_kib_ms
}

fn tell(what: &str, compared: &Compared, worth_kib_ms: u128) -> [u128; 2] {
    let Compared { fixed, hybrid, least_cost } = compared;
    let of_fixed = |report| cost(report, worth_kib_ms) * 1_000 / cost(fixed, worth_kib_ms);
    let costs = [of_fixed(hybrid), of_fixed(least_cost)];
    println!("{what:28} cost of hybrid and least cost, of 1000 of fixed: {costs:?}");
    costs
}

#[test]
fn least_cost_costs_less_than_the_hybrid_on_made_loads() {
    for (name, way) in load::WAYS {
        for seed in 1..=2 {
            let trace: Trace = load::make(name, way, seed);
            let what = format!("grid, {name}, {seed}");
            let on_grid = compare(&what, |policy: Policy| grid::play(&trace, policy));
            let costs = tell(&what, &on_grid, u128::from(grid::WORTH_MS) * 1024);
            assert!(costs[1] < costs[0], "{what}");
            let what = format!("each call, {name}, {seed}");
            let settings = replay::Settings { seed, ..replay::Settings::default() };
            let by_call = compare(&what, |policy| replay::replay(&trace, policy, &settings));
            let costs = tell(&what, &by_call, u128::from(worth_ms(COLD_MS, 1024)) * 1024);
            assert!(costs[1] < costs[0], "{what}");
        }
    }
}

#[test]
fn a_load_is_made_from_its_seed() {
    let (name, way) = load::WAYS[0];
    assert_eq!(load::make(name, way, 1), load::make(name, way, 1));
    assert_ne!(load::make(name, way, 1), load::make(name, way, 2));
    assert_eq!(load::make(name, way, 1).length(), 2 * 1_440);
}
