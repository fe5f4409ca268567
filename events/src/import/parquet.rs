//! Parquet: segments as this room writes them, or any table of plain columns.
//!
//! Always true: a segment's events come back as they were; of another table, a row is an event and its
//! cells the members of its data; columns that are no plain values are left out, and told.
//! Absent on purpose: lists and structures within cells.

use std::borrow::Cow;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, RecordBatch};
use arrow_schema::{DataType, TimeUnit};
use jiff::civil::Date;
use jiff::{Span, Timestamp};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;
use serde_json::Value;

use super::Taking;
use super::json::{fill, object, plain};
use crate::error::Error;
use crate::event::LABEL;
use crate::segment::read::Rows;
use crate::segment::table::schema;

/// Rows that are taken at a time.
const ROWS: usize = 1_024;
/// Most bytes of a row group that is taken, unpacked: others are written in smaller ones.
const GROUP_BYTES_MAX: i64 = 1 << 30;

/// Takes every row.
pub(super) fn read(
    file: impl ChunkReader + 'static,
    taking: &mut Taking<'_, '_>,
) -> Result<(), Error> {
    let fault = |error: parquet::errors::ParquetError| Error::Import {
        message: format!("it is no Parquet file that can be read: {error}"),
    };
    // What another program held the columns in, such as dictionaries, is no concern of ours.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options);
    let builder = builder.map_err(fault)?;
    if let Some(group) =
        builder.metadata().row_groups().iter().find(|it| it.total_byte_size() > GROUP_BYTES_MAX)
    {
        let message = format!(
            "a row group has {} bytes; write it with row groups of at most {GROUP_BYTES_MAX}",
            group.total_byte_size()
        );
        return Err(Error::Import { message });
    }
    let names: Vec<String> = builder.schema().fields().iter().map(|it| it.name().clone()).collect();
    let is_segment = schema(false).fields().iter().all(|field| names.contains(field.name()))
        && taking.options.mapping.named().next().is_none();
    let mut plain = Vec::new();
    for (place, field) in builder.schema().fields().iter().enumerate() {
        if is_plain(field.data_type()) {
            plain.push(place);
        } else if !is_segment {
            let told = format!("{}: {} is no plain value", field.name(), field.data_type());
            taking.summary.left_out.push(told);
        }
    }
    if !is_segment {
        check(taking, &names)?;
    }
    let mask = if is_segment {
        ProjectionMask::all()
    } else {
        ProjectionMask::roots(builder.parquet_schema(), plain)
    };
    let reader = builder.with_batch_size(ROWS).with_projection(mask).build().map_err(fault)?;
    let mut line = 0;
    for batch in reader {
        let batch = batch.map_err(|error| fault(error.into()))?;
        if is_segment {
            segment(taking, &batch, line)?;
        } else {
            table(taking, &batch, line)?;
        }
        line += batch.num_rows() as u64;
    }
    Ok(())
}

/// Sees that every column that is named is there.
fn check(taking: &Taking<'_, '_>, names: &[String]) -> Result<(), Error> {
    match taking.options.mapping.named().find(|(_, place)| !names.iter().any(|it| it == place)) {
        None => Ok(()),
        Some((part, place)) => {
            let columns = names.iter().map(String::as_str).take(20).collect::<Vec<_>>().join(", ");
            Err(Error::Import {
                message: format!(
                    "there is no column {place:?} for {part}; the columns are {columns}"
                ),
            })
        }
    }
}

fn segment(taking: &mut Taking<'_, '_>, batch: &RecordBatch, before: u64) -> Result<(), Error> {
    let rows = Rows::of(batch).ok_or_else(|| Error::Import {
        message: "its columns are named as a segment's, and have other types: name the columns of \
                  the parts of an event"
            .to_owned(),
    })?;
    for row in 0..rows.count() {
        taking.summary.read += 1;
        let mut event = rows.stored(row).event;
        if let Some(label) = rows.label(row) {
            event.attributes.insert(LABEL.to_owned(), label.to_owned());
        }
        taking.push(before + row as u64 + 1, event)?;
    }
    Ok(())
}

fn table(taking: &mut Taking<'_, '_>, batch: &RecordBatch, before: u64) -> Result<(), Error> {
    let schema = batch.schema();
    for row in 0..batch.num_rows() {
        let line = before + row as u64 + 1;
        taking.summary.read += 1;
        let cells = batch.columns().iter().map(|column| cell(column, row));
        let cells: Vec<(&String, Value)> =
            schema.fields().iter().map(|it| it.name()).zip(cells).collect();
        let text = object(cells.iter().map(|(name, cell)| (*name, Cow::Owned(cell.to_string()))));
        let mut event = taking.blank(line, text.as_bytes());
        let at = |place: &str| {
            let (_, cell) = cells.iter().find(|(name, _)| *name == place)?;
            plain(cell)
        };
        event.data = match taking.options.mapping.data.as_deref() {
            Some(place) => at(place).unwrap_or_default().into_owned().into(),
            None => text.into(),
        };
        match fill(taking, &mut event, at) {
            Ok(()) => taking.push(line, event)?,
            Err(why) => taking.refuse(line, why),
        }
    }
    Ok(())
}

fn is_plain(kind: &DataType) -> bool {
    use DataType as T;
    matches!(
        kind,
        T::Boolean
            | T::Int8
            | T::Int16
            | T::Int32
            | T::Int64
            | T::UInt8
            | T::UInt16
            | T::UInt32
            | T::UInt64
            | T::Float32
            | T::Float64
            | T::Utf8
            | T::LargeUtf8
            | T::Utf8View
            | T::Timestamp(..)
            | T::Date32
    )
}

/// A cell as a JSON value: times as texts, numbers that JSON has not as null.
fn cell(column: &dyn Array, row: usize) -> Value {
    use DataType as T;
    if column.is_null(row) {
        return Value::Null;
    }
    macro_rules! number {
        ($kind:ty) => {
            column.as_primitive::<$kind>().value(row).into()
        };
    }
    let time = |number: i64, per_second: i128| {
        let time_ns = i128::from(number) * (1_000_000_000 / per_second);
        Timestamp::from_nanosecond(time_ns).map_or(Value::Null, |time| time.to_string().into())
    };
    match column.data_type() {
        T::Boolean => column.as_boolean().value(row).into(),
        T::Int8 => number!(Int8Type),
        T::Int16 => number!(Int16Type),
        T::Int32 => number!(Int32Type),
        T::Int64 => number!(Int64Type),
        T::UInt8 => number!(UInt8Type),
        T::UInt16 => number!(UInt16Type),
        T::UInt32 => number!(UInt32Type),
        T::UInt64 => number!(UInt64Type),
        T::Float32 => number!(Float32Type),
        T::Float64 => number!(Float64Type),
        T::Utf8 => column.as_string::<i32>().value(row).into(),
        T::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        T::Utf8View => column.as_string_view().value(row).into(),
        T::Timestamp(unit, _) => match unit {
            TimeUnit::Second => time(column.as_primitive::<TimestampSecondType>().value(row), 1),
            TimeUnit::Millisecond => {
                time(column.as_primitive::<TimestampMillisecondType>().value(row), 1_000)
            }
            TimeUnit::Microsecond => {
                time(column.as_primitive::<TimestampMicrosecondType>().value(row), 1_000_000)
            }
            TimeUnit::Nanosecond => {
                time(column.as_primitive::<TimestampNanosecondType>().value(row), 1_000_000_000)
            }
        },
        T::Date32 => {
            let days = i64::from(column.as_primitive::<Date32Type>().value(row));
            let days = Span::new().try_days(days);
            let date = days.and_then(|days| Date::constant(1970, 1, 1).checked_add(days));
            date.map_or(Value::Null, |date| date.to_string().into())
        }
        _ => Value::Null,
    }
}
