//! Tables: the lines of a file of comma-separated values, and the numbers in them.
//!
//! Always true: every row has a value for each column. Absent on purpose: quotes, signs.

use super::Error;

/// Largest exponent, either way: that of the numbers which programs write.
const EXPONENT_MAX: i64 = 400;

/// The lines of a file, taken apart.
pub(super) struct Table<'text> {
    pub(super) heads: Vec<&'text str>,
    pub(super) rows: Vec<Row<'text>>,
    /// The columns that name a function.
    names: Vec<usize>,
}

pub(super) struct Row<'text> {
    /// From 1.
    pub(super) line: usize,
    values: Vec<&'text str>,
}

impl<'text> Table<'text> {
    /// Reads a file, in which a function is named by these columns.
    pub(super) fn read(text: &'text str, names: &[&str]) -> Result<Self, Error> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (_, heads) = lines.next().ok_or(Error::Empty)?;
        // Spreadsheets mark a file as Unicode so.
        let heads = heads.trim_start_matches('\u{feff}').split(',').map(str::trim).collect();
        let mut table = Self { heads, rows: Vec::new(), names: Vec::new() };
        table.names = names.iter().map(|name| table.column(name)).collect::<Result<_, _>>()?;
        for (line, text) in lines {
            let values: Vec<&str> = text.split(',').map(str::trim).collect();
            let (has, expected) = (values.len(), table.heads.len());
            if has != expected {
                return Err(Error::Width { line, has, expected });
            }
            table.rows.push(Row { line, values });
        }
        Ok(table)
    }

    /// The name of a row's function: its parts with commas between.
    pub(super) fn name(&self, row: &Row<'_>) -> String {
        let parts: Vec<&str> = self.names.iter().map(|place| row.values[*place]).collect();
        parts.join(",")
    }

    /// The place of a column.
    pub(super) fn column(&self, name: &str) -> Result<usize, Error> {
        let place = self.heads.iter().position(|head| *head == name);
        place.ok_or_else(|| Error::Column { name: name.to_owned() })
    }

    /// A count; an empty value is none.
    pub(super) fn count(&self, row: &Row<'_>, place: usize) -> Result<u32, Error> {
        let value = row.values[place];
        if value.is_empty() {
            return Ok(0);
        }
        value.parse().map_err(|_| self.no_number(row, place))
    }

    /// A decimal number in thousandths, what is smaller being cut off.
    pub(super) fn thousandths(&self, row: &Row<'_>, place: usize) -> Result<u64, Error> {
        thousandths(row.values[place]).ok_or_else(|| self.no_number(row, place))
    }

    fn no_number(&self, row: &Row<'_>, place: usize) -> Error {
        Error::Number {
            line: row.line,
            column: self.heads[place].to_owned(),
            value: row.values[place].to_owned(),
        }
    }
}

/// A number such as `79.992` or `9.5367e-07` in thousandths, what is smaller being cut off.
fn thousandths(text: &str) -> Option<u64> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(part) {
        return None;
    }
    let exponent: i64 =
        exponent.parse().ok().filter(|it| (-EXPONENT_MAX..=EXPONENT_MAX).contains(it))?;
    let places = exponent + 3 - i64::try_from(part.len()).ok()?;
    let mut all = format!("{whole}{part}");
    match usize::try_from(places) {
        Ok(more) => all.extend(std::iter::repeat_n('0', more)),
        Err(_) => all.truncate(all.len().saturating_sub(usize::try_from(-places).ok()?)),
    }
    match all.trim_start_matches('0') {
        "" => Some(0),
        all => all.parse().ok(),
    }
}
