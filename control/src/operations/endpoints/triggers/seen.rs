//! What variants that are watched answered lately, in slices of time.
//!
//! Always true: a slice is of the time at which control was told, within seconds of the answers; a
//! window up to an hour is made of slices of ten seconds, and a longer one of slices of five
//! minutes; what was asked aside, such as replays, is not among it.

use api::internal::LiveCount;
use policy::sketch::{Parts, Sketch};
use policy::triggers::{Seen, WINDOW_MS_MAX};
use store::Tx;
use store::endpoints::slices::{SliceRow, slice_put, slices_list, slices_trim};
use types::EndpointId;

use crate::operations::items::from_json;

/// Slices of short windows: a window of ten seconds has two at most.
const FINE_MS: u64 = 10_000;
/// Slices of long ones: three days have 864.
const COARSE_MS: u64 = 300_000;
/// The longest of the short windows: it has 360.
const FINE_WINDOW_MS_MAX: u64 = 3_600_000;

/// Adds what a gateway has counted.
pub(crate) async fn add(
    tx: &mut Tx<'_>,
    counts: &[LiveCount],
    now_ms: u64,
) -> Result<(), store::Error> {
    for count in counts {
        for width_ms in [FINE_MS, COARSE_MS] {
            let from_ms = now_ms - now_ms % width_ms;
            let (id, parts) = (count.endpoint, parts(count));
            let before = slices_list(tx, (id, width_ms), from_ms).await?;
            let before = before.into_iter().find(|row| row.from_ms == from_ms);
            let mut times = before.as_ref().map(times).unwrap_or_default();
            times.merge(&Sketch::of_parts(&parts).unwrap_or_default());
            let before = before.map_or((0, 0), |row| (row.requests, row.failures));
            let row = SliceRow {
                endpoint_id: id,
                width_ms,
                from_ms,
                requests: before.0.saturating_add(count.requests),
                failures: before.1.saturating_add(count.failures),
                times: serde_json::to_value(times.parts()).unwrap_or_default(),
            };
            slice_put(tx, &row).await?;
        }
    }
    Ok(())
}

fn parts(count: &LiveCount) -> Parts {
    Parts { buckets: count.buckets.clone(), sum: count.sum_us, max: count.max_us }
}

/// What is kept of a slice's times; nothing where that can be no sketch.
fn times(row: &SliceRow) -> Sketch {
    from_json(&row.times).ok().and_then(|parts| Sketch::of_parts(&parts)).unwrap_or_default()
}

/// Forgets slices that no window reaches any more, and gives how many.
pub(crate) async fn trim(tx: &mut Tx<'_>, now_ms: u64) -> Result<u64, store::Error> {
    let fine = now_ms.saturating_sub(FINE_WINDOW_MS_MAX + 2 * FINE_MS);
    let coarse = now_ms.saturating_sub(WINDOW_MS_MAX + 2 * COARSE_MS);
    Ok(slices_trim(tx, FINE_MS, fine).await? + slices_trim(tx, COARSE_MS, coarse).await?)
}

/// How far back windows reach: those of fine slices, and those of coarse ones.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reach {
    fine_ms: u64,
    coarse_ms: u64,
    /// Whether it is asked how long answers took.
    timed: bool,
}

impl Reach {
    /// As far as this window too, of which counts are asked, or times as well.
    pub(super) fn and(self, window_ms: u64, timed: bool) -> Self {
        let timed = self.timed || timed;
        let reach = Self { timed, ..self };
        reach.to(window_ms)
    }

    fn to(self, window_ms: u64) -> Self {
        match window_ms {
            0..=FINE_WINDOW_MS_MAX => Self { fine_ms: self.fine_ms.max(window_ms), ..self },
            _ => Self { coarse_ms: self.coarse_ms.max(window_ms), ..self },
        }
    }
}

/// What one variant answered within a slice.
#[derive(Debug)]
struct Slice {
    from_ms: u64,
    requests: u64,
    failures: u64,
    times: Sketch,
}

/// What one variant answered lately.
#[derive(Debug, Default)]
pub(super) struct Lately {
    fine: Vec<Slice>,
    coarse: Vec<Slice>,
}

impl Lately {
    /// Reads it, as far back as windows reach.
    pub(super) async fn read(
        tx: &mut Tx<'_>,
        id: EndpointId,
        (reach, now_ms): (Reach, u64),
    ) -> Result<Self, store::Error> {
        let mut lately = Self::default();
        let slice = |row: SliceRow| Slice {
            from_ms: row.from_ms,
            requests: row.requests,
            failures: row.failures,
            times: if reach.timed { times(&row) } else { Sketch::default() },
        };
        if reach.fine_ms > 0 {
            let from_ms = begin(now_ms, reach.fine_ms, FINE_MS);
            let rows = slices_list(tx, (id, FINE_MS), from_ms).await?;
            lately.fine = rows.into_iter().map(slice).collect();
        }
        if reach.coarse_ms > 0 {
            let from_ms = begin(now_ms, reach.coarse_ms, COARSE_MS);
            let rows = slices_list(tx, (id, COARSE_MS), from_ms).await?;
            lately.coarse = rows.into_iter().map(slice).collect();
        }
        Ok(lately)
    }

    /// What was seen within a window up to now. What was answered before `since_ms`, when it was used
    /// otherwise or was another one, is not among it; the window is whole where it was watched, and
    /// control could hear of it, since its first slice began.
    pub(super) fn seen(
        &self,
        window_ms: u64,
        now_ms: u64,
        (since_ms, watched_ms): (u64, u64),
    ) -> Seen {
        let (slices, width_ms) = match window_ms {
            0..=FINE_WINDOW_MS_MAX => (&self.fine, FINE_MS),
            _ => (&self.coarse, COARSE_MS),
        };
        let from_ms = begin(now_ms, window_ms, width_ms);
        let whole = from_ms >= since_ms.max(watched_ms);
        let mut seen = Seen { whole, ..Seen::default() };
        for slice in slices.iter().filter(|slice| slice.from_ms >= from_ms.max(since_ms)) {
            seen.events = seen.events.saturating_add(slice.requests);
            seen.bad = seen.bad.saturating_add(slice.failures);
            seen.times.merge(&slice.times);
        }
        seen
    }
}

/// When the slice began in which a window begins.
fn begin(now_ms: u64, window_ms: u64, width_ms: u64) -> u64 {
    let from_ms = now_ms.saturating_sub(window_ms);
    from_ms - from_ms % width_ms
}
