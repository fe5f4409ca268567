//! Supervising one instance from its start to its end.
//!
//! Always true: the exit is told only after the keeper has ended, and the keeper ends only after
//! every process of the instance; the socket is gone by then.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use workflow::{Clock, Tasks};

use crate::error::Error;
use crate::exit::{Ending, Observed, Report, conclude};
use crate::instance::Instance;
use crate::launch::{Keeper, Launched, send};
use crate::logs::Stream;
use crate::plan::Claim;
use crate::watch::Watch;

/// Longest text of a failed start.
const FAULT_BYTES_MAX: u64 = 4_096;

/// What a supervisor needs besides the instance.
#[derive(Debug)]
pub(crate) struct Supervisor {
    pub(crate) instance: Arc<Instance>,
    /// The whole run's time limit, where it has one, as a job.
    pub(crate) timeout_ms: Option<u64>,
    /// Whether the kernel limits processes by itself.
    pub(crate) processes_held: bool,
    pub(crate) clock: Clock,
    pub(crate) tasks: Tasks,
}

/// A sandbox whose program runs.
#[derive(Debug)]
pub(crate) struct Started {
    keeper: Keeper,
    control: Option<OwnedFd>,
    report: BufReader<pipe::Receiver>,
    /// Where a function's listener comes out.
    pub(crate) handed: Option<UnixStream>,
}

fn receiver(fd: OwnedFd) -> io::Result<pipe::Receiver> {
    pipe::Receiver::from_owned_fd(fd)
}

/// Makes a sandbox's pipes ready to be read.
pub(crate) fn open(launched: Launched) -> Result<Opened, Error> {
    let Launched { keeper, control, ready, report, out, err, handed } = launched;
    let pipes = || -> io::Result<_> {
        Ok((receiver(ready)?, receiver(report)?, receiver(out)?, receiver(err)?))
    };
    let (ready, report, out, err) = pipes().map_err(Error::io("read the sandbox's pipes"))?;
    Ok(Opened { keeper, control, ready, report: BufReader::new(report), out, err, handed })
}

/// A sandbox whose pipes can be read.
#[derive(Debug)]
pub(crate) struct Opened {
    keeper: Keeper,
    control: OwnedFd,
    ready: pipe::Receiver,
    report: BufReader<pipe::Receiver>,
    out: pipe::Receiver,
    err: pipe::Receiver,
    handed: Option<UnixStream>,
}

impl Opened {
    /// Waits until a parked sandbox waits.
    ///
    /// # Errors
    ///
    /// [`Error::Sandbox`] with the step that failed.
    pub(crate) async fn parked(&mut self) -> Result<(), Error> {
        let mut line = String::new();
        let read = self.report.read_line(&mut line).await;
        read.map_err(Error::io("read whether the sandbox waits"))?;
        if let Ok(Report::Parked) = serde_json::from_str(&line) {
            return Ok(());
        }
        let mut message = String::new();
        let read = (&mut self.ready).take(FAULT_BYTES_MAX).read_to_string(&mut message).await;
        read.map_err(Error::io("read why the sandbox does not wait"))?;
        if message.is_empty() {
            let mut said = String::new();
            let read = (&mut self.err).take(FAULT_BYTES_MAX).read_to_string(&mut said).await;
            read.map_err(Error::io("read why the sandbox does not wait"))?;
            message = format!("it ended before it waited for a claim: {}", said.trim());
        }
        Err(Error::Sandbox { message })
    }

    /// Hands a parked sandbox its claim.
    pub(crate) fn claim(&self, claim: &Claim) -> io::Result<()> {
        send(&self.control, claim)
    }

    /// Ends it, and waits until nothing of it is left.
    pub(crate) async fn end(self) {
        drop(self.control);
        self.keeper.reap().await;
    }

    /// Waits until the program runs, and starts to collect its lines.
    ///
    /// # Errors
    ///
    /// [`Error::Sandbox`] with the step that failed.
    pub(crate) async fn started(self, on: &Supervisor) -> Result<Started, Error> {
        let Self { keeper, control, ready, report, out, err, handed } = self;
        for (stream, from) in [(Stream::Out, out), (Stream::Err, err)] {
            let logs = on.instance.logs.clone();
            let source = logs.open(stream, from, on.clock.clone());
            on.tasks.spawn("instance-logs", async move {
                if let Err(error) = logs.collect(source).await {
                    tracing::warn!(%error, "could not read an instance's lines");
                }
            });
        }
        let mut started = Started { keeper, control: Some(control), report, handed };
        let mut text = String::new();
        let read = ready.take(FAULT_BYTES_MAX).read_to_string(&mut text).await;
        read.map_err(Error::io("read whether the sandbox started"))?;
        // The keeper's end closes the pipe too; alive, it tells of the first process next.
        if text.is_empty() {
            let told = started.report.fill_buf().await;
            if !told.map_err(Error::io("read the sandbox's reports"))?.is_empty() {
                return Ok(started);
            }
            "the sandbox has died".clone_into(&mut text);
        }
        started.control = None;
        started.keeper.reap().await;
        Err(Error::Sandbox { message: text })
    }
}

impl Supervisor {
    /// Watches until the end, then tells it.
    pub(crate) async fn run(self, started: Started) {
        let Started { keeper, mut control, report, handed: _ } = started;
        let mut seen = Observed::default();
        {
            let (tell, first) = oneshot::channel();
            let reports = read_reports(report, &mut seen, tell);
            let ends = self.ends(first);
            tokio::pin!(reports);
            tokio::select! {
                () = &mut reports => {}
                ending = ends => {
                    self.instance.force(ending);
                    // What ends may have something to do for it, as the keeper's older way.
                    self.instance.thaw_to_end();
                    // Closing the pipe asks the keeper to end the instance.
                    control = None;
                    reports.await;
                }
            }
        }
        drop(control);
        keeper.reap().await;
        self.tell(seen);
    }

    /// Waits for a reason to end the instance.
    async fn ends(&self, first: oneshot::Receiver<(i32, Option<i32>)>) -> Ending {
        let mut forced = self.instance.forced.subscribe();
        let asked = async {
            match forced.wait_for(Option::is_some).await {
                Ok(forced) => forced.unwrap_or(Ending::Killed),
                Err(_) => Ending::Killed,
            }
        };
        let timeout = async {
            match self.timeout_ms {
                Some(timeout_ms) => self.clock.sleep_ms(timeout_ms).await,
                None => std::future::pending().await,
            }
        };
        let stopping = self.tasks.stopping();
        tokio::select! {
            ending = asked => ending,
            () = timeout => Ending::TimedOut,
            () = stopping.cancelled() => Ending::Killed,
            ending = self.watch(first) => ending,
        }
    }

    async fn watch(&self, first: oneshot::Receiver<(i32, Option<i32>)>) -> Ending {
        let Ok((first, forked)) = first.await else { return std::future::pending().await };
        let seen = &self.instance.seen;
        seen.forked.store(forked.unwrap_or(0), Ordering::Relaxed);
        seen.first.store(first, Ordering::Relaxed);
        let mut watch = Watch::new(&self.instance, self.processes_held);
        loop {
            if let Some(ending) = watch.look(self.clock.now_us()) {
                return ending;
            }
            // Real time, also in tests: what is watched is the real machine.
            tokio::time::sleep(Duration::from_millis(watch.period_ms())).await;
        }
    }

    fn tell(&self, mut seen: Observed) {
        let (instance, group) = (&self.instance, &self.instance.group);
        seen.forced = *instance.forced.borrow();
        seen.oom_killed = group.oom_kills().unwrap_or(0) > 0;
        seen.cpu_us = seen.cpu_us.max(group.cpu_us().unwrap_or(0));
        if !group.processes().is_empty() {
            tracing::error!(instance = %instance.id, "processes are left after the end");
        }
        group.remove();
        seen.cpu_us = seen.cpu_us.max(instance.seen.cpu_us.load(Ordering::Relaxed));
        let peak = instance.seen.memory_peak_bytes.load(Ordering::Relaxed);
        seen.memory_peak_bytes = seen.memory_peak_bytes.max(peak);
        if let Some(socket) = &instance.socket {
            let _ = fs::remove_file(socket);
        }
        let exit = conclude(seen, instance.folders.settle());
        tracing::info!(
            instance = %instance.id, ending = ?exit.ending, code = exit.code, signal = exit.signal,
            "instance ended"
        );
        instance.exit.send_replace(Some(exit));
    }
}

/// Reads what the sandbox tells until it has ended, and hands on its first process.
///
/// Two processes write here: a program that ends at once may be told of before the process that
/// started it.
async fn read_reports(
    from: impl AsyncBufRead + Unpin,
    seen: &mut Observed,
    first: oneshot::Sender<(i32, Option<i32>)>,
) {
    let mut first = Some(first);
    let mut lines = from.lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match serde_json::from_str(&line) {
            Ok(Report::Ended { code, signal }) => seen.ended = Some((code, signal)),
            Ok(Report::Used { cpu_us, rss_peak_bytes }) => {
                seen.cpu_us = cpu_us;
                seen.memory_peak_bytes = rss_peak_bytes;
            }
            Ok(Report::Parked) => {}
            Ok(Report::First { pid, forked }) => {
                // Nobody watches any more where the end came first.
                let _ = first.take().map(|first| first.send((pid, forked)));
            }
            Err(error) => tracing::warn!(%error, "a sandbox told something unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reports_count_in_whatever_order_they_come() {
        let reports = [
            Report::First { pid: 7, forked: None },
            Report::Ended { code: Some(3), signal: None },
            Report::Used { cpu_us: 5, rss_peak_bytes: 6 },
        ];
        let line = |report: &Report| serde_json::to_string(report).unwrap();
        for order in [[0, 1, 2], [1, 0, 2], [1, 2, 0]] {
            let text = order.map(|place| line(&reports[place])).join("\n");
            let mut seen = Observed::default();
            let (tell, first) = oneshot::channel();
            read_reports(text.as_bytes(), &mut seen, tell).await;
            assert_eq!(first.await, Ok((7, None)));
            assert_eq!(seen.ended, Some((Some(3), None)), "{text}");
            assert_eq!((seen.cpu_us, seen.memory_peak_bytes), (5, 6));
        }
    }
}
