use proptest::collection::vec;
use proptest::prelude::*;
use tempfile::TempDir;

use super::super::files::Writer;
use super::super::record::Outcome;
use super::super::record::tests::record;
use super::*;

fn records() -> impl Strategy<Value = Vec<Record>> {
    let one = (0..900_u64, 0..3_u16, 0..40_u8, 0..9_usize, 0..3_000_000_u64);
    vec(one, 0..100).prop_map(|all| {
        let of = |(tenth, variant, region, outcome, took_ns): (u64, u16, u8, usize, u64)| {
            let mut one = record(tenth / 10, Outcome::ALL[outcome]);
            (one.variant, one.offset_ns) = (variant, tenth * 100_000_000);
            one.intended_ns += tenth % 10 * 100_000_000;
            one.sent_ns = one.outcome.is_sent().then_some(one.intended_ns);
            one.done_ns = one.intended_ns + took_ns;
            one.region = region.to_string().into();
            one.happened_ns = took_ns.is_multiple_of(2).then_some(took_ns * 1_000_000_000);
            one
        };
        all.into_iter().map(of).collect()
    })
}

fn asked(by: By, step_ms: u64) -> Asked {
    let (variant, region, group) = (None, None, None);
    Asked { step_ms, by, from_ms: 0, to_ms: u64::MAX, variant, region, group }
}

fn of(records: &[Record]) -> Cells {
    let mut cells = Cells::default();
    for record in records {
        cells.add(record);
    }
    cells
}

fn sum(lines: &[Line]) -> Cell {
    let mut sum = Cell::default();
    lines.iter().flat_map(|line| line.windows.values()).for_each(|cell| sum.merge(cell));
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// All windows together are all records that are meant, whatever the step and the lines.
    #[test]
    fn windows_come_to_their_records(
        records in records(),
        step_ms in prop_oneof![Just(1), Just(125), 200..20_000_u64],
        by in prop_oneof![Just(By::Variant), Just(By::Region), Just(By::Group)],
        variant in prop::option::of(0..3_u16),
    ) {
        let asked = Asked { variant, ..asked(by, step_ms) };
        let series = by_time(&of(&records), &asked);
        let mut exact = Cell::default();
        let these = |one: &&Record| variant.is_none_or(|wanted| one.variant == wanted);
        records.iter().filter(these).for_each(|record| exact.add(record));
        prop_assert_eq!(sum(&series.lines), exact);
        prop_assert!(series.lines.len() <= LINES_MAX + 1);
        prop_assert!(series.step_ms >= step_ms && series.step_ms.is_multiple_of(125));
        for line in &series.lines {
            prop_assert!(line.windows.len() as u64 <= WINDOWS_MAX);
            prop_assert!(line.windows.keys().all(|at_ms| at_ms % series.step_ms == 0));
        }
    }

    /// The same by hours of the day, read from the files; and their cells are made again.
    #[test]
    fn hours_come_to_their_records(records in records()) {
        let folder = TempDir::new().unwrap();
        let mut writer = Writer::open(folder.path(), vec!["a".into()]).unwrap();
        for record in &records {
            writer.add(record.clone()).unwrap();
        }
        writer.close().unwrap();
        let hour = |ns: u64| ns / 3_600_000_000_000 % 24;
        let series = by_hour(folder.path(), &asked(By::Region, 1), hour).unwrap();
        let all = cells(folder.path()).unwrap();
        prop_assert_eq!(sum(&series.lines), all.together(|_| true));
        let region = |record: &&Record| &*record.region == "3";
        let of_it = Asked { region: Some("3".to_owned()), ..asked(By::Variant, 1) };
        for (at_ms, cell) in by_hour(folder.path(), &of_it, hour).unwrap().lines.iter().flat_map(|it| &it.windows) {
            let then = |it: &&Record| hour(it.happened_ns.unwrap_or(it.intended_ns)) * HOUR_MS == *at_ms;
            let exact = records.iter().filter(region).filter(then).count();
            prop_assert!(cell.counts.all() <= exact as u64 && exact > 0);
        }
    }
}

#[test]
fn lines_beyond_the_limit_are_one() {
    let all: Vec<Record> = (0..3 * LINES_MAX)
        .flat_map(|group| {
            let mut one = record(1, Outcome::Ok);
            one.group = format!("{group:03}").into();
            vec![one; if group == 50 { 9 } else { 1 }]
        })
        .collect();
    let series = by_time(&of(&all), &asked(By::Group, 1_000));
    assert_eq!(series.lines.len(), LINES_MAX + 1);
    assert_eq!(series.lines[0].key, Some(Key::Name("050".into())));
    let last = &series.lines[LINES_MAX];
    assert_eq!((last.key.as_ref(), last.windows[&1_000].counts.all()), (None, 2 * 24));
    assert_eq!(series.began_ns, Some(1_700_000_000_000_000_000));
}

#[test]
fn a_part_of_the_time_has_its_windows_only() {
    let all: Vec<Record> = (0..100).map(|second| record(second, Outcome::Ok)).collect();
    let asked = Asked { from_ms: 10_000, to_ms: 20_000, ..asked(By::Variant, 2_000) };
    let series = by_time(&of(&all), &asked);
    let windows = &series.lines[0].windows;
    assert_eq!(
        windows.keys().copied().collect::<Vec<_>>(),
        [10_000, 12_000, 14_000, 16_000, 18_000]
    );
    assert!(windows.values().all(|cell| cell.counts.all() == 2));
}
