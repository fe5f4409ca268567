//! `freehold demo`: the main job from nothing, on a cloud in this process that goes away after it.
//!
//! Two accounts that have never met: `producer` publishes an algorithm and a data set; `requester`
//! finds the algorithm by what it does, trains it, puts the model in a pipeline, deploys that, and
//! asks it about sign-ins. Everything passes through the public API, as for anybody else.
//!
//! Always true: what is said to be done was done and checked; a step that fails ends the demo with
//! its reason and a non-zero exit code; no process and, without `--data`, no file is left behind.

mod asking;
mod functions;
mod program;
mod replay;
mod report;
mod signins;
mod story;
mod teller;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::signal::unix::{SignalKind, signal};

use self::program::Program;
use self::signins::SignIns;
use self::teller::Teller;
use crate::args::{DemoArguments, DemoWord};
use crate::cloud::{self, Running};
use crate::exit::Failure;
use crate::output::{Output, note};
use crate::settings::{ServerArguments, Settings};
use crate::telemetry;

/// Seconds that instances and requests may take to end.
const STOP_GRACE_S: u64 = 5;

/// Does the main job and tells it.
pub async fn run(arguments: DemoArguments, out: &Output) -> Result<(), Failure> {
    let main = matches!(arguments.what, DemoWord::Main);
    note(match arguments.what {
        DemoWord::Main => {
            "The main job of Freehold: publish, find, train, deploy, ask. Two accounts that never met."
        }
        DemoWord::Functions => {
            "Code on demand: a deployment under load, a link across accounts, a service of two."
        }
        DemoWord::Replay => {
            "Proved before it answers: recorded events, a gate, a bake, and one that comes back."
        }
    })?;
    let scratch = tempfile::Builder::new().prefix("freehold-demo-").tempdir().map_err(|error| {
        Failure::refused(format!("could not make a temporary folder: {error}"))
            .hint("set TMPDIR to a folder with some room")
    })?;
    let settings = settings(&arguments, scratch.path())?;
    let _telemetry = telemetry::start(&settings, "demo")?;
    let mut teller = Teller::default();
    let program = if main {
        Some(teller.step("find the example's trainer", Program::find()).await?)
    } else {
        None
    };
    let data = settings.data.clone();
    let cloud = teller.step("start a cloud in this process", start(settings)).await?;
    let places = (program.as_ref(), scratch.path());
    let told = tokio::select! {
        told = tell(&arguments, (&cloud, &data), places, (&mut teller, out)) => told,
        stopped = interrupted() => stopped.and_then(|()| {
            Err(Failure::refused("the demo was interrupted"))
        }),
    };
    note("stopping the cloud")?;
    cloud.stop().await;
    told
}

/// The story, its report, and the pause that `--stay` asks for.
async fn tell(
    arguments: &DemoArguments,
    (cloud, data): (&Running, &Path),
    (program, scratch): (Option<&Program>, &Path),
    (teller, out): (&mut Teller, &Output),
) -> Result<(), Failure> {
    let Some(program) = program else {
        match arguments.what {
            DemoWord::Replay => replay::tell(cloud, scratch, (teller, out)).await?,
            _ => functions::tell(cloud, scratch, (teller, out)).await?,
        }
        return stay(arguments).await;
    };
    let signins = SignIns::make(program, arguments.events.as_deref(), scratch);
    let signins = teller.step("gather sign-ins", signins).await?;
    let told = story::tell(cloud, (program, &signins, scratch), teller).await?;
    let by_hand = by_hand(arguments, cloud, data, &told.requester_token, scratch);
    told.report(teller, &signins).write(out, &by_hand)?;
    stay(arguments).await
}

/// Waits for Ctrl-C, where the cloud is to stay.
async fn stay(arguments: &DemoArguments) -> Result<(), Failure> {
    if !arguments.stay {
        return Ok(());
    }
    note("the cloud stays up; Ctrl-C stops it")?;
    interrupted().await
}

async fn start(settings: Settings) -> Result<Running, Failure> {
    let running = cloud::start(settings).await?;
    teller::say(&format!("API and inference at {}, gRPC at {}", running.http, running.grpc))?;
    Ok(running)
}

/// Loopback, any port, and the data folder that was asked for or a temporary one.
fn settings(arguments: &DemoArguments, scratch: &Path) -> Result<Settings, Failure> {
    let any = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let log = variable("FREEHOLD_LOG").and_then(|log| log.into_string().ok());
    Settings::resolve(ServerArguments {
        data: Some(arguments.data.clone().unwrap_or_else(|| scratch.join("data"))),
        listen: any,
        listen_grpc: any,
        listen_metrics: any,
        onnxruntime: variable("FREEHOLD_ONNXRUNTIME").map(PathBuf::from),
        stop_grace: Some(STOP_GRACE_S),
        log: Some(log.unwrap_or_else(|| "warn".to_owned())),
        ..ServerArguments::default()
    })
}

/// The commands to go on by hand; they need the cloud to be there.
fn by_hand(
    arguments: &DemoArguments,
    cloud: &Running,
    data: &Path,
    token: &str,
    scratch: &Path,
) -> Vec<String> {
    let freehold = this_program();
    if !arguments.stay {
        let mut lines =
            vec![format!("{freehold} demo --stay       # the same, and the cloud stays")];
        if arguments.data.is_some() {
            lines.push(format!(
                "{freehold} up --data {}   # the cloud of this demo",
                data.display()
            ));
        } else {
            lines.push(format!(
                "{freehold} up                # a cloud of your own, in ./freehold-data"
            ));
        }
        lines.push(format!("{freehold} help"));
        return lines;
    }
    let request = scratch.join("request.json");
    let (http, endpoint) = (&cloud.http, story::ENDPOINT);
    vec![
        format!("export FREEHOLD_SERVER={http} FREEHOLD_TOKEN={token}"),
        format!("{freehold} search sign-in risk"),
        format!("{freehold} item show {}", story::MODEL),
        format!("{freehold} endpoint show {endpoint}"),
        format!("{freehold} invoke {endpoint} --file {}", request.display()),
        format!(
            "curl -H \"Authorization: Bearer $FREEHOLD_TOKEN\" \
             {http}/v2/models/{endpoint}/infer -d @{}",
            request.display()
        ),
        format!("FREEHOLD_TOKEN={} {freehold} status", cloud.operator_token),
    ]
}

/// How this program is called from here.
fn this_program() -> String {
    let program = std::env::current_exe().ok();
    let here = std::env::current_dir().ok();
    program
        .zip(here)
        .and_then(|(program, here)| {
            program.strip_prefix(here).ok().map(|path| path.display().to_string())
        })
        .unwrap_or_else(|| "freehold".to_owned())
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() -> Result<(), Failure> {
    let refused = |error| Failure::internal("could not wait for signals", &error);
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
