//! Times, as files write them.
//!
//! `2026-05-17T10:05:03.25Z`, with any offset; `2026-05-17 10:05:03.25` and `2026-05-17`, of a zone
//! that is said elsewhere; and numbers of seconds, milliseconds, microseconds or nanoseconds since
//! 1970, told apart by their size.
//!
//! Always true: any text is a time after 1970 or none. Absent on purpose: other orders of day, month
//! and year, which cannot be told apart.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

/// Whole numbers below this are seconds: until the year 5138.
const SECONDS_BELOW: u64 = 100_000_000_000;
/// Below this, milliseconds.
const MILLIS_BELOW: u64 = SECONDS_BELOW * 1_000;
/// Below this, microseconds; others are nanoseconds.
const MICROS_BELOW: u64 = MILLIS_BELOW * 1_000;

/// The time that a text tells, in Unix nanoseconds.
pub(super) fn parse(text: &str, zone: &TimeZone) -> Option<u64> {
    let text = text.trim();
    if let Some(time_ns) = number(text) {
        return Some(time_ns);
    }
    let told = text.parse::<Timestamp>().ok().or_else(|| {
        let date = || text.parse::<civil::Date>().map(civil::Date::into);
        let time: DateTime = text.parse().or_else(|_| date()).ok()?;
        Some(zone.to_ambiguous_zoned(time).compatible().ok()?.timestamp())
    })?;
    u64::try_from(told.as_nanosecond()).ok()
}

/// A number, perhaps with digits behind a point.
fn number(text: &str) -> Option<u64> {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, places) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !digits(whole) || !digits(places) {
        return None;
    }
    let number: u64 = whole.parse().ok()?;
    let unit = match number {
        0..SECONDS_BELOW => 9,
        SECONDS_BELOW..MILLIS_BELOW => 6,
        MILLIS_BELOW..MICROS_BELOW => 3,
        _ => 0,
    };
    let places: String = places.chars().chain(std::iter::repeat('0')).take(unit).collect();
    let rest: u64 = if unit == 0 { 0 } else { places.parse().ok()? };
    number.checked_mul(10_u64.pow(u32::try_from(unit).ok()?))?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_files_write_them() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        for (text, time_ns) in [
            ("2015-05-17T10:05:03Z", 1_431_857_103_000_000_000),
            ("2015-05-17T12:05:03.25+02:00", 1_431_857_103_250_000_000),
            ("2015-05-17 12:05:03.2500000", 1_431_857_103_250_000_000),
            ("2015-05-17T12:05:03", 1_431_857_103_000_000_000),
            ("2015-05-17", 1_431_813_600_000_000_000),
            (" 1431857103 ", 1_431_857_103_000_000_000),
            ("1431857103.25", 1_431_857_103_250_000_000),
            ("1431857103250", 1_431_857_103_250_000_000),
            ("1431857103250.5", 1_431_857_103_250_500_000),
            ("1431857103250001", 1_431_857_103_250_001_000),
            ("1431857103250001002", 1_431_857_103_250_001_002),
            ("0", 0),
        ] {
            assert_eq!(parse(text, &berlin), Some(time_ns), "{text}");
        }
        for text in ["", "-1", "1e9", "yesterday", "17/05/2015", "1915-05-17", ".5", "5.x"] {
            assert_eq!(parse(text, &berlin), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_time_is_read_back_and_any_text_is_a_time_or_none(
            time_ns in 0..i64::MAX.unsigned_abs(), text: String,
        ) {
            let written = Timestamp::from_nanosecond(time_ns.into()).unwrap().to_string();
            prop_assert_eq!(parse(&written, &TimeZone::UTC), Some(time_ns));
            let _ = parse(&text, &TimeZone::UTC);
        }
    }
}
