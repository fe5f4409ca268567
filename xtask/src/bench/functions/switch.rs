//! How calls fare while an alias moves from one version to the next.
//!
//! Always true: a call that fails ends the load, and with it the benchmark: a row says that none did.

use std::thread;
use std::time::Duration;

use super::super::tools::number;
use super::super::{Row, median};
use super::warm::{KINDS, World};
use crate::Failure;

/// Moves that are measured, each beside a time without one.
const MOVES: usize = 5;
const SECONDS: &str = "seconds=4";
/// Callers at one time.
const CALLERS: &str = "clients=2";
/// From the beginning of the load, its warm-up included, until the alias moves.
const MOVES_AFTER: Duration = Duration::from_millis(1_500);
/// How much longer 99 of 100 calls may take while an alias moves.
const RATIO_MAX: f64 = 2.0;

/// A row for each kind of function.
pub(super) fn rows(world: &World<'_>) -> Result<Vec<Row>, Failure> {
    KINDS.iter().map(|(kind, ..)| row(world, kind)).collect()
}

fn row(world: &World<'_>, kind: &str) -> Result<Row, Failure> {
    let cloud = &world.cloud;
    let code = world.folder(kind)?.display().to_string();
    let publish = || -> Result<String, Failure> {
        // The same code again: what is new is the version.
        cloud.run(&["function", "update", kind, "--code", &code])?;
        let made = cloud.run(&["function", "publish", kind])?;
        made["version"].as_str().map(str::to_owned).ok_or_else(|| Failure::new("no version"))
    };
    let first = publish()?;
    cloud.run(&["function", "alias", "create", kind, "live", "--to", &first])?;
    let gateway = cloud.addresses.http.to_string();
    let path = format!("/v1/functions/{kind}/invocations?qualifier=live");
    let load = || number(&world.ask((&gateway, &path), &[SECONDS, CALLERS])?, "p99_us");
    // The first calls are starts.
    load()?;
    let (mut still, mut moved) = (Vec::new(), Vec::new());
    for _ in 0..MOVES {
        still.push(load()?);
        let next = publish()?;
        let during = thread::scope(|scope| {
            let loaded = scope.spawn(load);
            thread::sleep(MOVES_AFTER);
            let told = cloud.run(&["function", "alias", "update", kind, "live", "--to", &next]);
            let loaded = loaded.join().map_err(|_| Failure::new("the load broke off"))?;
            told.and(loaded)
        });
        moved.push(during?);
    }
    let ratio = median(still.iter().zip(&moved).map(|(still, moved)| moved / still).collect());
    let (still, moved) = (median(still), median(moved));
    Ok(Row {
        work: format!(
            "{kind}: {MOVES} moves of an alias under load: no call failed; p99 meanwhile"
        ),
        measured: format!("{moved:.0} µs, {ratio:.2}×"),
        beside: format!("without a move {still:.0} µs"),
        must: format!("≤ {RATIO_MAX}×"),
        reached: ratio <= RATIO_MAX,
    })
}
