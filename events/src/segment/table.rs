//! Tables: events as the columns of a Parquet file.
//!
//! Always true: a row group is bounded in rows and bytes, and has the lowest and highest values of
//! its columns; subjects and ids can be ruled out by a filter, but where it is encrypted.
//! Absent on purpose: files, names, order: rows are written as they come.

use std::io::Write;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, MapBuilder, MapFieldNames, StringBuilder, TimestampMicrosecondBuilder,
    TimestampNanosecondBuilder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::event::LABEL;
use crate::key::Key;
use crate::key::tables::encrypted;
use crate::log::Stored;

/// Most rows of a row group: what is read to find an event in it.
pub(crate) const GROUP_ROWS_MAX: usize = 16 * 1024;
/// Most bytes of a row group's data before the next one begins: what is held while it is written.
const GROUP_BYTES_MAX: usize = 8 << 20;
/// About how many bytes a page of a column has: whoever merges segments holds one of each.
const PAGE_BYTES: usize = 256 << 10;
/// Most rows of a page.
const PAGE_ROWS_MAX: usize = 8 * 1024;
/// How hard it is compressed: level 3 halves what level 1 leaves of JSON no more, and costs twice.
const ZSTD_LEVEL: i32 = 1;

/// The columns of a segment.
pub(crate) fn schema(is_labelled: bool) -> SchemaRef {
    let utc = || Some("UTC".into());
    let text = |name: &str, is_nullable| Field::new(name, DataType::Utf8, is_nullable);
    let pair = vec![text("key", false), text("value", true)];
    let pairs = Field::new("key_value", DataType::Struct(pair.into()), false);
    let mut fields = vec![
        Field::new("sequence", DataType::UInt64, false),
        Field::new("time", DataType::Timestamp(TimeUnit::Nanosecond, utc()), false),
        Field::new("accepted", DataType::Timestamp(TimeUnit::Microsecond, utc()), false),
        text("id", false),
        text("source", false),
        text("type", false),
        text("subject", true),
        text("region", true),
        text("group", true),
        Field::new("attributes", DataType::Map(Arc::new(pairs), false), true),
        text("content_type", true),
        text("data", true),
        Field::new("data_bytes", DataType::Binary, true),
    ];
    if is_labelled {
        fields.push(text(LABEL, true));
    }
    Arc::new(Schema::new(fields))
}

/// How a table is written; encrypted, where a key and the file's name are given.
fn properties(sealed: Option<(&Key, &str)>) -> Result<WriterProperties, ParquetError> {
    let column = ColumnPath::from;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(PAGE_ROWS_MAX)
        .set_created_by("freehold".to_owned())
        .set_max_row_group_row_count(Some(GROUP_ROWS_MAX));
    for name in ["sequence", "time", "accepted"] {
        properties = properties
            .set_column_dictionary_enabled(column(name), false)
            .set_column_encoding(column(name), Encoding::DELTA_BINARY_PACKED);
    }
    // Each is another: a dictionary of them would be written for nothing.
    for name in ["id", "data", "data_bytes"] {
        properties = properties.set_column_dictionary_enabled(column(name), false);
    }
    for name in ["data", "data_bytes"] {
        properties =
            properties.set_column_statistics_enabled(column(name), EnabledStatistics::None);
    }
    if let Some((key, name)) = sealed {
        // Filters are left in plain by the writer, and would tell whether somebody is in it.
        return Ok(encrypted(properties, key, name)?.build());
    }
    for name in ["id", "subject"] {
        properties = properties.set_column_bloom_filter_enabled(column(name), true);
    }
    Ok(properties.build())
}

/// Writes events as a Parquet file.
pub(crate) struct Writer<W: Write + Send> {
    file: ArrowWriter<W>,
    columns: Columns,
    schema: SchemaRef,
    is_labelled: bool,
}

impl<W: Write + Send> Writer<W> {
    pub(crate) fn new(
        to: W,
        is_labelled: bool,
        sealed: Option<(&Key, &str)>,
    ) -> Result<Self, ParquetError> {
        let schema = schema(is_labelled);
        let file = ArrowWriter::try_new(to, Arc::clone(&schema), Some(properties(sealed)?))?;
        Ok(Self { file, columns: Columns::new(), schema, is_labelled })
    }

    pub(crate) fn push(
        &mut self,
        stored: &Stored,
        label: Option<&str>,
    ) -> Result<(), ParquetError> {
        self.columns.push(stored, label);
        if self.columns.rows >= GROUP_ROWS_MAX || self.columns.bytes >= GROUP_BYTES_MAX {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ParquetError> {
        if self.columns.rows > 0 {
            let columns = self.columns.finish(self.is_labelled);
            self.file.write(&RecordBatch::try_new(Arc::clone(&self.schema), columns)?)?;
            self.file.flush()?;
        }
        Ok(())
    }

    /// Ends the file; gives back what it was written to.
    pub(crate) fn finish(mut self) -> Result<W, ParquetError> {
        self.flush()?;
        self.file.into_inner()
    }
}

/// What is gathered of a row group.
struct Columns {
    sequence: UInt64Builder,
    time: TimestampNanosecondBuilder,
    accepted: TimestampMicrosecondBuilder,
    /// Id, source, type, subject, region, group and content type.
    texts: [StringBuilder; 7],
    attributes: MapBuilder<StringBuilder, StringBuilder>,
    data: StringBuilder,
    data_bytes: BinaryBuilder,
    label: StringBuilder,
    rows: usize,
    bytes: usize,
}

impl Columns {
    fn new() -> Self {
        let names = MapFieldNames {
            entry: "key_value".to_owned(),
            key: "key".to_owned(),
            value: "value".to_owned(),
        };
        let pairs = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        Self {
            sequence: UInt64Builder::new(),
            time: TimestampNanosecondBuilder::new().with_timezone("UTC"),
            accepted: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            texts: Default::default(),
            attributes: pairs,
            data: StringBuilder::new(),
            data_bytes: BinaryBuilder::new(),
            label: StringBuilder::new(),
            rows: 0,
            bytes: 0,
        }
    }

    fn push(&mut self, stored: &Stored, label: Option<&str>) {
        let event = &stored.event;
        self.sequence.append_value(stored.sequence);
        self.time.append_value(event.time_ns.cast_signed());
        self.accepted.append_value(stored.accepted_us.cast_signed());
        let texts = [
            &event.id,
            &event.source,
            &event.kind,
            &event.subject,
            &event.region,
            &event.group,
            &event.content_type,
        ];
        for (place, (column, text)) in self.texts.iter_mut().zip(texts).enumerate() {
            // The first three are never empty, and have no null.
            column.append_option((place < 3 || !text.is_empty()).then_some(text));
            self.bytes += text.len();
        }
        for (name, value) in &event.attributes {
            self.attributes.keys().append_value(name);
            self.attributes.values().append_value(value);
            self.bytes += name.len() + value.len();
        }
        // It fails where there are not as many names as values.
        let _ = self.attributes.append(!event.attributes.is_empty());
        let text = std::str::from_utf8(&event.data).ok();
        self.data.append_option(text.filter(|text| !text.is_empty()));
        self.data_bytes.append_option(text.is_none().then_some(&event.data));
        self.bytes += event.data.len();
        self.label.append_option(label);
        self.rows += 1;
    }

    fn finish(&mut self, is_labelled: bool) -> Vec<ArrayRef> {
        (self.rows, self.bytes) = (0, 0);
        let [id, source, kind, subject, region, group, content_type] =
            self.texts.each_mut().map(|column| Arc::new(column.finish()) as ArrayRef);
        let label = Arc::new(self.label.finish());
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.sequence.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.accepted.finish()),
            id,
            source,
            kind,
            subject,
            region,
            group,
            Arc::new(self.attributes.finish()),
            content_type,
            Arc::new(self.data.finish()),
            Arc::new(self.data_bytes.finish()),
        ];
        if is_labelled {
            columns.push(label);
        }
        columns
    }
}
