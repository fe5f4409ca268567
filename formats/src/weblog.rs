//! Web logs: a line for each request, in the common or the combined format of Apache and nginx.
//!
//! `CLIENT IDENT USER [DAY/MON/YEAR:H:M:S ZONE] "METHOD PATH PROTOCOL" STATUS BYTES`, and behind it,
//! in the combined format, `"REFERER" "AGENT"`, where the agent may be cut. In quotes, a backslash
//! stands before a quote or a backslash.
//! Always true: any text is a line or an error that says which part is missing or wrong.
//! Absent on purpose: other formats, and what a request means.

use std::iter::Peekable;
use std::str::CharIndices;

use jiff::fmt::strtime;

/// What stands for nothing.
const NOTHING: &str = "-";
/// The last part of a line.
const AGENT: &str = "the agent";
/// How the time is written. Source: Apache's `mod_log_config`, `%t`.
const TIME: &str = "%d/%b/%Y:%H:%M:%S %z";

/// A request that was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Who asked: an address or a host name.
    pub client: String,
    /// As whom, where somebody signed in.
    pub user: Option<String>,
    /// When, in Unix nanoseconds; the format has whole seconds.
    pub time_ns: u64,
    /// The method, such as `GET`; empty where the request was none.
    pub method: String,
    /// What was asked for; the whole request where it was none.
    pub path: String,
    /// The protocol, such as `HTTP/1.1`; empty where none was said.
    pub protocol: String,
    /// The answer's status.
    pub status: u16,
    /// Bytes of the answer's body.
    pub bytes: u64,
    /// The page that led here, where one is named.
    pub referer: Option<String>,
    /// The program that asked, where it is named.
    pub agent: Option<String>,
}

/// Why a line is not one of a web log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}, from character {column} on, {fault}")]
pub struct Error {
    /// The part of the line.
    pub part: &'static str,
    /// Where it begins, from 1.
    pub column: usize,
    /// What is wrong with it.
    pub fault: &'static str,
}

/// Reads a line, without its line feed.
///
/// # Errors
///
/// [`Error`] for anything else.
pub fn parse(line: &str) -> Result<Answered, Error> {
    let mut line = Line { text: line, chars: line.char_indices().peekable(), column: 0 };
    let client = line.word("the client")?.to_owned();
    line.word("the identity")?;
    let user = some(line.word("the user")?);
    let time_ns = time_ns(&mut line)?;
    let request = line.quoted("the request")?;
    let status = line.number("the status")?;
    let status = u16::try_from(status).ok().filter(|status| (100..1_000).contains(status));
    let status = status.ok_or_else(|| line.error("the status", "is not one of HTTP's"))?;
    let bytes = line.number("the bytes")?;
    let (referer, agent) = match line.chars.peek() {
        None => (None, None),
        Some(_) => (line.quoted("the referer")?, line.quoted(AGENT)?),
    };
    let mut words = request.as_deref().unwrap_or_default().splitn(3, ' ');
    let (method, path, protocol) = match (words.next(), words.next(), words.next()) {
        (Some(method), Some(path), protocol) => (method, path, protocol.unwrap_or_default()),
        (only, ..) => ("", only.unwrap_or_default(), ""),
    };
    let (method, path, protocol) = (method.to_owned(), path.to_owned(), protocol.to_owned());
    Ok(Answered { client, user, time_ns, method, path, protocol, status, bytes, referer, agent })
}

fn some(word: &str) -> Option<String> {
    (word != NOTHING && !word.is_empty()).then(|| word.to_owned())
}

fn time_ns(line: &mut Line<'_>) -> Result<u64, Error> {
    const PART: &str = "the time";
    let text = line.enclosed(PART, '[', |letter| letter == ']')?;
    let time = strtime::parse(TIME, &text).and_then(|time| time.to_timestamp());
    let time = time.map_err(|_| line.error(PART, "is not like 17/May/2015:10:05:03 +0000"))?;
    u64::try_from(time.as_nanosecond()).map_err(|_| line.error(PART, "is before 1970"))
}

/// A line, read from left to right.
struct Line<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    /// Where the present part began.
    column: usize,
}

impl<'a> Line<'a> {
    fn error(&self, part: &'static str, fault: &'static str) -> Error {
        Error { part, column: self.column + 1, fault }
    }

    /// Goes to the next part.
    fn begin(&mut self, part: &'static str) -> Result<usize, Error> {
        while self.chars.next_if(|(_, letter)| *letter == ' ').is_some() {}
        let at = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        self.column = self.text[..at].chars().count();
        if at < self.text.len() { Ok(at) } else { Err(self.error(part, "is missing")) }
    }

    fn word(&mut self, part: &'static str) -> Result<&'a str, Error> {
        let at = self.begin(part)?;
        while self.chars.next_if(|(_, letter)| *letter != ' ').is_some() {}
        let end = self.chars.peek().map_or(self.text.len(), |(at, _)| *at);
        Ok(&self.text[at..end])
    }

    fn number(&mut self, part: &'static str) -> Result<u64, Error> {
        match self.word(part)? {
            NOTHING => Ok(0),
            word => word.parse().map_err(|_| self.error(part, "is not a number")),
        }
    }

    fn quoted(&mut self, part: &'static str) -> Result<Option<String>, Error> {
        self.enclosed(part, '"', |letter| letter == '"').map(|text| some(&text))
    }

    fn enclosed(
        &mut self,
        part: &'static str,
        opening: char,
        closes: impl Fn(char) -> bool,
    ) -> Result<String, Error> {
        self.begin(part)?;
        if self.chars.next_if(|(_, letter)| *letter == opening).is_none() {
            return Err(self.error(part, "is not in quotes or brackets"));
        }
        let mut text = String::new();
        while let Some((_, letter)) = self.chars.next() {
            match letter {
                _ if closes(letter) => return Ok(text),
                '\\' => match self.chars.next_if(|(_, next)| "\"\\".contains(*next)) {
                    Some((_, next)) => text.push(next),
                    None => text.push('\\'),
                },
                _ => text.push(letter),
            }
        }
        // Servers cut what is too long for them, and the agent is last.
        if part == AGENT { Ok(text) } else { Err(self.error(part, "does not end")) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = r#"83.149.9.216 - anna [17/May/2015:10:05:03 +0200] "GET /a?b=\"c\" HTTP/1.1" 304 - "-" "Mozilla/5.0 \\ (x)""#;

    #[test]
    fn a_line_of_the_combined_format_is_read() {
        let told = parse(LINE).unwrap();
        assert_eq!((told.client.as_str(), told.user.as_deref()), ("83.149.9.216", Some("anna")));
        assert_eq!(told.time_ns, 1_431_849_903_000_000_000);
        assert_eq!((told.method.as_str(), told.path.as_str()), ("GET", "/a?b=\"c\""));
        assert_eq!((told.status, told.bytes, told.referer), (304, 0, None));
        assert_eq!(told.agent.as_deref(), Some("Mozilla/5.0 \\ (x)"));
    }

    #[test]
    fn the_common_format_ends_earlier_and_a_request_may_be_none() {
        let told = parse(r#"::1 - - [17/May/2015:10:05:03 +0000] "\x16\x03" 400 226"#).unwrap();
        assert_eq!((told.method.as_str(), told.path.as_str()), ("", r"\x16\x03"));
        assert_eq!((told.status, told.agent), (400, None));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (line, told) in [
            ("", "the client, from character 1 on, is missing"),
            ("a - -", "the time, from character 6 on, is missing"),
            ("a - - [yesterday] ", "the time, from character 7 on, is not like"),
            ("ä - - [17/May/2015:10:05:03 +0000] GET", "the request, from character 36 on, is not"),
            (
                r#"a - - [17/May/2015:10:05:03 +0000] "GET"#,
                "the request, from character 36 on, does",
            ),
            (
                r#"a - - [17/May/2015:10:05:03 +0000] "GET /" 20"#,
                "the status, from character 44 on",
            ),
            (r#"a - - [17/May/1915:10:05:03 +0000] "GET /" 200 1"#, "before 1970"),
        ] {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains(told), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_line_or_an_error(text: String) {
            let _ = parse(&text);
        }

        #[test]
        fn any_changed_line_is_a_line_or_an_error(place: prop::sample::Index, by: char) {
            let mut letters: Vec<char> = LINE.chars().collect();
            let place = place.index(letters.len());
            letters[place] = by;
            let _ = parse(&letters.into_iter().collect::<String>());
        }
    }
}
