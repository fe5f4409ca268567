//! Control as the agent sees it: a few calls, over a Unix socket or mutual TLS.

use std::path::Path;

use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio_util::io::ReaderStream;

use api::client::Client;
use api::internal::functions::Revision;
use api::internal::functions::provisioned::ProvisionedReport;
use api::internal::functions::sizes::{FunctionsUsage, SizeAnswer, SizeReport};
use api::internal::{Assignments, HostReport, InstanceLogs, InstanceReport, Output, Watch};
use types::{AccountId, HostId, InstanceId, RevisionId};

/// Why a call did not work.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Control answered that this is not wanted any more, or never was: repeating is useless.
    #[error("control refused: {message}")]
    Refused { message: String },
    /// Control could not be asked, or could not answer now.
    #[error("control cannot be asked: {message}")]
    Unreachable { message: String },
}

impl ControlError {
    /// Whether the same call may work later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, ControlError>>;

/// What an agent asks of control.
pub trait Control: Send + Sync + std::fmt::Debug + 'static {
    /// Tells what this host has.
    fn report_host<'a>(&'a self, host: HostId, report: &'a HostReport) -> Answer<'a, ()>;
    /// Waits for assignments newer than a generation.
    fn assignments(&self, host: HostId, watch: Watch) -> Answer<'_, Assignments>;
    /// Tells what became of an instance.
    fn report<'a>(&'a self, id: InstanceId, report: &'a InstanceReport) -> Answer<'a, ()>;
    /// Hands over lines an instance wrote.
    fn logs<'a>(&'a self, id: InstanceId, logs: &'a InstanceLogs) -> Answer<'a, ()>;

    /// Hands over what an instance of a function wrote.
    fn function_logs<'a>(
        &'a self,
        of: (RevisionId, InstanceId),
        logs: &'a InstanceLogs,
    ) -> Answer<'a, ()>;
    /// Hands over a job's output: a tar, read from this file.
    fn output<'a>(&'a self, id: InstanceId, tar: &'a Path) -> Answer<'a, Output>;
    /// What a function's revision is.
    fn revision(&self, id: RevisionId) -> Answer<'_, Revision>;
    /// Tells of a step about the size of a revision's instances, or asks whether a trial may begin.
    fn revision_size<'a>(
        &'a self,
        id: RevisionId,
        report: &'a SizeReport,
    ) -> Answer<'a, SizeAnswer>;
    /// Tells what calls of functions took.
    fn functions_usage<'a>(&'a self, host: HostId, usage: &'a FunctionsUsage) -> Answer<'a, ()>;
    /// Tells what this host has of the instances that it is to keep warm.
    fn provisioned<'a>(&'a self, host: HostId, report: &'a ProvisionedReport) -> Answer<'a, ()>;
    /// A sealed blob of an account: `chunks/ID` or `manifests/ID`.
    fn blob<'a>(&'a self, account: AccountId, key: &'a str) -> Answer<'a, Bytes>;
}

/// Control over the network.
#[derive(Clone)]
pub struct Remote {
    client: Client,
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Remote({})", self.client.address())
    }
}

impl Remote {
    /// Control through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Control for Remote {
    fn report_host<'a>(&'a self, host: HostId, report: &'a HostReport) -> Answer<'a, ()> {
        async move { self.client.host_report(host, report).await.map_err(refine) }.boxed()
    }

    fn assignments(&self, host: HostId, watch: Watch) -> Answer<'_, Assignments> {
        async move { self.client.assignments_watch(host, watch).await.map_err(refine) }.boxed()
    }

    fn report<'a>(&'a self, id: InstanceId, report: &'a InstanceReport) -> Answer<'a, ()> {
        async move { self.client.instance_report(id, report).await.map_err(refine) }.boxed()
    }

    fn logs<'a>(&'a self, id: InstanceId, logs: &'a InstanceLogs) -> Answer<'a, ()> {
        async move { self.client.instance_logs(id, logs).await.map_err(refine) }.boxed()
    }

    fn function_logs<'a>(
        &'a self,
        of: (RevisionId, InstanceId),
        logs: &'a InstanceLogs,
    ) -> Answer<'a, ()> {
        async move { self.client.function_logs(of, logs).await.map_err(refine) }.boxed()
    }

    fn output<'a>(&'a self, id: InstanceId, tar: &'a Path) -> Answer<'a, Output> {
        async move {
            let file = tokio::fs::File::open(tar).await;
            let file = file.map_err(|error| ControlError::Unreachable {
                message: format!("{}: {error}", tar.display()),
            })?;
            let stream = ReaderStream::with_capacity(file, STREAM_BYTES);
            self.client.instance_output(id, stream).await.map_err(refine)
        }
        .boxed()
    }

    fn revision(&self, id: RevisionId) -> Answer<'_, Revision> {
        async move { self.client.revision_fetch(id).await.map_err(refine) }.boxed()
    }

    fn revision_size<'a>(
        &'a self,
        id: RevisionId,
        report: &'a SizeReport,
    ) -> Answer<'a, SizeAnswer> {
        async move { self.client.revision_size(id, report).await.map_err(refine) }.boxed()
    }

    fn functions_usage<'a>(&'a self, host: HostId, usage: &'a FunctionsUsage) -> Answer<'a, ()> {
        async move { self.client.functions_usage(host, usage).await.map_err(refine) }.boxed()
    }

    fn provisioned<'a>(&'a self, host: HostId, report: &'a ProvisionedReport) -> Answer<'a, ()> {
        async move { self.client.provisioned_report(host, report).await.map_err(refine) }.boxed()
    }

    fn blob<'a>(&'a self, account: AccountId, key: &'a str) -> Answer<'a, Bytes> {
        async move { self.client.blob_fetch(account, key).await.map_err(refine) }.boxed()
    }
}

/// Bytes of an output that are read at once.
const STREAM_BYTES: usize = 256 << 10;

#[expect(clippy::needless_pass_by_value, reason = "used as a mapping of results")]
fn refine(error: api::client::Error) -> ControlError {
    let message = error.to_string();
    if error.passes() {
        ControlError::Unreachable { message }
    } else {
        ControlError::Refused { message }
    }
}
