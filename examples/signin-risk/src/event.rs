//! Sign-in events, with the columns of the public data set for risk-based authentication.
//!
//! Always true: what is written can be read back; columns that are not named here are passed over.
//! A user id is empty where the system knows no such user: what was typed then may be anything,
//! a password included, and is not kept.
//! Source: Wiefling et al., "Login Data Set for Risk-Based Authentication", `CC BY 4.0`.

use std::io::{Read, Write};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Failure, time};

/// Most events that one run reads, so that memory stays under a gigabyte at about 600 bytes each.
pub(crate) const EVENTS_MAX: u64 = 1_500_000;

/// One attempt to sign in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    #[serde(default)]
    pub(crate) index: u64,
    #[serde(rename = "Login Timestamp", with = "timestamp")]
    pub(crate) at_ms: i64,
    #[serde(rename = "User ID")]
    pub(crate) user: String,
    #[serde(rename = "Round-Trip Time [ms]", with = "milliseconds")]
    pub(crate) round_trip_ms: Option<u32>,
    #[serde(rename = "IP Address")]
    pub(crate) address: String,
    #[serde(rename = "Country")]
    pub(crate) country: String,
    #[serde(rename = "Region", default)]
    pub(crate) region: String,
    #[serde(rename = "City", default)]
    pub(crate) city: String,
    #[serde(rename = "ASN")]
    pub(crate) network: String,
    #[serde(rename = "User Agent String")]
    pub(crate) agent: String,
    #[serde(rename = "Browser Name and Version", default)]
    pub(crate) browser: String,
    #[serde(rename = "OS Name and Version", default)]
    pub(crate) system: String,
    #[serde(rename = "Device Type")]
    pub(crate) device: String,
    #[serde(rename = "Login Successful", with = "truth")]
    pub(crate) successful: bool,
    #[serde(rename = "Is Attack IP", with = "truth")]
    pub(crate) attack: bool,
    #[serde(rename = "Is Account Takeover", with = "truth")]
    pub(crate) takeover: bool,
}

/// Reads events from CSV, in the order they stand in.
pub(crate) fn read(input: impl Read) -> Result<Vec<Event>, Failure> {
    let mut events = Vec::new();
    for (row, event) in csv::Reader::from_reader(input).into_deserialize().enumerate() {
        if row as u64 >= EVENTS_MAX {
            return Err(Failure(format!("more than {EVENTS_MAX} events: split the file")));
        }
        events.push(event.map_err(|error| Failure(format!("the events: {error}")))?);
    }
    Ok(events)
}

/// Writes events as CSV, header first.
pub(crate) fn write(output: impl Write, events: &[Event]) -> Result<(), Failure> {
    let failed = |error: csv::Error| Failure(format!("could not write the events: {error}"));
    let mut writer = csv::Writer::from_writer(output);
    for event in events {
        writer.serialize(event).map_err(failed)?;
    }
    Ok(writer.flush()?)
}

mod timestamp {
    use super::{Deserialize, Deserializer, Serializer, time};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(ms: &i64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&time::format(*ms))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
        let text = String::deserialize(from)?;
        time::parse(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("{text:?} is not like 2020-02-03 12:43:30.772"))
        })
    }
}

mod truth {
    use super::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(truth: &bool, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(if *truth { "True" } else { "False" })
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "True" | "true" | "1" => Ok(true),
            "False" | "false" | "0" => Ok(false),
            _ => Err(serde::de::Error::custom(format!("{text:?} is neither True nor False"))),
        }
    }
}

mod milliseconds {
    use super::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(ms: &Option<u32>, to: S) -> Result<S::Ok, S::Error> {
        match ms {
            None => to.serialize_str(""),
            Some(ms) => to.serialize_u32(*ms),
        }
    }

    /// Also takes `532.0`, as spreadsheets and data frames write whole numbers.
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
        let text = String::deserialize(from)?;
        let whole = text.split_once('.').map_or(text.as_str(), |(whole, _)| whole);
        if whole.is_empty() {
            return Ok(None);
        }
        let refuse = |_| serde::de::Error::custom(format!("{text:?} is no round-trip time"));
        whole.parse().map(Some).map_err(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "\
index,Login Timestamp,User ID,Round-Trip Time [ms],IP Address,Country,Region,City,ASN,\
User Agent String,Browser Name and Version,OS Name and Version,Device Type,Login Successful,\
Is Attack IP,Is Account Takeover
0,2020-02-03 12:43:30.772,-4324475583306591935,,10.0.65.171,NO,-,-,29695,\"Mozilla/5.0 (iPhone, \
like Gecko)\",Firefox 20.0,iOS 13.4,mobile,False,False,False
7,2020-02-03 12:44:00.000,17,532.0,10.0.0.47,US,Vestland,Bergen,393398,x,y,z,desktop,True,True,True
";

    #[test]
    fn the_public_data_set_is_read_and_written_alike() {
        let events = read(FIRST.as_bytes()).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!((events[0].round_trip_ms, events[1].round_trip_ms), (None, Some(532)));
        assert!(!events[0].successful && events[1].takeover);
        let mut again = Vec::new();
        write(&mut again, &events).unwrap();
        assert_eq!(read(again.as_slice()).unwrap(), events);
    }

    #[test]
    fn a_wrong_cell_is_named_with_its_line() {
        let broken = FIRST.replace("True,True,True", "True,perhaps,True");
        let failure = read(broken.as_bytes()).unwrap_err().to_string();
        assert!(failure.contains("line: 3") && failure.contains("perhaps"), "{failure}");
    }
}
