//! Records of runs that have ended: kept for a time, and as many as there is room for.
//!
//! Always true: records of a run that has not ended stay; the oldest go first.
//! Absent on purpose: what runs came to, which control keeps for longer.

use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use api::internal::RunRoute;
use policy::segments::{Held, Retention, expired};

use super::broken;
use crate::error::Error;
use crate::hub::Hub;
use crate::keys::PREFIX as KEY;
use crate::streams::blocking;

/// How long records are kept after a run has ended: a month, in which figures are looked behind.
const KEPT_MS: u64 = 30 * 86_400_000;
/// Most bytes of records of runs that have ended: some thousand million of them.
const KEPT_BYTES_MAX: u64 = 64 << 30;
/// How often it is looked, in milliseconds.
const TEND_MS: u64 = 3_600_000;

/// Removes what is not kept any more, where it was not looked lately. These runs have not ended.
pub(super) async fn tend(hub: &Hub, live: &[Arc<RunRoute>], tended_ms: &mut Option<u64>) {
    let now_ms = hub.clock.now_ms();
    let Some(folder) = hub.streams.runs_folder() else { return };
    // Without routes nobody knows which have ended.
    let lately = tended_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < TEND_MS);
    if lately || !hub.ready() {
        return;
    }
    *tended_ms = Some(now_ms);
    let live: Vec<String> = live.iter().map(|told| told.run.to_string()).collect();
    let removed = blocking(move || remove(&folder, &live, now_ms));
    if let Err(error) = removed.await {
        tracing::warn!(%error, "old records of replays were not removed");
    }
}

fn remove(folder: &Path, live: &[String], now_ms: u64) -> Result<(), Error> {
    let failed = |error: std::io::Error| broken(&format!("{}: {error}", folder.display()));
    if !folder.exists() {
        return Ok(());
    }
    let (mut paths, mut held): (Vec<PathBuf>, Vec<Held>) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_live = path.file_name().and_then(|name| name.to_str());
        if is_live.is_none_or(|name| live.iter().any(|it| it == name)) {
            continue;
        }
        let (bytes, changed_ms) = size(&path).map_err(failed)?;
        paths.push(path);
        held.push(Held { bytes, accepted_us: changed_ms * 1_000, time_ns: 0 });
    }
    let kept = Retention { age_ms_max: Some(KEPT_MS), bytes_max: Some(KEPT_BYTES_MAX) };
    for place in expired(&held, &kept, now_ms.saturating_mul(1_000)) {
        fs::remove_dir_all(&paths[place]).map_err(failed)?;
    }
    Ok(())
}

/// The bytes of all files below a path, and when one of them was last written, in Unix milliseconds.
fn size(path: &Path) -> std::io::Result<(u64, u64)> {
    let (bytes, changed_ms) = below(path)?;
    let made_ms = || fs::symlink_metadata(path).and_then(|about| written_ms(&about));
    Ok((bytes, changed_ms.map_or_else(made_ms, Ok)?))
}

/// The same, with no time where there are no files. A key counts with its bytes alone: sealed anew, it
/// makes what lies beside it no younger, nor its folder.
fn below(path: &Path) -> std::io::Result<(u64, Option<u64>)> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_dir() {
        let name = path.file_name().and_then(|name| name.to_str());
        let is_key = name.is_some_and(|name| name.starts_with(KEY));
        let changed_ms = written_ms(&about)?;
        return Ok((about.len(), (!is_key).then_some(changed_ms)));
    }
    let (mut bytes, mut changed_ms) = (about.len(), None);
    for entry in fs::read_dir(path)? {
        let (more, later_ms) = below(&entry?.path())?;
        (bytes, changed_ms) = (bytes + more, changed_ms.max(later_ms));
    }
    Ok((bytes, changed_ms))
}

fn written_ms(about: &Metadata) -> std::io::Result<u64> {
    let since = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(u64::try_from(since.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_key_that_is_sealed_anew_makes_records_no_younger() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ended.json");
        fs::write(&path, "{}").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(5)).unwrap();
        for name in ["_key.json", "_key.a1B2c3.unfinished"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        fs::create_dir(folder.path().join("records")).unwrap();
        assert_eq!(size(folder.path()).unwrap().1, 5_000);
        fs::remove_file(&path).unwrap();
        assert!(size(folder.path()).unwrap().1 > 5_000, "there is nothing else");
    }

    #[test]
    fn old_records_go_and_those_of_runs_that_go_on_stay() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["old", "live"] {
            fs::create_dir_all(folder.path().join(name).join("records")).unwrap();
            fs::write(folder.path().join(name).join("records/1.parquet"), [0; 9]).unwrap();
        }
        let (bytes, changed_ms) = size(&folder.path().join("old")).unwrap();
        assert!(bytes >= 9, "{bytes}");
        let live = ["live".to_owned()];
        let names = || -> Vec<_> {
            let all = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            all.collect()
        };
        remove(folder.path(), &live, changed_ms + KEPT_MS).unwrap();
        assert_eq!(names().len(), 2);
        remove(folder.path(), &live, changed_ms + KEPT_MS + 1).unwrap();
        assert_eq!(names(), ["live"]);
        remove(&folder.path().join("none"), &live, changed_ms).unwrap();
    }
}
