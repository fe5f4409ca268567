//! Runs a batch and sends the answers.

use std::time::Instant;

use types::Tensor;
use types::frame::{Answer, Frame};

use crate::batch;
use crate::check::Request;
use crate::engine::{Engine, Ran, ns_since};
use crate::fault::Fault;
use crate::queue::{Pending, Queue};

/// Runs this batch, and answers each of its requests that is still wanted.
pub(crate) fn run(engine: &mut dyn Engine, queue: &Queue, batch: &[Pending]) {
    let began = Instant::now();
    let ran = start(engine, queue, batch);
    let (mut ran, began_output) = match ran {
        Ok(ran) => (ran, Instant::now()),
        // Which of several inputs broke the run is not known: each alone.
        Err(_) if batch.len() > 1 => return each_alone(engine, queue, batch),
        Err(fault) => return refuse(queue, batch, 0, &fault),
    };
    if let [only] = batch {
        let outputs = std::mem::take(&mut ran.outputs);
        return answer(queue, (0, only), outputs, &ran, (began, began_output, only.rows));
    }
    let rows: Vec<u64> = batch.iter().map(|pending| u64::from(pending.rows)).collect();
    let Some(shares) = batch::split(&ran.outputs, &rows) else {
        queue.never_join();
        return each_alone(engine, queue, batch);
    };
    let total = batch.iter().map(|pending| pending.rows).sum();
    for (member, outputs) in batch.iter().enumerate().zip(shares) {
        answer(queue, member, outputs, &ran, (began, began_output, total));
    }
}

fn start(engine: &mut dyn Engine, queue: &Queue, batch: &[Pending]) -> Result<Ran, Fault> {
    queue.stop_by(engine.stop()?);
    let requests: Vec<&Request> = batch.iter().map(|pending| &pending.request).collect();
    let ran = engine.run(&batch::join(&requests))?;
    queue.count(batch, ran.input_ns + ran.infer_ns + ran.output_ns);
    Ok(ran)
}

fn each_alone(engine: &mut dyn Engine, queue: &Queue, batch: &[Pending]) {
    for (index, pending) in batch.iter().enumerate() {
        let began = Instant::now();
        match start(engine, queue, std::slice::from_ref(pending)) {
            Ok(mut ran) => {
                let outputs = std::mem::take(&mut ran.outputs);
                let times = (began, Instant::now(), pending.rows);
                answer(queue, (index, pending), outputs, &ran, times);
            }
            Err(fault) => refuse(queue, std::slice::from_ref(pending), index, &fault),
        }
    }
}

fn answer(
    queue: &Queue,
    (index, pending): (usize, &Pending),
    outputs: Vec<Tensor>,
    ran: &Ran,
    (began, began_output, batch_rows): (Instant, Instant, u32),
) {
    if !queue.wanted(index) {
        return;
    }
    let wanted = &pending.request.outputs;
    let outputs = if wanted.len() == outputs.len() && wanted.is_sorted() {
        outputs
    } else {
        wanted.iter().filter_map(|&place| outputs.get(place).cloned()).collect()
    };
    let queue = began.saturating_duration_since(pending.arrived).as_nanos();
    let answer = Answer {
        queue_ns: u64::try_from(queue).unwrap_or(u64::MAX),
        compute_input_ns: ran.input_ns,
        compute_infer_ns: ran.infer_ns,
        compute_output_ns: ran.output_ns + ns_since(began_output),
        batch_rows,
        outputs,
    };
    pending.to.send(pending.number, &Frame::Answer(answer));
}

fn refuse(queue: &Queue, batch: &[Pending], first: usize, fault: &Fault) {
    for (index, pending) in batch.iter().enumerate() {
        if queue.wanted(first + index) {
            pending.to.send(pending.number, &fault.clone().frame());
        }
    }
}
