//! Drills of a run: instances that are ended while events are sent, and what that came to.

use serde::{Deserialize, Serialize};

use types::{InstanceId, Name};

/// Most drills of a run: with what is measured of each, as much as a page shows.
pub const DRILLS_MAX: usize = 20;

/// Something that is done to a variant while events are sent to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunDrill {
    pub what: DrillKind,
    /// When, in milliseconds from the start of the run.
    pub at_ms: u64,
    /// To which of the run's variants; to each of them where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<Name>,
}

/// What a drill does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillKind {
    /// One instance that is ready is ended at once, as by a crash.
    Kill,
}

/// What a drill came to, of one variant. Times are in microseconds from when the instance's end was
/// asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillOutcome {
    /// When it was to be done, in milliseconds from the start of the run.
    pub at_ms: u64,
    pub state: DrillState,
    /// Why it was not done, or why it is not known when the variant was well again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The instance that was ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<InstanceId>,
    /// When its end was asked for, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at_ms: Option<u64>,
    /// How long it took to end it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_us: Option<u64>,
    /// Until all wanted instances were ready again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_us: Option<u64>,
    /// Requests that it had go badly: not answered, or with a status from 500 or 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<u64>,
    /// Those of them that were not answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<u64>,
    /// Until the first of them was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_failed_us: Option<u64>,
    /// Until the first good answer to a request that was sent when the instance was gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_good_us: Option<u64>,
    /// Until all wanted instances were ready, and the first request was sent that went well and after
    /// which none went badly for three seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery_us: Option<u64>,
}

/// Where a drill stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DrillState {
    /// Its time has not come.
    #[default]
    Waiting,
    /// The end of an instance was asked for.
    Asked,
    /// The instance was ended.
    Done,
    /// It was not done, or it is not known whether it was; `why` says more.
    Missed,
}

/// The longest recovery of some drills, in microseconds; none where there are none, or where one is
/// not known.
pub fn recovery_us(drills: &[DrillOutcome]) -> Option<u64> {
    let each = drills.iter().map(|drill| drill.recovery_us);
    each.reduce(|longest, one| longest.zip(one).map(|(longest, one)| longest.max(one))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_drill_that_is_not_known_leaves_all_unknown() {
        let of = |all: &[Option<u64>]| {
            let drill = |us: &Option<u64>| DrillOutcome { recovery_us: *us, ..Default::default() };
            recovery_us(&all.iter().map(drill).collect::<Vec<_>>())
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[Some(3), Some(9), Some(4)]), Some(9));
        assert_eq!((of(&[Some(3), None]), of(&[None, Some(3)])), (None, None));
    }
}
