//! An instance that trains: a program under the `/opt/ml` contract, whose model goes back to
//! control.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::internal::{Assignment, InstanceReport, InstanceState, Purpose};
use executor::{Job, Start, Work};
use formats::{archive, manifest};
use tokio_util::sync::CancellationToken;

use crate::Agent;
use crate::life::{Life, Trouble, deliver, report, why};
use crate::packages::Unpacked;

/// How often progress is told.
const PROGRESS_MS: u64 = 500;
/// The pause before an output is handed over again, and the longest one.
const RETRY_MS_MIN: u64 = 200;
const RETRY_MS_MAX: u64 = 5_000;

/// Runs the job to its end and hands its model over.
pub(crate) async fn live(
    agent: &Agent,
    assignment: &Assignment,
    stop: &CancellationToken,
) -> Result<InstanceReport, Trouble> {
    let Purpose::Train { channels, config } = &assignment.task.purpose else {
        return Err(Trouble("this is no training".to_owned()));
    };
    let package = unpack(agent, &assignment.task.package).await?;
    let mut data: BTreeMap<String, Arc<Unpacked>> = BTreeMap::new();
    for (name, grant) in channels {
        data.insert(name.clone(), unpack(agent, grant).await?);
    }
    let folders =
        data.iter().map(|(name, package)| (name.clone(), package.folder().to_path_buf())).collect();
    let config = config
        .iter()
        .map(|(name, value)| Ok((name.clone(), serde_json::to_vec(value)?)))
        .collect::<Result<_, serde_json::Error>>()
        .map_err(|error| Trouble::of(&error))?;
    let start = job(assignment, package.folder(), config, folders);
    let life = Life::start(agent, start).await?;
    let running = InstanceReport { ..report(agent, assignment, InstanceState::Ready) };
    deliver(agent, assignment, &running).await;
    let exit = tokio::select! {
        () = stop.cancelled() => {
            life.end().await;
            return Ok(report(agent, assignment, InstanceState::Ended));
        }
        exit = follow(agent, assignment, &life) => exit,
    };
    let handed = if exit.is_success() {
        hand_over(agent, assignment, &life.running.model_folder()).await
    } else {
        Err(Trouble(format!("the job {}", why(&exit))))
    };
    life.end().await;
    handed.map(|()| report(agent, assignment, InstanceState::Ended))
}

/// Waits for the end and tells progress meanwhile.
async fn follow(agent: &Agent, assignment: &Assignment, life: &Life) -> executor::Exit {
    let mut progress = life.progress.clone();
    let tell = async {
        while progress.changed().await.is_ok() {
            let progress_ppm = *progress.borrow_and_update();
            let told =
                InstanceReport { progress_ppm, ..report(agent, assignment, InstanceState::Ready) };
            deliver(agent, assignment, &told).await;
            agent.shared.clock.sleep_ms(PROGRESS_MS).await;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        exit = life.running.wait() => exit,
        () = tell => unreachable!("progress is told until the end"),
    }
}

async fn unpack(
    agent: &Agent,
    grant: &api::internal::ObjectGrant,
) -> Result<Arc<Unpacked>, Trouble> {
    agent.shared.packages.unpack(grant).await.map_err(|error| Trouble::of(&error))
}

/// What the executor is to start.
pub(crate) fn job(
    assignment: &Assignment,
    package: &Path,
    config: BTreeMap<String, Vec<u8>>,
    channels: BTreeMap<String, PathBuf>,
) -> Start {
    let task = &assignment.task;
    let job = Job {
        name: assignment.id.to_string(),
        program: PathBuf::from(&task.entry),
        args: task.args.clone(),
        config,
        channels,
    };
    Start {
        id: assignment.id,
        generation: assignment.generation,
        package: package.to_path_buf(),
        work: Work::Job(job),
        limits: task.limits,
        task: serde_json::Value::Null,
    }
}

/// Packs the model folder, with a manifest where the job left none, and hands it over.
async fn hand_over(agent: &Agent, assignment: &Assignment, folder: &Path) -> Result<(), Trouble> {
    let folder = folder.to_path_buf();
    let packed = tokio::task::spawn_blocking(move || pack(&folder)).await;
    let tar = packed.map_err(|error| Trouble::of(&error))??;
    let mut pause_ms = RETRY_MS_MIN;
    loop {
        match agent.shared.control.output(assignment.id, tar.path()).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_transient() => {
                tracing::debug!(id = %assignment.id, %error, "the output has to be sent again");
                agent.shared.clock.sleep_ms(pause_ms).await;
                pause_ms = (pause_ms * 2).min(RETRY_MS_MAX);
            }
            Err(error) => return Err(Trouble::of(&error)),
        }
    }
}

fn pack(folder: &Path) -> Result<tempfile::NamedTempFile, Trouble> {
    let file = folder.join(manifest::FILE_NAME);
    if !file.exists() {
        let drafted = manifest::draft(folder).map_err(|error| Trouble::of(&error))?;
        std::fs::write(&file, manifest::write(&drafted)).map_err(|error| Trouble::of(&error))?;
    }
    let parent = folder.parent().unwrap_or(folder);
    let tar = tempfile::NamedTempFile::new_in(parent).map_err(|error| Trouble::of(&error))?;
    archive::pack(folder, tar.as_file()).map_err(|error| Trouble::of(&error))?;
    Ok(tar)
}
