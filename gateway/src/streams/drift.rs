//! Drift: whether events, or answers of a run, still are as others were, as it is told.

use api::streams::{Drift, FieldDrift, SelectionQuery};
use axum::body::Body;
use events::select::Selection;
use http::Response;
use http::request::Parts;
use policy::drift::Settings;

use super::{blocking, json, number, parameters, read, selection};
use crate::error::Error;
use crate::hub::Hub;
use crate::limits::Place;

/// At most one false alarm in so many events, where nothing is said, and what may be asked for: beyond
/// that no change of a size that matters would be found.
const ALARM_EVERY: u64 = 100_000;
const ALARM_EVERY_MAX: u64 = 1_000_000_000_000;

/// Says whether what is asked for is as its reference was.
pub(super) async fn stream(
    hub: &Hub,
    stream: events::Stream,
    parts: &Parts,
    place: Place,
) -> Result<Response<Body>, Error> {
    let mut asked = parameters(&parts.uri)?;
    let settings = settings(number(&mut asked, "alarm_every")?, number(&mut asked, "seed")?)?;
    let mut time = |name: &str| asked.remove(name).and_then(|it| it.as_str().map(str::to_owned));
    let (since, until) = (time("against_since"), time("against_until"));
    if since.is_none() && until.is_none() {
        return Err(Error::bad_request(
            "against what? say against_since, against_until or both: times such as 2026-11-23",
        ));
    }
    let query: SelectionQuery = read(asked)?;
    let watched = selection(&query)?;
    // What is compared is the same part of all, of other times; and it ends where the others begin.
    let until = until.or_else(|| query.since.clone());
    let reference = selection(&SelectionQuery { since, until, ..query })?;
    apart(&reference, &watched)?;
    let long = hub.streams.long(place).await?;
    let found = blocking(move || {
        let _long = long;
        stream.drift(&reference, &watched, settings).map_err(Error::from)
    });
    Ok(json(&told(found.await?, settings)))
}

/// Refuses events that are watched beside themselves: what is in both is no other time's.
fn apart(reference: &Selection, watched: &Selection) -> Result<(), Error> {
    let ends_before = |one: &Selection, other: &Selection| {
        one.until_ns.zip(other.since_ns).is_some_and(|(until, since)| until <= since)
    };
    if ends_before(reference, watched) || ends_before(watched, reference) {
        return Ok(());
    }
    Err(Error::bad_request(
        "some of the events that are watched are the reference too: say with since, or with until, \
         where they are apart, such as since=2026-11-22 and against_until=2026-11-22",
    ))
}

/// How changes are looked for.
///
/// # Errors
///
/// [`Error::BadRequest`] where false alarms are to be more seldom than can be.
pub(crate) fn settings(alarm_every: Option<u64>, seed: Option<u64>) -> Result<Settings, Error> {
    let alarm_every = alarm_every.unwrap_or(ALARM_EVERY);
    if !(1..=ALARM_EVERY_MAX).contains(&alarm_every) {
        return Err(Error::bad_request(format!("alarm_every is from 1 to {ALARM_EVERY_MAX}")));
    }
    Ok(Settings { alarm_every, seed: seed.unwrap_or(0) })
}

/// What was found, as it is told.
pub(crate) fn told(drift: events::drift::Drift, settings: Settings) -> Drift {
    let field = |field: events::drift::Field| FieldDrift {
        field: field.name,
        changed: field.alarm.is_some(),
        at_sequence: field.alarm.map(|(sequence, _)| sequence),
        at_ns: field.alarm.map(|(_, time_ns)| time_ns),
        evidence_ppm: ppm(field.told.evidence),
        distance_ppm: field.told.distance.map(ppm),
        by_chance_ppm: field.told.by_chance.map(ppm),
        reference_events: field.told.before,
        events: field.told.since,
    };
    let fields: Vec<FieldDrift> = drift.fields.into_iter().map(field).collect();
    Drift {
        reference_events: drift.reference,
        learnt_events: drift.learnt,
        events: drift.events,
        alarm_every: settings.alarm_every,
        changed: fields.iter().filter(|field| field.changed).count() as u64,
        fields,
        new_fields: drift.new,
    }
}

/// Millionths, to the nearest; what is not above nothing is nothing.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a conversion that ends at the largest number, and rounds on purpose"
)]
fn ppm(value: f64) -> u64 {
    (value * 1e6).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_watched_is_no_reference_of_itself() {
        let of = |since_ns: Option<u64>, until_ns: Option<u64>| Selection {
            since_ns,
            until_ns,
            ..Selection::default()
        };
        let told = |reference: (Option<u64>, Option<u64>), watched: (Option<u64>, Option<u64>)| {
            apart(&of(reference.0, reference.1), &of(watched.0, watched.1)).is_ok()
        };
        assert!(told((None, Some(5)), (Some(5), None)));
        assert!(told((Some(1), Some(5)), (Some(7), Some(9))));
        assert!(told((Some(5), None), (None, Some(5))), "the other way round");
        for (reference, watched) in [
            ((None, Some(5)), (None, None)),
            ((Some(5), None), (None, None)),
            ((Some(1), Some(6)), (Some(5), None)),
            ((Some(1), None), (Some(5), None)),
            ((None, Some(9)), (Some(1), Some(5))),
        ] {
            assert!(!told(reference, watched), "{reference:?} {watched:?}");
        }
        let refused = apart(&of(None, Some(5)), &of(None, None)).unwrap_err();
        assert!(refused.to_string().contains("since=2026-11-22"), "{refused}");
    }
}
