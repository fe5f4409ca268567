//! The job of a training: what an agent is told to run, by the training contract.

use std::collections::BTreeMap;

use api::internal::{Purpose, Task};
use types::Runtime;

use crate::operations::stages::ungranted;
use crate::operations::trainings::{Package, Resolved};

/// The job, by the training contract.
pub(super) fn task(resolved: &Resolved) -> Task {
    let grant = |package: &Package| ungranted(package.owner, package.object, package.bytes);
    let channels: BTreeMap<_, _> =
        resolved.channels.iter().map(|(name, package)| (name.clone(), grant(package))).collect();
    Task {
        runtime: Runtime::Job,
        package: grant(&resolved.algorithm),
        entry: resolved.entry.clone(),
        args: resolved.args.clone(),
        limits: resolved.limits,
        batch_max: 1,
        purpose: Purpose::Train { config: config(resolved), channels },
    }
}

/// Files of `/opt/ml/input/config`. Values of hyperparameters are texts.
///
/// Source: SageMaker, "How Amazon SageMaker Provides Training Information".
fn config(resolved: &Resolved) -> BTreeMap<String, serde_json::Value> {
    let text = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let hyperparameters: BTreeMap<&String, String> =
        resolved.parameters.iter().map(|(name, value)| (name, text(value))).collect();
    let channel = serde_json::json!({
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
    });
    let channels: BTreeMap<&String, &serde_json::Value> =
        resolved.channels.keys().map(|name| (name, &channel)).collect();
    BTreeMap::from([
        ("hyperparameters.json".to_owned(), serde_json::json!(hyperparameters)),
        ("inputdataconfig.json".to_owned(), serde_json::json!(channels)),
        (
            "resourceconfig.json".to_owned(),
            serde_json::json!({
                "current_host": "algo-1",
                "hosts": ["algo-1"],
                "network_interface_name": "lo",
            }),
        ),
    ])
}
