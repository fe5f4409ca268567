//! Whether what a variant answered in a run still is as it was in another.
//!
//! Always true: both runs are of whoever asks; answers that came while this is read may be missing.

use api::runs::RunDriftQuery;
use axum::body::Body;
use http::Response;

use super::records::place as place_of;
use super::{Mine, mine, own};
use crate::error::Error;
use crate::hub::Hub;
use crate::service::Incoming;
use crate::streams::{blocking, drift as told, json, number, parameters, read};

/// Answers `GET /v1/runs/{run}/drift`.
///
/// # Errors
///
/// [`Error::NoRun`] also where the caller may not know, [`Error::BadRequest`] with the parameter that
/// is wrong.
pub(crate) async fn drift(
    hub: &Hub,
    incoming: Incoming,
    run: &str,
) -> Result<Response<Body>, Error> {
    let Mine { account, records, names, place, .. } =
        mine(hub, (&incoming.parts, incoming.from()), run).await?;
    let query = query(&incoming.parts.uri)?;
    let settings = told::settings(query.alarm_every, query.seed)?;
    let (reference, reference_names) = own(hub, account, query.against).await?;
    let variant = query.variant.as_ref().or(names.first());
    let variant = variant.ok_or_else(|| Error::bad_request("the run has no variants"))?;
    let candidate = place_of(&names, variant)?;
    let other = query.against_variant.as_ref().unwrap_or(variant);
    let incumbent = place_of(&reference_names, other)?;
    let found = blocking(move || {
        let _place = place;
        let found = events::drift::of_runs((reference, incumbent), (records, candidate), settings);
        found.map_err(Error::from)
    });
    Ok(json(&told::told(found.await?, settings)))
}

fn query(uri: &http::Uri) -> Result<RunDriftQuery, Error> {
    let mut asked = parameters(uri)?;
    let alarm_every = number(&mut asked, "alarm_every")?;
    let seed = number(&mut asked, "seed")?;
    let words: RunDriftQuery = read(asked)?;
    Ok(RunDriftQuery { alarm_every, seed, ..words })
}
