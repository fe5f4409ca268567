//! Sign-ins as OpenSSH's server writes them to the system's log.
//!
//! `MON DAY H:M:S HOST sshd[PID]: Accepted|Failed METHOD for [invalid user ]USER from ADDRESS port PORT`,
//! also within `message repeated N times: [ … ]`. The log says neither the year nor the zone: whoever
//! reads it does.
//! Always true: any text is a sign-in, or none; a repeated one counts as often as it is said to have
//! been. Absent on purpose: every other line.

use jiff::civil;
use jiff::tz::TimeZone;

/// Most repetitions that are believed of one line.
const REPEATED_MAX: u32 = 1_000_000;

/// An attempt to sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// When, in Unix nanoseconds; the log has whole seconds.
    pub time_ns: u64,
    /// The machine.
    pub host: String,
    /// The server's process.
    pub pid: u32,
    /// Whether it was let in.
    pub accepted: bool,
    /// By what, such as `password` or `publickey`.
    pub method: String,
    /// As whom.
    pub user: String,
    /// Whether there is such a user.
    pub user_exists: bool,
    /// From which address.
    pub address: String,
    /// From which port.
    pub port: u16,
    /// How often, one after the other.
    pub times: u32,
}

/// Reads a line, without its line feed; none where it tells of no sign-in.
pub fn parse(line: &str, year: i16, zone: &TimeZone) -> Option<SignIn> {
    let (stamp, rest) = (line.get(..15)?, line.get(15..)?.strip_prefix(' ')?);
    let (host, rest) = rest.split_once(' ')?;
    let (pid, message) = rest.strip_prefix("sshd[")?.split_once("]: ")?;
    let (times, message) = match message.strip_prefix("message repeated ") {
        None => (1, message),
        Some(repeated) => {
            let (times, inner) = repeated.split_once(" times: [ ")?;
            (times.parse().ok().filter(|times| *times <= REPEATED_MAX)?, inner.strip_suffix(']')?)
        }
    };
    let (accepted, rest) = match message.split_once(' ')? {
        ("Accepted", rest) => (true, rest),
        ("Failed", rest) => (false, rest),
        _ => return None,
    };
    let (method, rest) = rest.split_once(" for ")?;
    // A user may be called anything; what follows is the server's own.
    let (user, rest) = rest.rsplit_once(" from ")?;
    let (user, user_exists) = match user.strip_prefix("invalid user ") {
        Some(user) => (user, false),
        None => (user, true),
    };
    let (address, rest) = rest.split_once(" port ")?;
    let port = rest.split_once(' ').map_or(rest, |(port, _)| port);
    Some(SignIn {
        time_ns: time_ns(stamp, year, zone)?,
        host: host.to_owned(),
        pid: pid.parse().ok()?,
        accepted,
        method: method.to_owned(),
        user: user.to_owned(),
        user_exists,
        address: address.to_owned(),
        port: port.parse().ok()?,
        times,
    })
}

/// `Mar 27 13:06:56`, where days below ten have a blank before them.
fn time_ns(stamp: &str, year: i16, zone: &TimeZone) -> Option<u64> {
    let time = civil::DateTime::strptime("%Y %b %e %H:%M:%S", format!("{year} {stamp}")).ok()?;
    let time = zone.to_ambiguous_zoned(time).compatible().ok()?.timestamp();
    u64::try_from(time.as_nanosecond()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(message: &str) -> Option<SignIn> {
        parse(&format!("Mar  7 13:06:56 host sshd[12]: {message}"), 2017, &TimeZone::UTC)
    }

    #[test]
    fn what_was_tried_and_what_came_of_it_is_read() {
        let told =
            read("Failed password for invalid user a from b from 10.0.0.1 port 22 ssh2").unwrap();
        assert_eq!(told.time_ns, 1_488_892_016_000_000_000);
        assert_eq!((told.user.as_str(), told.user_exists), ("a from b", false));
        assert_eq!((told.address.as_str(), told.port, told.times), ("10.0.0.1", 22, 1));
        let told = read("Accepted publickey for root from ::1 port 9 ssh2: RSA SHA256:x").unwrap();
        assert!(told.accepted && told.user_exists && told.method == "publickey");
        let told = read("message repeated 5 times: [ Failed password for root from a port 1 ssh2]");
        assert_eq!(told.unwrap().times, 5);
    }

    #[test]
    fn every_other_line_is_none() {
        for message in [
            "",
            "Invalid user a from 10.0.0.1",
            "Failed password for root from a port 99999 ssh2",
            "message repeated 9999999999 times: [ Failed password for root from a port 1 ssh2]",
            "Accepted password for root from a",
        ] {
            assert_eq!(read(message), None, "{message}");
        }
        assert_eq!(
            parse("Feb 30 13:06:56 h sshd[1]: Failed x for a from b port 1", 2017, &TimeZone::UTC),
            None
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_sign_in_or_none(text: String, message: String) {
            let _ = parse(&text, 2017, &TimeZone::UTC);
            let _ = read(&message);
        }
    }
}
