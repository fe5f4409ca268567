//! What agents are asked about instances of models, by the ways that calls of functions take.
//!
//! Always true: an agent is asked the same by every way, and has a time to answer; what it was asked
//! and has not answered is not known, and is said to be.
//! Absent on purpose: which instances are asked about, and why.

use std::future::Future;

use api::Problem;
use api::internal::functions::FunctionHost;
use api::internal::instances::{Drill, InstanceUsed, InstancesAsked, InstancesUsed};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use serde::Serialize;
use serde::de::DeserializeOwned;
use types::InstanceId;
use workflow::Clock;

use super::dial::{Calls, authority};

/// How long an agent has to end an instance and clear it away, in milliseconds.
const DRILL_MS_MAX: u64 = 30_000;
/// How long it has to tell what instances use.
const USED_MS_MAX: u64 = 2_000;
/// Longest answer: what is told of as many instances as are asked about, several times over.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why an agent has not done what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    /// It says that it did not.
    #[error("{0}")]
    Refused(String),
    /// It may have.
    #[error("it is not known whether it was done: {0}")]
    Unknown(String),
}

impl Calls {
    /// Has an instance ended at once, as by a crash; returns what it had used once it is gone.
    ///
    /// # Errors
    ///
    /// [`NotDone`].
    pub(crate) async fn drill(
        &self,
        clock: &Clock,
        (host, instance): (&FunctionHost, InstanceId),
        drill: Drill,
    ) -> Result<InstanceUsed, NotDone> {
        let asked = async {
            match self.near(host) {
                Some(agent) => {
                    let done = agent.drill(instance, drill).await;
                    done.map_err(|refused| NotDone::Refused(refused.reason))
                }
                None => self.post(host, &format!("instances/{instance}/drill"), &drill).await,
            }
        };
        in_time(clock, DRILL_MS_MAX, asked).await
    }

    /// What instances use that serve on a host.
    ///
    /// # Errors
    ///
    /// [`NotDone`].
    pub(crate) async fn used(
        &self,
        clock: &Clock,
        host: &FunctionHost,
        asked: InstancesAsked,
    ) -> Result<InstancesUsed, NotDone> {
        let used = async {
            match self.near(host) {
                Some(agent) => Ok(agent.used(asked).await),
                None => self.post(host, "instances/used", &asked).await,
            }
        };
        in_time(clock, USED_MS_MAX, used).await
    }

    /// Asks an agent over a connection.
    async fn post<T: DeserializeOwned>(
        &self,
        host: &FunctionHost,
        path: &str,
        asked: &impl Serialize,
    ) -> Result<T, NotDone> {
        let refused = |error: &dyn std::fmt::Display| NotDone::Refused(error.to_string());
        let text = serde_json::to_vec(asked).map_err(|error| refused(&error))?;
        let request = Request::post(format!("http://{}/{path}", authority(host)))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(text)))
            .map_err(|error| refused(&error))?;
        let answer = self.ask(request).await.map_err(|cause| {
            let text = workflow::chain(&cause);
            if cause.unreached { NotDone::Refused(text) } else { NotDone::Unknown(text) }
        })?;
        let (parts, body) = answer.into_parts();
        let unread = |error: &dyn std::fmt::Display| NotDone::Unknown(error.to_string());
        let read = Limited::new(body, ANSWER_BYTES_MAX).collect().await;
        let text = read.map_err(|error| unread(&error))?.to_bytes();
        if parts.status.is_success() {
            return serde_json::from_slice(&text).map_err(|error| unread(&error));
        }
        let problem: Option<Problem> = serde_json::from_slice(&text).ok();
        Err(problem.map_or_else(
            || NotDone::Unknown(format!("its host answered {}", parts.status)),
            |problem| NotDone::Refused(problem.title),
        ))
    }
}

async fn in_time<T>(
    clock: &Clock,
    limit_ms: u64,
    asked: impl Future<Output = Result<T, NotDone>>,
) -> Result<T, NotDone> {
    let late = |_| NotDone::Unknown(format!("its host has not answered within {limit_ms} ms"));
    clock.within_ms(limit_ms, asked).await.map_err(late)?
}
