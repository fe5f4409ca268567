//! Logs of real machines, where they stand beside the checkout.
#![allow(clippy::print_stderr, reason = "tests skip aloud")]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use formats::{sshd, weblog};
use jiff::tz::TimeZone;

/// A file of the recorded events; none, and said aloud, where they are not there.
fn recorded(name: &str) -> Option<String> {
    let Some(folder) = std::env::var_os("FREEHOLD_TEST_EVENTS").map(PathBuf::from) else {
        eprintln!("SKIPPED: there are no recorded events: FREEHOLD_TEST_EVENTS names their folder");
        return None;
    };
    Some(fs::read_to_string(folder.join(name)).unwrap())
}

#[test]
fn every_line_of_a_real_web_log_is_read() {
    let Some(text) = recorded("elastic-apache/apache_logs") else { return };
    let lines: Vec<_> = text.lines().map(|line| weblog::parse(line).unwrap()).collect();
    let mut statuses = BTreeMap::new();
    for line in &lines {
        *statuses.entry(line.status).or_insert(0) += 1;
    }
    assert_eq!(lines.len(), 10_000);
    assert_eq!(
        [200, 304, 404, 301, 500].map(|status| statuses[&status]),
        [9_126, 445, 213, 164, 3]
    );
    let backwards = lines.windows(2).filter(|pair| pair[1].time_ns < pair[0].time_ns).count();
    assert_eq!(backwards, 4_915);
}

#[test]
fn every_sign_in_of_a_real_log_is_read() {
    let Some(text) = recorded("elastic-auth/auth.log") else { return };
    let Some(table) = recorded("derived/ssh_signins.csv") else { return };
    let mut rows = csv::Reader::from_reader(table.as_bytes());
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let found = text.lines().zip(1_u32..);
    let found: Vec<(sshd::SignIn, u32)> = found
        .filter_map(|(line, number)| Some((sshd::parse(line, 2017, &TimeZone::UTC)?, number)))
        .collect();
    assert_eq!(found.len(), rows.len());
    for ((told, line), row) in found.iter().zip(&rows) {
        let time_s = row[2].parse::<jiff::Timestamp>().unwrap().as_second();
        assert_eq!(told.time_ns, u64::try_from(time_s).unwrap() * 1_000_000_000, "line {line}");
        let outcome = if told.accepted { "success" } else { "failure" };
        let written = [
            "elastic-auth".to_owned(),
            line.to_string(),
            row[2].to_owned(),
            told.host.clone(),
            told.pid.to_string(),
            outcome.to_owned(),
            told.method.clone(),
            told.user.clone(),
            told.user_exists.to_string(),
            told.address.clone(),
            told.port.to_string(),
            told.times.to_string(),
        ];
        assert_eq!(row, &csv::StringRecord::from(written.to_vec()), "line {line}");
    }
}
