//! Control: the API, the catalogue, sagas and reconcilers.
//!
//! A handler (`http`) calls an operation (`operations`); an operation checks what the caller may
//! do, changes rows in one transaction, and wakes what has to act. What a caller waits for is a
//! saga (`sagas`); what should simply become true is a reconciler (`reconcilers`).
//!
//! Always true: what was accepted is committed before the answer. Control calls nobody: agents and
//! gateways watch it.
//! Absent on purpose: decisions (`policy`), sockets (`api::listen`), settings' sources.
#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use parking_lot::Mutex;

use api::identity::Authority;
use catalog::{Index, Signer};
use objects::Vault;
use workflow::{Clock, Tasks, reconciler, saga};

pub mod caller;
pub mod error;
pub mod http;
mod keys;
mod moment;
pub mod operations;
mod packages;
pub mod reconcilers;
pub mod sagas;
mod setup;

pub use error::Error;
pub use setup::{Settings, SetupError};

/// The control plane. Cheap to clone; clones are the same one.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    store: store::Store,
    objects: objects::Store,
    vault: Vault,
    keys: keys::Keys,
    index: Index,
    authorizer: access::Authorizer,
    authority: Authority,
    signer: Signer,
    /// What the secrets of webhooks are made of.
    webhooks: Vec<u8>,
    intake: operations::functions::events::Intake,
    clock: Clock,
    activator: reconciler::Activator,
    /// Since when this control plane could hear of hosts, in Unix milliseconds.
    hears_since_ms: AtomicU64,
    /// The drivers hold control and control holds them, until [`Control::close`].
    drivers: Mutex<Option<Drivers>>,
}

#[derive(Clone, Debug)]
struct Drivers {
    sagas: saga::Driver,
    reconcilers: reconciler::Driver,
}

impl Control {
    /// Starts what runs beside requests: sagas, reconcilers, and the index that follows the store.
    pub fn run(&self, tasks: &Tasks) {
        let drivers = self.drivers();
        drivers.sagas.run(tasks);
        drivers.reconcilers.run(tasks);
        tasks.spawn("search index", operations::search::follow(self.clone(), tasks.stopping()));
    }

    /// Runs sagas and reconcilers until nothing changes any more. For tests.
    ///
    /// # Errors
    ///
    /// [`saga::Error`] when the store does not answer.
    pub async fn settle(&self) -> Result<(), saga::Error> {
        let drivers = self.drivers();
        for _ in 0..SETTLE_ROUNDS_MAX {
            let events = drivers.sagas.activate().await?.events;
            let rested = drivers.reconcilers.settle(1).await;
            if events == 0 && rested {
                break;
            }
        }
        Ok(())
    }

    /// Brings every sealed secret under the key in use, and says what did not work.
    pub async fn reseal(&self) -> reconciler::Status {
        let driver = self.drivers().reconcilers;
        driver.activate(reconcilers::keys::NAME).await.unwrap_or_default()
    }

    /// Lets go of the drivers and closes the database, after the tasks have stopped.
    pub async fn close(&self) {
        self.shared.drivers.lock().take();
        self.shared.store.close().await;
    }

    /// The cloud's own certificate authority.
    pub fn authority(&self) -> &Authority {
        &self.shared.authority
    }

    /// The store, for backup.
    pub fn store(&self) -> &store::Store {
        &self.shared.store
    }

    fn drivers(&self) -> Drivers {
        self.shared.drivers.lock().clone().expect("control is used after it was closed")
    }

    fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.now_ms()
    }

    /// Has the reconciler of this name look now.
    fn wake(&self, reconciler: &'static str) {
        self.shared.activator.wake(reconciler);
    }
}

/// Most rounds of [`Control::settle`]: more would hide a reconciler that never rests.
const SETTLE_ROUNDS_MAX: u32 = 100;

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("store", &self.shared.store).finish_non_exhaustive()
    }
}
