//! Usage: what gateways counted, added once to the counts of every version that answered.

use api::internal::UsageReport;
use store::endpoints::endpoint_fetch;
use store::usage::{UsageRow, usage_record};

use crate::operations::items::from_json;
use crate::operations::stages::ResolvedStage;
use crate::{Control, Error};

/// Adds a report.
pub async fn record(control: &Control, report: UsageReport) -> Result<(), Error> {
    let mut rows = Vec::new();
    for count in &report.counts {
        let id = count.endpoint;
        let read =
            control.shared.store.read("fetch an endpoint", |tx| Box::pin(endpoint_fetch(tx, id)));
        let endpoint = match read.await {
            Ok(endpoint) => endpoint,
            Err(store::Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let stages: Vec<ResolvedStage> = from_json(&endpoint.resolved)?;
        rows.extend(stages.iter().map(|stage| UsageRow {
            item_id: stage.item,
            version: stage.reference.version.unwrap_or(1),
            endpoint_id: Some(id),
            caller: count.caller,
            requests: count.requests,
            failures: count.failures,
            trainings: 0,
        }));
    }
    let now_ms = control.now_ms();
    control
        .shared
        .store
        .transact("add a usage report", |tx| {
            let (reporter, rows) = (report.reporter.clone(), rows.clone());
            Box::pin(async move { usage_record(tx, &reporter, report.number, &rows, now_ms).await })
        })
        .await?;
    Ok(())
}
