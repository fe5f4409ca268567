//! The provisioned instances of a pool: how many there are and are to be, and which of them go.
//!
//! Always true: calls come to them before others, and only what decides about them takes them out.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use policy::provision::Here;

use super::{Idle, Pool, Warm};

/// What is to be kept, and is coming.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Provisioned {
    /// How many there are to be.
    pub(in super::super) wanted: u32,
    /// In the making.
    pub(in super::super) starting: u32,
}

impl Pool {
    /// An idle instance: one that is kept warm where there is one, so that others may end, and of
    /// those the one that was used last.
    pub(super) fn take_idle(&mut self) -> Option<Arc<Warm>> {
        if !self.is_provisioned() {
            return self.idle.pop_back().map(|idle| idle.warm);
        }
        let kept = self.idle.iter().rposition(|idle| idle.warm.is_provisioned());
        let at = kept.or(self.idle.len().checked_sub(1))?;
        self.idle.remove(at).map(|idle| idle.warm)
    }

    /// Whether instances are to be kept warm, or are not let go yet.
    pub(in super::super) fn is_provisioned(&self) -> bool {
        self.provisioned.wanted > 0 || self.live_provisioned.load(Ordering::Relaxed) > 0
    }

    /// Whether all are there that are to be kept warm.
    pub(in super::super) fn has_all_provisioned(&self) -> bool {
        let Here { wanted, ready, .. } = self.provisioned_here();
        wanted > 0 && ready >= wanted
    }

    /// What is there of those to be kept warm.
    pub(in super::super) fn provisioned_here(&self) -> Here {
        let Provisioned { wanted, starting } = self.provisioned;
        Here { wanted, ready: self.live_provisioned.load(Ordering::Relaxed), starting }
    }

    /// Takes out idle instances whose program has ended.
    pub(in super::super) fn take_out_ended(&mut self) -> Vec<Arc<Warm>> {
        self.take_out_idle(|warm| !warm.works())
    }

    /// Takes out so many of those that were kept warm, or as many as are idle.
    pub(in super::super) fn take_provisioned(&mut self, instances: u32) -> Vec<Arc<Warm>> {
        let mut left = instances;
        self.take_out_idle(|warm| {
            let goes = left > 0 && warm.is_provisioned();
            left -= u32::from(goes);
            goes
        })
    }

    fn take_out_idle(&mut self, mut goes: impl FnMut(&Warm) -> bool) -> Vec<Arc<Warm>> {
        let all = std::mem::take(&mut self.idle);
        let (out, stay): (VecDeque<Idle>, _) = all.into_iter().partition(|idle| goes(&idle.warm));
        self.idle = stay;
        out.into_iter().map(|idle| idle.warm).collect()
    }
}
