//! Filters: what has to hold of an event, as a text.
//!
//! `status=500,method!=GET,user,!bot,data.answer.bytes>=1000,agent="a, b"`: all of it. A name with a
//! value behind it, or alone where there has to be any, or behind `!` where there must be none. Names
//! are those of attributes; `id`, `source`, `type`, `subject`, `region`, `group`, `content_type` and
//! `label`; and paths into data that is JSON, behind `data.`. What is missing equals nothing.
//!
//! Always true: a text is read or refused with the term that is wrong; what is read is written back.
//! Absent on purpose: alternatives; use several selections.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest text of a filter, in bytes.
pub const FILTER_BYTES_MAX: usize = 16 * 1024;
/// Most terms of a filter: each is asked of every event.
pub const TERMS_MAX: usize = 64;
/// What ends a name.
const OPERATORS: [char; 4] = ['=', '!', '<', '>'];

/// What has to hold of an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter {
    pub(super) terms: Vec<Term>,
}

/// One thing that has to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Term {
    pub(super) of: Of,
    pub(super) is: Is,
}

/// Of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Id,
    Source,
    Kind,
    Subject,
    Region,
    Group,
    ContentType,
    Label,
    /// The names of members, from outside to inside; places in lists are numbers.
    Data(Vec<String>),
    Attribute(String),
}

/// What.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Is {
    There,
    Missing,
    Equal(String),
    Other(String),
    /// As numbers; the text is one.
    Less(String),
    NotMore(String),
    More(String),
    NotLess(String),
}

/// What is made of the value behind a sign.
type Operator = fn(String) -> Is;

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("in the filter, {term:?} {problem}")]
pub struct Fault {
    /// The term.
    pub term: String,
    /// What is wrong with it, and what to do.
    pub problem: &'static str,
}

impl Filter {
    /// Whether it asks nothing.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(super) fn asks_of(&self, is: impl Fn(&Of) -> bool) -> bool {
        self.terms.iter().any(|term| is(&term.of))
    }
}

impl FromStr for Filter {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        if text.len() > FILTER_BYTES_MAX {
            return Err(fault(text, "is too long: at most 16 KiB"));
        }
        let (mut terms, mut rest) = (Vec::new(), text.trim());
        while !rest.is_empty() {
            if terms.len() == TERMS_MAX {
                return Err(fault(rest, "is one too many: at most 64 terms"));
            }
            let (term, after) = term(rest)?;
            terms.push(term);
            rest = after.trim_start();
            if let Some(after) = rest.strip_prefix(',') {
                rest = after.trim_start();
                if rest.is_empty() {
                    return Err(fault(",", "stands at the end: take it away"));
                }
            }
        }
        Ok(Self { terms })
    }
}

/// The first term, and what is behind it.
fn term(text: &str) -> Result<(Term, &str), Fault> {
    let (is_missing, named) = match text.strip_prefix('!') {
        Some(named) => (true, named.trim_start()),
        None => (false, text),
    };
    let end = named.find(|letter| OPERATORS.contains(&letter) || letter == ',');
    let (name, rest) = named.split_at(end.unwrap_or(named.len()));
    let of = of(name.trim()).ok_or_else(|| {
        fault(text, "has no name: write like status=500, user, !bot or data.answer.bytes>1000")
    })?;
    if rest.is_empty() || rest.starts_with(',') {
        let is = if is_missing { Is::Missing } else { Is::There };
        return Ok((Term { of, is }, rest));
    }
    if is_missing {
        return Err(fault(text, "has a mark before and a value behind: use name!=value, or !name"));
    }
    let operators: [(&str, Operator); 6] = [
        ("!=", Is::Other),
        ("<=", Is::NotMore),
        (">=", Is::NotLess),
        ("=", Is::Equal),
        ("<", Is::Less),
        (">", Is::More),
    ];
    let found = operators.iter().find_map(|(sign, is)| Some((is, rest.strip_prefix(sign)?)));
    let (is, rest) = found.ok_or_else(|| fault(text, "has a sign that is none: use = or !="))?;
    let (value, rest) = value(rest.trim_start())?;
    let is = is(value);
    if let Is::Less(number) | Is::NotMore(number) | Is::More(number) | Is::NotLess(number) = &is
        && number.parse::<f64>().is_err()
    {
        return Err(fault(text, "compares with what is no number: use = or != for texts"));
    }
    Ok((Term { of, is }, rest))
}

/// What a name means.
fn of(name: &str) -> Option<Of> {
    Some(match name {
        "" => return None,
        "id" => Of::Id,
        "source" => Of::Source,
        "type" => Of::Kind,
        "subject" => Of::Subject,
        "region" => Of::Region,
        "group" => Of::Group,
        "content_type" => Of::ContentType,
        "label" => Of::Label,
        name => match name.strip_prefix("data.") {
            Some(path) if path.split('.').all(|part| !part.is_empty()) => {
                Of::Data(path.split('.').map(str::to_owned).collect())
            }
            Some(_) => return None,
            None => Of::Attribute(name.to_owned()),
        },
    })
}

/// The value at the beginning, which may stand in quotes as in JSON, and what is behind it.
pub(crate) fn value(text: &str) -> Result<(String, &str), Fault> {
    if !text.starts_with('"') {
        let (value, rest) = text.split_at(text.find(',').unwrap_or(text.len()));
        return Ok((value.trim_end().to_owned(), rest));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<String>();
    let Some(Ok(value)) = values.next() else {
        return Err(fault(text, "is not a text in quotes as JSON has them"));
    };
    let rest = &text[values.byte_offset()..];
    if rest.trim_start().is_empty() || rest.trim_start().starts_with(',') {
        return Ok((value, rest));
    }
    Err(fault(text, "goes on behind the quotes: put a comma between terms"))
}

fn fault(term: &str, problem: &'static str) -> Fault {
    Fault { term: term.chars().take(60).collect(), problem }
}

impl TryFrom<String> for Filter {
    type Error = Fault;

    fn try_from(text: String) -> Result<Self, Fault> {
        text.parse()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.to_string()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, term) in self.terms.iter().enumerate() {
            if place > 0 {
                f.write_str(",")?;
            }
            term.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.of {
            Of::Id => "id",
            Of::Source => "source",
            Of::Kind => "type",
            Of::Subject => "subject",
            Of::Region => "region",
            Of::Group => "group",
            Of::ContentType => "content_type",
            Of::Label => "label",
            Of::Data(path) => &format!("data.{}", path.join(".")),
            Of::Attribute(name) => name,
        };
        let (sign, value) = match &self.is {
            Is::There => return f.write_str(name),
            Is::Missing => return write!(f, "!{name}"),
            Is::Equal(value) => ("=", value),
            Is::Other(value) => ("!=", value),
            Is::Less(value) => ("<", value),
            Is::NotMore(value) => ("<=", value),
            Is::More(value) => (">", value),
            Is::NotLess(value) => (">=", value),
        };
        let is_plain = !value.starts_with('"') && !value.contains(',') && value.trim() == value;
        if is_plain {
            write!(f, "{name}{sign}{value}")
        } else {
            write!(f, "{name}{sign}{}", serde_json::Value::from(value.as_str()))
        }
    }
}
