use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::record::Outcome;
use super::super::record::tests::record;
use super::*;

fn written(folder: &Path, records: &[Record]) {
    let mut writer = Writer::open(folder, vec!["a".into(), "b".into()]).unwrap();
    for record in records {
        writer.add(record.clone()).unwrap();
    }
    writer.close().unwrap();
}

fn read_all(folder: &Path) -> Vec<Record> {
    read(folder).unwrap().map(Result::unwrap).collect()
}

proptest! {
    /// What is read is what was written, whatever is missing in it.
    #[test]
    fn records_come_back(
        rows in vec((any::<u32>(), 0..9_usize, any::<[bool; 4]>(), any::<f64>(), ".{0,8}"), 0..40),
    ) {
        let of = |(number, outcome, has, score, text): (u32, usize, [bool; 4], f64, String)| {
            let mut one = record(u64::from(number), Outcome::ALL[outcome]);
            one.score = (has[0] && !score.is_nan()).then_some(score);
            one.class = has[1].then(|| text.as_str().into());
            one.label = has[2].then(|| text.as_str().into());
            one.service_us = has[3].then_some(u64::MAX);
            one.answer_crc = has[0].then_some(number);
            one.group = text.into();
            one
        };
        let records: Vec<Record> = rows.into_iter().map(of).collect();
        let folder = TempDir::new().unwrap();
        written(folder.path(), &records);
        prop_assert_eq!(read_all(folder.path()), records);
    }
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
