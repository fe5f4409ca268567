//! The messages that the gRPC form tells of servers and models.

use std::sync::Arc;

use types::{Tensor, TensorSpec};

use crate::error::Error;
use crate::oip::{self, EXTENSIONS, Model, SERVER_NAME, SERVER_VERSION, contents};
use crate::proto::model_infer_request::InferRequestedOutputTensor;
use crate::proto::model_infer_response::InferOutputTensor;
use crate::proto::model_metadata_response::TensorMetadata;
use crate::proto::repository_index_response::ModelIndex;
use crate::proto::{
    DataType, InferBatchStatistics, InferStatistics, ModelConfig, ModelConfigResponse,
    ModelDynamicBatching, ModelInferResponse, ModelInput, ModelMetadataResponse, ModelOutput,
    ModelStatistics, ModelStatisticsResponse, RepositoryIndexResponse, ServerMetadataResponse,
    StatisticDuration,
};
use crate::routes::Endpoint;
use crate::statistics;

pub(super) fn server() -> ServerMetadataResponse {
    ServerMetadataResponse {
        name: SERVER_NAME.to_owned(),
        version: SERVER_VERSION.to_owned(),
        extensions: EXTENSIONS.map(str::to_owned).to_vec(),
    }
}

pub(super) fn metadata(model: &Model<'_>) -> ModelMetadataResponse {
    let tensor = |spec: &TensorSpec| TensorMetadata {
        name: spec.name.clone(),
        datatype: spec.datatype.to_string(),
        shape: spec.shape.clone(),
    };
    ModelMetadataResponse {
        name: model.name.to_owned(),
        versions: vec![model.endpoint.version.to_string()],
        platform: model.endpoint.platform().to_owned(),
        inputs: model.inputs.iter().map(tensor).collect(),
        outputs: model.outputs.iter().map(tensor).collect(),
    }
}

pub(super) fn config(model: &Model<'_>) -> ModelConfigResponse {
    let data_type = |spec: &TensorSpec| {
        let name = oip::config_type(spec.datatype);
        DataType::from_str_name(name).unwrap_or(DataType::TypeInvalid).into()
    };
    let input = |spec: &TensorSpec| ModelInput {
        name: spec.name.clone(),
        data_type: data_type(spec),
        dims: model.dims(spec).to_vec(),
    };
    let output = |spec: &TensorSpec| ModelOutput {
        name: spec.name.clone(),
        data_type: data_type(spec),
        dims: model.dims(spec).to_vec(),
    };
    let batch_max = model.batch_max();
    let config = ModelConfig {
        name: model.name.to_owned(),
        platform: model.endpoint.platform().to_owned(),
        backend: model.endpoint.engine().to_owned(),
        max_batch_size: i32::try_from(batch_max).unwrap_or(i32::MAX),
        input: model.inputs.iter().map(input).collect(),
        output: model.outputs.iter().map(output).collect(),
        dynamic_batching: (batch_max > 1).then_some(ModelDynamicBatching {}),
    };
    ModelConfigResponse { config: Some(config) }
}

pub(super) fn statistics(models: &[(String, Arc<Endpoint>)]) -> ModelStatisticsResponse {
    let model_stats = models.iter().map(|(name, endpoint)| of_model(name, endpoint)).collect();
    ModelStatisticsResponse { model_stats }
}

pub(super) fn index(models: &[(String, Arc<Endpoint>)]) -> RepositoryIndexResponse {
    let entry = |(name, endpoint): &(String, Arc<Endpoint>)| {
        let (state, reason) = oip::index_state(endpoint);
        ModelIndex {
            name: name.clone(),
            version: endpoint.version.to_string(),
            state: state.to_owned(),
            reason: reason.to_owned(),
        }
    };
    RepositoryIndexResponse { models: models.iter().map(entry).collect() }
}

/// The answer to a request; raw where the request was, or where an output has no field.
pub(super) fn infer(
    (model_name, model_version, id): (String, String, String),
    outputs: Vec<Tensor>,
    raw: bool,
) -> ModelInferResponse {
    let raw = raw || outputs.iter().any(|output| !contents::has_field(output.datatype));
    let mut answer = ModelInferResponse { model_name, model_version, id, ..Default::default() };
    for output in outputs {
        let contents = (!raw).then(|| contents::unpack(&output));
        answer.outputs.push(InferOutputTensor {
            datatype: output.datatype.to_string(),
            shape: output.shape.iter().map(|&size| i64::try_from(size).unwrap_or(-1)).collect(),
            name: output.name,
            contents,
            ..InferOutputTensor::default()
        });
        if raw {
            answer.raw_output_contents.push(output.data);
        }
    }
    answer
}

/// Refuses what would change the answer and is not served; other parameters are ignored.
pub(super) fn check_output(output: &InferRequestedOutputTensor) -> Result<(), Error> {
    let refused = [
        ("classification", "the classification extension is not offered; ask for the scores"),
        ("shared_memory_region", "shared memory is not offered; take the data in the answer"),
    ];
    let found = refused.into_iter().find(|(name, _)| output.parameters.contains_key(*name));
    found.map_or(Ok(()), |(_, why)| {
        let name: String = output.name.chars().take(80).collect();
        Err(Error::WrongTensor { reason: format!("output {name:?}: {why}") })
    })
}

fn of_model(name: &str, endpoint: &Endpoint) -> ModelStatistics {
    let now = endpoint.statistics.snapshot();
    let batch = |batch: &statistics::Batch| InferBatchStatistics {
        batch_size: batch.rows.into(),
        compute_input: duration(batch.compute_input),
        compute_infer: duration(batch.compute_infer),
        compute_output: duration(batch.compute_output),
    };
    ModelStatistics {
        name: name.to_owned(),
        version: endpoint.version.to_string(),
        last_inference: now.last_ms,
        inference_count: now.inferences,
        execution_count: now.executions,
        inference_stats: Some(InferStatistics {
            success: duration(now.success),
            fail: duration(now.fail),
            queue: duration(now.queue),
            compute_input: duration(now.compute_input),
            compute_infer: duration(now.compute_infer),
            compute_output: duration(now.compute_output),
            cache_hit: duration(statistics::Duration::default()),
            cache_miss: duration(statistics::Duration::default()),
        }),
        batch_stats: now.batches.iter().map(batch).collect(),
    }
}

#[expect(clippy::unnecessary_wraps, reason = "fields of messages are optional")]
fn duration(duration: statistics::Duration) -> Option<StatisticDuration> {
    let statistics::Duration { count, ns } = duration;
    Some(StatisticDuration { count, ns })
}
