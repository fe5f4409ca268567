//! What policies of keeping instances warm would have cost, on recorded loads and on made ones.
//!
//! Always true: the tests print what they compare, so that the tables can be read with
//! `--nocapture`; recorded loads stay where they are, and a test that finds none says so.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests, that tell what they compare")]

#[path = "../../src/bin/bench-unseen/load.rs"]
mod load;
mod made;
mod recorded;
#[path = "../../src/bin/bench-unseen/samples.rs"]
mod samples;
mod unseen;

use policy::warmth::{FIXED_MS, Policy};
use sim::report::Report;

/// Reports of a fixed time, of the hybrid and of least cost on one load.
struct Compared {
    fixed: Report,
    hybrid: Report,
    least_cost: Report,
}

fn compare(what: &str, run: impl Fn(Policy) -> Report) -> Compared {
    let compared = Compared {
        fixed: run(Policy::Fixed { keep_ms: FIXED_MS }),
        hybrid: run(Policy::Hybrid),
        least_cost: run(Policy::LeastCost),
    };
    for (policy, report) in [
        ("fixed", &compared.fixed),
        ("hybrid", &compared.hybrid),
        ("least cost", &compared.least_cost),
    ] {
        println!(
            "{what:28} {policy:10} cold {:7} p75 {:7} ppm idle {:5} of 1000",
            report.cold,
            report.cold_share_p75_ppm,
            compared.idle_milli(report),
        );
    }
    compared
}

impl Compared {
    /// Idle memory in thousandths of that of the fixed time.
    fn idle_milli(&self, report: &Report) -> u128 {
        report.idle_kib_ms * 1_000 / self.fixed.idle_kib_ms.max(1)
    }

    /// Whether least cost is better than the hybrid in each of the three measures.
    fn is_better_in_all(&self) -> bool {
        let (least_cost, hybrid) = (&self.least_cost, &self.hybrid);
        least_cost.cold < hybrid.cold
            && least_cost.cold_share_p75_ppm < hybrid.cold_share_p75_ppm
            && least_cost.idle_kib_ms < hybrid.idle_kib_ms
    }
}
