//! CSV: a row is an event, and its cells the members of its data.
//!
//! Always true: cells that are numbers or truths as JSON writes them are such; empty ones are null;
//! all others are texts. Absent on purpose: other separators than commas.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use csv::{ByteRecord, ReaderBuilder};

use super::json::{fill, object, quoted};
use super::{LINE_BYTES_MAX, Taking};
use crate::error::Error;
use crate::event::Event;

/// Most columns; as of tables.
const COLUMNS_MAX: usize = formats::table::COLUMNS_MAX;

/// Takes every row.
pub(super) fn read(input: impl Read, taking: &mut Taking<'_, '_>) -> Result<(), Error> {
    let read = Rc::new(Cell::new(0));
    let input = Counted { input, read: Rc::clone(&read) };
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).from_reader(input);
    let (mut row, mut names) = (ByteRecord::new(), None);
    loop {
        // What is read before a row ends is bounded: a quote that is not closed takes all.
        read.set(0);
        match reader.read_byte_record(&mut row) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let line = reader.position().line();
                return Err(match error.into_kind() {
                    csv::ErrorKind::Io(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                        let message = format!(
                            "the row that begins on line {line} has more than {LINE_BYTES_MAX} \
                             bytes: is a quote not closed?"
                        );
                        Error::Import { message }
                    }
                    csv::ErrorKind::Io(error) => Error::Input(error),
                    other => Error::Import { message: format!("line {line}: {other:?}") },
                });
            }
        }
        let Some(names) = &names else {
            names = Some(header(&row, taking)?);
            continue;
        };
        let line = row.position().map_or(0, csv::Position::line);
        taking.summary.read += 1;
        match event(taking, line, &row, names) {
            Ok(event) => taking.push(line, event)?,
            Err(why) => taking.refuse(line, why),
        }
    }
}

fn header(row: &ByteRecord, taking: &Taking<'_, '_>) -> Result<Vec<String>, Error> {
    let refuse = |message: String| Err(Error::Import { message });
    let text = |cell: &[u8]| std::str::from_utf8(cell).map(|it| it.trim().to_owned());
    let Ok(mut names) = row.iter().map(text).collect::<Result<Vec<String>, _>>() else {
        return refuse("the header is not UTF-8: save the file as UTF-8".to_owned());
    };
    if let Some(first) = names.first_mut() {
        *first = first.trim_start_matches('\u{FEFF}').to_owned();
    }
    if names.len() > COLUMNS_MAX {
        return refuse(format!("there are {} columns; at most {COLUMNS_MAX}", names.len()));
    }
    let mut sorted: Vec<&String> = names.iter().collect();
    sorted.sort_unstable();
    if let Some([name, _]) = sorted.array_windows().find(|[one, next]| one == next) {
        return refuse(format!("two columns are named {name:?}: rename one"));
    }
    for (part, place) in taking.options.mapping.named() {
        if !names.iter().any(|name| name == place) {
            let first: Vec<&str> = names.iter().map(String::as_str).take(20).collect();
            return refuse(format!(
                "there is no column {place:?} for {part}; the columns are {}",
                first.join(", ")
            ));
        }
    }
    Ok(names)
}

fn event(
    taking: &Taking<'_, '_>,
    line: u64,
    row: &ByteRecord,
    names: &[String],
) -> Result<Event, String> {
    if row.len() != names.len() {
        let (cells, columns) = (row.len(), names.len());
        return Err(format!(
            "it has {cells} cells, the header {columns}: is a comma not in quotes?"
        ));
    }
    let cells: Result<Vec<&str>, _> = row.iter().map(std::str::from_utf8).collect();
    let cells = cells.map_err(|_| "it is not UTF-8: save the file as UTF-8".to_owned())?;
    let mut event = taking.blank(line, row.as_slice());
    let at = |place: &str| {
        let column = names.iter().position(|name| name == place)?;
        Some(cells[column]).filter(|cell| !cell.is_empty()).map(Cow::Borrowed)
    };
    fill(taking, &mut event, at)?;
    event.data = match taking.options.mapping.data.as_deref() {
        Some(place) => at(place).unwrap_or_default().into_owned().into(),
        None => object(names.iter().zip(cells.iter().map(|cell| value(cell)))).into(),
    };
    Ok(event)
}

/// A cell as a JSON value. Numbers stay as they are written, also those that have many digits.
fn value(cell: &str) -> Cow<'_, str> {
    match cell {
        "" => Cow::Borrowed("null"),
        "true" | "True" | "TRUE" => Cow::Borrowed("true"),
        "false" | "False" | "FALSE" => Cow::Borrowed("false"),
        _ if is_number(cell) => Cow::Borrowed(cell),
        _ => Cow::Owned(quoted(cell)),
    }
}

fn is_number(cell: &str) -> bool {
    let begins = cell.starts_with(|letter: char| letter.is_ascii_digit() || letter == '-');
    let ends = cell.ends_with(|letter: char| letter.is_ascii_digit());
    begins && ends && serde_json::from_str::<serde_json::Number>(cell).is_ok()
}

/// An input of which it is known how much was read since a row ended.
struct Counted<R> {
    input: R,
    read: Rc<Cell<usize>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        if self.read.get() > LINE_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.input.read(to)?;
        self.read.set(self.read.get() + read);
        Ok(read)
    }
}
