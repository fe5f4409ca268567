//! Parked sandboxes: made before it is known which function they will run.
//!
//! A parked sandbox has its namespaces, its listener, its root and its limits, and a process that
//! is sealed and waits. A claim shows it a package and hands it an environment and a command, which
//! takes a few milliseconds; to make a sandbox takes many times as long.
//!
//! Always true: a parked sandbox becomes one instance and no second one; nothing of any account was
//! in it before; one that is dropped is ended and cleared away in the background; while it waits it
//! is frozen where the kernel can freeze, and in a blocking read else.
//! Absent on purpose: how many there are (`policy` says), and who keeps them.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use types::{FunctionRuntime, InstanceId};

use crate::cgroup::Group;
use crate::descriptors;
use crate::error::Error;
use crate::executor::{Executor, START_MS_MAX, Shared};
use crate::folders::Folders;
use crate::instance::{Instance, Running};
use crate::launch::{Order, Socket};
use crate::plan::{self, Waits};
use crate::start::{Parking, Start, Work};
use crate::supervise::{self, Opened};

/// A sandbox that waits for a function.
pub struct Parked {
    parking: Parking,
    /// Empty once it was claimed.
    held: Option<Held>,
}

/// What a parked sandbox has on this host; ended and cleared when it is dropped.
struct Held {
    slot: u32,
    folders: Folders,
    group: Arc<Group>,
    /// Empty for one moment at the end.
    opened: Option<Opened>,
    shared: Weak<Shared>,
}

impl Executor {
    /// Makes a sandbox that waits for a function, and returns once it does.
    ///
    /// Dropping the future does not take that back; the sandbox is then ended once it waits.
    ///
    /// # Errors
    ///
    /// As [`Executor::start`]; [`Error::Refused`] also where this machine can run functions but not
    /// park sandboxes for them.
    pub async fn park(&self, parking: Parking) -> Result<Parked, Error> {
        self.shared.sandbox.check_parking()?;
        let shared = Arc::clone(&self.shared);
        let parked = self.shared.tasks.spawn("park", async move { shared.park(parking).await });
        parked.await.unwrap_or_else(|error| {
            let source = std::io::Error::other(error);
            Err(Error::Io { action: "finish parking".to_owned(), source })
        })
    }

    /// Ends what parking keeps besides the parked sandboxes, once those that came from it have
    /// ended. For when none are wanted any more; parking again makes it anew.
    pub fn forget_zygote(&self) {
        if let Some(zygotes) = &self.shared.zygotes {
            zygotes.forget();
        }
    }

    /// Has a parked sandbox become this instance, and returns once its program runs.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] where the start does not fit (see [`Parking::fits`]) or an instance of
    /// this id runs, [`Error::Sandbox`] where a step inside failed, as when the sandbox has died
    /// while it waited. It is ended in each case; the same start may be tried without it.
    pub async fn claim(&self, parked: Parked, start: Start) -> Result<Running, Error> {
        let Work::Function(function) = &start.work else {
            return Err(invalid("only functions can claim a parked sandbox"));
        };
        if !parked.parking.fits(function, &start.limits) {
            return Err(invalid("the function does not fit what the sandbox was parked for"));
        }
        if self.shared.runs(start.id) {
            return Err(invalid("an instance of this id runs already"));
        }
        self.shared.claim(parked, &start).await
    }
}

impl Shared {
    async fn park(self: &Arc<Self>, parking: Parking) -> Result<Parked, Error> {
        let id = InstanceId::new(self.clock.uuid());
        let slot = self.take_slot()?;
        let made = self.make_parked(&parking, id, slot).await;
        if made.is_err() {
            self.free_slot(slot);
        }
        let (folders, group, opened) = made?;
        let shared = Arc::downgrade(self);
        let held = Held { slot, folders, group, opened: Some(opened), shared };
        Ok(Parked { parking, held: Some(held) })
    }

    async fn make_parked(
        &self,
        parking: &Parking,
        id: InstanceId,
        slot: u32,
    ) -> Result<(Folders, Arc<Group>, Opened), Error> {
        let at = self.folder_of(id);
        let group = self.group(id, &parking.limits)?;
        let folders = Folders::make(at, None, self.owner(slot))?;
        let cleared = folders.cleared_unless_kept();
        let waits = match (parking.runtime, &self.zygotes) {
            // Node.js is started when it is known what for, as any program.
            (
                FunctionRuntime::Provided
                | FunctionRuntime::Nodejs
                | FunctionRuntime::Image
                | FunctionRuntime::Server,
                _,
            ) => Waits::Process,
            (FunctionRuntime::Python3, None) => Waits::Interpreter,
            (FunctionRuntime::Python3, Some(_)) => Waits::Fork,
        };
        let given = self.given(&folders, slot, &group);
        let plan = plan::park(parking, waits, id, &given, &self.machine)?;
        let launched = self.sandbox.launch(Order { plan }, Socket::HandOut).await?;
        if let (Waits::Fork, Some(zygotes), Some(handed)) = (waits, &self.zygotes, &launched.handed)
        {
            let connection = zygotes.connect().map_err(Error::io("reach the zygote"))?;
            let sent = descriptors::send(handed, &connection);
            sent.map_err(Error::io("hand the zygote's connection to a keeper"))?;
        }
        let mut opened = supervise::open(launched)?;
        let limit = Duration::from_millis(START_MS_MAX);
        let waits = tokio::time::timeout(limit, opened.parked()).await;
        waits.map_err(|_| Error::Slow { limit_ms: START_MS_MAX })??;
        if group.freezes() {
            group.freeze(true).map_err(Error::io("freeze a parked sandbox"))?;
        }
        cleared.keep();
        Ok((folders, Arc::new(group), opened))
    }

    async fn claim(self: &Arc<Self>, mut parked: Parked, start: &Start) -> Result<Running, Error> {
        let Some(held) = &mut parked.held else {
            return Err(invalid("the sandbox was claimed before"));
        };
        held.folders.open_package(&start.package)?;
        let claim = plan::claim(start, &self.given(&held.folders, held.slot, &held.group))?;
        if held.group.freezes() {
            held.group.freeze(false).map_err(Error::io("thaw a parked sandbox"))?;
        }
        let Some(opened) = held.opened.take() else {
            return Err(invalid("the sandbox was claimed before"));
        };
        opened.claim(&claim).map_err(Error::io("hand a claim over"))?;
        let own = (held.folders.clone(), Arc::clone(&held.group));
        let instance = Arc::new(Instance::new(start, self.sandbox.level(), None, own, held.slot));
        let supervisor = self.supervisor(&instance, start);
        // Dropped, and so ended, where this fails: what was half claimed is no one's.
        let begun = self.launched(opened, supervisor).await?;
        if let Some(held) = parked.held.take() {
            held.keep();
        }
        Ok(self.supervise(start.id, begun))
    }
}

fn invalid(message: &str) -> Error {
    Error::Invalid { message: message.to_owned() }
}

impl Parked {
    /// What it was made for.
    pub fn parking(&self) -> &Parking {
        &self.parking
    }
}

impl Held {
    /// It is an instance's now.
    fn keep(mut self) {
        self.shared = Weak::new();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Some(shared) = self.shared.upgrade() else { return };
        let (slot, folders, opened) = (self.slot, self.folders.clone(), self.opened.take());
        let group = Arc::clone(&self.group);
        shared.clone().tasks.spawn("parked end", async move {
            if let Some(opened) = opened {
                opened.end().await;
            }
            group.remove();
            if let Err(error) = folders.clear() {
                tracing::warn!(%error, "could not remove a parked sandbox's folder");
            }
            shared.free_slot(slot);
        });
    }
}

impl fmt::Debug for Parked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parked").field("parking", &self.parking).finish_non_exhaustive()
    }
}
