#![allow(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "floats check integers")]

use proptest::prelude::*;

use super::*;

const SECOND_NS: u64 = 1_000_000_000;

/// Rates to a hundred thousand a second, nothing included.
fn rate() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 1..1_000_u64, 0..100_000_000_000_u64]
}

fn shapes() -> impl Strategy<Value = Shape> {
    let every = 1..100 * SECOND_NS;
    prop_oneof![
        rate().prop_map(|rate_uhz| Shape::Step { rate_uhz }),
        (rate(), rate()).prop_map(|(from_uhz, to_uhz)| Shape::Ramp { from_uhz, to_uhz }),
        (rate(), rate(), every.clone()).prop_map(|(one, other, every_ns)| {
            Shape::Sine { mean_uhz: one.max(other), swing_uhz: one.min(other), every_ns }
        }),
        (rate(), rate(), every.clone(), every).prop_map(|(base_uhz, peak_uhz, one, other)| {
            let (lasting_ns, every_ns) = (one.min(other), one.max(other));
            Shape::Spikes { base_uhz, peak_uhz, lasting_ns, every_ns }
        }),
    ]
}

proptest! {
    /// It is the last nanosecond by which no more has come, wherever the search begins.
    #[test]
    fn when_is_the_inverse_of_what_has_come(
        shape in shapes(),
        for_ns in 1..1_000 * SECOND_NS,
        share: u32,
        near_ns: u64,
    ) {
        let piece = Piece { shape, for_ns };
        let all = piece.come(for_ns);
        let units = all * u128::from(share) / u128::from(u32::MAX);
        let Some(at_ns) = piece.when(units, near_ns) else {
            prop_assert_eq!(units, all);
            return Ok(());
        };
        prop_assert!(at_ns < for_ns);
        prop_assert!(piece.come(at_ns) <= units && units < piece.come(at_ns + 1));
    }

    /// What has come never shrinks, and what comes in a nanosecond is no more than the highest rate.
    #[test]
    fn more_comes_with_time(shape in shapes(), for_ns in 1..1_000 * SECOND_NS, at: u64, on: u16) {
        let piece = Piece { shape, for_ns };
        let (at_ns, later_ns) = (at % for_ns, (at % for_ns + u64::from(on)).min(for_ns));
        let (come, later) = (piece.come(at_ns), piece.come(later_ns));
        prop_assert!(later + 1_000_000_000 >= come);
        prop_assert!(later <= come + 200_000_000_000 * u128::from(later_ns - at_ns) + 1_000_000_000);
    }

    /// Of a ramp the integral is exact to a unit, a millionth of a billionth of an event.
    #[test]
    fn a_ramp_is_exact(from in 0..1_u64 << 34, to in 0..1_u64 << 34, for_ns in 1..1_u64 << 36, at: u64) {
        let piece = Piece { shape: Shape::Ramp { from_uhz: from, to_uhz: to }, for_ns };
        let at_ns = at % (for_ns + 1);
        let [from, to, length, at, come] =
            [from.into(), to.into(), for_ns.into(), at_ns.into(), piece.come(at_ns)]
                .map(|number: u128| i128::try_from(number).unwrap());
        let twice = 2 * length * from * at + (to - from) * at * at;
        prop_assert!((0..2 * length).contains(&(twice - 2 * length * come)));
    }

    /// A sine comes when floats say that it does, to a microsecond.
    #[test]
    fn a_sine_is_exact_to_a_microsecond(
        mean_uhz in 1_000_000..10_000_000_000_u64,
        swing_milli in 0..=1_000_u64,
        every_ns in 1_000_000..60 * SECOND_NS,
        share: u32,
    ) {
        let swing_uhz = mean_uhz / 1_000 * swing_milli;
        let piece =
            Piece { shape: Shape::Sine { mean_uhz, swing_uhz, every_ns }, for_ns: 60 * SECOND_NS };
        let units = piece.come(piece.for_ns) / u128::from(u32::MAX) * u128::from(share);
        let Some(at_ns) = piece.when(units, 0) else { return Ok(()) };
        let [mean, swing] = [mean_uhz, swing_uhz].map(|rate_uhz| rate_uhz as f64 / 1e6);
        let (every, turn) = (every_ns as f64 / 1e9, std::f64::consts::TAU);
        let come = |at_ns: f64| {
            let (at, rest) = (at_ns / 1e9, (at_ns % every_ns as f64) / 1e9);
            mean * at + swing * every / turn * (1.0 - libm::cos(turn * rest / every))
        };
        // Of so many events floats leave a part of a billionth open.
        let (wanted, open) = (units as f64 / 1e15, 1e-9);
        let (before, after) = (come(at_ns as f64 - 1_000.0), come(at_ns as f64 + 1_000.0));
        prop_assert!(before <= wanted + open && wanted - open <= after, "{before} {wanted} {after}");
    }
}

#[test]
fn a_rise_and_a_spike_come_when_they_should() {
    let ramp = Shape::Ramp { from_uhz: 0, to_uhz: 200_000_000 };
    let ramp = Piece { shape: ramp, for_ns: 10 * SECOND_NS };
    // At 20 events per second squared, n have come after the root of n / 10 seconds.
    assert_eq!(ramp.come(ramp.for_ns), 1_000 * UNITS);
    assert_eq!(ramp.when(10 * UNITS, 0), Some(SECOND_NS));
    assert_eq!(ramp.when(250 * UNITS, 0), Some(5 * SECOND_NS));
    assert_eq!(ramp.when(1_000 * UNITS, 0), None);
    let (base_uhz, peak_uhz) = (0, 10_000_000);
    let (lasting_ns, every_ns) = (SECOND_NS, 5 * SECOND_NS);
    let spikes = Shape::Spikes { base_uhz, peak_uhz, lasting_ns, every_ns };
    let spikes = Piece { shape: spikes, for_ns: 10 * SECOND_NS };
    // What comes after the first spike comes with the second one, not at the first one's end.
    let when = |events: u128| spikes.when(events * UNITS, 0).unwrap();
    assert_eq!([0, 9, 10, 19].map(when), [0, 9, 50, 59].map(|tenths| tenths * SECOND_NS / 10));
}

#[test]
fn the_largest_loads_are_counted_without_overflow() {
    let (most, all) = (super::super::pattern::RATE_UHZ_MAX, super::super::pattern::RUN_NS_MAX);
    for shape in [
        Shape::Step { rate_uhz: most },
        Shape::Ramp { from_uhz: most, to_uhz: 0 },
        Shape::Ramp { from_uhz: 0, to_uhz: most },
        Shape::Sine { mean_uhz: most, swing_uhz: most, every_ns: all },
        Shape::Spikes { base_uhz: most, peak_uhz: most, lasting_ns: 1, every_ns: all },
    ] {
        let piece = Piece { shape, for_ns: all };
        let half = piece.come(all) / 2;
        let at_ns = piece.when(half, 0).unwrap();
        assert!(piece.come(at_ns) <= half && half < piece.come(at_ns + 1), "{shape:?}");
    }
}
