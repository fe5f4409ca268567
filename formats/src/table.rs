//! Tables: CSV files, what their columns hold, and CSV as a way to send rows to a model.
//!
//! CSV here has commas, quotes as RFC 4180 says, and UTF-8 text. A first line without a number is a
//! header.
//!
//! Always true: looking at a file reads its start only; each row has as many cells as the first.
//! Absent on purpose: other separators; dates as numbers; guessing what a text column means.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder};

use half::{bf16, f16};
use types::{Column, ColumnType, Datatype, ErrorKind, Tensor, TensorSpec};

use crate::oip::elements::{Element, Elements, push_bytes};

/// Most columns.
pub const COLUMNS_MAX: usize = 4_096;
/// Read of a file to tell its columns, in bytes; rows cut off at its end are left out.
const SNIFF_BYTES_MAX: u64 = 1 << 20;
/// The words for a number that is missing.
const MISSING: [&str; 6] = ["", "nan", "na", "n/a", "null", "none"];

/// The code of a table that cannot be read, or does not fit the model.
pub const CODE_INVALID: &str = "wrong_tensor";

/// The start of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its first rows, as text.
    pub rows: Vec<Vec<String>>,
}

/// Why a table cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not such a table.
    #[error("the table is not CSV as expected: {problem}")]
    Csv {
        /// What is wrong, and the cure.
        problem: String,
    },
    /// A cell cannot be what its column needs.
    #[error("row {row}, column {column}: {value:?} is no {datatype}; correct the cell")]
    Cell {
        /// The row of values, from 1.
        row: usize,
        /// The column, from 1.
        column: usize,
        /// The cell, cut to 40 characters.
        value: String,
        /// What it must be.
        datatype: Datatype,
    },
    /// The columns are not those of the model.
    #[error("the table does not fit the model: {problem}")]
    Misfit {
        /// What does not fit, and the cure.
        problem: String,
    },
}

impl Error {
    /// What the error means to a caller.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    /// The word clients match on.
    pub fn code(&self) -> &'static str {
        CODE_INVALID
    }
}

fn misfit<T>(problem: impl Into<String>) -> Result<T, Error> {
    Err(Error::Misfit { problem: problem.into() })
}

fn not_csv(problem: impl Into<String>) -> Error {
    Error::Csv { problem: problem.into() }
}

/// Tells the columns of a CSV file by its start.
///
/// # Errors
///
/// When the start is not CSV, or there are no columns or too many.
pub fn sniff(file: impl Read) -> Result<Vec<Column>, Error> {
    preview(file, 0).map(|table| table.columns)
}

/// Reads the columns and up to `rows_max` first rows of a CSV file, from its start.
///
/// # Errors
///
/// As [`sniff`].
pub fn preview(file: impl Read, rows_max: usize) -> Result<Table, Error> {
    let mut start = Vec::new();
    let read = file.take(SNIFF_BYTES_MAX + 1).read_to_end(&mut start);
    read.map_err(|error| not_csv(format!("it cannot be read, {error}")))?;
    let is_cut = start.len() as u64 > SNIFF_BYTES_MAX;
    let mut records = records(&start, is_cut)?;
    let first = records.first().ok_or_else(|| not_csv("it is empty; put a header line in"))?;
    let names = if is_header(first) {
        let names = first.iter().map(text).collect::<Result<Vec<String>, Error>>()?;
        records.remove(0);
        names
    } else {
        (1..=first.len()).map(|number| format!("column_{number}")).collect()
    };
    let mut columns = Vec::with_capacity(names.len());
    for (index, name) in names.into_iter().enumerate() {
        if name.is_empty() || columns.iter().any(|earlier: &Column| earlier.name == name) {
            let number = index + 1;
            return Err(not_csv(format!(
                "column {number} is named {name:?}, which is empty or there twice; rename it"
            )));
        }
        let cells = records.iter().filter_map(|record| record.get(index));
        columns.push(Column { name, column_type: type_of(cells) });
    }
    let lossy = |cell: &[u8]| String::from_utf8_lossy(cell).into_owned();
    let rows = records.iter().take(rows_max).map(|row| row.iter().map(lossy).collect()).collect();
    Ok(Table { columns, rows })
}

fn text(cell: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(cell)
        .map_err(|_| not_csv("the header line is not UTF-8; save the file as UTF-8"))?;
    Ok(text.trim().trim_start_matches('\u{FEFF}').to_owned())
}

/// Every record; the last one is left out where the bytes were cut.
fn records(bytes: &[u8], is_cut: bool) -> Result<Vec<ByteRecord>, Error> {
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if !line.contains(&b',') && (line.contains(&b';') || line.contains(&b'\t')) {
        return Err(not_csv("its cells are not separated by commas; save it with commas"));
    }
    let mut reader = ReaderBuilder::new().has_headers(false).from_reader(bytes);
    let mut records = Vec::new();
    for record in reader.byte_records() {
        match record {
            Ok(record) => records.push(record),
            Err(_) if is_cut && !records.is_empty() => return Ok(records),
            Err(error) => return Err(not_csv(explain(&error))),
        }
    }
    if is_cut && records.len() > 1 {
        records.pop();
    }
    if let Some(first) = records.first()
        && first.len() > COLUMNS_MAX
    {
        let count = first.len();
        return Err(not_csv(format!("{count} columns, above the limit of {COLUMNS_MAX}")));
    }
    Ok(records)
}

fn explain(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            format!(
                "line {line} has {len} cells, the first has {expected_len}; quote cells that \
                have commas"
            )
        }
        _ => error.to_string(),
    }
}

/// Whether a first line names columns: it has a text in it that is no number.
fn is_header(record: &ByteRecord) -> bool {
    record.iter().any(|cell| {
        std::str::from_utf8(cell).is_ok_and(|cell| !is_missing(cell) && !is_number(cell))
    })
}

fn is_missing(cell: &str) -> bool {
    let cell = cell.trim();
    MISSING.iter().any(|missing| missing.eq_ignore_ascii_case(cell))
}

fn is_number(cell: &str) -> bool {
    cell.trim().parse::<f64>().is_ok()
}

/// The narrowest type that all cells have; text where there are none.
fn type_of<'c>(cells: impl Iterator<Item = &'c [u8]>) -> ColumnType {
    let mut possible = [true; 4];
    let mut is_empty = true;
    for cell in cells {
        let Ok(cell) = std::str::from_utf8(cell) else { return ColumnType::Text };
        let cell = cell.trim();
        if is_missing(cell) {
            continue;
        }
        is_empty = false;
        possible[0] &= parse_bool(cell).is_some() && cell.len() > 1;
        possible[1] &= cell.parse::<i64>().is_ok();
        possible[2] &= is_number(cell);
        possible[3] &= is_timestamp(cell);
        if possible == [false; 4] {
            return ColumnType::Text;
        }
    }
    match possible {
        _ if is_empty => ColumnType::Text,
        [true, ..] => ColumnType::Boolean,
        [_, true, ..] => ColumnType::Integer,
        [_, _, true, _] => ColumnType::Number,
        _ => ColumnType::Timestamp,
    }
}

fn parse_bool(cell: &str) -> Option<bool> {
    if cell.eq_ignore_ascii_case("true") || cell == "1" {
        Some(true)
    } else if cell.eq_ignore_ascii_case("false") || cell == "0" {
        Some(false)
    } else {
        None
    }
}

/// Whether a text is a date, or a date and time, as RFC 3339 or with a space between.
fn is_timestamp(cell: &str) -> bool {
    let matches = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                _ => byte == wanted,
            })
    };
    let Some((date, rest)) = cell.split_at_checked(10) else { return false };
    if !matches(date, "0000-00-00") {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let Some(time) = rest.strip_prefix(['T', ' ', 't']) else { return false };
    let zone = time.find(['Z', 'z', '+', '-']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let (whole, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let zone_fits = matches!(zone, "" | "Z" | "z")
        || zone.get(1..).is_some_and(|zone| matches(zone, "00:00") || matches(zone, "0000"));
    (matches(whole, "00:00:00") || matches(whole, "00:00"))
        && !fraction.is_empty()
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && zone_fits
}

/// Reads CSV as the inputs of a model.
///
/// One input takes all columns: rows by columns where it has two dimensions, one column or one row
/// where it has one. Several inputs take a column each: by the names in the header line, or in
/// order without one. An empty cell is NaN where the input is of a floating-point type.
///
/// # Errors
///
/// [`Error::Csv`] when the bytes are not CSV, [`Error::Misfit`] when the columns are not what the
/// model takes, [`Error::Cell`] for a cell.
pub fn to_tensors(csv: &[u8], inputs: &[TensorSpec]) -> Result<Vec<Tensor>, Error> {
    let mut records = records(csv, false)?;
    let Some(first) = records.first() else { return Err(not_csv("it is empty; send rows")) };
    let header = has_header(first, inputs).then(|| records.remove(0));
    if records.is_empty() {
        return Err(not_csv("it has a header line only; send rows"));
    }
    match inputs {
        [] => misfit("the model takes no input; send none"),
        [input] => one_input(&records, input).map(|tensor| vec![tensor]),
        _ => column_per_input(&records, header.as_ref(), inputs),
    }
}

fn has_header(first: &ByteRecord, inputs: &[TensorSpec]) -> bool {
    let names_input = |cell: &[u8]| {
        let cell = cell.trim_ascii();
        inputs.iter().any(|input| input.name.as_bytes() == cell)
    };
    let takes_text = inputs.iter().any(|input| input.datatype == Datatype::Bytes);
    if takes_text || inputs.len() > 1 {
        return first.iter().any(names_input);
    }
    let is_bool =
        |cell: &[u8]| std::str::from_utf8(cell).is_ok_and(|cell| parse_bool(cell.trim()).is_some());
    is_header(first) && !first.iter().all(is_bool)
}

fn one_input(records: &[ByteRecord], input: &TensorSpec) -> Result<Tensor, Error> {
    let (rows, columns) = (records.len() as u64, records[0].len() as u64);
    let shape = match input.shape.len() {
        1 if columns == 1 => vec![rows],
        1 if rows == 1 => vec![columns],
        2 => vec![rows, columns],
        1 => return misfit("the model takes one column; send one"),
        _ => {
            let (name, shape) = (&input.name, &input.shape);
            return misfit(format!(
                "input {name:?} has shape {shape:?}, and CSV has rows and columns only; send \
                JSON or NumPy"
            ));
        }
    };
    if !input.admits(input.datatype, &shape) {
        let wanted = &input.shape;
        return misfit(format!(
            "{rows} rows of {columns} columns, but the model takes shape {wanted:?} (-1 is any \
            size)"
        ));
    }
    let mut data = Vec::new();
    for (row, record) in records.iter().enumerate() {
        for (column, cell) in record.iter().enumerate() {
            push_cell(cell, input.datatype, &mut data)
                .ok_or_else(|| bad_cell(cell, row, column, input.datatype))?;
        }
    }
    Ok(Tensor { name: input.name.clone(), datatype: input.datatype, shape, data: data.into() })
}

fn column_per_input(
    records: &[ByteRecord],
    header: Option<&ByteRecord>,
    inputs: &[TensorSpec],
) -> Result<Vec<Tensor>, Error> {
    if records[0].len() != inputs.len() {
        let (have, wanted) = (records[0].len(), inputs.len());
        return misfit(format!("{have} columns, but the model has {wanted} inputs; send one each"));
    }
    let mut tensors = Vec::with_capacity(inputs.len());
    for (order, input) in inputs.iter().enumerate() {
        let named = |header: &ByteRecord| {
            header.iter().position(|cell| cell.trim_ascii() == input.name.as_bytes())
        };
        let Some(column) = header.map_or(Some(order), named) else {
            return misfit(format!("no column is named {:?}; add it", input.name));
        };
        let mut shape = vec![records.len() as u64];
        if input.shape.len() == 2 {
            shape.push(1);
        }
        if !input.admits(input.datatype, &shape) {
            let (name, wanted) = (&input.name, &input.shape);
            return misfit(format!(
                "input {name:?} has shape {wanted:?}, which one column of {shape:?} is not; \
                send JSON or NumPy"
            ));
        }
        let mut data = Vec::new();
        for (row, record) in records.iter().enumerate() {
            push_cell(&record[column], input.datatype, &mut data)
                .ok_or_else(|| bad_cell(&record[column], row, column, input.datatype))?;
        }
        let (name, datatype) = (input.name.clone(), input.datatype);
        tensors.push(Tensor { name, datatype, shape, data: data.into() });
    }
    Ok(tensors)
}

fn bad_cell(cell: &[u8], row: usize, column: usize, datatype: Datatype) -> Error {
    let value = String::from_utf8_lossy(cell).chars().take(40).collect();
    Error::Cell { row: row + 1, column: column + 1, value, datatype }
}

/// Appends a cell as an element; none where it is not of the datatype.
fn push_cell(cell: &[u8], datatype: Datatype, out: &mut Vec<u8>) -> Option<()> {
    if datatype == Datatype::Bytes {
        return push_bytes(cell, out).ok();
    }
    let cell = std::str::from_utf8(cell).ok()?.trim();
    let float = || if is_missing(cell) { Some(f64::NAN) } else { cell.parse::<f64>().ok() };
    match datatype {
        Datatype::Bool => out.push(u8::from(parse_bool(cell)?)),
        Datatype::Uint8 => out.push(cell.parse().ok()?),
        Datatype::Uint16 => out.extend(cell.parse::<u16>().ok()?.to_le_bytes()),
        Datatype::Uint32 => out.extend(cell.parse::<u32>().ok()?.to_le_bytes()),
        Datatype::Uint64 => out.extend(cell.parse::<u64>().ok()?.to_le_bytes()),
        Datatype::Int8 => out.extend(cell.parse::<i8>().ok()?.to_le_bytes()),
        Datatype::Int16 => out.extend(cell.parse::<i16>().ok()?.to_le_bytes()),
        Datatype::Int32 => out.extend(cell.parse::<i32>().ok()?.to_le_bytes()),
        Datatype::Int64 => out.extend(cell.parse::<i64>().ok()?.to_le_bytes()),
        Datatype::Fp16 => out.extend(f16::from_f64(float()?).to_le_bytes()),
        Datatype::Bf16 => out.extend(bf16::from_f64(float()?).to_le_bytes()),
        Datatype::Fp32 if is_missing(cell) => out.extend(f32::NAN.to_le_bytes()),
        Datatype::Fp32 => out.extend(cell.parse::<f32>().ok()?.to_le_bytes()),
        Datatype::Fp64 => out.extend(float()?.to_le_bytes()),
        Datatype::Bytes => return None,
    }
    Some(())
}

/// Writes the outputs of a model as CSV: a row for each size of the first dimension, the outputs
/// side by side.
///
/// With `header`, a first line names each column: the output's name, with a number behind where it
/// has several columns.
///
/// # Errors
///
/// [`Error::Misfit`] when outputs have different numbers of rows, or too many columns.
pub fn from_tensors(outputs: &[Tensor], header: bool) -> Result<Vec<u8>, Error> {
    let rows = outputs.first().map_or(0, rows_of);
    let mut widths = Vec::with_capacity(outputs.len());
    for output in outputs {
        if rows_of(output) != rows {
            return misfit("its outputs have different numbers of rows; ask for one, or for JSON");
        }
        let width = output.shape.iter().skip(1).try_fold(1_u64, |all, &size| all.checked_mul(size));
        let width = width.and_then(|width| usize::try_from(width).ok());
        widths.push(width.unwrap_or(usize::MAX));
    }
    if widths.iter().any(|&width| width > COLUMNS_MAX) {
        return misfit("an output has too many columns for CSV; ask for JSON or NumPy");
    }
    let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
    let failed = |error: csv::Error| not_csv(error.to_string());
    if header {
        for (output, &width) in outputs.iter().zip(&widths) {
            for column in 0..width {
                let name = &output.name;
                let name = if width == 1 { name.clone() } else { format!("{name}_{column}") };
                writer.write_field(name).map_err(failed)?;
            }
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    let mut elements: Vec<Elements<'_>> = outputs.iter().map(Elements::of).collect();
    let columns: usize = widths.iter().sum();
    for _ in 0..if columns == 0 { 0 } else { rows } {
        for (elements, &width) in elements.iter_mut().zip(&widths) {
            for element in elements.take(width) {
                let cell = match element {
                    Element::Bytes(bytes) => bytes.to_vec(),
                    other => other.to_string().into_bytes(),
                };
                writer.write_field(cell).map_err(failed)?;
            }
        }
        writer.write_record(None::<&[u8]>).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| not_csv(error.to_string()))
}

fn rows_of(output: &Tensor) -> u64 {
    output.shape.first().copied().unwrap_or(1)
}
