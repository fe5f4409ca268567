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
                (one.variant, one.copy, one.offset_ns) = (variant, copy, second * SECOND_NS);
                one.region = region.to_string().into();
                one.sent_ns = one.outcome.is_sent().then_some(one.intended_ns + took_ns / 3);
                one.done_ns = one.intended_ns + took_ns;
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

#[test]
fn a_long_run_has_no_more_cells_than_a_short_one() {
    let (mut cells, mut exact) = (Cells::default(), Cell::default());
    for second in 0..60_000 {
        let record = record(second, Outcome::Ok);
        cells.add(&record);
        exact.add(&record);
    }
    assert!(cells.len() <= CELLS_MAX && cells.width_s() == 4, "{}", cells.width_s());
    assert_eq!(cells.together(|_| true), exact);
    assert_eq!(cells.together(|of| of.from_s < 400).counts.all(), 400);
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
