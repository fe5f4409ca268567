//! One run, and what it came to.

use std::sync::Arc;

use events::replay::report::Times;
use events::replay::{Address, Form, FromJson, Labelled, Plan, Posts, Run, Variant};
use policy::replay::schedule::{Mode, Settings};
use policy::replay::{Ratio, UHZ};
use serde_json::json;
use workflow::Clock;

use crate::Failed;

const SECOND_NS: u64 = 1_000_000_000;

/// Sends events at the rate of the plan, and says what came of it.
pub(crate) fn run(plan: &crate::Plan, address: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let address = if address.starts_with('/') {
        Address::Unix(address.into())
    } else {
        Address::Tcp(address.parse()?)
    };
    let variant = Variant {
        name: "target".to_owned(),
        address,
        host: "target".to_owned(),
        path: "/".to_owned(),
        headers: Vec::new(),
    };
    let settings = Settings {
        mode: Mode::Constant { rate_uhz: plan.rate * UHZ },
        duration_ns: plan.seconds * SECOND_NS,
        factor: Ratio::ONE,
    };
    let mut wanted = Plan::new("bench", &folder.path().join("run"), vec![variant], settings);
    wanted.spin_ns = plan.spin_ns;
    wanted.warm = 64;
    let data = "x".repeat(plan.bytes);
    let event = events::Event {
        id: "an-event-of-some-stream".to_owned(),
        source: "/bench".to_owned(),
        kind: "bench.event".to_owned(),
        region: "here".to_owned(),
        content_type: "application/json".to_owned(),
        data: data.into(),
        ..events::Event::default()
    };
    let label: Option<Arc<str>> = Some("yes".into());
    let sent = (0_u64..).map(move |sequence| {
        let time_ns = 1_700_000_000 * SECOND_NS + sequence * 1_000;
        let event = events::Event { time_ns, ..event.clone() };
        let facts = policy::replay::Event { time_ns, sequence, stratum: 0 };
        Ok((facts, Labelled { event, label: label.clone() }))
    });
    let judge = FromJson::default();
    let posts = Posts { form: Form::CloudEvents };
    let finished = Run::start(wanted, &Clock::system(), sent, posts, judge)?.wait()?;
    let facts = finished.facts;
    let total = &finished.totals[0];
    println!(
        "{}",
        json!({
            "cpu_ns_per_send": finished.used.all_ns() / facts.sent.max(1), "used": finished.used,
            "asked": facts.asked, "sent": facts.sent, "asked_ns": facts.asked_ns,
            "took_ns": facts.took_ns, "ok": total.counts.of(events::replay::Outcome::Ok),
            "busy_milli": facts.busy_milli, "valid": finished.validity.is_valid(),
            "why": finished.validity.to_string(), "waits": finished.waits,
            "lag": Times::of(&total.lag), "latency": Times::of(&total.latency),
        })
    );
    Ok(())
}
