//! Batching: which waiting requests a model runs together, and when.
//!
//! The queue is a slice in the order of arrival. The oldest request that has not expired leads;
//! those behind it with the same shape join it in order until the batch is full. A batch runs when
//! it is full, or when one of its requests has waited for company as long as it may.
//!
//! Always true: requests of one shape run in the order of arrival; a request that has not expired
//! is never held past half of its time, so that the other half is left for the run.
//! Absent on purpose: how long a run takes, more than one engine, allocation before a run.

/// How a model batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Most rows in one batch; at least 1. A larger single request runs alone.
    pub rows_max: u32,
    /// Longest wait for company, in microseconds; 0 for none.
    pub delay_us_max: u64,
    /// Most rows that may wait.
    pub queue_rows_max: u32,
}

/// A request that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The caller's number.
    pub number: u64,
    /// The size of its first dimension; 0 counts as 1.
    pub rows: u32,
    /// Requests with the same key may run together: the same names, types and other dimensions.
    pub shape_key: u64,
    /// When it arrived, in microseconds.
    pub arrived_us: u64,
    /// When its answer is of no more use, in microseconds; `u64::MAX` for never.
    pub deadline_us: u64,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Run these together, in this order.
    Run {
        /// Their numbers.
        numbers: Vec<u64>,
    },
    /// Nothing until then, unless a request arrives or the engine becomes free.
    WaitUntil {
        /// Later than now, in microseconds.
        us: u64,
    },
    /// Nothing until a request arrives or the engine becomes free.
    Idle,
}

/// What to do now, and whom to refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// What to do with the others.
    pub decision: Decision,
    /// Numbers of requests past their deadline: answer them with a timeout, and drop them.
    pub expired: Vec<u64>,
}

/// Why a request may not join the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{waiting_rows} rows are waiting and at most {queue_rows_max} may; try again later")]
pub struct Full {
    /// Rows that wait.
    pub waiting_rows: u32,
    /// Most that may.
    pub queue_rows_max: u32,
}

/// Says whether a request of `rows` may join a queue in which `waiting_rows` wait.
///
/// An empty queue takes any request, so that a single large one is not refused for ever.
///
/// # Errors
///
/// [`Full`] when too many would wait.
pub fn admit(waiting_rows: u32, rows: u32, settings: &Settings) -> Result<(), Full> {
    let queue_rows_max = settings.queue_rows_max;
    if waiting_rows == 0 || waiting_rows.saturating_add(rows.max(1)) <= queue_rows_max {
        return Ok(());
    }
    Err(Full { waiting_rows, queue_rows_max })
}

/// Decides what a model does with its queue, which is in the order of arrival.
///
/// Takes time in proportion to the queue, and allocates only for what runs or has expired.
pub fn decide(queue: &[Waiting], now_us: u64, busy: bool, settings: &Settings) -> Decided {
    let look = look(queue, now_us, settings);
    let expired = if look.expired == 0 {
        Vec::new()
    } else {
        let mut expired = Vec::with_capacity(look.expired);
        expired.extend(queue.iter().filter(|one| one.deadline_us <= now_us).map(|one| one.number));
        expired
    };
    let decision = match look.batch {
        None => Decision::Idle,
        Some(batch) if !busy && (batch.full || batch.hold_until_us <= now_us) => {
            Decision::Run { numbers: members(queue, now_us, &batch) }
        }
        Some(_) if busy && look.soonest_deadline_us == u64::MAX => Decision::Idle,
        Some(_) if busy => Decision::WaitUntil { us: look.soonest_deadline_us },
        Some(batch) => {
            Decision::WaitUntil { us: batch.hold_until_us.min(look.soonest_deadline_us) }
        }
    };
    Decided { decision, expired }
}

/// What one pass over the queue finds.
struct Look {
    expired: usize,
    soonest_deadline_us: u64,
    batch: Option<Batch>,
}

/// The batch that the oldest request leads.
struct Batch {
    shape_key: u64,
    count: usize,
    rows: u32,
    /// Whether no request may join any more.
    full: bool,
    /// When one of its members has waited long enough.
    hold_until_us: u64,
}

fn look(queue: &[Waiting], now_us: u64, settings: &Settings) -> Look {
    let rows_max = settings.rows_max.max(1);
    let mut look = Look { expired: 0, soonest_deadline_us: u64::MAX, batch: None };
    for one in queue {
        if one.deadline_us <= now_us {
            look.expired += 1;
            continue;
        }
        look.soonest_deadline_us = look.soonest_deadline_us.min(one.deadline_us);
        let batch = look.batch.get_or_insert(Batch {
            shape_key: one.shape_key,
            count: 0,
            rows: 0,
            full: false,
            hold_until_us: u64::MAX,
        });
        if batch.full || batch.shape_key != one.shape_key {
            continue;
        }
        let rows = batch.rows.saturating_add(one.rows.max(1));
        if batch.count > 0 && rows > rows_max {
            batch.full = true;
            continue;
        }
        batch.count += 1;
        batch.rows = rows;
        batch.full = rows >= rows_max;
        batch.hold_until_us = batch.hold_until_us.min(hold_until_us(one, settings));
    }
    look
}

/// How long a request may wait for company: the setting, or half of its time where that is less.
fn hold_until_us(one: &Waiting, settings: &Settings) -> u64 {
    let half_us = one.deadline_us.saturating_sub(one.arrived_us) / 2;
    one.arrived_us.saturating_add(settings.delay_us_max.min(half_us))
}

fn members(queue: &[Waiting], now_us: u64, batch: &Batch) -> Vec<u64> {
    let mut numbers = Vec::with_capacity(batch.count);
    let joins = |one: &&Waiting| one.deadline_us > now_us && one.shape_key == batch.shape_key;
    numbers.extend(queue.iter().filter(joins).take(batch.count).map(|one| one.number));
    numbers
}

#[cfg(test)]
mod tests;
