use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::Compression;
use ::parquet::file::properties::WriterProperties;
use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{
    ArrayRef, BooleanArray, Date32Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use proptest::prelude::*;

use super::*;
use crate::segment::tests::{World, all};

fn options(mapping: &str) -> Options {
    Options { mapping: mapping.parse().unwrap(), ..Options::default() }
}

fn taken(format: Format, text: impl AsRef<[u8]>, options: &Options) -> (Summary, Vec<Event>) {
    let mut events = Vec::new();
    let summary = read(format, text.as_ref(), options, &mut |some| {
        assert!(some.len() <= HANDED_EVENTS_MAX);
        events.extend(some);
        Ok(())
    });
    (summary.unwrap(), events)
}

fn data(event: &Event) -> &str {
    std::str::from_utf8(&event.data).unwrap()
}

#[test]
fn lines_of_json_are_events_or_refused_with_their_numbers() {
    let text = "\u{FEFF}{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"b\",\"group\":\"g\"}\r\n\
        \n\
        {\"when\":1431857103.25,\"user\":{\"id\":7},\"place\":null,\"is fraud\":true}\n\
        {\"when\":\"yesterday\"}\n\
        {\"user\":1}\n\
        [1]\n\
        {\n\
        {\"when\":1,\"user\":{\"id\":\"\"}}";
    let options = Options {
        accepted_us: 5,
        ..options("time=when, subject=/user/id, region=place, label=\"is fraud\"")
    };
    let (summary, events) = taken(Format::JsonLines, text, &options);
    assert_eq!((summary.read, summary.events, summary.refused), (7, 3, 4));
    let told: Vec<(u64, bool)> =
        summary.refusals.iter().map(|it| (it.line, !it.why.is_empty())).collect();
    assert_eq!(told, [(4, true), (5, true), (6, true), (7, true)]);
    assert!(summary.refusals[0].why.contains("\"yesterday\" is not like"), "{summary:?}");
    assert!(summary.refusals[1].why.contains("no \"when\""), "{summary:?}");
    assert_eq!((events[0].time_ns, events[0].group.as_str()), (5_000, "g"));
    let plain = &events[1];
    assert_eq!((plain.time_ns, plain.subject.as_str()), (1_431_857_103_250_000_000, "7"));
    assert_eq!((plain.region.as_str(), plain.attributes["label"].as_str()), ("", "true"));
    assert_eq!((plain.source.as_str(), plain.kind.as_str()), ("/import/json-lines", "record"));
    assert!(data(plain).starts_with("{\"when\":1431857103.25,"));
    // Whenever it is imported, it has the same id; the line there is twice has two.
    assert_eq!(taken(Format::JsonLines, text, &options).1, events);
    let twice = "{\"time\":1}\n{\"time\":1}\n";
    let (_, events) = taken(Format::JsonLines, twice, &Options::default());
    assert_ne!(events[0].id, events[1].id);
}

#[test]
fn lines_that_are_too_long_or_no_text_are_refused_and_the_next_are_read() {
    let long = format!("{{\"time\":1,\"a\":\"{}\"}}", "x".repeat(3 * LINE_BYTES_MAX));
    let text = [long.as_bytes(), b"\n", b"\xff\n", b"{\"time\":1}"].concat();
    let (summary, events) = taken(Format::JsonLines, text, &Options::default());
    assert_eq!((summary.read, summary.refused, events.len()), (3, 2, 1));
    assert_eq!(summary.refusals[0].line, 1);
    assert!(summary.refusals[0].why.contains("more than 1048576 bytes"));
    assert!(summary.refusals[1].why.contains("UTF-8"));
    // As many as anybody likes are counted, and some are told.
    let (summary, _) = taken(Format::JsonLines, "x\n".repeat(500), &Options::default());
    assert_eq!((summary.refused, summary.refusals.len()), (500, REFUSALS_MAX));
}

#[test]
fn rows_of_a_table_are_events_with_their_cells_as_data() {
    let text = "at,User ID,ok,rtt,note\n\
        2020-02-03 12:43:30.772,-4324475583306591935,True,,\"a, \"\"b\"\"\"\n\
        2020-02-03 12:43:31,007,no,1.50,NaN\n\
        2020-02-03 12:43:32,1\n\
        ,1,,,\n";
    let options = Options {
        zone: "Europe/Berlin".to_owned(),
        source: "/rba".to_owned(),
        ..options("time=at,subject=User ID,id=rtt")
    };
    let (summary, events) = taken(Format::Csv, text, &options);
    assert_eq!((summary.read, summary.events, summary.refused), (4, 2, 2));
    assert_eq!([summary.refusals[0].line, summary.refusals[1].line], [4, 5]);
    assert!(summary.refusals[0].why.contains("2 cells, the header 5"));
    assert_eq!(events[0].time_ns, 1_580_730_210_772_000_000);
    assert_eq!(events[0].subject, "-4324475583306591935");
    assert_eq!((events[0].source.as_str(), events[1].id.as_str()), ("/rba", "1.50"));
    assert_eq!(
        data(&events[0]),
        r#"{"at":"2020-02-03 12:43:30.772","User ID":-4324475583306591935,"ok":true,"rtt":null,"note":"a, \"b\""}"#
    );
    assert_eq!(
        data(&events[1]),
        r#"{"at":"2020-02-03 12:43:31","User ID":"007","ok":"no","rtt":1.50,"note":"NaN"}"#
    );
}

#[test]
fn files_that_cannot_be_taken_are_refused_with_a_cure() {
    let mapped = options("time=at,region=land");
    let open = format!("time\n\"{}", "x\n".repeat(LINE_BYTES_MAX));
    for (format, text, options, word) in [
        (
            Format::Csv,
            "at,where\n",
            &mapped,
            "no column \"land\" for region; the columns are at, where",
        ),
        (Format::Csv, "at,at,land\n", &mapped, "two columns are named \"at\""),
        (Format::Csv, "\u{0}\u{1}\n", &mapped, "no column"),
        (Format::Csv, open.as_str(), &Options::default(), "is a quote not closed"),
        (Format::Parquet, "", &Options::default(), "it has to be a file"),
        (
            Format::Csv,
            "",
            &Options { zone: "Nowhere".to_owned(), ..Options::default() },
            "no zone \"Nowhere\"",
        ),
    ] {
        let refused =
            read(format, text.as_bytes(), options, &mut |_| Ok(())).unwrap_err().to_string();
        assert!(refused.contains(word), "{refused}");
    }
    let mut file = tempfile::tempfile().unwrap();
    io::Write::write_all(&mut file, b"PAR1 no, it is not PAR1").unwrap();
    let refused = read_file(Format::Parquet, file, &Options::default(), &mut |_| Ok(()));
    assert!(refused.unwrap_err().to_string().contains("no Parquet file"));
}

#[test]
fn a_repeated_sign_in_is_as_many_events() {
    let line = |message: &str| format!("Mar  7 13:06:56 host sshd[12]: {message}\n");
    let tried = "Failed password for invalid user bob from 10.0.0.1 port 22 ssh2";
    let text = [
        line(tried),
        line("Server listening"),
        line(&format!("message repeated 3 times: [ {tried}]")),
    ];
    let options = Options { year: 2017, ..Options::default() };
    let (summary, events) = taken(Format::Sshd, text.concat(), &options);
    assert_eq!((summary.read, summary.events, summary.passed_over), (3, 4, 1));
    let ids: std::collections::BTreeSet<&str> = events.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids.len(), 4);
    let event = &events[3];
    assert_eq!((event.source.as_str(), event.subject.as_str()), ("/sshd/host", "bob"));
    assert_eq!(event.attributes["outcome"], "failure");
    assert!(data(event).contains("\"user_exists\":false"));
}

#[test]
fn a_line_of_a_web_log_is_an_event() {
    let text =
        "::1 - - [17/May/2015:10:05:03 +0000] \"GET /a HTTP/1.1\" 404 226 \"-\" \"curl\"\nno\n";
    let (summary, events) = taken(Format::WebLog, text, &Options::default());
    assert_eq!((summary.events, summary.refusals[0].line), (1, 2));
    let event = &events[0];
    assert_eq!((event.subject.as_str(), event.group.as_str()), ("::1", "GET"));
    assert_eq!((event.kind.as_str(), event.attributes["status"].as_str()), ("http.request", "404"));
    assert!(data(event).contains("\"bytes\":226"));
}

#[test]
fn rows_of_a_foreign_parquet_file_are_events() {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.append(true);
    lists.append(true);
    let columns: Vec<(&str, ArrayRef)> = vec![
        (
            "at",
            Arc::new(
                TimestampMillisecondArray::from(vec![1_431_857_103_250, 0]).with_timezone("UTC"),
            ),
        ),
        ("user", Arc::new(StringArray::from(vec![Some("anna"), None]))),
        ("n", Arc::new(Int64Array::from(vec![7, -7]))),
        ("x", Arc::new(Float64Array::from(vec![0.5, f64::NAN]))),
        ("ok", Arc::new(BooleanArray::from(vec![true, false]))),
        ("day", Arc::new(Date32Array::from(vec![16_572, 0]))),
        ("list", Arc::new(lists.finish())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    // As most others write.
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let to = file.reopen().unwrap();
    let mut writer = ArrowWriter::try_new(to, batch.schema(), Some(snappy)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut events = Vec::new();
    let options = options("time=at,subject=user,id=n");
    let summary = read_file(Format::Parquet, file.reopen().unwrap(), &options, &mut |some| {
        events.extend(some);
        Ok(())
    })
    .unwrap();
    assert_eq!((summary.read, summary.events, summary.left_out.len()), (2, 2, 1));
    assert_eq!((events[0].time_ns, events[0].id.as_str()), (1_431_857_103_250_000_000, "7"));
    assert_eq!(
        data(&events[0]),
        r#"{"at":"2015-05-17T10:05:03.25Z","user":"anna","n":7,"x":0.5,"ok":true,"day":"2015-05-17"}"#
    );
    assert_eq!((events[1].subject.as_str(), events[1].time_ns), ("", 0));
    assert!(data(&events[1]).contains("\"x\":null"));
    let refused = read_file(
        Format::Parquet,
        file.reopen().unwrap(),
        &Options { mapping: "time=when".parse().unwrap(), ..options },
        &mut |_| Ok(()),
    );
    assert!(refused.unwrap_err().to_string().contains("no column \"when\" for time"));
}

#[test]
fn a_mapping_is_read_written_and_refused_in_words() {
    let text = "time=Login Timestamp, subject=/a~1b, label=\"Is, it\"";
    let mapping: Mapping = text.parse().unwrap();
    assert_eq!(mapping.label.as_deref(), Some("Is, it"));
    assert_eq!(mapping.to_string().parse::<Mapping>().unwrap(), mapping);
    for (text, word) in [
        ("time", "has no sign"),
        ("when=a", "is about no part of an event; they are time, id"),
        ("time=", "names no column"),
        ("time=a,time=b", "was named before"),
        ("time=\"a", "in quotes as JSON"),
    ] {
        let refused = text.parse::<Mapping>().unwrap_err().to_string();
        assert!(refused.starts_with("in the mapping, ") && refused.contains(word), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_no_time_happened_when_it_was_imported_and_is_stored_once() {
    let world = World::new();
    let stream = world.open().await;
    let mut file = tempfile::tempfile().unwrap();
    let line =
        b"{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/a\",\"type\":\"b\"}\n{\"time\":7}\n";
    io::Write::write_all(&mut file, line).unwrap();
    for round in 0..2 {
        let mut again = file.try_clone().unwrap();
        io::Seek::rewind(&mut again).unwrap();
        let to = stream.clone();
        let importing = move || to.import(Format::JsonLines, again, &Options::default());
        let summary = tokio::task::spawn_blocking(importing).await.unwrap().unwrap();
        assert_eq!((summary.events, summary.stored, summary.known), (2, 2 - 2 * round, 2 * round));
    }
    let times: Vec<u64> = all(&stream).iter().map(|it| it.event.time_ns).collect();
    assert_eq!(times, [7_000_000_000, 1_000_000_000_000]);
}

proptest! {
    /// Whatever a file has: every line is counted once, and every event can be stored.
    #[test]
    fn any_bytes_are_taken_or_refused(
        text in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "(\\{\"time\":[0-9]{1,20}(,\"a\":[ab]{0,2})?\\}?\n?){0,8}".prop_map(String::into_bytes),
            "time(,[ab\"]{0,2}){0,3}\n(([0-9]{0,4}|\")(,[ab\"]{0,2}){0,3}\n?){0,6}".prop_map(String::into_bytes),
        ],
    ) {
        for format in [Format::JsonLines, Format::Csv, Format::WebLog, Format::Sshd] {
            let mut events = Vec::new();
            let summary = read(format, text.as_slice(), &Options::default(), &mut |some| {
                events.extend(some);
                Ok(())
            });
            let Ok(summary) = summary else { continue };
            prop_assert_eq!(summary.events, events.len() as u64);
            prop_assert_eq!(summary.read, summary.events + summary.refused + summary.passed_over);
            prop_assert!(events.iter().all(|event| event.fault().is_none()));
        }
    }
}
