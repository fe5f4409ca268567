//! Output: tables for people, JSON for programs, progress for the patient.
//!
//! Always true: stdout carries data only; a table is never coloured to carry meaning.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use comfy_table::{ContentArrangement, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::args::Format;
use crate::exit::Failure;

/// Where a command writes.
#[derive(Debug)]
pub struct Output {
    format: Format,
}

impl Output {
    /// Output in this form.
    pub const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether programs read it.
    pub const fn json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Writes one thing: as JSON, or as the lines that `people` makes of it.
    pub fn one<T: Serialize>(
        &self,
        thing: &T,
        people: impl FnOnce(&T) -> Vec<(String, String)>,
    ) -> Result<(), Failure> {
        if self.json() {
            return write_json(thing);
        }
        write_stdout(pairs(&people(thing)).as_bytes())
    }

    /// Writes a list: as a JSON array, or as a table with these heads.
    pub fn list<T: Serialize>(
        &self,
        things: &[T],
        heads: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        if self.json() {
            return write_json(things);
        }
        if things.is_empty() {
            return note("nothing there");
        }
        write_stdout(table(heads, things.iter().map(row)).as_bytes())
    }

    /// Writes one thing: as JSON, or as the text that `people` makes of it.
    pub fn text<T: Serialize>(
        &self,
        thing: &T,
        people: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json() {
            return write_json(thing);
        }
        write_stdout(people(thing).as_bytes())
    }

    /// A bar that counts bytes, on stderr; silent where that is no terminal.
    pub fn bytes(&self, total: u64, what: &str) -> ProgressBar {
        let style = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
        self.progress(ProgressBar::new(total), style, what)
    }

    /// A sign that something is going on, on stderr.
    pub fn busy(&self, what: &str) -> ProgressBar {
        let bar = self.progress(ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}", what);
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn progress(&self, bar: ProgressBar, style: &str, what: &str) -> ProgressBar {
        if self.json() || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        bar
    }
}

/// Keys and values, one pair a line, the values below each other.
pub fn pairs(rows: &[(String, String)]) -> String {
    let width = rows.iter().map(|(key, _)| key.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for (key, value) in rows {
        let mut lines = value.lines();
        text += format!("{key:width$}  {}", lines.next().unwrap_or("")).trim_end();
        text.push('\n');
        for line in lines {
            text += format!("{:width$}  {line}", "").trim_end();
            text.push('\n');
        }
    }
    text
}

/// A table with these heads and rows, as wide as it needs to be or as the terminal is.
pub fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !std::io::stdout().is_terminal() {
        table.set_content_arrangement(ContentArrangement::Disabled);
    }
    table.set_header(heads.iter().map(|head| head.to_uppercase()));
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = String::new();
    for line in table.lines() {
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Tells people something that is not data.
#[expect(clippy::print_stderr, clippy::unnecessary_wraps, reason = "for people; ends a command")]
pub fn note(text: &str) -> Result<(), Failure> {
    eprintln!("{text}");
    Ok(())
}

fn write_json<T: Serialize + ?Sized>(thing: &T) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(thing)
        .map_err(|error| Failure::internal("could not write JSON", &error))?;
    text.push('\n');
    write_stdout(text.as_bytes())
}

/// Writes text or bytes to stdout as they are; a reader that has gone away is not an error.
pub fn write_stdout(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::internal("could not write to stdout", &error))
        }
        _ => Ok(()),
    }
}

/// Bytes for people: `1.5 MiB`.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (count.max(1).ilog2() / 10).min(4);
    if unit == 0 {
        return format!("{count} B");
    }
    let tenths = (u128::from(count) * 10) >> (10 * unit);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit as usize])
}

/// Microseconds for people: `850 us`, `1.25 ms`, `2.50 s`.
pub fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{}.{:02} ms", us / 1_000, us % 1_000 / 10),
        _ => format!("{}.{:02} s", us / 1_000_000, us % 1_000_000 / 10_000),
    }
}

/// Parts per million for people: `97.50 %`.
pub fn share(ppm: u64) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

/// Milliseconds since 1970 for people: `2026-01-31 12:00:00Z`.
pub fn time(ms: u64) -> String {
    i64::try_from(ms)
        .ok()
        .and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok())
        .map_or_else(|| format!("{ms} ms"), |at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_read_well() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1_536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(micros(999), "999 us");
        assert_eq!(micros(1_250), "1.25 ms");
        assert_eq!(micros(2_500_000), "2.50 s");
        assert_eq!(share(975_000), "97.50 %");
        assert_eq!(time(1_600_000_000_000), "2020-09-13 12:26:40Z");
    }
}
