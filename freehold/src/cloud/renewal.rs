//! Renewal: a certificate is replaced in time, while the process that shows it runs.
//!
//! Always true: the calendar clock is looked at every minute, so that a machine that slept or was
//! set renews late, but soon; every try is logged, with its outcome.
//! Absent on purpose: when to try (`policy::renewal`), and what makes the next certificate.

use api::identity::{self, Identity, Shown};
use policy::renewal::{self, Certificate, Decision};
use workflow::{BoxFuture, Clock, Tasks};

use crate::exit::Failure;
use crate::output::time;

/// How often the clock is looked at, at least.
const LOOK_MS: u64 = 60_000;
const SETTINGS: renewal::Settings =
    renewal::Settings { pause_ms_floor: 1_000, pause_ms_min: 60_000, pause_ms_max: 3_600_000 };

/// Where the next certificate comes from.
pub(super) trait Source: Send + 'static {
    /// Makes the next certificate, or has it made, and keeps it.
    fn next(&mut self) -> BoxFuture<'_, Result<Identity, Failure>>;
    /// What to do once the certificate is over.
    fn cure(&self) -> String;
}

/// Replaces what is shown in time, until the tasks stop or it is over.
pub(super) fn spawn(
    source: impl Source,
    shown: &Shown,
    first: &Identity,
    (clock, tasks): (&Clock, &Tasks),
) -> Result<(), Failure> {
    let held = held(first)?;
    let stopping = tasks.stopping();
    let (shown, clock) = (shown.clone(), clock.clone());
    tasks.spawn("certificate", async move {
        tokio::select! {
            () = stopping.cancelled() => {}
            () = keep(source, &shown, held, &clock) => {}
        }
    });
    Ok(())
}

/// Replaces what is shown in time; returns once it is over.
async fn keep(mut source: impl Source, shown: &Shown, mut held: Certificate, clock: &Clock) {
    let seed = u64::from_le_bytes(clock.random());
    loop {
        match renewal::decide(&held, clock.now_ms(), &SETTINGS, seed) {
            Decision::Wait { ms, .. } => clock.sleep_ms(ms.min(LOOK_MS)).await,
            Decision::Renew { left_ms } => {
                let renewed = renew(&mut source, shown).await;
                held = after(held, renewed, left_ms, (clock.now_ms(), seed));
            }
            Decision::Over { .. } => {
                let ended = time(held.expires_at_ms);
                let cure = source.cure();
                tracing::error!(ended, cure, "the certificate is over, and nobody takes it");
                return;
            }
        }
    }
}

async fn renew(source: &mut impl Source, shown: &Shown) -> Result<Certificate, Failure> {
    let next = source.next().await?;
    let held = held(&next)?;
    shown.replace(&next).map_err(|error| Failure::internal("could not show it", &error))?;
    Ok(held)
}

/// What is held after a try. A certificate that is due already counts as a failure: it would be
/// asked for again at once, for ever.
fn after(
    held: Certificate,
    renewed: Result<Certificate, Failure>,
    left_ms: u64,
    (now_ms, seed): (u64, u64),
) -> Certificate {
    let failed = |held: Certificate| Certificate {
        failures: held.failures + 1,
        failed_at_ms: now_ms,
        ..held
    };
    match renewed {
        Ok(next) => {
            let until = time(next.expires_at_ms);
            if let Decision::Wait { .. } = renewal::decide(&next, now_ms, &SETTINGS, seed) {
                tracing::info!(until, "certificate renewed");
                return next;
            }
            tracing::warn!(until, "the new certificate is due already: compare the clocks");
            failed(Certificate { failures: held.failures, ..next })
        }
        Err(Failure { message: cause, .. }) => {
            let left_min = left_ms / 60_000;
            tracing::warn!(cause, left_min, "the certificate was not renewed; it is tried again");
            failed(held)
        }
    }
}

fn held(identity: &Identity) -> Result<Certificate, Failure> {
    let facts = identity::facts(&identity.certificate_pem)
        .map_err(|error| Failure::internal("could not read the certificate", &error))?;
    let (made_at_ms, expires_at_ms) = (facts.made_at_ms, facts.expires_at_ms);
    Ok(Certificate { made_at_ms, expires_at_ms, failures: 0, failed_at_ms: 0 })
}

#[cfg(test)]
mod tests;
