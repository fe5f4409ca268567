use proptest::collection::vec;
use proptest::prelude::*;

use super::super::record::tests::record;
use super::*;

fn records() -> impl Strategy<Value = Vec<Record>> {
    let one = (0..5_000_u64, 0..3_u16, 0..4_u8, 0..9_usize, 0..3_000_000_u64, 0..2_u64);
    vec(one, 0..120).prop_map(|all| {
        let of =
            |(second, variant, region, outcome, took_ns, copy): (u64, u16, u8, usize, u64, u64)| {
                let mut one = record(second, Outcome::ALL[outcome]);
                (one.variant, one.copy, one.offset_ns) = (variant, copy, second * 1_000 * MS_NS);
                one.region = region.to_string().into();
                one.sent_ns = one.outcome.is_sent().then_some(one.intended_ns + took_ns / 3);
                one.done_ns = one.intended_ns + took_ns;
                one.service_us = took_ns.is_multiple_of(3).then_some(took_ns / 2_000);
                one.took.queue_us = took_ns.is_multiple_of(2).then_some(took_ns / 7);
                one.took.start_us = took_ns.is_multiple_of(5).then_some(took_ns);
                one.took.memory_bytes = one.took.queue_us;
                one.right = took_ns.is_multiple_of(4).then_some(took_ns.is_multiple_of(8));
                one
            };
        all.into_iter().map(of).collect()
    })
}

proptest! {
    /// Cells of any question come to the same as its records.
    #[test]
    fn cells_are_their_records(records in records(), variant in 0..3_u16, region in 0..4_u8) {
        let mut cells = Cells::default();
        for record in &records {
            cells.add(record);
        }
        let region: Arc<str> = region.to_string().into();
        let told = cells.together(|of| of.variant == variant && of.region == region);
        let mut exact = Cell::default();
        let these = |one: &&Record| one.variant == variant && one.region == region;
        records.iter().filter(these).for_each(|record| exact.add(record));
        prop_assert_eq!(told, exact);
    }

    /// A copy stays as it was when it was made, whatever is added after.
    #[test]
    fn a_copy_does_not_change(records in records(), at in any::<prop::sample::Index>()) {
        let (first, second) = records.split_at(at.index(records.len() + 1));
        let mut cells = Cells::default();
        for record in first {
            cells.add(record);
        }
        let copy = cells.clone();
        let before = copy.together(|_| true);
        for record in second {
            cells.add(record);
        }
        prop_assert_eq!(copy.together(|_| true), before);
    }

    /// What is read from the file is what was written into it.
    #[test]
    fn kept_cells_come_back(records in records(), is_encrypted: bool) {
        let folder = tempfile::TempDir::new().unwrap();
        let mut cells = Cells::default();
        for record in &records {
            cells.add(record);
        }
        let place = crate::log::tests::keyed(folder.path(), is_encrypted);
        kept::write(&place, &cells);
        let read = kept::read(&place).unwrap();
        prop_assert_eq!(kept::read(&folder.path().into()).is_none(), is_encrypted);
        let all = |cells: &Cells| -> Vec<(Of, Cell)> {
            cells.iter().map(|(of, cell)| (of, cell.clone())).collect()
        };
        prop_assert_eq!(all(&read), all(&cells));
        prop_assert_eq!((read.width_ms(), read.began_ns()), (cells.width_ms(), cells.began_ns()));
    }

    /// To merge cells is to have added all their records.
    #[test]
    fn to_merge_is_to_have_added_all(records in records(), at in any::<prop::sample::Index>()) {
        let (first, second) = records.split_at(at.index(records.len() + 1));
        let of = |records: &[Record]| {
            let mut cell = Cell::default();
            for record in records {
                cell.add(record);
            }
            cell
        };
        let mut merged = of(first);
        merged.merge(&of(second));
        prop_assert_eq!(merged, of(&records));
    }
}

/// What fails quickly makes no percentile better: beyond the good answers there is no time.
#[test]
fn what_has_no_good_answer_has_no_response() {
    let mut cell = Cell::default();
    for (number, outcome) in [(2, Outcome::ServerError), (1, Outcome::Skipped), (997, Outcome::Ok)]
    {
        (0..number).for_each(|_| cell.add(&record(0, outcome)));
    }
    let all = cell.response.among(cell.counts.all());
    assert_eq!((cell.response.count(), cell.latency.count()), (997, 999));
    let one = cell.response.quantile(500_000);
    let told = (all.quantile(990_000), all.quantile(997_000), all.quantile(997_001));
    assert_eq!(told, (one, one, None));
    assert_eq!(all.upper(990_000, 500_000), policy::sketch::Bound::AtMost(900));
    assert_eq!(all.upper(995_000, 990_000), policy::sketch::Bound::Beyond);
}

#[test]
fn a_long_run_has_no_more_cells_than_a_short_one() {
    let (mut cells, mut exact) = (Cells::default(), Cell::default());
    for second in 0..60_000 {
        let record = record(second, Outcome::Ok);
        cells.add(&record);
        exact.add(&record);
    }
    assert!(cells.len() <= CELLS_MAX && cells.width_ms() == 4_000, "{}", cells.width_ms());
    assert_eq!(cells.together(|_| true), exact);
    assert_eq!(cells.together(|of| of.from_ms < 400_000).counts.all(), 400);
}

#[test]
fn places_beyond_the_limit_are_counted_together() {
    let mut cells = Cells::default();
    for number in 0..2 * PLACES_MAX {
        let mut record = record(0, Outcome::Ok);
        record.group = number.to_string().into();
        cells.add(&record);
    }
    assert_eq!(cells.len(), PLACES_MAX + 1);
    let others = cells.together(|of| &*of.group == OTHERS);
    assert_eq!(others.counts.all(), PLACES_MAX as u64);
    assert_eq!(cells.together(|_| true).counts.all(), 2 * PLACES_MAX as u64);
}

#[test]
fn a_file_that_is_no_cells_is_as_good_as_none() {
    let folder = tempfile::TempDir::new().unwrap();
    assert!(kept::read(&folder.path().into()).is_none());
    kept::forget(folder.path()).unwrap();
    let mut cells = Cells::default();
    cells.add(&record(1, Outcome::Ok));
    kept::write(&folder.path().into(), &cells);
    let path = folder.path().join("cells.json.zst");
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(kept::read(&folder.path().into()).is_some());
    bytes.truncate(bytes.len() / 2);
    std::fs::write(&path, bytes).unwrap();
    assert!(kept::read(&folder.path().into()).is_none());
    kept::forget(folder.path()).unwrap();
    assert!(!path.exists());
}
