//! What each fuzz target of streams and replays does with bytes. Shared with the test in `events`
//! that replays their corpora, so both hold the same laws.
//!
//! Each returns whether the bytes were taken, and panics where a law is broken.

use events::import::{Format, Mapping, Options};
use events::select::Filter;
use policy::replay::pattern::{Pattern, RUN_MS_MAX};

/// Takes bytes, and says whether they were taken.
pub(crate) type Target = fn(&[u8]) -> bool;

/// Every target, by the name of its folder in `corpus`.
#[allow(dead_code, reason = "a fuzz target uses one of them")]
pub(crate) const ALL: [(&str, Target); 5] = [
    ("event_filter", event_filter),
    ("import_mapping", import_mapping),
    ("import_csv", import_csv),
    ("import_json_lines", import_json_lines),
    ("load_pattern", load_pattern),
];

/// Conditions on events: what is written is read back.
pub(crate) fn event_filter(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(filter) = text.parse::<Filter>() else { return false };
    let again = filter.to_string().parse::<Filter>();
    assert_eq!(again.expect("what is written is a filter"), filter);
    true
}

/// What is what in a file: what is written is read back.
pub(crate) fn import_mapping(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(mapping) = text.parse::<Mapping>() else { return false };
    let again = mapping.to_string().parse::<Mapping>();
    assert_eq!(again.expect("what is written is a mapping"), mapping);
    true
}

/// A table of events.
pub(crate) fn import_csv(data: &[u8]) -> bool {
    imported(Format::Csv, data)
}

/// Events line by line.
pub(crate) fn import_json_lines(data: &[u8]) -> bool {
    imported(Format::JsonLines, data)
}

/// Every record is one event or is refused; an event has what every event has, and the same id
/// whenever it is read.
fn imported(format: Format, data: &[u8]) -> bool {
    let mapping = "time=when,subject=who,label=fraud".parse().expect("it is a mapping");
    let options = Options { mapping, accepted_us: 1, ..Options::default() };
    let take = || {
        let mut all = Vec::new();
        let summary = events::import::read(format, data, &options, &mut |some| {
            all.extend(some);
            Ok(())
        });
        (summary, all)
    };
    let ((summary, all), (_, again)) = (take(), take());
    for event in &all {
        assert!(![&event.id, &event.source, &event.kind].contains(&&String::new()));
    }
    assert_eq!(all, again);
    let Ok(summary) = summary else { return false };
    assert_eq!(summary.events, all.len() as u64);
    assert_eq!(summary.read, summary.events + summary.refused + summary.passed_over);
    assert!(summary.refusals.len() as u64 <= summary.refused);
    summary.refused == 0
}

/// A load: it has pieces, and an end.
pub(crate) fn load_pattern(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let Ok(pattern) = Pattern::parse(text) else { return false };
    assert!((1..=RUN_MS_MAX * 1_000_000).contains(&pattern.length_ns()));
    true
}
