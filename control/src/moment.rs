//! Moments, written as foreign protocols want them.

use jiff::Timestamp;

/// Such as `2026-11-21T20:48:40.000Z`.
pub(crate) fn iso8601(ms: u64) -> String {
    at(ms).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// Such as `2026-11-21T20:48:40.000+0000`. Source: `LastModified` of Lambda.
pub(crate) fn with_offset(ms: u64) -> String {
    at(ms).strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

fn at(ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_to_the_millisecond() {
        assert_eq!(iso8601(1_600_000_000_007), "2020-09-13T12:26:40.007Z");
        assert_eq!(with_offset(1_600_000_000_000), "2020-09-13T12:26:40.000+0000");
        assert_eq!(iso8601(u64::MAX).len(), "9999-12-30T22:00:00.999Z".len());
    }
}
