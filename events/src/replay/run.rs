//! Runs: begun, paused, stopped, resumed, and judged when they are over.
//!
//! Always true: a run that is resumed sends what it would have sent, from where it was; where it would
//! send something else it ends there and says so; one that was over comes to the same again. A run that
//! nobody holds any more is stopped.
//! Absent on purpose: which runs there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use parking_lot::{Condvar, Mutex};
use policy::replay::schedule::{self, End, Mode};
use policy::replay::validity::{self, Facts, Needs};
use rustix::event::epoll;
use workflow::Clock;

use super::ahead::{self, Fault, Making};
use super::answer::Rules;
use super::cells::{self, Cell, Cells};
use super::error::Error;
use super::files::{self, Writer};
use super::flow::{Measured, Pauses, Shared};
use super::issue::{Issuance, Issuer, Issuing};
use super::judge::Judge;
use super::keep::{self, Keeping, Kept};
use super::plan::Plan;
use super::receive::{self, Answers, Receiving};
use super::report::{Finished, Progress, Stage, Summary, Used};
use super::state::State;
use super::steady;
use super::target::Variant;
use super::traffic::Traffic;
use crate::key::Folder;

/// A run that goes on.
#[derive(Debug)]
pub struct Run {
    name: String,
    names: Vec<Arc<str>>,
    shared: Arc<Shared>,
    schedule: schedule::Settings,
    needs: Needs,
    folder: Folder,
    busy_milli: u32,
    lost: u64,
    threads: Option<Threads>,
}

#[derive(Debug)]
struct Threads {
    making: JoinHandle<u64>,
    issuing: JoinHandle<Issuance>,
    receiving: JoinHandle<u64>,
    keeping: JoinHandle<Kept>,
}

/// What an earlier leg of the run has come to.
struct Earlier {
    state: State,
    measured: Measured,
    cursor: u64,
    /// When the last send was intended and when it went, from the start of the run.
    last_offset_ns: u64,
    until_ns: u64,
    lost: u64,
}

impl Run {
    /// Begins a run, or goes on with one. Sends these events, which are in the order of their times.
    ///
    /// # Errors
    ///
    /// Where the plan is out of its limits, the folder is taken, or there is nothing to resume.
    pub fn start<T: Traffic>(
        plan: Plan,
        clock: &Clock,
        events: impl Iterator<Item = Result<(policy::replay::Event, T::Payload), Fault>>
        + Send
        + 'static,
        traffic: T,
        judge: impl Judge<T::Kept>,
    ) -> Result<Self, Error> {
        plan.check()?;
        let since_1970 = clock.now_us().wrapping_mul(1_000).wrapping_sub(steady::now_ns());
        let now_ns = steady::now_ns().wrapping_add(since_1970);
        let names: Vec<Arc<str>> =
            plan.variants.iter().map(|variant| variant.name.as_str().into()).collect();
        let writer = Writer::open(plan.folder.clone(), names.clone())?;
        cells::kept::forget(&plan.folder.path)?;
        let mut earlier = earlier(&plan, now_ns)?;
        earlier.state.write(&plan.folder.path)?;
        let measured = std::mem::take(&mut earlier.measured);
        let shared = Arc::new(shared(plan.variants.len(), since_1970, measured)?);
        shared.issued.store(earlier.cursor, Ordering::Relaxed);
        let mut run = Self {
            name: plan.run.clone(),
            names,
            shared: Arc::clone(&shared),
            schedule: plan.schedule.clone(),
            needs: plan.needs,
            folder: plan.folder.clone(),
            busy_milli: earlier.state.busy_milli,
            lost: earlier.lost,
            threads: None,
        };
        run.threads = Some(threads(plan, shared, writer, earlier, (events, traffic, judge))?);
        Ok(run)
    }

    /// Where it stands.
    pub fn progress(&self) -> Progress {
        let shared = &self.shared;
        let under_way = |variant: usize| shared.under_way[variant].load(Ordering::Relaxed) as u64;
        let measured = shared.measured.lock();
        let variants = self.names.iter().zip(&measured.totals).enumerate();
        let variants = variants.map(|(at, (name, cell))| Summary::of(name, under_way(at), cell));
        let variants: Vec<Summary> = variants.collect();
        drop(measured);
        let issued = shared.issued.load(Ordering::Relaxed);
        Progress { run: self.name.clone(), stage: self.stage(), issued, variants }
    }

    /// What it does now.
    pub fn stage(&self) -> Stage {
        let is_over = self.threads.as_ref().is_none_or(|threads| threads.keeping.is_finished());
        if is_over {
            Stage::Over
        } else if self.shared.issued_all.load(Ordering::Relaxed) {
            Stage::Draining
        } else if self.shared.stands.load(Ordering::Relaxed) {
            Stage::Paused
        } else {
            Stage::Sending
        }
    }

    /// The moment of the run that it is now, in nanoseconds from its start, without gaps; none before
    /// its first send of this leg.
    pub fn elapsed_ns(&self) -> Option<u64> {
        let origin_ns = (*self.shared.origin_ns.lock())?;
        let since_ns = steady::now_ns().wrapping_sub(origin_ns);
        // It is set a moment before it has come.
        Some(if since_ns.cast_signed() < 0 { 0 } else { since_ns })
    }

    /// The time that it is now by the clock of its records, in nanoseconds since 1970.
    pub fn now_ns(&self) -> u64 {
        steady::now_ns().wrapping_add(self.shared.since_1970)
    }

    /// What was measured of each variant so far.
    pub fn totals(&self) -> Vec<Cell> {
        self.shared.measured.lock().totals.clone()
    }

    /// For how long it has been sending, without gaps, in nanoseconds.
    pub fn took_ns(&self) -> u64 {
        self.shared.mark.lock().took_ns
    }

    /// What was measured so far, by time, variant, region and group: as it is now, without copying
    /// what does not change any more.
    pub fn cells(&self) -> Cells {
        self.shared.measured.lock().cells.clone()
    }

    /// Stands still from the next send on; what is under way is answered.
    pub fn pause(&self) {
        *self.shared.pause.lock() = true;
    }

    /// Goes on after a pause: with what was next, as much later as the pause was long.
    pub fn resume(&self) {
        *self.shared.pause.lock() = false;
        self.shared.woken.notify_all();
    }

    /// Sends nothing more; what is under way is answered or given up in its time.
    pub fn stop(&self) {
        self.shared.stop();
    }

    /// Waits until it is over, and judges it. Blocks: from asynchronous code it is called apart.
    ///
    /// # Errors
    ///
    /// Where events could not be read or records not written. What was measured until then is in the
    /// folder, and the run can be resumed.
    pub fn wait(mut self) -> Result<Finished, Error> {
        let Some(threads) = self.threads.take() else {
            return Err(Error::Broken { part: "threads" });
        };
        let issuance = threads.issuing.join().map_err(|_| Error::Broken { part: "issuing" });
        let received = threads.receiving.join().map_err(|_| Error::Broken { part: "receiving" });
        let kept = threads.keeping.join().map_err(|_| Error::Broken { part: "keeping" })?;
        self.shared.stop();
        let made = threads.making.join().map_err(|_| Error::Broken { part: "making" });
        let (mut issuance, received, made) = (issuance?, received?, made?);
        let used = Used {
            ahead_ns: made,
            issue_ns: issuance.cpu_ns,
            receive_ns: received,
            keep_ns: kept.cpu_ns,
        };
        let busy_milli = self.busy_milli.max(busy_milli(used, issuance.elapsed_ns));
        let mut state = kept.state;
        state.busy_milli = busy_milli;
        state.is_over = !issuance.is_stopped && issuance.fault.is_none() && kept.failed.is_none();
        let written = state.write(&self.folder.path);
        if let Some(error) = kept.failed.or(issuance.fault.take()) {
            return Err(error);
        }
        written?;
        if issuance.is_changed {
            issuance.proof.digest = state.digest_bytes().unwrap_or_default();
        }
        let measured = std::mem::take(&mut *self.shared.measured.lock());
        cells::kept::write(&self.folder, &measured.cells);
        let proof = issuance.proof;
        let facts = self.facts(&issuance, &state, &measured);
        Ok(Finished {
            run: self.name.clone(),
            names: self.names.clone(),
            proof,
            facts,
            validity: validity::judge(&facts, &self.needs),
            lost: self.lost,
            waits: self.shared.waits.load(Ordering::Relaxed),
            used,
            totals: measured.totals,
            cells: measured.cells,
        })
    }

    fn facts(&self, issuance: &Issuance, state: &State, measured: &Measured) -> Facts {
        let variants = self.names.len() as u64;
        let sum = |of: fn(&super::Counts) -> u64| -> u64 {
            measured.totals.iter().map(|cell| of(&cell.counts)).sum()
        };
        let lag = measured.totals.iter().filter_map(|cell| cell.lag.quantile(990_000)).max();
        // The quickest variant is the one whose answers a late send spoils most.
        let latency = measured.totals.iter().filter_map(|cell| cell.latency.quantile(990_000));
        let asked_ns = self.asked_ns(issuance);
        Facts {
            asked: issuance.proof.sends * variants,
            asked_ns,
            sent: sum(super::Counts::sent),
            took_ns: asked_ns.max(issuance.until_ns),
            skipped: sum(|counts| counts.of(super::Outcome::Skipped)),
            dropped: sum(|counts| counts.of(super::Outcome::Dropped)),
            lag_p99_ns: lag.unwrap_or(0),
            latency_p99_ns: latency.min().unwrap_or(0),
            events: measured.totals.iter().map(|cell| cell.firsts).min().unwrap_or(0),
            busy_milli: state.busy_milli,
            stopped: issuance.is_stopped,
            resumed: state.resumed,
            gap_ns: state.gap_ns,
            changed: issuance.is_changed,
        }
    }

    /// The time that the sends take by their schedule.
    fn asked_ns(&self, issuance: &Issuance) -> u64 {
        let duration_ns = self.schedule.duration_ns;
        let last_ns = issuance.last_offset_ns;
        match issuance.proof.end {
            Some(End::Duration) => duration_ns,
            Some(End::Pattern) => match &self.schedule.mode {
                Mode::Pattern { pattern, .. } => pattern.length_ns().min(duration_ns),
                _ => duration_ns,
            },
            // The last of them has a gap of its own, as all before it.
            Some(End::Events) => match issuance.proof.sends.checked_sub(1) {
                Some(gaps) if gaps > 0 => (last_ns + last_ns / gaps).min(duration_ns),
                _ => duration_ns,
            },
            None => issuance.until_ns.max(last_ns).min(duration_ns),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.shared.stop();
    }
}

/// Tells when nothing more is issued: also where the thread that issues has panicked, or is none.
struct Issued(Arc<Shared>);

impl Drop for Issued {
    fn drop(&mut self) {
        self.0.issued_all.store(true, Ordering::Release);
    }
}

/// Begins the threads, the last ones first: where one cannot be begun, those before it end as what
/// they listen to is dropped.
fn threads<T: Traffic>(
    plan: Plan,
    shared: Arc<Shared>,
    writer: Writer,
    earlier: Earlier,
    (events, traffic, judge): (
        impl Iterator<Item = Result<(policy::replay::Event, T::Payload), Fault>> + Send + 'static,
        T,
        impl Judge<T::Kept>,
    ),
) -> Result<Threads, Error> {
    let known = earlier.state.digest_bytes().map(|digest| (earlier.state.issued, digest));
    let Earlier { cursor, last_offset_ns, until_ns, .. } = earlier;
    let variants: Arc<[Variant]> = plan.variants.into();
    let (ready, is_ready) = mpsc::sync_channel(ahead::BATCHES_MAX);
    let (issued, is_issued) = mpsc::channel();
    let (kept, is_kept) = mpsc::sync_channel(receive::BATCHES_MAX);
    let keeping = Keeping {
        shared: Arc::clone(&shared),
        kept: is_kept,
        folder: plan.folder.path.clone(),
        writer,
        state: earlier.state,
    };
    let receiving = Receiving {
        shared: Arc::clone(&shared),
        issued: is_issued,
        kept: kept.clone(),
        rules: Rules {
            service_header: plan.service_header,
            took_header: plan.took_header,
            body_bytes_max: plan.body_bytes_max,
        },
        timeout_ns: plan.timeout_ms * 1_000_000,
    };
    let over = Issued(Arc::clone(&shared));
    let issuing = Issuing {
        shared: Arc::clone(&shared),
        variants: Arc::clone(&variants),
        ready: is_ready,
        issued,
        kept,
        catch_up: plan.catch_up,
        under_way_max: plan.under_way_max,
        spin_ns: plan.spin_ns,
        warm: plan.warm,
        cursor,
        last_offset_ns,
        until_ns,
    };
    let making = Making {
        run: plan.run.into(),
        folder: plan.folder.path,
        variants,
        settings: plan.schedule,
        traffic,
        cursor,
        known,
        shared,
        ready,
    };
    Ok(Threads {
        keeping: spawn("replay-keep", move || keep::run(keeping, judge))?,
        receiving: spawn("replay-receive", move || Answers::new(receiving).run())?,
        issuing: spawn("replay-issue", move || {
            let _over = over;
            Issuer::new(issuing).run()
        })?,
        making: spawn("replay-ahead", move || ahead::run(making, events))?,
    })
}

fn shared(variants: usize, since_1970: u64, mut measured: Measured) -> Result<Shared, Error> {
    measured.totals.resize_with(variants, Default::default);
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)
        .map_err(|error| Error::io("make", "an epoll instance")(error.into()))?;
    Ok(Shared {
        epoll,
        stop: AtomicBool::new(false),
        pause: Mutex::new(false),
        stands: AtomicBool::new(false),
        woken: Condvar::new(),
        issued_all: AtomicBool::new(false),
        issued: AtomicU64::new(0),
        under_way: (0..variants).map(|_| AtomicUsize::new(0)).collect(),
        idle: (0..variants).map(|_| Mutex::new(Vec::new())).collect(),
        origin_ns: Mutex::default(),
        mark: Mutex::default(),
        pauses: Mutex::new(Pauses::default()),
        measured: Mutex::new(measured),
        waits: AtomicU64::new(0),
        since_1970,
    })
}

/// What is in the folder of a run that is resumed; nothing of one that begins.
fn earlier(plan: &Plan, now_ns: u64) -> Result<Earlier, Error> {
    let folder = || plan.folder.path.clone();
    let names: Vec<String> = plan.variants.iter().map(|variant| variant.name.clone()).collect();
    let state = State::read(&plan.folder.path)?;
    if !plan.resume {
        if state.is_some() {
            return Err(Error::Taken { folder: folder() });
        }
        let state = State::new(&plan.run, names, now_ns);
        let (measured, cursor, lost) = (Measured::default(), 0, 0);
        return Ok(Earlier { state, measured, cursor, last_offset_ns: 0, until_ns: 0, lost });
    }
    let Some(mut state) = state else { return Err(Error::Nothing { folder: folder() }) };
    for (is_changed, what) in
        [(state.run != plan.run, "name"), (state.variants != names, "list of variants")]
    {
        if is_changed {
            return Err(Error::Changed { folder: folder(), what });
        }
    }
    let mut measured = Measured::default();
    measured.totals.resize_with(names.len(), Default::default);
    let (mut cursor, mut recorded, mut last_ns) = (state.issued, 0, state.at_ns);
    let (mut last_offset_ns, mut until_ns) = (state.took_ns, 0);
    for record in files::read(plan.folder.clone())? {
        let record = record?;
        cursor = cursor.max(record.number + 1);
        last_ns = last_ns.max(record.done_ns);
        last_offset_ns = last_offset_ns.max(record.offset_ns);
        until_ns = record.lag_ns().map_or(until_ns, |lag| until_ns.max(record.offset_ns + lag));
        recorded += 1;
        measured.add(&record);
    }
    // Whoever was to be told what a run came to that is over may have ended before: nothing is sent.
    if !state.is_over {
        state.resumed += 1;
        state.gap_ns += now_ns.saturating_sub(last_ns);
    }
    let lost = (cursor * names.len() as u64).saturating_sub(recorded);
    Ok(Earlier { state, measured, cursor, last_offset_ns, until_ns, lost })
}

/// The largest part of a processor's time that a thread used whose delays are measured, or of all
/// processors that all of them did, in thousandths.
fn busy_milli(used: Used, elapsed_ns: u64) -> u32 {
    let processors = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let most_ns = used.issue_ns.max(used.receive_ns).max(used.all_ns() / processors);
    let milli = u128::from(most_ns) * 1_000 / u128::from(elapsed_ns.max(1));
    u32::try_from(milli).unwrap_or(u32::MAX)
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(work);
    spawned.map_err(Error::io("begin the thread", name))
}
