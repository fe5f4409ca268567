//! Time stamps as text: milliseconds since 1970 in UTC, and the two ways they are written.
//!
//! Source: the day arithmetic is Howard Hinnant's `days_from_civil` and its inverse.

/// Milliseconds of one day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// A moment, as a calendar and a clock show it in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: i64,
    pub(crate) day: i64,
    pub(crate) ms_of_day: i64,
}

/// What calendar and clock show at `ms`.
pub(crate) fn civil(ms: i64) -> Civil {
    let days = ms.div_euclid(DAY_MS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Civil { year, month, day, ms_of_day: ms.rem_euclid(DAY_MS) }
}

/// The moment that calendar and clock show; the inverse of [`civil`].
pub(crate) fn from_civil(at: Civil) -> i64 {
    let year = at.year - i64::from(at.month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if at.month > 2 { at.month - 3 } else { at.month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + at.day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era - 719_468) * DAY_MS + at.ms_of_day
}

/// Writes `2020-02-03 12:43:30.772`.
pub(crate) fn format(ms: i64) -> String {
    let Civil { year, month, day, ms_of_day } = civil(ms);
    let (hour, minute) = (ms_of_day / 3_600_000, ms_of_day / 60_000 % 60);
    let (second, rest) = (ms_of_day / 1_000 % 60, ms_of_day % 1_000);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{rest:03}")
}

/// Reads `2020-02-03 12:43:30.772`, and the like with `T`, without a fraction, and with a zone.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let (date, clock) = text.trim().split_once([' ', 'T'])?;
    let mut parts = date.splitn(3, '-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let in_calendar = (0..=9_999).contains(&year) && (1..=12).contains(&month);
    if !in_calendar || !(1..=31).contains(&day) {
        return None;
    }
    let (clock, zone_ms) = split_zone(clock)?;
    let ms_of_day = parse_clock(clock)?;
    Some(from_civil(Civil { year, month, day, ms_of_day }) - zone_ms)
}

/// Reads `12:43:30` or `12:43:30.772` as milliseconds of the day.
pub(crate) fn parse_clock(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.splitn(3, ':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let on_clock = (0..24).contains(&hour) && (0..60).contains(&minute);
    if !on_clock || !(0..=60).contains(&second) || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(((hour * 60 + minute) * 60 + second) * 1_000 + digits.parse::<i64>().ok()?)
}

/// Takes `Z`, `+02:00` or `-0530` off a clock's end, as milliseconds east.
fn split_zone(clock: &str) -> Option<(&str, i64)> {
    if let Some(clock) = clock.strip_suffix('Z') {
        return Some((clock, 0));
    }
    let Some(at) = clock.find(['+', '-']) else { return Some((clock, 0)) };
    let digits: String = clock[at + 1..].chars().filter(|c| *c != ':').collect();
    let zone: i64 = digits.parse().ok()?;
    let east_ms = (zone / 100 * 60 + zone % 100) * 60_000;
    Some((&clock[..at], if clock[at..].starts_with('-') { -east_ms } else { east_ms }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_survives_text() {
        for ms in [0, 1_580_733_810_772, 951_782_400_000, -1, 4_102_444_800_123] {
            assert_eq!(parse(&format(ms)), Some(ms), "{}", format(ms));
        }
        assert_eq!(format(1_580_733_810_772), "2020-02-03 12:43:30.772");
    }

    #[test]
    fn zones_and_short_forms_are_read_and_nonsense_is_not() {
        let noon = parse("2024-05-01 12:00:00").unwrap();
        assert_eq!(parse("2024-05-01T14:00:00.000000+02:00"), Some(noon));
        assert_eq!(parse("2024-05-01T06:30:00-0530"), Some(noon));
        assert_eq!(parse("2024-05-01T12:00:00Z"), Some(noon));
        for bad in ["", "2024", "2024-13-01 00:00:00", "2024-01-01 25:00:00", "a-b-c d:e:f"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
