//! Rules: whether conditions hold of an event, answered as a model would: what a candidate has to beat
//! at least.
//!
//! Always true: a rule sees what a model sees, and no label; an answer has the prediction where it is
//! looked for. Absent on purpose: rules that have a name, or learn.

use access::Action;
use api::streams::RuleQuery;
use axum::body::Body;
use events::select::Filter;
use http::Response;
use serde_json::{Map, Value};

use crate::body;
use crate::error::Error;
use crate::hub::Hub;
use crate::service::Incoming;
use crate::streams::{json, parameters, read};

/// Parts of a place in an answer, and places of a list before it, at most.
const DEPTH_MAX: usize = 16;
const PLACES_MAX: usize = 64;

/// Answers 1 where the rule holds of the event that was sent, and else 0.
pub(crate) async fn answer(hub: &Hub, incoming: Incoming) -> Result<Response<Body>, Error> {
    let (caller, _) = hub.member(&incoming.parts.headers, Action::StreamsRead)?;
    let _place = hub.place(&caller, incoming.from())?;
    let query: RuleQuery = read(parameters(&incoming.parts.uri)?)?;
    let rule = rule(&query.rule)?;
    let Incoming { parts, body, .. } = incoming;
    let payload = body::read(&parts.headers, body, &hub.settings, &hub.clock).await?;
    let said = parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let taken = events::cloudevents::read(said, &payload, hub.clock.now_us());
    let taken = taken.map_err(|refused| Error::bad_request(refused.to_string()))?;
    let [event] = taken.as_deref().unwrap_or_default() else {
        return Err(Error::bad_request("a rule is asked of one event of CloudEvents at a time"));
    };
    let says = Value::from(u8::from(rule.holds(event)));
    Ok(json(&placed(query.at.as_deref().unwrap_or_default(), says)?))
}

/// The conditions that are meant.
///
/// # Errors
///
/// [`Error::BadRequest`] where they are none, or ask for what is to be found out.
pub(crate) fn rule(text: &str) -> Result<Filter, Error> {
    let rule: Filter = text
        .parse()
        .map_err(|fault: events::select::Fault| Error::bad_request(fault.to_string()))?;
    if rule.is_empty() || rule.asks_of_label() {
        let cure = "a rule is conditions on what an event says, such as data.failures>=3, without \
                    its label";
        return Err(Error::bad_request(cure));
    }
    Ok(rule)
}

/// A document that has a value at this place, a JSON pointer.
fn placed(at: &str, value: Value) -> Result<Value, Error> {
    let parts: Vec<&str> = at.split('/').skip(1).collect();
    let is_pointer = at.is_empty() || at.starts_with('/');
    if !is_pointer || parts.len() > DEPTH_MAX {
        return Err(Error::bad_request(format!("{at:?} is no place in an answer: write /score")));
    }
    parts.iter().rev().try_fold(value, |inner, part| match part.parse::<usize>() {
        Ok(place) if place < PLACES_MAX => {
            let mut items = vec![Value::Null; place];
            items.push(inner);
            Ok(Value::from(items))
        }
        Ok(_) => Err(Error::bad_request(format!("{at:?} is too far behind in a list"))),
        Err(_) => {
            let name = part.replace("~1", "/").replace("~0", "~");
            Ok(Value::from(Map::from_iter([(name, inner)])))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prediction_is_where_it_is_looked_for() {
        for at in ["", "/score", "/predictions/0", "/a/2/b~1c/0"] {
            let placed = placed(at, Value::from(1)).unwrap();
            assert_eq!(placed.pointer(at), Some(&Value::from(1)), "{placed}");
        }
        let deep = "/a".repeat(DEPTH_MAX + 1);
        for at in ["score", "/predictions/64", deep.as_str()] {
            assert!(placed(at, Value::from(1)).is_err(), "{at}");
        }
    }

    #[test]
    fn a_rule_asks_of_what_a_model_sees() {
        assert!(rule("data.failures>=3,region=no").is_ok());
        for bad in ["", "label=true", "data.failures>=3,!label", "="] {
            assert!(rule(bad).is_err(), "{bad}");
        }
    }
}
