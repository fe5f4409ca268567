use proptest::prelude::*;

use super::*;

const EXAMPLE: &str = "\
# A day of a shop, in six minutes.
step 500/s for 1m
ramp 500/s to 2000/s for 30s   # it opens

sine 1000/s +- 400/s every 20s for 2m
spikes 200/s to 3000/s lasting 500ms every 10s for 1m30s
recorded x 1.5 for 1m
";

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>(), lines in prop::collection::vec(
        "(step|ramp|sine|spikes|recorded|[a-z]{0,5})( [-+x±0-9./smhe]{0,25}| to| for| every| lasting){0,9}",
        0..5,
    )) {
        for text in [text, lines.join("\n")] {
            match Pattern::parse(&text) {
                Ok(pattern) => prop_assert!((1..=RUN_NS_MAX).contains(&pattern.length_ns())),
                Err(refusal) => {
                    prop_assert!((1..=text.split('\n').count()).contains(&refusal.line));
                }
            }
        }
    }

    /// What is written with its units is read exactly.
    #[test]
    fn every_piece_is_read_exactly(
        low in 0..RATE_UHZ_MAX / 2,
        more in 0..RATE_UHZ_MAX / 2,
        ms in 1..1_000_000_u64,
        longer_ms in 0..1_000_000_u64,
        times_ppm in 1..1_000_000_000_u32,
    ) {
        let high = low + more;
        let (low_text, high_text) = (decimal(low), decimal(high));
        let (lasting_ms, every_ms) = (ms, ms + longer_ms);
        let times = decimal(times_ppm.into());
        let (lasting_ns, every_ns) = (lasting_ms * 1_000_000, every_ms * 1_000_000);
        for (text, shape) in [
            (format!("step {high_text}/s"), Shape::Step { rate_uhz: high }),
            (
                format!("ramp {high_text}/s to {low_text}/s"),
                Shape::Ramp { from_uhz: high, to_uhz: low },
            ),
            (
                format!("sine {high_text}/s +- {low_text}/s every {every_ms}ms"),
                Shape::Sine { mean_uhz: high, swing_uhz: low, every_ns },
            ),
            (
                format!("spikes {low_text}/s to {high_text}/s lasting {lasting_ms}ms every {every_ms}ms"),
                Shape::Spikes { base_uhz: low, peak_uhz: high, lasting_ns, every_ns },
            ),
            (format!("recorded x {times}"), Shape::Recorded { times_ppm }),
        ] {
            let pattern = Pattern::parse(&format!("{text} for {every_ms}ms"));
            prop_assert_eq!(pattern, Ok(Pattern::of(shape, every_ns)), "{}", text);
        }
    }

    #[test]
    fn a_load_twice_as_high_has_twice_the_rates(rate_uhz in 1..RATE_UHZ_MAX / 2, ppm in 1..1_000_u32) {
        let pattern = |rate_uhz, times_ppm| Pattern {
            pieces: vec![
                Piece { shape: Shape::Step { rate_uhz }, for_ns: 1 },
                Piece { shape: Shape::Recorded { times_ppm }, for_ns: 2 },
            ],
        };
        let twice = pattern(rate_uhz, ppm).times(Ratio::new(2, 1).unwrap());
        prop_assert_eq!(twice, Some(pattern(2 * rate_uhz, 2 * ppm)));
        let half = pattern(2 * rate_uhz, 2 * ppm).times(Ratio::new(1, 2).unwrap());
        prop_assert_eq!(half, Some(pattern(rate_uhz, ppm)));
        let beyond = Ratio::new(RATE_UHZ_MAX + 1, 1).unwrap();
        prop_assert_eq!(pattern(rate_uhz, ppm).times(beyond), None);
    }
}

#[test]
fn a_pattern_is_read() {
    let pattern = Pattern::parse(EXAMPLE).unwrap();
    assert_eq!(pattern.length_ns(), 360_000_000_000);
    insta::assert_debug_snapshot!(pattern.pieces());
}

#[test]
fn every_refusal_says_where_and_what_to_do() {
    let long = format!("step 1/s for 1s\n{}", "#".repeat(PATTERN_BYTES_MAX));
    let many = "step 1/s for 1s\n".repeat(PIECES_MAX + 1);
    let texts = [
        "",
        "\n# nothing\n",
        &long,
        &many,
        "step 1/s for 700h\nstep 1/s for 21h",
        "jump 1/s for 1s",
        "step 1/s for 1s\nstep 1/s during 1s",
        "ramp 1/s for 1s",
        "sine 1/s for 1s",
        "spikes 1/s to 2/s for 1s",
        "recorded 2 for 1s",
        "step 500 for 1s",
        "step 0.1234567/s for 1s",
        "step 10000000.000001/s for 1s",
        "step 1/s for 0s",
        "step 1/s for -5s",
        "step 1/s for soon",
        "recorded x 0 for 1s",
        "recorded x 1000.5 for 1s",
        "sine 1/s +- 1.5/s every 1s for 1s",
        "spikes 1/s to 2/s lasting 2s every 1s for 1s",
    ];
    let said: Vec<String> =
        texts.iter().map(|text| Pattern::parse(text).unwrap_err().to_string()).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn the_longest_pattern_is_read() {
    let pieces = "step 1/s for 1s\n".repeat(PIECES_MAX);
    assert_eq!(Pattern::parse(&pieces).unwrap().pieces().len(), PIECES_MAX);
    assert_eq!(Pattern::parse("step 10000000/s for 720h").unwrap().length_ns(), RUN_NS_MAX);
    let full = format!("step 1/s for 1s\n{}", "#".repeat(PATTERN_BYTES_MAX - 17));
    assert_eq!(Pattern::parse(&full).unwrap().pieces().len(), 1);
}
