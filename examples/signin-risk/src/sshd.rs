//! Sign-ins from a server's log: what `sshd` wrote to `auth.log`, as events.
//!
//! Always true: a line that is no sign-in is passed over; one that says it was repeated counts as
//! often as it says. Labels are not in the log, so a rule makes them: an attempt is an attack
//! where its user does not exist, or where it and the failures before it from its address within
//! 60 seconds are 5 or more. What the log does not tell (country, network, round trip) stays empty.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read};

use crate::Failure;
use crate::event::{EVENTS_MAX, Event};
use crate::time::{self, Civil};

/// Failures of one address within [`WINDOW_MS`] that make an attack.
const FAILURES_MIN: usize = 5;
const WINDOW_MS: i64 = 60_000;

/// Most events that one "message repeated" line may stand for; syslog itself writes far fewer.
const REPEATS_MAX: usize = 1_000;

/// Longest line that is read whole; sign-ins are far shorter.
const LINE_BYTES_MAX: u64 = 64 * 1024;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What one line says.
#[derive(Debug, PartialEq, Eq)]
struct SignIn<'a> {
    successful: bool,
    method: &'a str,
    /// Empty where the user does not exist.
    user: &'a str,
    address: &'a str,
    repeats: usize,
}

/// Reads the sign-ins of a log whose last line, if it names no year, is of `last_year`.
///
/// Times that name no zone are taken for UTC.
pub(crate) fn read(input: impl Read, last_year: Option<u64>) -> Result<Vec<Event>, Failure> {
    let mut reader = BufReader::new(input);
    let mut calendar = Calendar::default();
    let mut events = Vec::new();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        if read.map_err(|error| Failure(format!("could not read the log: {error}")))? == 0 {
            break;
        }
        let line = String::from_utf8_lossy(&line);
        let Some((at_ms, rest)) = calendar.moment(&line) else { continue };
        let Some(sign_in) = message(rest).and_then(sign_in) else { continue };
        for _ in 0..sign_in.repeats {
            events.push(event(events.len() as u64, at_ms, &sign_in));
        }
        if events.len() as u64 > EVENTS_MAX {
            return Err(Failure(format!("more than {EVENTS_MAX} sign-ins: split the log")));
        }
    }
    calendar.place(&mut events, last_year)?;
    label(&mut events);
    Ok(events)
}

/// The message of an sshd line, after its time: `host sshd[1361]: message`.
fn message(rest: &str) -> Option<&str> {
    let (_host, rest) = rest.split_once(' ')?;
    let (program, message) = rest.split_once(": ")?;
    let program = program.split('[').next()?;
    // OpenSSH 9.8 moved sign-ins to a program of their own.
    matches!(program, "sshd" | "sshd-session" | "sshd-auth").then(|| message.trim_end())
}

fn sign_in(message: &str) -> Option<SignIn<'_>> {
    if let Some(rest) = message.strip_prefix("message repeated ") {
        let (times, rest) = rest.split_once(" times: [ ")?;
        let once = sign_in(rest.trim_end_matches(']'))?;
        return Some(SignIn { repeats: times.parse::<usize>().ok()?.min(REPEATS_MAX), ..once });
    }
    let (successful, rest) = match message.strip_prefix("Accepted ") {
        Some(rest) => (true, rest),
        None => (false, message.strip_prefix("Failed ")?),
    };
    let (method, rest) = rest.split_once(" for ")?;
    let (rest, _port) = rest.rsplit_once(" port ")?;
    // What was typed as the user's name may itself hold " from ": the last one is sshd's.
    let (user, address) = rest.rsplit_once(" from ")?;
    let user = if user.starts_with("invalid user") { "" } else { user };
    Some(SignIn { successful, method, user, address, repeats: 1 })
}

fn event(index: u64, at_ms: i64, sign_in: &SignIn<'_>) -> Event {
    let unknown = || "-".to_owned();
    Event {
        index,
        at_ms,
        user: sign_in.user.to_owned(),
        round_trip_ms: None,
        address: sign_in.address.to_owned(),
        country: unknown(),
        region: unknown(),
        city: unknown(),
        network: String::new(),
        agent: format!("ssh2 {}", sign_in.method),
        browser: unknown(),
        system: unknown(),
        device: "unknown".to_owned(),
        successful: sign_in.successful,
        attack: false,
        takeover: false,
    }
}

/// Marks attacks by the rule in this file's header.
fn label(events: &mut [Event]) {
    let mut failures: HashMap<String, VecDeque<i64>> = HashMap::new();
    for event in events {
        let recent = failures.entry(event.address.clone()).or_default();
        while recent.front().is_some_and(|&first_ms| first_ms <= event.at_ms - WINDOW_MS) {
            recent.pop_front();
        }
        if !event.successful {
            recent.push_back(event.at_ms);
            if recent.len() > FAILURES_MIN {
                recent.pop_front();
            }
        }
        event.attack = event.user.is_empty() || recent.len() >= FAILURES_MIN;
    }
}

/// Finds the year of times that name none: it turns where the months go from December to January.
#[derive(Default)]
struct Calendar {
    last_month: i64,
    turns: i64,
    without_year: bool,
}

/// The year that a time without one is first read with: a leap year, so that every day exists.
const ANY_YEAR: i64 = 2_000;

impl Calendar {
    /// The time a line begins with, and the rest of the line.
    fn moment<'a>(&mut self, line: &'a str) -> Option<(i64, &'a str)> {
        if line.starts_with(|first: char| first.is_ascii_digit()) {
            let (text, rest) = line.split_once(' ')?;
            return Some((time::parse(text)?, rest));
        }
        let month = MONTHS.iter().zip(1..).find(|(name, _)| line.starts_with(*name))?.1;
        let rest = line.get(3..)?.trim_start();
        let (day, rest) = rest.split_once(' ')?;
        let (clock, rest) = rest.split_once(' ')?;
        let day = day.parse().ok().filter(|day| (1..=31).contains(day))?;
        let ms_of_day = time::parse_clock(clock)?;
        // A month only goes back at a new year; late lines of one night do not count.
        if month < self.last_month - 6 {
            self.turns += 1;
        }
        self.last_month = month;
        self.without_year = true;
        let year = ANY_YEAR + self.turns;
        Some((time::from_civil(Civil { year, month, day, ms_of_day }), rest))
    }

    /// Moves the events so that the last is of `last_year`.
    fn place(&self, events: &mut [Event], last_year: Option<u64>) -> Result<(), Failure> {
        if !self.without_year {
            return Ok(());
        }
        let year = last_year.and_then(|year| i64::try_from(year).ok()).ok_or_else(|| {
            Failure("the log's times name no year: say which with --year".to_owned())
        })?;
        for event in events {
            let mut at = time::civil(event.at_ms);
            at.year += year - ANY_YEAR - self.turns;
            event.at_ms = time::from_civil(at);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
Dec 31 23:59:58 box sshd[7]: Accepted publickey for ada from 192.0.2.7 port 5 ssh2: RSA SHA256:x
Dec 31 23:59:59 box CRON[8]: pam_unix(cron:session): session opened for user root by (uid=0)
Jan  1 00:00:10 box sshd[9]: Failed password for invalid user a from b from 198.51.100.9 port 6 ssh2
Jan  1 00:01:00 box sshd[9]: Failed password for root from 203.0.113.5 port 7 ssh2
Jan  1 00:01:05 box sshd[9]: message repeated 4 times: [ Failed password for root from 203.0.113.5 port 7 ssh2]
Jan  1 00:01:07 box sshd-session[9]: Accepted password for root from 203.0.113.5 port 7 ssh2
Jan  1 00:03:00 box sshd[9]: Failed password for root from 203.0.113.5 port 7 ssh2
";

    #[test]
    fn sign_ins_are_found_counted_and_dated() {
        let events = read(LOG.as_bytes(), Some(2021)).unwrap();
        assert_eq!(events.len(), 9);
        assert_eq!(time::format(events[0].at_ms), "2020-12-31 23:59:58.000");
        assert_eq!(time::format(events[8].at_ms), "2021-01-01 00:03:00.000");
        assert_eq!((events[0].user.as_str(), events[0].successful), ("ada", true));
        assert_eq!((events[1].user.as_str(), events[1].address.as_str()), ("", "198.51.100.9"));
    }

    #[test]
    fn the_rule_marks_unknown_users_and_bursts() {
        let events = read(LOG.as_bytes(), Some(2021)).unwrap();
        let marks: Vec<bool> = events.iter().map(|event| event.attack).collect();
        assert_eq!(marks, [false, true, false, false, false, false, true, true, false]);
    }

    #[test]
    fn times_with_a_year_need_none_and_others_do() {
        let line = "2024-05-01T12:00:00.25+02:00 box sshd[1]: Failed password for a from b port 1";
        let events = read(line.as_bytes(), None).unwrap();
        assert_eq!(time::format(events[0].at_ms), "2024-05-01 10:00:00.250");
        assert!(read(LOG.as_bytes(), None).unwrap_err().to_string().contains("--year"));
    }

    #[test]
    fn noise_is_passed_over() {
        for noise in ["", "\n", "Mar", "Mar 27", "Mar 99 00:00:00 a sshd[1]: Failed x", "é: \u{0}"]
        {
            assert!(read(noise.as_bytes(), Some(2021)).unwrap().is_empty(), "{noise}");
        }
    }
}
