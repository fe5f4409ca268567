//! An agent that plays its part: it reports a host, reads what it is to run, and says what became
//! of it, without running anything.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::stream;
use parking_lot::Mutex;

use api::internal::{
    Assignment, Description, HostReport, InstanceLogs, InstanceReport, InstanceState, Measures,
    Purpose, TestResult, Watch,
};
use api::pages::LogLine;
use control::operations::{hosts, instances};
use control::{Control, Error};
use testkit::Package;
use types::{Fleet, HostId, InstanceId};
use uuid::Uuid;

use crate::harness::{name, packed};

/// What the agent makes of what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Play {
    /// Everything goes well.
    Well,
    /// It says that it starts, and nothing more.
    Hangs,
    /// It fails, with this reason.
    Fails(&'static str),
    /// A job hands over no model.
    EmptyHanded,
}

/// A host and its agent.
pub(crate) struct Agent {
    pub(crate) host: HostId,
    label: String,
    generation: Mutex<u64>,
    play: Mutex<Play>,
    running: Mutex<BTreeMap<InstanceId, Running>>,
    model: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    generation: u64,
    serves: bool,
}

impl Agent {
    pub(crate) fn new(number: u128) -> Self {
        Self {
            host: HostId::new(Uuid::from_u128(number)),
            label: format!("host-{number}"),
            generation: Mutex::new(1),
            play: Mutex::new(Play::Well),
            running: Mutex::default(),
            model: packed(&Package::linear("trained", ("x", "y"), 3.0, 1.0)),
        }
    }

    /// An agent whose host has reported.
    pub(crate) async fn on(control: &Control, number: u128) -> Self {
        let agent = Self::new(number);
        agent.report_host(control).await;
        agent
    }

    pub(crate) fn play(&self, play: Play) {
        *self.play.lock() = play;
    }

    /// The agent dies and starts again: it knows nothing of what ran.
    pub(crate) fn restart(&self) {
        *self.generation.lock() += 1;
        self.running.lock().clear();
    }

    pub(crate) async fn report_host(&self, control: &Control) {
        hosts::report(control, self.host, true, self.says()).await.unwrap();
    }

    /// What the agent says of its host.
    pub(crate) fn says(&self) -> HostReport {
        HostReport {
            name: name(&self.label),
            generation: *self.generation.lock(),
            cpu_milli: 64_000,
            memory_bytes: 1 << 40,
            functions_memory_bytes: 1 << 30,
            data_address: None,
            functions_socket: None,
            fleet: Fleet::default(),
            features: vec![],
        }
    }

    /// What it is to run now.
    pub(crate) async fn assigned(&self, control: &Control) -> Vec<Assignment> {
        let watch = Watch { after: 0, wait_ms: 0 };
        instances::assignments(control, self.host, watch).await.unwrap().instances
    }

    /// What it left hanging goes well after all.
    pub(crate) async fn unhang(&self, control: &Control) {
        self.play(Play::Well);
        let known = self.running.lock().clone();
        for assignment in self.assigned(control).await {
            if known.get(&assignment.id).is_some_and(|running| !running.serves) {
                self.start(control, &assignment).await;
            }
        }
    }

    /// How many servers it runs.
    pub(crate) fn serving(&self) -> usize {
        self.running.lock().values().filter(|running| running.serves).count()
    }

    /// Does what is assigned, and stops what is not; says how many instances that were.
    pub(crate) async fn act(&self, control: &Control) -> u64 {
        let mut acts = 0;
        let assigned = self.assigned(control).await;
        let known = self.running.lock().clone();
        for (id, running) in &known {
            if !assigned.iter().any(|assignment| assignment.id == *id) {
                let report = self.report(running.generation, InstanceState::Ended);
                settled(instances::report(control, *id, report).await);
                self.running.lock().remove(id);
                acts += 1;
            }
        }
        for assignment in assigned {
            if !known.contains_key(&assignment.id) {
                self.start(control, &assignment).await;
                acts += 1;
            }
        }
        acts
    }

    async fn start(&self, control: &Control, assignment: &Assignment) {
        let (id, generation) = (assignment.id, assignment.generation);
        let serves = assignment.task.purpose == Purpose::Serve;
        let starting = self.report(generation, InstanceState::Starting);
        settled(instances::report(control, id, starting).await);
        let play = self.play.lock().clone();
        let mut running = Running { generation, serves: false };
        match play {
            Play::Hangs => {}
            Play::Fails(why) => {
                let failed = InstanceReport {
                    error: Some(why.to_owned()),
                    ..self.report(generation, InstanceState::Failed)
                };
                settled(instances::report(control, id, failed).await);
            }
            Play::Well | Play::EmptyHanded => {
                self.run(control, assignment, play == Play::Well).await;
                running.serves = serves;
            }
        }
        // Last, so that whatever was cut short is done again.
        self.running.lock().insert(id, running);
    }

    async fn run(&self, control: &Control, assignment: &Assignment, well: bool) {
        let (id, generation) = (assignment.id, assignment.generation);
        let report = match &assignment.task.purpose {
            Purpose::Serve => InstanceReport {
                socket: Some(format!("/run/{id}.sock")),
                description: Some(description()),
                ..self.report(generation, InstanceState::Ready)
            },
            Purpose::Prove { tests, .. } => InstanceReport {
                description: Some(description()),
                measures: Some(MEASURES),
                tests: tests.iter().map(passed).collect(),
                ..self.report(generation, InstanceState::Ended)
            },
            Purpose::Train { .. } => {
                log(control, id).await;
                if well {
                    let body = stream::iter([Ok(Bytes::from(self.model.clone()))]);
                    settled(instances::output(control, id, body).await.map(drop));
                }
                self.report(generation, InstanceState::Ended)
            }
        };
        settled(instances::report(control, id, report).await);
    }

    /// A report with nothing but a state.
    pub(crate) fn report(&self, generation: u64, state: InstanceState) -> InstanceReport {
        InstanceReport {
            host: self.host,
            generation,
            state,
            socket: None,
            description: None,
            error: None,
            progress_ppm: None,
            measures: None,
            tests: vec![],
        }
    }
}

/// What every proof measures.
pub(crate) const MEASURES: Measures = Measures {
    start_us: 1_000,
    latency_p50_us: Some(20),
    latency_p99_us: Some(90),
    memory_peak_bytes: Some(5 << 20),
    cpu_us: Some(1_500),
};

fn passed(test: &serde_json::Value) -> TestResult {
    TestResult { name: test["name"].as_str().unwrap_or_default().to_owned(), failure: None }
}

fn description() -> Description {
    Description {
        engine: "played".to_owned(),
        engine_version: "1".to_owned(),
        platform: "onnx".to_owned(),
        inputs: vec![],
        outputs: vec![],
        batch_max: 8,
    }
}

async fn log(control: &Control, id: InstanceId) {
    let line = |seq: u64, text: &str| LogLine {
        seq,
        at_ms: 1,
        source: "stdout".to_owned(),
        level: "info".to_owned(),
        text: text.to_owned(),
    };
    let lines = vec![line(1, "learning"), line(2, "learned")];
    settled(instances::logs(control, id, InstanceLogs { lines }).await);
}

/// What control no longer wants to hear is refused, and no mistake of the agent.
fn settled(told: Result<(), Error>) {
    match told {
        Ok(()) | Err(Error::Stale { .. } | Error::NotFound { .. } | Error::Conflict { .. }) => {}
        Err(error) => panic!("control refuses: {error}"),
    }
}
