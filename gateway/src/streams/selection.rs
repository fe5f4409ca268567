//! What a selection says, read: times in their zone, conditions, shares and numbers.
//!
//! Always true: what cannot be read is refused with the part that is wrong; nothing is guessed.

use api::streams::SelectionQuery;
use events::select::{Key, Sample, Selection};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

use crate::error::Error;

/// The selection that is meant.
///
/// # Errors
///
/// [`Error::BadRequest`] with the part that is wrong.
pub(crate) fn selection(query: &SelectionQuery) -> Result<Selection, Error> {
    let zone = zone(query.zone.as_deref())?;
    let time = |text: &Option<String>| text.as_deref().map(|it| time_ns(it, &zone)).transpose();
    let filter = query.filter.as_deref().unwrap_or_default().parse();
    let filter = filter.map_err(|fault: events::select::Fault| wrong(&fault))?;
    Ok(Selection {
        since_ns: time(&query.since)?,
        until_ns: time(&query.until)?,
        filter,
        sample: query.sample.as_deref().map(sample).transpose()?,
        sequences: numbers(query.sequences.as_deref().unwrap_or_default())?,
        ..Selection::default()
    })
}

/// The time zone of a name; UTC of none.
///
/// # Errors
///
/// [`Error::BadRequest`] where there is none of that name.
pub(crate) fn zone(name: Option<&str>) -> Result<TimeZone, Error> {
    let Some(name) = name else { return Ok(TimeZone::UTC) };
    TimeZone::get(name).map_err(|_| {
        let name: String = name.chars().take(80).collect();
        Error::bad_request(format!("{name:?} is no time zone: write one such as Europe/Oslo"))
    })
}

fn wrong(fault: &dyn std::fmt::Display) -> Error {
    Error::bad_request(fault.to_string())
}

/// A moment, or a date and perhaps a time of a zone, in Unix nanoseconds.
pub(super) fn time_ns(text: &str, zone: &TimeZone) -> Result<u64, Error> {
    let civil = || {
        let local: DateTime = text
            .parse::<DateTime>()
            .or_else(|_| text.parse::<Date>().map(|day| day.at(0, 0, 0, 0)))
            .ok()?;
        zone.to_zoned(local).ok().map(|zoned| zoned.timestamp())
    };
    let moment = text.parse::<Timestamp>().ok().or_else(civil);
    let ns = moment.and_then(|moment| u64::try_from(moment.as_nanosecond()).ok());
    ns.ok_or_else(|| {
        Error::bad_request(format!(
            "{text:?} is no time since 1970: write 2026-11-23T08:00:00Z, or 2026-11-23 with a zone"
        ))
    })
}

/// `id:5%`, `subject:0.5%`, or `attribute.NAME:10%`.
fn sample(text: &str) -> Result<Sample, Error> {
    let refuse = || {
        Error::bad_request(format!(
            "{text:?} is no sample: write id:5%, subject:5% or attribute.NAME:5%"
        ))
    };
    let (key, share) = text.rsplit_once(':').ok_or_else(refuse)?;
    let key = match key {
        "id" => Key::Id,
        "subject" => Key::Subject,
        _ => Key::Attribute(key.strip_prefix("attribute.").ok_or_else(refuse)?.to_owned()),
    };
    let percent = share.strip_suffix('%').ok_or_else(refuse)?;
    let (whole, part) = percent.split_once('.').unwrap_or((percent, "0"));
    let whole: u32 = whole.parse().map_err(|_| refuse())?;
    let part: u32 = match part.len() {
        1 => part.parse::<u32>().map_err(|_| refuse())? * 10,
        2 => part.parse().map_err(|_| refuse())?,
        _ => return Err(refuse()),
    };
    let share_bp = whole.saturating_mul(100).saturating_add(part);
    if share_bp == 0 || share_bp > 10_000 {
        return Err(refuse());
    }
    Ok(Sample { key, salt: String::new(), share_bp })
}

fn numbers(text: &str) -> Result<std::collections::BTreeSet<u64>, Error> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let numbers = parts.map(|part| {
        let number = part.parse().ok().filter(|number| *number > 0);
        number.ok_or_else(|| Error::bad_request(format!("{part:?} is no number of an event")))
    });
    numbers.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(change: impl FnOnce(&mut SelectionQuery)) -> Result<Selection, Error> {
        let mut query = SelectionQuery::default();
        change(&mut query);
        selection(&query)
    }

    #[test]
    fn times_are_those_of_their_zone() {
        let read = |text: &str, zone: Option<&str>| {
            let read = query(|it| {
                it.since = Some(text.to_owned());
                it.zone = zone.map(str::to_owned);
            });
            read.unwrap().since_ns.unwrap() / 1_000_000_000
        };
        assert_eq!(read("2015-05-17T10:05:00Z", None), 1_431_857_100);
        assert_eq!(read("2015-05-17T10:05:00", None), 1_431_857_100);
        assert_eq!(read("2015-05-17T10:05:00", Some("Europe/Oslo")), 1_431_857_100 - 7_200);
        assert_eq!(read("2015-05-17", Some("Europe/Oslo")), 1_431_820_800 - 7_200);
        assert_eq!(read("2015-05-17T10:05:00+02:00", None), 1_431_857_100 - 7_200);
    }

    #[test]
    fn what_cannot_be_read_is_refused() {
        let refused = |change: fn(&mut SelectionQuery)| query(change).unwrap_err().to_string();
        let told = [
            refused(|it| it.since = Some("yesterday".to_owned())),
            refused(|it| it.until = Some("1969-12-31".to_owned())),
            refused(|it| it.zone = Some("Oslo".to_owned())),
            refused(|it| it.filter = Some("=".to_owned())),
            refused(|it| it.sample = Some("subject".to_owned())),
            refused(|it| it.sample = Some("subject:101%".to_owned())),
            refused(|it| it.sequences = Some("1,0".to_owned())),
        ];
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_share_is_read_exactly() {
        for (text, share_bp) in [("id:5%", 500), ("subject:0.5%", 50), ("attribute.x:0.01%", 1)] {
            let read = query(|it| it.sample = Some(text.to_owned())).unwrap();
            assert_eq!(read.sample.unwrap().share_bp, share_bp, "{text}");
        }
    }
}
