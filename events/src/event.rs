//! An event: that something happened, when, where, and to whom; after `CloudEvents` 1.0.

use std::collections::BTreeMap;

use bytes::Bytes;

/// Largest event, in bytes as it is stored; as a function's largest event that nobody waits for.
pub const EVENT_BYTES_MAX: usize = 1 << 20;
/// Longest id, source, type, subject, region, group, name and value of an attribute, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// Most attributes of an event.
const ATTRIBUTES_MAX: usize = 64;
/// The latest time that tools which count nanoseconds in 64 bits with a sign can tell: in 2262.
const TIME_NS_MAX: u64 = i64::MAX.unsigned_abs();

/// The attribute that says what came of an event.
pub(crate) const LABEL: &str = "label";
/// The attribute that says what was answered to it when it happened.
pub const ANSWER: &str = "answer";
/// Longest answer, in bytes: some hundred predictions as JSON, and no page.
pub const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What no attribute is named: the parts of an event, as they are called by one or another.
const RESERVED: [&str; 12] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "region",
    "group",
    "content_type",
    "datacontenttype",
    "data",
    "data_base64",
];

/// What happened. Two events with the same id of the same source are the same event.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Event {
    /// When it happened, in Unix nanoseconds.
    #[prost(fixed64, tag = "1")]
    pub time_ns: u64,
    /// Its id, unique within its source.
    #[prost(string, tag = "2")]
    pub id: String,
    /// Who tells of it, such as a URI.
    #[prost(string, tag = "3")]
    pub source: String,
    /// What kind of event it is; the `type` of `CloudEvents`.
    #[prost(string, tag = "4")]
    pub kind: String,
    /// To whom or to what it happened; empty where nothing is said.
    #[prost(string, tag = "5")]
    pub subject: String,
    /// Where it happened; empty where nothing is said.
    #[prost(string, tag = "6")]
    pub region: String,
    /// To which group it is counted; empty where nothing is said.
    #[prost(string, tag = "7")]
    pub group: String,
    /// What else is said of it, by names.
    #[prost(btree_map = "string, string", tag = "8")]
    pub attributes: BTreeMap<String, String>,
    /// The media type of the data; empty where there is none.
    #[prost(string, tag = "9")]
    pub content_type: String,
    /// What a model or a function is given.
    #[prost(bytes = "bytes", tag = "10")]
    pub data: Bytes,
}

impl Event {
    /// What is wrong with it, and what to do.
    pub(crate) fn fault(&self) -> Option<String> {
        let needed = [("id", &self.id), ("source", &self.source), ("type", &self.kind)];
        if let Some((name, _)) = needed.iter().find(|(_, text)| text.is_empty()) {
            return Some(format!("it has no {name}: every event needs an id, a source and a type"));
        }
        let plain = [("subject", &self.subject), ("region", &self.region), ("group", &self.group)];
        let texts =
            needed.into_iter().chain(plain).map(|(name, text)| (name, text, TEXT_BYTES_MAX));
        let attributes = self.attributes.iter().flat_map(|(name, value)| {
            let most = if name == ANSWER { ANSWER_BYTES_MAX } else { TEXT_BYTES_MAX };
            [("attribute", name, TEXT_BYTES_MAX), ("attribute", value, most)]
        });
        for (name, text, most) in texts.chain(attributes) {
            if text.len() > most {
                let bytes = text.len();
                return Some(format!("its {name} has {bytes} bytes; use at most {most}"));
            }
        }
        if self.attributes.len() > ATTRIBUTES_MAX {
            let count = self.attributes.len();
            return Some(format!("it has {count} attributes; use at most {ATTRIBUTES_MAX}"));
        }
        if let Some(name) = self.attributes.keys().find(|name| RESERVED.contains(&name.as_str())) {
            return Some(format!(
                "its attribute {name} is named as a part of every event: rename it"
            ));
        }
        if self.time_ns > TIME_NS_MAX {
            return Some("its time is after the year 2262: is it in nanoseconds?".to_owned());
        }
        let bytes = prost::Message::encoded_len(self);
        (bytes > EVENT_BYTES_MAX)
            .then(|| format!("it has {bytes} bytes; use at most {EVENT_BYTES_MAX}"))
    }

    /// A digest of its source and id, by which it is known again.
    pub(crate) fn identity(&self) -> u128 {
        identity(&self.source, &self.id)
    }
}

/// A digest of a source and an id.
pub(crate) fn identity(source: &str, id: &str) -> u128 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&(source.len() as u64).to_le_bytes());
    hasher.update(source.as_bytes()).update(id.as_bytes());
    let mut digest = [0; 16];
    hasher.finalize_xof().fill(&mut digest);
    u128::from_le_bytes(digest)
}
