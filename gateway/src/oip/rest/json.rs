//! The JSON that the REST form tells of servers and models, field by field as its clients read it.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use types::TensorSpec;

use super::write;
use crate::error::Error;
use crate::oip::{self, EXTENSIONS, Model, SERVER_NAME, SERVER_VERSION};
use crate::routes::Endpoint;
use crate::statistics::{self, Snapshot};

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct ReadyServer {
    ready: bool,
}

#[derive(Serialize)]
struct ReadyModel<'a> {
    name: &'a str,
    ready: bool,
}

#[derive(Serialize)]
struct Server {
    name: &'static str,
    version: &'static str,
    extensions: &'static [&'static str],
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'a str,
    versions: [String; 1],
    platform: &'a str,
    inputs: &'a [TensorSpec],
    outputs: &'a [TensorSpec],
}

#[derive(Serialize)]
struct Config<'a> {
    name: &'a str,
    platform: &'a str,
    backend: &'a str,
    max_batch_size: u32,
    input: Vec<ConfigTensor<'a>>,
    output: Vec<ConfigTensor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dynamic_batching: Option<Empty>,
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct ConfigTensor<'a> {
    name: &'a str,
    data_type: &'static str,
    dims: &'a [i64],
}

#[derive(Serialize)]
struct AllStatistics<'a> {
    model_stats: Vec<ModelStatistics<'a>>,
}

#[derive(Serialize)]
struct ModelStatistics<'a> {
    name: &'a str,
    version: String,
    last_inference: u64,
    inference_count: u64,
    execution_count: u64,
    inference_stats: InferenceStatistics,
    batch_stats: Vec<BatchStatistics>,
}

#[derive(Serialize)]
struct InferenceStatistics {
    success: Duration,
    fail: Duration,
    queue: Duration,
    compute_input: Duration,
    compute_infer: Duration,
    compute_output: Duration,
    cache_hit: Duration,
    cache_miss: Duration,
}

#[derive(Serialize)]
struct BatchStatistics {
    batch_size: u32,
    compute_input: Duration,
    compute_infer: Duration,
    compute_output: Duration,
}

#[derive(Default, Serialize)]
struct Duration {
    count: u64,
    ns: u64,
}

#[derive(Serialize)]
struct IndexEntry<'a> {
    name: &'a str,
    version: String,
    state: &'static str,
    reason: &'static str,
}

/// What is asked of the index; unknown fields are ignored as clients of other servers send theirs.
#[derive(Debug, Default, Deserialize)]
pub(super) struct IndexRequest {
    /// Only models that are ready.
    #[serde(default)]
    pub(super) ready: bool,
}

impl IndexRequest {
    /// Reads the body; nothing asks for all.
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] when it is not JSON of this form.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        if body.is_empty() {
            return Ok(Self::default());
        }
        serde_json::from_slice(body).map_err(|error| {
            Error::bad_request(format!("the body is not {{\"ready\": true or false}}: {error}"))
        })
    }
}

pub(super) fn live(live: bool) -> Result<Bytes, Error> {
    write(&Live { live })
}

pub(super) fn ready_server(ready: bool) -> Result<Bytes, Error> {
    write(&ReadyServer { ready })
}

pub(super) fn ready_model(name: &str) -> Result<Bytes, Error> {
    write(&ReadyModel { name, ready: true })
}

pub(super) fn server() -> Result<Bytes, Error> {
    write(&Server { name: SERVER_NAME, version: SERVER_VERSION, extensions: &EXTENSIONS })
}

pub(super) fn metadata(model: &Model<'_>) -> Result<Bytes, Error> {
    write(&Metadata {
        name: model.name,
        versions: [model.endpoint.version.to_string()],
        platform: model.endpoint.platform(),
        inputs: model.inputs,
        outputs: model.outputs,
    })
}

pub(super) fn config(model: &Model<'_>) -> Result<Bytes, Error> {
    fn tensors<'a>(model: &Model<'_>, specs: &'a [TensorSpec]) -> Vec<ConfigTensor<'a>> {
        let tensor = |spec: &'a TensorSpec| ConfigTensor {
            name: &spec.name,
            data_type: oip::config_type(spec.datatype),
            dims: model.dims(spec),
        };
        specs.iter().map(tensor).collect()
    }
    write(&Config {
        name: model.name,
        platform: model.endpoint.platform(),
        backend: model.endpoint.engine(),
        max_batch_size: model.batch_max(),
        input: tensors(model, model.inputs),
        output: tensors(model, model.outputs),
        dynamic_batching: (model.batch_max() > 1).then_some(Empty {}),
    })
}

pub(super) fn statistics(models: &[(String, Arc<Endpoint>)]) -> Result<Bytes, Error> {
    let model_stats = models.iter().map(|(name, endpoint)| of_model(name, endpoint)).collect();
    write(&AllStatistics { model_stats })
}

pub(super) fn index(models: &[(String, Arc<Endpoint>)]) -> Result<Bytes, Error> {
    let mut entries = Vec::with_capacity(models.len());
    for (name, endpoint) in models {
        let (state, reason) = oip::index_state(endpoint);
        entries.push(IndexEntry { name, version: endpoint.version.to_string(), state, reason });
    }
    write(&entries)
}

fn of_model<'a>(name: &'a str, endpoint: &Endpoint) -> ModelStatistics<'a> {
    let now: Snapshot = endpoint.statistics.snapshot();
    let batch = |batch: &statistics::Batch| BatchStatistics {
        batch_size: batch.rows,
        compute_input: duration(batch.compute_input),
        compute_infer: duration(batch.compute_infer),
        compute_output: duration(batch.compute_output),
    };
    ModelStatistics {
        name,
        version: endpoint.version.to_string(),
        last_inference: now.last_ms,
        inference_count: now.inferences,
        execution_count: now.executions,
        inference_stats: InferenceStatistics {
            success: duration(now.success),
            fail: duration(now.fail),
            queue: duration(now.queue),
            compute_input: duration(now.compute_input),
            compute_infer: duration(now.compute_infer),
            compute_output: duration(now.compute_output),
            cache_hit: Duration::default(),
            cache_miss: Duration::default(),
        },
        batch_stats: now.batches.iter().map(batch).collect(),
    }
}

fn duration(duration: statistics::Duration) -> Duration {
    let statistics::Duration { count, ns } = duration;
    Duration { count, ns }
}
