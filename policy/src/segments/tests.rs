use proptest::prelude::*;

use super::*;

proptest! {
    /// Every event is in one file; a busy hour is alone, and a file of many events is of one hour.
    #[test]
    fn the_cuts_are_whole_and_a_busy_hour_is_alone(
        hours in prop::collection::vec((1_u64..5, 1_usize..9_000), 0..12),
    ) {
        let (mut times, mut hour) = (Vec::new(), 0);
        for (later, count) in hours {
            hour += later;
            times.extend(std::iter::repeat_n(hour * HOUR_NS + 7, count));
        }
        let cuts = cuts(&times);
        prop_assert_eq!(cuts.iter().map(Range::len).sum::<usize>(), times.len());
        prop_assert!(cuts.windows(2).all(|pair| pair[0].end == pair[1].start));
        let of = |place: usize| times[place] / HOUR_NS;
        for cut in &cuts {
            prop_assert!(!cut.is_empty());
            let is_one = of(cut.start) == of(cut.end - 1);
            prop_assert!(is_one || cut.len() < 2 * HOUR_EVENTS_MIN);
            for hour in times[cut.clone()].chunk_by(|one, next| one == next) {
                prop_assert!(is_one || hour.len() < HOUR_EVENTS_MIN);
            }
        }
        // Two neighbours that are both quiet would have shared a file, or were too many for it.
        for pair in cuts.windows(2) {
            let first = times[pair[0].clone()].iter().filter(|at| **at == times[pair[0].end - 1]);
            let next = times[pair[1].clone()].iter().filter(|at| **at == times[pair[1].start]);
            prop_assert!(pair[0].len() >= HOUR_EVENTS_MIN
                || first.count() >= HOUR_EVENTS_MIN || next.count() >= HOUR_EVENTS_MIN);
        }
    }

    /// What is left is within the limits, and nothing younger went while something older stayed.
    #[test]
    fn the_oldest_go_and_no_more_than_must(
        files in prop::collection::vec((1_u64..100, 0_u64..50), 0..20),
        age_ms_max in prop::option::of(0_u64..50), bytes_max in prop::option::of(0_u64..1_500),
    ) {
        let now_us = 60_000;
        let files: Vec<Held> = files
            .into_iter()
            .map(|(bytes, at_ms)| Held { bytes, accepted_us: at_ms * 1_000, time_ns: 0 })
            .collect();
        let gone = expired(&files, &Retention { age_ms_max, bytes_max }, now_us);
        prop_assert!(gone.is_sorted());
        let (out, left): (Vec<_>, Vec<_>) = (0..files.len()).partition(|it| gone.contains(it));
        let bytes: u64 = left.iter().map(|&it| files[it].bytes).sum();
        prop_assert!(bytes_max.is_none_or(|most| bytes <= most));
        let old = |it: usize| age_ms_max.is_some_and(|most| (now_us - files[it].accepted_us) / 1_000 > most);
        prop_assert!(left.iter().all(|&it| !old(it)));
        let youngest = out.iter().map(|&it| files[it].accepted_us).max().unwrap_or(0);
        prop_assert!(left.iter().all(|&it| files[it].accepted_us >= youngest));
        // The last one that went for its bytes had to.
        let last = out.iter().filter(|&&it| !old(it)).max_by_key(|&&it| (files[it].accepted_us, it));
        if let Some(&last) = last {
            prop_assert!(bytes_max.is_some_and(|most| bytes + files[last].bytes > most));
        }
    }
}
