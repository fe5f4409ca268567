//! Columns: a record's fields as a table has them, and back.
//!
//! Always true: a column that may be empty is one where a record has nothing to say; files of earlier
//! versions, which do not have all of them, are read.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Float64Type, TimestampNanosecondType, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array as _, ArrayRef, ArrowPrimitiveType, BooleanArray, Float64Array, RecordBatch, StringArray,
    TimestampNanosecondArray, UInt16Array, UInt32Array, UInt64Array,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};

use super::super::record::{Outcome, Record, Took};

const UTC: &str = "UTC";

/// Columns of which each record has another number, near the one before it: they are written as
/// differences, and a dictionary of them would be made for nothing.
pub(super) const EACH_OTHER: [&str; 8] =
    ["number", "sequence", "happened", "offset_ns", "intended", "sent", "first_byte", "done"];

/// The table's columns.
pub(super) fn schema() -> Schema {
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()));
    let always = |name: &str, kind: DataType| Field::new(name, kind, false);
    let maybe = |name: &str, kind: DataType| Field::new(name, kind, true);
    Schema::new(vec![
        always("number", DataType::UInt64),
        always("sequence", DataType::UInt64),
        always("copy", DataType::UInt64),
        always("variant", DataType::UInt16),
        always("variant_name", DataType::Utf8),
        always("stratum", DataType::UInt32),
        always("region", DataType::Utf8),
        always("group", DataType::Utf8),
        maybe("happened", time()),
        always("offset_ns", DataType::UInt64),
        always("intended", time()),
        maybe("sent", time()),
        maybe("first_byte", time()),
        always("done", time()),
        maybe("service_us", DataType::UInt64),
        maybe("queue_us", DataType::UInt64),
        maybe("start_us", DataType::UInt64),
        maybe("cpu_us", DataType::UInt64),
        maybe("memory_bytes", DataType::UInt64),
        maybe("status", DataType::UInt16),
        always("outcome", DataType::Utf8),
        always("bytes_out", DataType::UInt64),
        always("bytes_in", DataType::UInt64),
        maybe("answer_crc", DataType::UInt32),
        maybe("score", DataType::Float64),
        maybe("class", DataType::Utf8),
        maybe("label", DataType::Utf8),
        maybe("right", DataType::Boolean),
    ])
}

/// Records as columns; variants have these names.
pub(super) fn batch(
    schema: &Arc<Schema>,
    records: &[Record],
    names: &[Arc<str>],
) -> Result<RecordBatch, ArrowError> {
    let u64s = |of: fn(&Record) -> u64| {
        Arc::new(UInt64Array::from_iter_values(records.iter().map(of))) as ArrayRef
    };
    let known = |of: fn(&Record) -> Option<u64>| {
        Arc::new(records.iter().map(of).collect::<UInt64Array>()) as ArrayRef
    };
    let times = |of: fn(&Record) -> Option<u64>| {
        let times = records.iter().map(|record| of(record).map(signed));
        Arc::new(times.collect::<TimestampNanosecondArray>().with_timezone(UTC)) as ArrayRef
    };
    let texts = |of: fn(&Record) -> Option<&str>| {
        Arc::new(records.iter().map(of).collect::<StringArray>()) as ArrayRef
    };
    let name = |record: &Record| names.get(usize::from(record.variant)).map_or("", |name| name);
    let variants = records.iter().map(|record| record.variant);
    let strata = records.iter().map(|record| record.stratum);
    let columns: Vec<ArrayRef> = vec![
        u64s(|record| record.number),
        u64s(|record| record.sequence),
        u64s(|record| record.copy),
        Arc::new(UInt16Array::from_iter_values(variants)),
        Arc::new(StringArray::from_iter_values(records.iter().map(name))),
        Arc::new(UInt32Array::from_iter_values(strata)),
        texts(|record| Some(&record.region)),
        texts(|record| Some(&record.group)),
        times(|record| record.happened_ns),
        u64s(|record| record.offset_ns),
        times(|record| Some(record.intended_ns)),
        times(|record| record.sent_ns),
        times(|record| record.first_ns),
        times(|record| Some(record.done_ns)),
        known(|record| record.service_us),
        known(|record| record.took.queue_us),
        known(|record| record.took.start_us),
        known(|record| record.took.cpu_us),
        known(|record| record.took.memory_bytes),
        Arc::new(records.iter().map(|record| record.status).collect::<UInt16Array>()),
        texts(|record| Some(record.outcome.word())),
        u64s(|record| record.bytes_out),
        u64s(|record| record.bytes_in),
        Arc::new(records.iter().map(|record| record.answer_crc).collect::<UInt32Array>()),
        Arc::new(records.iter().map(|record| record.score).collect::<Float64Array>()),
        texts(|record| record.class.as_deref()),
        texts(|record| record.label.as_deref()),
        Arc::new(records.iter().map(|record| record.right).collect::<BooleanArray>()),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns)
}

/// Columns as records; none where they are not those of records.
pub(super) fn records(batch: &RecordBatch) -> Option<Vec<Record>> {
    let u64s = |name| values::<UInt64Type>(batch, name);
    let times = |name| values::<TimestampNanosecondType>(batch, name);
    let (numbers, sequences, copies) = (u64s("number")?, u64s("sequence")?, u64s("copy")?);
    let variants = values::<UInt16Type>(batch, "variant")?;
    let strata = values::<UInt32Type>(batch, "stratum")?;
    let (regions, groups) = (texts(batch, "region")?, texts(batch, "group")?);
    let (offsets, services) = (u64s("offset_ns")?, u64s("service_us")?);
    let (intended, sent) = (times("intended")?, times("sent")?);
    let (first, done) = (times("first_byte")?, times("done")?);
    let statuses = values::<UInt16Type>(batch, "status")?;
    let outcomes = texts(batch, "outcome")?;
    let (out, into) = (u64s("bytes_out")?, u64s("bytes_in")?);
    let crcs = values::<UInt32Type>(batch, "answer_crc")?;
    let scores = values::<Float64Type>(batch, "score")?;
    let (classes, labels) = (texts(batch, "class")?, texts(batch, "label")?);
    let later = Later::of(batch);
    let record = |row: usize| {
        Some(Record {
            number: numbers(row)?,
            sequence: sequences(row)?,
            copy: copies(row)?,
            variant: variants(row)?,
            stratum: strata(row)?,
            region: regions(row)?.into(),
            group: groups(row)?.into(),
            happened_ns: later.happened_ns(row),
            offset_ns: offsets(row)?,
            intended_ns: intended(row).map(unsigned)?,
            sent_ns: sent(row).map(unsigned),
            first_ns: first(row).map(unsigned),
            done_ns: done(row).map(unsigned)?,
            service_us: services(row),
            took: later.took(row),
            status: statuses(row),
            outcome: Outcome::of_word(outcomes(row)?)?,
            bytes_out: out(row)?,
            bytes_in: into(row)?,
            answer_crc: crcs(row),
            score: scores(row),
            class: classes(row).map(Arc::from),
            label: labels(row).map(Arc::from),
            right: later.right(row),
        })
    };
    (0..batch.num_rows()).map(record).collect()
}

/// Columns that files of earlier versions do not have.
struct Later<'a> {
    happened: Option<&'a TimestampNanosecondArray>,
    /// Of what an answer took: waiting, starting, processors, memory.
    took: [Option<&'a UInt64Array>; 4],
    right: Option<&'a BooleanArray>,
}

impl<'a> Later<'a> {
    fn of(batch: &'a RecordBatch) -> Self {
        let column = |name: &str| batch.column_by_name(name);
        let number = |name: &str| column(name)?.as_primitive_opt::<UInt64Type>();
        Self {
            happened: column("happened").and_then(|it| it.as_primitive_opt()),
            took: ["queue_us", "start_us", "cpu_us", "memory_bytes"].map(number),
            right: column("right").and_then(|it| it.as_boolean_opt()),
        }
    }

    fn happened_ns(&self, row: usize) -> Option<u64> {
        self.happened.filter(|it| it.is_valid(row)).map(|it| unsigned(it.value(row)))
    }

    fn took(&self, row: usize) -> Took {
        let [queue_us, start_us, cpu_us, memory_bytes] =
            self.took.map(|it| it.filter(|it| it.is_valid(row)).map(|it| it.value(row)));
        Took { queue_us, start_us, cpu_us, memory_bytes }
    }

    fn right(&self, row: usize) -> Option<bool> {
        self.right.filter(|it| it.is_valid(row)).map(|it| it.value(row))
    }
}

/// A column's values by their row, where it has this type.
fn values<'a, T: ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Option<impl Fn(usize) -> Option<T::Native> + use<'a, T>> {
    let column = batch.column_by_name(name)?.as_primitive_opt::<T>()?;
    Some(|row| column.is_valid(row).then(|| column.value(row)))
}

fn texts<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Option<impl Fn(usize) -> Option<&'a str> + use<'a>> {
    let column = batch.column_by_name(name)?.as_string_opt::<i32>()?;
    Some(|row| column.is_valid(row).then(|| column.value(row)))
}

/// Times are before the year 2262.
fn signed(ns: u64) -> i64 {
    i64::try_from(ns).unwrap_or(i64::MAX)
}

fn unsigned(ns: i64) -> u64 {
    u64::try_from(ns).unwrap_or(0)
}
