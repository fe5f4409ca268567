//! Mappings: where in a row or an object the parts of an event are.
//!
//! `time=Login Timestamp,subject=/user/id,region="Country, long"`: names of columns or members, or
//! JSON pointers into objects.
//!
//! Always true: a text is read or refused with the term that is wrong; what is read is written back.
//! Absent on purpose: changing values on the way.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::select::value;

/// Longest text of a mapping, in bytes.
const MAPPING_BYTES_MAX: usize = 16 * 1024;
/// What can be mapped.
const NAMES: [&str; 9] =
    ["time", "id", "source", "type", "subject", "region", "group", "label", "data"];

/// Where the parts of an event are. What is not named is left empty, but for the time, which is
/// looked for under `time`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mapping {
    /// When it happened.
    pub time: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// Its source.
    pub source: Option<String>,
    /// Its type.
    pub kind: Option<String>,
    /// To whom it happened.
    pub subject: Option<String>,
    /// Where it happened.
    pub region: Option<String>,
    /// To which group it is counted.
    pub group: Option<String>,
    /// What came of it; becomes the attribute `label`.
    pub label: Option<String>,
    /// Its data; the whole row or object where none is named.
    pub data: Option<String>,
}

/// Why a text is no mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in the mapping, {term:?} {problem}")]
pub struct MappingFault {
    /// The term.
    pub term: String,
    /// What is wrong with it, and what to do.
    pub problem: String,
}

impl Mapping {
    fn of(&mut self, name: &str) -> Option<&mut Option<String>> {
        Some(match name {
            "time" => &mut self.time,
            "id" => &mut self.id,
            "source" => &mut self.source,
            "type" => &mut self.kind,
            "subject" => &mut self.subject,
            "region" => &mut self.region,
            "group" => &mut self.group,
            "label" => &mut self.label,
            "data" => &mut self.data,
            _ => return None,
        })
    }

    /// The names of what is mapped, and where it is.
    pub(super) fn named(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let Self { time, id, source, kind, subject, region, group, label, data } = self;
        let all = [time, id, source, kind, subject, region, group, label, data];
        NAMES.into_iter().zip(all).filter_map(|(name, place)| Some((name, place.as_deref()?)))
    }
}

impl FromStr for Mapping {
    type Err = MappingFault;

    fn from_str(text: &str) -> Result<Self, MappingFault> {
        let fault = |term: &str, problem: &str| MappingFault {
            term: term.chars().take(60).collect(),
            problem: problem.to_owned(),
        };
        if text.len() > MAPPING_BYTES_MAX {
            return Err(fault(text, "is too long: at most 16 KiB"));
        }
        let (mut mapping, mut rest) = (Self::default(), text.trim());
        while !rest.is_empty() {
            let Some((name, after)) = rest.split_once('=') else {
                return Err(fault(rest, "has no sign: write like time=timestamp,region=country"));
            };
            let (place, after) = value(after.trim_start())
                .map_err(|it| MappingFault { term: it.term, problem: it.problem.to_owned() })?;
            let Some(part) = mapping.of(name.trim()) else {
                let known = NAMES.join(", ");
                return Err(fault(
                    rest,
                    &format!("is about no part of an event; they are {known}"),
                ));
            };
            if place.is_empty() {
                return Err(fault(rest, "names no column or member: put its name behind the sign"));
            }
            if part.replace(place).is_some() {
                return Err(fault(rest, "is about a part that was named before"));
            }
            rest = after.trim_start();
            rest = rest.strip_prefix(',').map_or(rest, str::trim_start);
        }
        Ok(mapping)
    }
}

impl TryFrom<String> for Mapping {
    type Error = MappingFault;

    fn try_from(text: String) -> Result<Self, MappingFault> {
        text.parse()
    }
}

impl From<Mapping> for String {
    fn from(mapping: Mapping) -> Self {
        mapping.to_string()
    }
}

impl fmt::Display for Mapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, of)) in self.named().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            write!(f, "{comma}{name}={}", serde_json::Value::from(of))?;
        }
        Ok(())
    }
}
