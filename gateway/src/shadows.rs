//! Shadows: copies of live calls, run by variants whose answers nobody is told.
//!
//! Always true: a caller never waits for a copy and is never charged for it; copies under way are
//! bounded, and one that finds no room is counted and not run; each is counted as a call of its
//! variant.
//! Absent on purpose: comparing answers.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::calls::{Asked, Call};
use crate::error::Error;
use crate::functions;
use crate::hub::Hub;
use crate::routes::{Caller, Endpoint};

/// Most copies under way at one time: a shadow that is slower than production must not grow without
/// bound, and its instances take calls from this gateway only.
const UNDER_WAY_MAX: usize = 128;

/// Room for copies.
#[derive(Debug)]
pub(crate) struct Shadows {
    room: Arc<Semaphore>,
}

impl Default for Shadows {
    fn default() -> Self {
        Self { room: Arc::new(Semaphore::new(UNDER_WAY_MAX)) }
    }
}

/// What is copied.
#[derive(Debug)]
pub(crate) enum Copied {
    /// Tensors for a model.
    Tensors(Asked),
    /// An event for a function.
    Event(Bytes),
}

/// Has a copy run, as soon as the processors have time for it.
pub(crate) fn cast(hub: &Arc<Hub>, caller: &Caller, variant: Arc<Endpoint>, copied: Copied) {
    let Ok(room) = Arc::clone(&hub.shadows.room).try_acquire_owned() else {
        hub.metrics.inference(&variant, "shadow_dropped");
        return;
    };
    let (hub, caller) = (Arc::clone(hub), caller.clone());
    let tasks = hub.tasks.clone();
    tasks.spawn("shadow", async move {
        let name = format!("{}@{}", variant.name, variant.variant);
        let mut call = Call::copy(&hub, (caller, variant), &name);
        let answer = match copied {
            Copied::Tensors(asked) => call.run(asked).await.map(drop),
            Copied::Event(payload) => event(&hub, payload, &mut call).await,
        };
        // Its variant's counts and log say what became of it.
        let _ = call.end(answer);
        drop(room);
    });
}

async fn event(hub: &Hub, payload: Bytes, call: &mut Call<'_>) -> Result<(), Error> {
    let id = types::RequestId::new(hub.clock.uuid()).to_string();
    functions::run_endpoint(hub, (payload, None, &id), call).await.map(drop)
}
