//! Values: words of the command line as the things that they name.

use types::ItemKind;

/// A kind of item.
pub(super) fn parse_kind(text: &str) -> Result<ItemKind, String> {
    text.parse().map_err(|error: types::kinds::UnknownKind| error.to_string())
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
