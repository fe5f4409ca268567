//! Calls: one inference from its admission to its answer, through every stage of the endpoint.
//!
//! States of a call: admitted, ended (answered or failed), or dropped because its caller went away.
//! Always true: every call is counted once, however it ends; the time allowed is the producer's
//! limit of the stage, or less where the caller asks for less; a call that is dropped is cancelled
//! at the worker. Absent on purpose: protocols, and who may call.

use std::sync::Arc;
use std::time::Instant;

use events::replay::record::Took;
use formats::oip;
use http::{HeaderName, HeaderValue};
use types::Tensor;
use types::frame::{Answer, Infer};

use crate::backends;
use crate::captures::{self, Noted};
use crate::error::Error;
use crate::hub::{Found, Hub};
use crate::limits::Place;
use crate::routes::{Caller, Endpoint, Stage};
use crate::shadows::{self, Copied};
use crate::statistics::Times;

/// A call that was let in. When it is dropped it is counted, and its place is free again.
pub(crate) struct Call<'h> {
    hub: &'h Arc<Hub>,
    caller: Caller,
    endpoint: Arc<Endpoint>,
    /// The name that the caller used.
    model: String,
    started: Instant,
    /// None until it ended.
    outcome: Option<&'static str>,
    /// Whether its caller was to blame, where it ended badly.
    is_refused: bool,
    /// Whether it names its variant, so that no customer's way led there.
    is_direct: bool,
    /// How long the stages took for it, in microseconds, and how long of that it waited for them.
    service_us: u64,
    queue_us: u64,
    /// Variants that are to have a copy.
    shadows: Vec<Arc<Endpoint>>,
    /// What is kept of it, where that is wanted.
    noted: Option<Noted>,
    /// What its caller is told, as HTTP has it.
    status: u16,
    place: Option<Place>,
}

/// The status of a call whose caller went away, as servers of the web write it down.
const GONE: u16 = 499;

/// A caller who goes away sooner has not waited for an answer, in nanoseconds.
const PATIENCE_NS: u64 = 1_000_000_000;

/// What is asked of an endpoint.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) inputs: Vec<Tensor>,
    /// Names of the outputs wanted; all where empty.
    pub(crate) outputs: Vec<String>,
    /// The time the caller allows, in microseconds.
    pub(crate) timeout_us: Option<u64>,
}

impl<'h> Call<'h> {
    pub(crate) fn begin(
        hub: &'h Arc<Hub>,
        (found, noted): (Found, Option<Noted>),
        model: &str,
        place: Place,
    ) -> Self {
        let mut call = Self::copy(hub, (found.caller, found.endpoint), model);
        call.is_direct = found.is_direct;
        call.shadows = found.shadows;
        call.noted = noted;
        call.place = Some(place);
        call
    }

    /// A copy of a call, which takes no place among its caller's.
    pub(crate) fn copy(
        hub: &'h Arc<Hub>,
        (caller, endpoint): (Caller, Arc<Endpoint>),
        model: &str,
    ) -> Self {
        let (model, started) = (model.to_owned(), Instant::now());
        let shadows = Vec::new();
        Self {
            hub,
            caller,
            endpoint,
            model,
            started,
            outcome: None,
            is_refused: false,
            is_direct: false,
            service_us: 0,
            queue_us: 0,
            shadows,
            noted: None,
            status: GONE,
            place: None,
        }
    }

    /// Gives every shadow that is of the same kind its copy.
    pub(crate) fn cast(&mut self, copy: impl Fn() -> Copied) {
        for variant in std::mem::take(&mut self.shadows) {
            if variant.function.is_some() == self.endpoint.function.is_some() {
                shadows::cast(self.hub, &self.caller, variant, copy());
            }
        }
    }

    /// What is to be noted of it, where its request is kept.
    pub(crate) fn noted(&mut self) -> Option<&mut Noted> {
        self.noted.as_mut()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How long the stages took for it, in microseconds; 0 before they have.
    pub(crate) const fn service_us(&self) -> u64 {
        self.service_us
    }

    /// Tells what its answer took, where a replay asks.
    pub(crate) fn tell<T>(&self, took: &Took, response: &mut http::Response<T>) {
        if !self.hub.runs.is_one(&self.caller) {
            return;
        }
        if let Ok(told) = HeaderValue::try_from(took.to_string()) {
            let name = HeaderName::from_static(api::endpoints::TOOK_HEADER);
            response.headers_mut().insert(name, told);
        }
    }

    /// What is known of the stages for that.
    pub(crate) fn took(&self) -> Took {
        Took { queue_us: Some(self.queue_us), ..Took::default() }
    }

    /// Runs it.
    ///
    /// # Errors
    ///
    /// [`Error::WrongTensor`] when the tensors are not the model's, and what `backends::infer`
    /// says.
    pub(crate) async fn run(&mut self, asked: Asked) -> Result<Vec<Tensor>, Error> {
        self.cast(|| Copied::Tensors(asked.clone()));
        let (outputs, times) = self.run_stages(asked).await?;
        self.outcome = Some("success");
        let computed = [times.compute_input_ns, times.compute_infer_ns, times.compute_output_ns];
        self.service_us = computed.iter().sum::<u64>().saturating_add(times.queue_ns) / 1_000;
        self.queue_us = times.queue_ns / 1_000;
        self.endpoint.statistics.succeeded(&times, self.ns(), self.hub.clock.now_ms());
        Ok(in_order(&self.endpoint, outputs))
    }

    /// Counts it as answered by what stands in place of stages, which took so many microseconds.
    pub(crate) fn answered(&mut self, service_us: u64) {
        self.outcome = Some("success");
        self.service_us = service_us;
        let times = Times { rows: 1, batch_rows: 1, ..Times::default() };
        self.endpoint.statistics.succeeded(&times, self.ns(), self.hub.clock.now_ms());
    }

    /// Ends it with what its caller is told; one that was answered but could not be told of is
    /// counted as answered.
    pub(crate) fn end<T>(mut self, answer: Result<T, Error>) -> Result<T, Error> {
        self.status = answer.as_ref().err().map_or(200, |error| error.status().as_u16());
        if let Err(error) = &answer {
            error.log(&self.model);
            if self.outcome.is_none() {
                self.outcome = Some(error.code());
                self.is_refused = error.status().is_client_error();
                self.endpoint.statistics.failed(self.ns());
            }
        }
        answer
    }

    async fn run_stages(&self, asked: Asked) -> Result<(Vec<Tensor>, Times), Error> {
        let Asked { mut inputs, outputs, timeout_us } = asked;
        let endpoint = &*self.endpoint;
        if endpoint.function.is_some() {
            let reason = "a function answers here: send its event to /endpoints/NAME/invocations";
            return Err(Error::bad_request(reason));
        }
        if !endpoint.ready() {
            return Err(Error::NotReady { model: self.model.clone() });
        }
        if let Some(wanted) = endpoint.inputs() {
            oip::check_inputs(&inputs, wanted)?;
        }
        if let Some(known) = endpoint.outputs() {
            oip::check_outputs(outputs.iter().map(String::as_str), known)?;
        }
        let started_us = self.hub.clock.now_us();
        let mut times = Times { rows: rows(endpoint, &inputs), ..Times::default() };
        let last = endpoint.stages.len() - 1;
        for (index, stage) in endpoint.stages.iter().enumerate() {
            if index > 0 {
                inputs = feed(stage, inputs).ok_or(Error::StagesDiffer { stage: index + 1 })?;
            }
            let outputs = if index == last { outputs.clone() } else { Vec::new() };
            let spent_us = self.hub.clock.now_us().saturating_sub(started_us);
            let left_us = timeout_us.map(|all_us| all_us.saturating_sub(spent_us).max(1));
            let limit_us = stage.timeout_ms.saturating_mul(1_000).max(1);
            let budget_us = left_us.map_or(limit_us, |left_us| left_us.min(limit_us));
            let infer = Infer { budget_us, inputs, outputs };
            let answer = self.run_stage(stage, &infer).await.map_err(|error| match error {
                Error::Timeout { .. } => {
                    Error::Timeout { limit_us: timeout_us.unwrap_or(u64::MAX).min(limit_us) }
                }
                other => other,
            })?;
            add(&mut times, &answer);
            inputs = answer.outputs;
        }
        Ok((inputs, times))
    }

    async fn run_stage(&self, stage: &Stage, infer: &Infer) -> Result<Answer, Error> {
        let asked = backends::infer(&stage.backends, &self.model, infer);
        let limit_ms = infer.budget_us.div_ceil(1_000);
        match self.hub.clock.within_ms(limit_ms, asked).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::Timeout { limit_us: infer.budget_us }),
        }
    }

    fn ns(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let outcome = self.outcome.unwrap_or_else(|| {
            self.endpoint.statistics.failed(self.ns());
            "cancelled"
        });
        self.hub.metrics.inference(&self.endpoint, outcome);
        let meters =
            self.endpoint.statistics.meters(|| self.hub.metrics.endpoints.of(&self.endpoint));
        let failed = outcome != "success";
        if failed {
            meters.ended_badly(self.is_refused);
        } else {
            meters.answered(self.ns(), self.service_us);
        }
        let aside = self.is_direct || self.hub.runs.is_one(&self.caller);
        let of = (self.endpoint.id, self.caller.account());
        self.hub.usage.count(of, (failed, aside));
        if let Some(noted) = self.noted.take() {
            captures::cast(self.hub, &self.endpoint, noted, (self.status, self.ns() / 1_000));
        }
        if self.endpoint.watched && !aside {
            // Else whoever may ask could have a variant taken for a bad one.
            let hurried = self.outcome.is_none() && self.ns() < PATIENCE_NS;
            let is_its_own = failed && !self.is_refused && !hurried;
            self.hub.usage.watch(self.endpoint.id, is_its_own, self.ns() / 1_000);
        }
    }
}

/// Sums the times of the stages; the batch is that of the first.
fn add(times: &mut Times, answer: &Answer) {
    let sum = |one: u64, other: u64| one.saturating_add(other);
    times.queue_ns = sum(times.queue_ns, answer.queue_ns);
    times.compute_input_ns = sum(times.compute_input_ns, answer.compute_input_ns);
    times.compute_infer_ns = sum(times.compute_infer_ns, answer.compute_infer_ns);
    times.compute_output_ns = sum(times.compute_output_ns, answer.compute_output_ns);
    if times.batch_rows == 0 {
        times.batch_rows = answer.batch_rows.max(1);
    }
}

/// Rows of a request: its first dimension where the model takes batches, else one.
fn rows(endpoint: &Endpoint, inputs: &[Tensor]) -> u32 {
    if endpoint.batch_max() == 0 {
        return 1;
    }
    let first = inputs.first().and_then(|tensor| tensor.shape.first()).copied();
    first.and_then(|rows| u32::try_from(rows).ok()).unwrap_or(1)
}

/// Gives a stage's outputs the names of the next stage's inputs: the same names where they are all
/// there, else by position. That their formats are equal was decided when the pipeline was made.
fn feed(stage: &Stage, mut outputs: Vec<Tensor>) -> Option<Vec<Tensor>> {
    let Some(wanted) = stage.description.as_ref().map(|told| &told.inputs) else {
        return Some(outputs);
    };
    let named = wanted.iter().all(|spec| outputs.iter().any(|tensor| tensor.name == spec.name));
    if named {
        outputs.retain(|tensor| wanted.iter().any(|spec| spec.name == tensor.name));
        return Some(outputs);
    }
    if outputs.len() != wanted.len() {
        return None;
    }
    for (tensor, spec) in outputs.iter_mut().zip(wanted) {
        tensor.name.clone_from(&spec.name);
    }
    Some(outputs)
}

/// The outputs in the order in which the model's metadata names them.
fn in_order(endpoint: &Endpoint, mut outputs: Vec<Tensor>) -> Vec<Tensor> {
    if let Some(known) = endpoint.outputs().filter(|_| outputs.len() > 1) {
        outputs.sort_by_key(|tensor| known.iter().position(|spec| spec.name == tensor.name));
    }
    outputs
}
