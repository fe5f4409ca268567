//! Pruning: which segments and row groups can have what is selected, by what is said of them.
//!
//! Always true: what is left out has nothing that is wanted.
//! Absent on purpose: reading rows.

use std::collections::BTreeSet;

use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::Selection;
use crate::error::Error;
use crate::segment::Segment;
use crate::segment::read::Opened;

/// Most values of which it is asked whether a row group has them: each is some reading.
const ASKED_MAX: usize = 64;

/// Whether a segment can have events that are wanted.
pub(super) fn may_have(selection: &Selection, segment: &Segment) -> bool {
    let (first, last) = selection.numbers();
    let (first_ns, last_ns) = selection.times_ns();
    let has_named = || selection.sequences.range(segment.first..=segment.last).next().is_some();
    segment.first <= last
        && segment.last >= first
        && segment.first_ns <= last_ns
        && segment.last_ns >= first_ns
        && (selection.sequences.is_empty() || has_named())
}

/// The row groups that can have events that are wanted.
pub(super) fn groups(selection: &Selection, opened: &Opened) -> Result<Vec<usize>, Error> {
    let mut groups = Vec::new();
    for (place, group) in opened.groups().iter().enumerate() {
        if by_bounds(selection, opened, group) && by_filters(selection, opened, place)? {
            groups.push(place);
        }
    }
    Ok(groups)
}

/// By the lowest and the highest values.
fn by_bounds(selection: &Selection, opened: &Opened, group: &RowGroupMetaData) -> bool {
    let statistics = |name: &str| group.column(opened.column(name)?).statistics();
    let within = |name: &str, (first, last): (u64, u64)| match statistics(name) {
        Some(Statistics::Int64(it)) => {
            it.max_opt().is_none_or(|most| most.cast_unsigned() >= first)
                && it.min_opt().is_none_or(|least| least.cast_unsigned() <= last)
        }
        _ => true,
    };
    let texts = [
        ("region", &selection.regions),
        ("group", &selection.groups),
        ("type", &selection.kinds),
        ("subject", &selection.subjects),
        ("id", &selection.ids),
    ];
    within("time", selection.times_ns())
        && within("sequence", selection.numbers())
        && texts.into_iter().all(|(name, texts)| {
            texts.is_empty()
                || statistics(name).is_none_or(|it| may_be(texts, it, group.num_rows()))
        })
}

/// Whether one of these texts can be in a column. The bounds may be cut, and are wider then.
fn may_be(texts: &BTreeSet<String>, statistics: &Statistics, rows: i64) -> bool {
    let nulls = statistics.null_count_opt();
    if texts.contains("") && nulls != Some(0) {
        return true;
    }
    let (Some(least), Some(most)) = (statistics.min_bytes_opt(), statistics.max_bytes_opt()) else {
        // Where all are null there is neither.
        return nulls != Some(rows.cast_unsigned());
    };
    texts.iter().any(|text| (least..=most).contains(&text.as_bytes()))
}

/// By what rules out single values.
fn by_filters(selection: &Selection, opened: &Opened, group: usize) -> Result<bool, Error> {
    for (name, texts) in [("subject", &selection.subjects), ("id", &selection.ids)] {
        let asks = (1..=ASKED_MAX).contains(&texts.len()) && !texts.contains("");
        let Some(column) = opened.column(name).filter(|_| asks) else { continue };
        if let Some(filter) = opened.filter(group, column)?
            && !texts.iter().any(|text| filter.check(text.as_str()))
        {
            return Ok(false);
        }
    }
    Ok(true)
}
