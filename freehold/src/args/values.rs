//! Values: words of the command line as the things that they name.

use types::{ItemKind, Mode};

/// A kind of item.
pub(super) fn parse_kind(text: &str) -> Result<ItemKind, String> {
    text.parse().map_err(|error: types::kinds::UnknownKind| error.to_string())
}

/// How a variant is used.
pub(super) fn parse_mode(text: &str) -> Result<Mode, String> {
    let all = [Mode::Test, Mode::Shadow, Mode::Canary, Mode::Bake, Mode::Production];
    let found = all.into_iter().find(|mode| mode.as_str() == text);
    found.ok_or_else(|| format!("{text:?} is none of test, shadow, canary, bake and production"))
}

/// `NAME=VALUE`.
pub(super) fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let pair = pair.ok_or_else(|| format!("{text:?} is not NAME=VALUE"))?;
    Ok((pair.0.to_owned(), pair.1.to_owned()))
}

/// A share such as 0.9 or 90%, in parts per million.
pub(super) fn parse_share(text: &str) -> Result<u64, String> {
    let (number, scale) = match text.strip_suffix('%') {
        Some(number) => (number, 10_000.0),
        None => (text, 1_000_000.0),
    };
    scaled(number, scale)
        .filter(|ppm| *ppm <= 1_000_000)
        .ok_or_else(|| format!("{text:?} is not a share: write 0.9 or 90%"))
}

/// Milliseconds such as 2.5, in microseconds.
pub(super) fn parse_ms(text: &str) -> Result<u64, String> {
    scaled(text, 1_000.0).ok_or_else(|| format!("{text:?} is not a number of milliseconds"))
}

/// A share such as 0.05 or 5%, in ten-thousandths.
pub(super) fn parse_share_bp(text: &str) -> Result<u32, String> {
    let ppm = parse_share(text)?;
    let bp = u32::try_from(ppm / 100).ok().filter(|_| ppm.is_multiple_of(100));
    bp.ok_or_else(|| format!("{text:?} is finer than a hundredth of a percent"))
}

/// A time such as 500ms, 30s, 10m, 2h or 7d, in milliseconds.
pub(super) fn parse_time(text: &str) -> Result<u64, String> {
    let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];
    let read = |(unit, ms): &(&str, u64)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(*ms)
    };
    units.iter().find_map(read).ok_or_else(|| format!("{text:?} is no time: write 30s, 10m or 2h"))
}

/// A rate such as 500/s, 90/min or 20000/h, in millionths of one a second.
pub(super) fn parse_rate(text: &str) -> Result<u64, String> {
    let units = [("/s", 1.0), ("/min", 60.0), ("/m", 60.0), ("/h", 3_600.0)];
    let read = |(unit, seconds): &(&str, f64)| {
        let number = text.strip_suffix(unit)?;
        scaled(number, 1_000_000.0 / seconds).filter(|uhz| *uhz > 0)
    };
    units.iter().find_map(read).ok_or_else(|| format!("{text:?} is no rate: write 500/s"))
}

/// A speed such as 10x or 0.5x, in thousandths.
pub(super) fn parse_speed(text: &str) -> Result<u64, String> {
    let number = text.strip_suffix('x').and_then(|number| scaled(number, 1_000.0));
    number.filter(|milli| *milli > 0).ok_or_else(|| format!("{text:?} is no speed: write 10x"))
}

/// Memory such as 64GiB or 512 MiB, in KiB; a unit is needed.
pub(super) fn parse_memory(text: &str) -> Result<u64, String> {
    let units = [("KiB", 1), ("MiB", 1 << 10), ("GiB", 1 << 20), ("TiB", 1 << 30)];
    let read = |(unit, kib): &(&str, u64)| {
        let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
        number.checked_mul(*kib).filter(|kib| *kib > 0)
    };
    units.iter().find_map(read).ok_or_else(|| format!("{text:?} is no memory: write 64GiB"))
}

fn scaled(text: &str, scale: f64) -> Option<u64> {
    let value: f64 = text.trim().parse().ok()?;
    let value = value * scale;
    if !(0.0..=1e15).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    let value = value.round() as u64;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_times_are_read_exactly() {
        assert_eq!(parse_share("0.9"), Ok(900_000));
        assert_eq!(parse_share("97.5%"), Ok(975_000));
        assert_eq!(parse_ms("2.5"), Ok(2_500));
        assert_eq!(parse_share_bp("5%"), Ok(500));
        assert_eq!(parse_share_bp("0.01%"), Ok(1));
        assert!(parse_share_bp("0.001%").is_err());
        assert_eq!(parse_time("90s"), Ok(90_000));
        assert_eq!(parse_time("500ms"), Ok(500));
        assert_eq!(parse_time("7d"), Ok(604_800_000));
        for bad in ["", "5", "s", "-1s", "1.5h", "1w"] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_rate("500/s"), Ok(500_000_000));
        assert_eq!(parse_rate("90/min"), Ok(1_500_000));
        assert_eq!(parse_speed("10x"), Ok(10_000));
        assert_eq!(parse_speed("0.5x"), Ok(500));
        for bad in ["500", "0/s", "-1/s", "x/s", "1/d"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
        for bad in ["10", "x", "0x", "-1x"] {
            assert!(parse_speed(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_memory("64GiB"), Ok(64 << 20));
        assert_eq!(parse_memory("512 MiB"), Ok(512 << 10));
        for bad in ["64", "GiB", "-1GiB", "0KiB", "99999999999TiB"] {
            assert!(parse_memory(bad).is_err(), "{bad}");
        }
        for bad in ["1.1", "-1", "x", "101%"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
    }
}
