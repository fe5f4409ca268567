//! What is counted, for control and for operators.

use api::internal::UsageCount;
use axum::body::Body;
use http::Request;
use tower::ServiceExt as _;

use gateway::Settings;

use crate::world::{Ask, OTHER, World};

const BODY: &[u8] =
    br#"{"inputs": [{"name": "INPUT", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}"#;

#[tokio::test]
async fn every_invocation_is_reported_once_though_control_was_away() {
    let world = World::start_with(Settings { usage_period_ms: 10, ..Settings::default() }).await;
    *world.control.refuse_reports.lock() = true;
    let open = Ask::post("/v2/models/acme.open/infer", BODY);
    for secret in [None, Some(OTHER), Some(OTHER)] {
        assert_eq!(world.ask(open.from(secret)).await.status, 200);
    }
    world.ask(Ask::post("/v2/models/acme.open/infer", b"{}").from(Some(OTHER))).await;
    let enough = |counts: &[UsageCount]| counts.iter().map(|it| it.requests).sum::<u64>() >= 4;
    let counted = loop {
        let mut by_number = std::collections::BTreeMap::new();
        for report in world.control.reports.lock().iter() {
            if let Some(earlier) = by_number.insert(report.number, report.clone()) {
                assert_eq!(earlier, *report, "a repeated report is the same");
            }
        }
        let counts = by_number.values().flat_map(|report| report.counts.clone());
        let counts: Vec<_> = counts.collect();
        if enough(&counts) {
            break counts;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    };
    let of = |known: bool| {
        let counts = counted.iter().filter(|count| count.caller.is_some() == known);
        counts.fold((0, 0), |sum, count| (sum.0 + count.requests, sum.1 + count.failures))
    };
    assert_eq!((of(false), of(true)), ((1, 0), (3, 1)));
}

#[tokio::test]
async fn metrics_have_the_names_that_operators_know() {
    let world = World::start().await;
    world.ask(Ask::post("/v2/models/echo/infer", BODY)).await;
    world.ask(Ask::get("/v2/models/none")).await;
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = world.gateway.metrics_router().oneshot(request).await.unwrap();
    let text = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let mut lines: Vec<_> =
        text.lines().filter(|line| !line.contains("_bucket{") && !line.contains("_sum{")).collect();
    // Series of one metric come in no order.
    lines.sort_unstable();
    insta::assert_snapshot!(lines.join("\n"));
}
