use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tempfile::TempDir;

use super::super::record::Outcome;
use super::super::record::tests::record;
use super::*;
use crate::log::tests::keyed;

pub(crate) fn written(folder: impl Into<Folder>, records: &[Record]) {
    let mut writer = Writer::open(folder, vec!["a".into(), "b".into()]).unwrap();
    for record in records {
        writer.add(record.clone()).unwrap();
    }
    writer.close().unwrap();
}

fn read_all(folder: impl Into<Folder>) -> Vec<Record> {
    read(folder).unwrap().map(Result::unwrap).collect()
}

proptest! {
    // Each of them waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What is read is what was written, whatever is missing in it.
    #[test]
    fn records_come_back(
        rows in vec((any::<u32>(), 0..9_usize, any::<[bool; 4]>(), any::<f64>(), ".{0,8}"), 0..40),
        is_encrypted: bool,
    ) {
        let of = |(number, outcome, has, score, text): (u32, usize, [bool; 4], f64, String)| {
            let mut one = record(u64::from(number), Outcome::ALL[outcome]);
            one.score = (has[0] && !score.is_nan()).then_some(score);
            one.class = has[1].then(|| text.as_str().into());
            one.label = has[2].then(|| text.as_str().into());
            one.service_us = has[3].then_some(u64::MAX);
            one.took.queue_us = has[0].then_some(u64::from(number));
            one.took.start_us = has[1].then_some(1);
            one.took.cpu_us = has[2].then_some(u64::MAX);
            one.took.memory_bytes = has[3].then_some(0);
            one.right = has[1].then_some(has[2]);
            one.happened_ns = has[2].then_some(u64::from(number) * 1_000_000_007);
            one.answer_crc = has[0].then_some(number);
            one.group = text.into();
            one
        };
        let records: Vec<Record> = rows.into_iter().map(of).collect();
        let folder = TempDir::new().unwrap();
        written(keyed(folder.path(), is_encrypted), &records);
        prop_assert_eq!(read_all(keyed(folder.path(), is_encrypted)), records);
    }
}

/// Also what is being written has nothing of a record in plain; by another key none is read.
#[test]
fn encrypted_records_are_read_by_their_key_alone() {
    let secret = "a-secret-that-is-nowhere";
    for is_encrypted in [false, true] {
        let folder = TempDir::new().unwrap();
        let place = || keyed(folder.path(), is_encrypted);
        let mut writer = Writer::open(place(), vec!["a".into()]).unwrap();
        let mut record = record(1, Outcome::Ok);
        (record.class, record.region) = (Some(secret.into()), secret.into());
        for _ in 0..BATCH_RECORDS {
            writer.add(record.clone()).unwrap();
        }
        let told = |name: &str| {
            let bytes = fs::read(folder.path().join(name)).unwrap();
            bytes.windows(secret.len()).any(|it| it == secret.as_bytes())
        };
        assert!(folder.path().join("records.tmp").exists() && !told("records.tmp"));
        writer.close().unwrap();
        assert_eq!(told("records-000000.parquet"), !is_encrypted);
        assert_eq!(read_all(place()).len(), BATCH_RECORDS);
        let other = Folder { key: Some(crate::Key::fresh()), ..place() };
        assert!(read(other).unwrap().next().unwrap().is_err());
    }
    let folder = TempDir::new().unwrap();
    written(keyed(folder.path(), true), &[record(1, Outcome::Ok)]);
    assert!(read(folder.path()).unwrap().next().unwrap().is_err(), "without a key");
}

#[test]
fn parts_are_bounded_and_follow_each_other() {
    let folder = TempDir::new().unwrap();
    let count = PART_RECORDS_MAX as u64 + 10;
    let records: Vec<Record> = (0..count).map(|at| record(at, Outcome::Ok)).collect();
    written(folder.path(), &records[..3]);
    written(folder.path(), &records[3..]);
    assert_eq!(parts(folder.path()).unwrap().len(), 3);
    assert_eq!(read_all(folder.path()), records);
}

#[test]
fn what_was_being_written_is_removed_and_what_is_damaged_is_told() {
    let folder = TempDir::new().unwrap();
    written(folder.path(), &[record(1, Outcome::Ok)]);
    fs::write(folder.path().join("records.tmp"), b"half a part").unwrap();
    written(folder.path(), &[record(2, Outcome::Ok)]);
    assert!(!folder.path().join("records.tmp").exists());
    assert_eq!(read_all(folder.path()).len(), 2);
    fs::write(folder.path().join("records-000001.parquet"), b"no part").unwrap();
    let read: Vec<_> = read(folder.path()).unwrap().collect();
    assert_eq!(read.len(), 2);
    let error = read[1].as_ref().unwrap_err().to_string();
    assert!(error.contains("could not read the records in") && error.contains("000001"), "{error}");
}

#[test]
fn columns_are_as_others_read_them() {
    let schema = columns::schema();
    let column = |field: &Arc<arrow_schema::Field>| {
        let empty = if field.is_nullable() { ", may be empty" } else { "" };
        format!("{}: {}{empty}\n", field.name(), field.data_type())
    };
    let mut text = String::new();
    for field in schema.fields() {
        text += &column(field);
    }
    insta::assert_snapshot!(text);
}

/// What is found is what looking at every record finds, and parts of other times are not read.
#[test]
fn the_wanted_are_found_without_reading_all() {
    let folder = TempDir::new().unwrap();
    let of = |second: u64| {
        let mut one = record(second, Outcome::ALL[usize::try_from(second % 9).unwrap()]);
        one.region = (second % 3).to_string().into();
        one.done_ns = one.intended_ns + 20 + second * 7 % 1_000;
        one
    };
    let all: Vec<Record> = (0..400).map(of).collect();
    for part in all.chunks(50) {
        written(folder.path(), part);
    }
    let questions = (
        (0..400_u64, 1..200_u64),
        0..1_000_u64,
        prop::option::of(0..9_usize),
        prop::option::of(0..3_u64),
    );
    let asked =
        |((from, seconds), slower_ns, outcome, region): ((u64, u64), u64, _, Option<u64>)| {
            let wanted = Wanted {
                offset_ns: from * 1_000_000_000..(from + seconds) * 1_000_000_000,
                response_ns: slower_ns..u64::MAX,
                outcomes: Option::map(outcome, |at: usize| Outcome::ALL[at]).into_iter().collect(),
                region: region.map(|number| number.to_string()),
                ..Wanted::default()
            };
            let exact: Vec<Record> = all.iter().filter(|one| wanted.has(one)).cloned().collect();
            let found = find(folder.path(), &wanted, 1_000).unwrap();
            prop_assert_eq!(&found.records, &exact);
            prop_assert_eq!(found.parts_read + found.parts_left_out, 8);
            prop_assert_eq!(found.matching, found.records.len() as u64);
            prop_assert!(found.parts_read as u64 <= seconds / 50 + 2);
            let some = find(folder.path(), &wanted, 3).unwrap();
            prop_assert_eq!(&some.records[..], &exact[..exact.len().min(3)]);
            prop_assert_eq!(some.matching, exact.len() as u64);
            Ok(())
        };
    TestRunner::default().run(&questions, asked).unwrap();
}
