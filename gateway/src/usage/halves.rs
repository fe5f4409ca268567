//! Parts of a usage report, for one that is too large, or has something in it that control refuses.
//!
//! Always true: each entry is in one of both parts, in its order; halves are smaller than the whole.
//! Absent on purpose: numbers, which a part gets when it is sent.

use api::internal::UsageReport;
use api::internal::functions::LinkLog;

/// How many entries a report has.
pub(super) fn count(report: &UsageReport) -> usize {
    lengths(report).into_iter().sum()
}

fn lengths(report: &UsageReport) -> [usize; 7] {
    let UsageReport {
        reporter: _,
        number: _,
        counts,
        functions,
        link_logs,
        captures,
        sources,
        live,
        accuracies,
    } = report;
    let lines = link_logs.iter().map(|log| log.lines.len()).sum();
    let told = [captures.len(), sources.len(), live.len(), accuracies.len()];
    let [captures, sources, live, accuracies] = told;
    [counts.len(), functions.len(), lines, captures, sources, live, accuracies]
}

/// Takes the entries out of a report that nobody is billed for.
pub(super) fn unbilled(report: &mut UsageReport) -> UsageReport {
    UsageReport {
        link_logs: std::mem::take(&mut report.link_logs),
        captures: std::mem::take(&mut report.captures),
        sources: std::mem::take(&mut report.sources),
        live: std::mem::take(&mut report.live),
        accuracies: std::mem::take(&mut report.accuracies),
        ..UsageReport::default()
    }
}

/// Takes the latter half of the entries out of a report; none where it has one at most.
pub(super) fn cut(report: &mut UsageReport) -> Option<UsageReport> {
    let all = count(report);
    if all < 2 {
        return None;
    }
    let mut kept = all / 2;
    let mut rest = UsageReport::default();
    split(&mut report.counts, &mut rest.counts, &mut kept);
    split(&mut report.functions, &mut rest.functions, &mut kept);
    split(&mut report.captures, &mut rest.captures, &mut kept);
    split(&mut report.sources, &mut rest.sources, &mut kept);
    split(&mut report.live, &mut rest.live, &mut kept);
    split(&mut report.accuracies, &mut rest.accuracies, &mut kept);
    for log in &mut report.link_logs {
        let mut later = LinkLog { link: log.link, lines: Vec::new() };
        split(&mut log.lines, &mut later.lines, &mut kept);
        if !later.lines.is_empty() {
            rest.link_logs.push(later);
        }
    }
    report.link_logs.retain(|log| !log.lines.is_empty());
    Some(rest)
}

/// Moves what is behind so many entries, and says how many more are kept.
fn split<T>(from: &mut Vec<T>, to: &mut Vec<T>, kept: &mut usize) {
    let here = from.len().min(*kept);
    *to = from.split_off(here);
    *kept -= here;
}
