//! What variants took, as it is told: out of what their answers said, their hosts, and the routes.
//!
//! Always true: what neither an answer nor a host said is absent, and is not 0.

use api::runs::VariantUsed;
use events::replay::{Cell, Cells};

use crate::routes::Endpoint;
use crate::runs::used::Usage;

const MS_NS: u128 = 1_000_000;

/// What a variant took: by its sum, the stretches of the run, the time that the run took, and what
/// its instances used, where hosts tell.
pub(in crate::runs) fn of(
    sum: &Cell,
    (cells, variant): (&Cells, u16),
    took_ns: u64,
    (endpoint, usage): (Option<&Endpoint>, Option<&Usage>),
) -> VariantUsed {
    let told = of_answers(sum, (cells, variant), took_ns, endpoint);
    let Some(usage) = usage else { return told };
    let answered = sum.counts.answered();
    let of_requests = usage.cpu_us.filter(|_| usage.is_own);
    let milli = |us: u64| milli(u128::from(us), u128::from(usage.window_us));
    VariantUsed {
        processors_us: usage.cpu_us,
        cpu_us: told.cpu_us.or(of_requests.and_then(|us| us.checked_div(answered))),
        cpu_measured: told.cpu_measured.or(of_requests.map(|_| answered)),
        cpu_milli: told.cpu_milli.or(usage.cpu_us.filter(|_| usage.window_us > 0).map(milli)),
        memory_bytes: told.memory_bytes.or(usage.memory_bytes),
        ..told
    }
}

fn of_answers(
    sum: &Cell,
    (cells, variant): (&Cells, u16),
    took_ns: u64,
    endpoint: Option<&Endpoint>,
) -> VariantUsed {
    let used = &sum.used;
    // Before the first send there is no time over which anything could be busy.
    let is_told = sum.service.count() > 0 && took_ns > 0;
    let cpu_us = cpu_us(sum);
    let processors_ns = u128::from(cpu_us.unwrap_or(0)) * 1_000 * u128::from(sum.counts.answered());
    VariantUsed {
        busy_milli: is_told.then(|| milli(sum.service.sum(), u128::from(took_ns))),
        busy_most_milli: is_told.then(|| busiest(cells, variant)),
        workers: endpoint.and_then(workers),
        processors_us: None,
        cold_starts: (used.told > 0).then_some(used.starts),
        cold_start_us: used.start_us.checked_div(used.starts),
        cpu_us,
        cpu_measured: (used.cpu_told > 0).then_some(used.cpu_told),
        cpu_milli: cpu_us
            .filter(|_| took_ns > 0)
            .map(|_| milli(processors_ns, u128::from(took_ns))),
        memory_bytes: (used.memory_bytes > 0).then_some(used.memory_bytes),
    }
}

/// Time of processors for a request, on average of those that told.
pub(in crate::runs) fn cpu_us(cell: &Cell) -> Option<u64> {
    cell.used.cpu_us.checked_div(cell.used.cpu_told)
}

/// How many requests were worked on at a time over so many milliseconds, in thousandths.
pub(in crate::runs) fn busy_milli(cell: &Cell, for_ms: u64) -> Option<u64> {
    (cell.service.count() > 0).then(|| milli(cell.service.sum(), u128::from(for_ms) * MS_NS))
}

/// The same of the busiest stretch, by when requests were intended.
fn busiest(cells: &Cells, variant: u16) -> u64 {
    let (mut most, mut now) = (0, (0, 0));
    for (of, cell) in cells.iter().filter(|(of, _)| of.variant == variant) {
        now = if now.0 == of.from_ms { now } else { (of.from_ms, 0) };
        now.1 += cell.service.sum();
        most = most.max(milli(now.1, u128::from(of.for_ms) * MS_NS));
    }
    most
}

/// The instances that are ready; of a function it is each host's own affair how many there are.
fn workers(endpoint: &Endpoint) -> Option<u64> {
    let fewest = endpoint.stages.iter().map(|stage| stage.backends.len() as u64).min();
    fewest.filter(|_| endpoint.function.is_none())
}

fn milli(part_ns: u128, of_ns: u128) -> u64 {
    u64::try_from(part_ns.saturating_mul(1_000) / of_ns.max(1)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_told_is_absent() {
        let used = of(&Cell::default(), (&Cells::default(), 0), 1_000_000_000, (None, None));
        assert_eq!(used, VariantUsed::default());
    }

    #[test]
    fn two_requests_of_half_a_second_are_one_worker_for_a_second() {
        let mut sum = Cell::default();
        sum.service.add(500_000_000);
        sum.service.add(500_000_000);
        sum.used.cpu_told = 2;
        sum.used.cpu_us = 3_000;
        let used = of(&sum, (&Cells::default(), 0), 1_000_000_000, (None, None));
        assert_eq!(
            (used.busy_milli, used.cpu_us, used.cold_starts),
            (Some(1_000), Some(1_500), None)
        );
        assert_eq!(busy_milli(&sum, 500), Some(2_000));
    }

    #[test]
    fn what_others_asked_too_is_no_requests_own() {
        let sum = Cell::default();
        let usage = |is_own| Usage {
            cpu_us: Some(3_000_000),
            memory_bytes: Some(1 << 20),
            window_us: 2_000_000,
            is_own,
        };
        let told = |usage| of(&sum, (&Cells::default(), 0), 0, (None, Some(&usage)));
        let shared = told(usage(false));
        assert_eq!((shared.processors_us, shared.cpu_milli), (Some(3_000_000), Some(1_500)));
        assert_eq!((shared.cpu_us, shared.cpu_measured), (None, None));
        assert_eq!(shared.memory_bytes, Some(1 << 20));
        // Nothing was answered, so nothing is known of one answer.
        assert_eq!((told(usage(true)).cpu_us, told(usage(true)).cpu_measured), (None, Some(0)));
        assert_eq!(told(Usage::default()), VariantUsed::default());
    }
}
