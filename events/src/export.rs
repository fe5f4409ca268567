//! Export: selected events as files that others read.
//!
//! Always true: what is exported as JSON Lines or Parquet is imported again as the same events, with
//! their labels as the attribute `label`. Memory does not grow with what is selected.
//! Absent on purpose: names of files, and compressing what is text.

use std::io::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cloudevents;
use crate::error::Error;
use crate::log::Stored;
use crate::segment::table::Writer;
use crate::select::Selected;

/// What a file is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// An event of `CloudEvents` on each line.
    JsonLines,
    /// A table with a header; data that is no text is in a column `data_base64`.
    Csv,
    /// A Parquet file with the columns of segments, and `label`.
    Parquet,
}

/// The columns of a table, in their order.
const COLUMNS: [&str; 14] = [
    "sequence",
    "time",
    "accepted",
    "id",
    "source",
    "type",
    "subject",
    "region",
    "group",
    "label",
    "attributes",
    "content_type",
    "data",
    "data_base64",
];

/// Writes events in their order; gives how many there were.
///
/// # Errors
///
/// Those of the events; [`Error::Output`] where what they are written to fails. What was written by
/// then is no whole file.
pub fn write(
    format: Format,
    events: impl Iterator<Item = Result<Selected, Error>>,
    to: impl Write + Send,
) -> Result<u64, Error> {
    match format {
        Format::JsonLines => json_lines(events, to),
        Format::Csv => table(events, to),
        Format::Parquet => parquet(events, to),
    }
}

fn json_lines(
    events: impl Iterator<Item = Result<Selected, Error>>,
    mut to: impl Write,
) -> Result<u64, Error> {
    let mut count = 0;
    for selected in events {
        let Selected { event, label, .. } = selected?;
        let mut line = cloudevents::labelled(&event, label.as_deref());
        line.push('\n');
        to.write_all(line.as_bytes()).map_err(Error::Output)?;
        count += 1;
    }
    to.flush().map_err(Error::Output)?;
    Ok(count)
}

fn table(
    events: impl Iterator<Item = Result<Selected, Error>>,
    to: impl Write,
) -> Result<u64, Error> {
    let failed = |error: csv::Error| Error::Output(error.into());
    let mut to = csv::Writer::from_writer(to);
    to.write_record(COLUMNS).map_err(failed)?;
    let mut count = 0;
    for selected in events {
        let Selected { sequence, accepted_us, event, label } = selected?;
        let text = std::str::from_utf8(&event.data).ok();
        let attributes = Some(&event.attributes).filter(|it| !it.is_empty());
        let attributes = attributes.and_then(|it| serde_json::to_string(it).ok());
        let coded = text.map_or_else(|| BASE64_STANDARD.encode(&event.data), |_| String::new());
        to.write_record([
            sequence.to_string().as_str(),
            &time(event.time_ns.into()),
            &time(i128::from(accepted_us) * 1_000),
            &event.id,
            &event.source,
            &event.kind,
            &event.subject,
            &event.region,
            &event.group,
            label.as_deref().unwrap_or_default(),
            attributes.as_deref().unwrap_or_default(),
            &event.content_type,
            text.unwrap_or_default(),
            &coded,
        ])
        .map_err(failed)?;
        count += 1;
    }
    to.flush().map_err(Error::Output)?;
    Ok(count)
}

fn time(time_ns: i128) -> String {
    Timestamp::from_nanosecond(time_ns).unwrap_or(Timestamp::MAX).to_string()
}

fn parquet(
    events: impl Iterator<Item = Result<Selected, Error>>,
    to: impl Write + Send,
) -> Result<u64, Error> {
    let failed = |error| Error::Output(io::Error::other(error));
    let mut writer = Writer::new(to, true, None).map_err(failed)?;
    let mut count = 0;
    for selected in events {
        let Selected { sequence, accepted_us, event, label } = selected?;
        let stored = Stored { sequence, accepted_us, event };
        writer.push(&stored, label.as_deref()).map_err(failed)?;
        count += 1;
    }
    let mut to = writer.finish().map_err(failed)?;
    to.flush().map_err(Error::Output)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use proptest::prelude::*;

    use super::*;
    use crate::import::{self, Options};
    use crate::log::tests::any_event;
    use crate::segment::tests::World;
    use crate::select::Selection;
    use crate::{Event, Label};

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// What is exported is imported as it was, with its labels.
        #[test]
        fn what_is_exported_is_imported_again(
            events in prop::collection::vec(any_event(), 1..8), is_labelled: bool,
        ) {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let world = World::new();
                let stream = world.open().await;
                // Of data that is JSON, white space between the parts may be lost.
                let plain = |event: Event| Event { content_type: "a/b".to_owned(), ..event };
                let events: Vec<Event> = events.into_iter().map(plain).collect();
                stream.append(events.clone()).await.unwrap();
                if is_labelled {
                    let Event { source, id, .. } = events[0].clone();
                    stream.label(vec![Label { source, id, label: "fraud".to_owned() }]).await.unwrap();
                }
                let selected: Vec<Selected> =
                    stream.select(&Selection::default()).unwrap().map(Result::unwrap).collect();
                let wanted: Vec<Event> = selected.iter().map(|it| {
                    let mut event = it.event.clone();
                    if let Some(label) = &it.label {
                        event.attributes.insert("label".to_owned(), label.to_string());
                    }
                    event
                }).collect();
                let path = world.folder.path().join("exported");
                for (format, back) in [
                    (Format::JsonLines, import::Format::JsonLines),
                    (Format::Parquet, import::Format::Parquet),
                ] {
                    let all = stream.select(&Selection::default()).unwrap();
                    let count = write(format, all, File::create(&path).unwrap()).unwrap();
                    assert_eq!(count, wanted.len() as u64);
                    let mut told = Vec::new();
                    let summary = import::read_file(
                        back, File::open(&path).unwrap(), &Options::default(),
                        &mut |events| { told.extend(events); Ok(()) },
                    ).unwrap();
                    assert_eq!((summary.refusals, summary.events), (vec![], count));
                    assert_eq!(&told, &wanted, "{format:?}");
                }
            });
        }
    }

    #[test]
    fn a_table_looks_as_others_expect() {
        let event = Event {
            time_ns: 1_431_857_103_250_000_000,
            id: "7".to_owned(),
            source: "/shop".to_owned(),
            kind: "order".to_owned(),
            attributes: [("basket".to_owned(), "3".to_owned())].into(),
            data: "{\"a\":\"b, c\"}".into(),
            ..Event::default()
        };
        let bytes = Event { data: vec![0xff].into(), ..event.clone() };
        let label = Some("fraud".into());
        let events = [(event, label), (bytes, None)].map(|(event, label)| {
            Ok(Selected { sequence: 3, accepted_us: 1_431_857_104_000_001, event, label })
        });
        let mut table = Vec::new();
        assert_eq!(write(Format::Csv, events.into_iter(), &mut table).unwrap(), 2);
        insta::assert_snapshot!(String::from_utf8(table).unwrap());
    }
}
