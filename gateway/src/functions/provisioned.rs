//! Provisioned concurrency: which host has a warm instance that waits for this call.
//!
//! Always true: a host is given no more calls so than it has provisioned instances ready; what is
//! beyond is placed as any other call.
//! Absent on purpose: other gateways, each of which counts its own calls.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::internal::functions::Call;
use parking_lot::Mutex;
use policy::provision::{Ready, waiting};
use types::{HostId, RevisionId};

use super::Function;
use super::hosts::Host;
use super::placing::{Chosen, Placing};

/// Calls under way that were given to provisioned instances.
#[derive(Debug, Default)]
pub(super) struct Calls(Mutex<BTreeMap<(RevisionId, HostId), u32>>);

/// One of them, counted until this is dropped.
#[derive(Debug)]
pub(super) struct Given<'a> {
    of: &'a Calls,
    key: (RevisionId, HostId),
    /// None once it was asked.
    host: Option<Arc<Host>>,
}

impl Calls {
    /// The host with a provisioned instance for this call: of what it means, or of what may run in
    /// its place; none where none waits.
    pub(super) fn give<'a>(
        &'a self,
        function: &Function,
        (placing, call): (&Placing, &Call),
        hosts: &[Arc<Host>],
    ) -> Option<Given<'a>> {
        if call.payer.is_some() {
            // Other accounts' calls have instances of their own, which are not kept.
            return None;
        }
        let fallback = call.fallback.as_ref().map(|fallback| fallback.revision);
        let mut revisions = std::iter::once(placing.revision).chain(fallback);
        revisions.find_map(|revision| {
            let mut routes = function.told.versions.values();
            let route = routes.find(|route| route.revision == revision)?;
            if route.provisioned.is_empty() {
                return None;
            }
            let mut calls = self.0.lock();
            let awake = hosts.iter().filter(|host| !host.rests(placing.now_ms));
            let ready: Vec<Ready> = awake
                .filter_map(|host| {
                    let id = host.told.host;
                    let instances = *route.provisioned.get(&id)?;
                    let calls = calls.get(&(revision, id)).copied().unwrap_or(0);
                    Some(Ready { host: id, instances, calls })
                })
                .collect();
            let id = waiting(&ready)?;
            let host = hosts.iter().find(|host| host.told.host == id).map(Arc::clone);
            let key = (revision, id);
            *calls.entry(key).or_default() += 1;
            Some(Given { of: self, key, host })
        })
    }
}

impl Given<'_> {
    /// The host, the first time that it is asked for.
    pub(super) fn chosen(&mut self) -> Option<Chosen> {
        let host = self.host.take()?;
        Some(Chosen { host, burst: false, how: "provisioned" })
    }
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        let mut calls = self.of.0.lock();
        let Some(count) = calls.get_mut(&self.key) else { return };
        *count -= 1;
        if *count == 0 {
            calls.remove(&self.key);
        }
    }
}
