//! Reading segments: some row groups of a file, some columns of them, some thousand rows at a time.
//!
//! Always true: what is held of a file is bounded, however large its row groups are; a column that
//! is not asked for is not read.
//! Absent on purpose: which rows are wanted.

use std::fs::File;
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray as _;
use arrow_array::types::{TimestampMicrosecondType, TimestampNanosecondType, UInt64Type};
use arrow_array::{
    Array as _, BinaryArray, MapArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    TimestampNanosecondArray, UInt64Array,
};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::bloom_filter::Sbbf;
use parquet::file::metadata::RowGroupMetaData;

use super::{Segment, manifest};
use crate::error::Error;
use crate::event::{Event, LABEL};
use crate::key::{Folder, Key, tables};
use crate::log::Stored;
use crate::packed::Packed;

/// About how many bytes of rows are taken at a time, where nothing else is said.
pub(crate) const TAKEN_BYTES: usize = 2 << 20;
/// Most rows that are taken at a time.
const TAKEN_ROWS_MAX: usize = 2_048;

/// Every event with this number or a higher one, of some segments of the stream in this folder.
pub(crate) fn from(stream: &Folder, segments: &[&Segment], first: u64) -> Result<Packed, Error> {
    let folder = manifest::folder(&stream.path);
    let mut events = Packed::default();
    for segment in segments.iter().filter(|segment| segment.last >= first) {
        let opened = Opened::open(&folder.join(&segment.file), stream.key.as_ref())?;
        let groups = (0..opened.groups().len()).collect();
        for rows in opened.read(groups, None)? {
            let rows = rows?;
            for row in (0..rows.count()).filter(|row| rows.sequence(*row) >= first) {
                events.push(&rows.stored(row));
            }
        }
    }
    Ok(events)
}

/// A segment's file, of which nothing but the end was read.
pub(crate) struct Opened {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<File>,
}

impl Opened {
    pub(crate) fn open(path: &Path, key: Option<&Key>) -> Result<Self, Error> {
        let file = File::open(path).map_err(Error::io("open", path))?;
        let builder = tables::open(file, key, path).map_err(Error::parquet("read", path))?;
        Ok(Self { path: path.to_path_buf(), builder })
    }

    pub(crate) fn groups(&self) -> &[RowGroupMetaData] {
        self.builder.metadata().row_groups()
    }

    /// The place of a column among those of the file.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        let schema = self.builder.parquet_schema();
        schema.columns().iter().position(|column| column.path().string() == name)
    }

    /// What rules out that a group has a value in a column; none where nothing does.
    pub(crate) fn filter(&self, group: usize, column: usize) -> Result<Option<Sbbf>, Error> {
        let filter = self.builder.get_row_group_column_bloom_filter(group, column);
        filter.map_err(Error::parquet("read", &self.path))
    }

    /// Reads these groups; all columns, or those with these names.
    pub(crate) fn read(
        self,
        groups: Vec<usize>,
        columns: Option<&[&'static str]>,
    ) -> Result<Reading, Error> {
        self.read_by(groups, columns, TAKEN_BYTES)
    }

    /// As [`Self::read`], about so many bytes at a time.
    pub(crate) fn read_by(
        self,
        groups: Vec<usize>,
        columns: Option<&[&'static str]>,
        bytes: usize,
    ) -> Result<Reading, Error> {
        let Self { path, builder } = self;
        let metadata = builder.metadata();
        let row_bytes = groups.iter().map(|&group| {
            let group = metadata.row_group(group);
            group.total_byte_size() / group.num_rows().max(1)
        });
        let row_bytes = usize::try_from(row_bytes.max().unwrap_or(0)).unwrap_or(0).max(1);
        let rows = (bytes / row_bytes).clamp(1, TAKEN_ROWS_MAX);
        let mask = match columns {
            None => ProjectionMask::all(),
            Some(names) => ProjectionMask::columns(builder.parquet_schema(), names.iter().copied()),
        };
        let builder = builder.with_row_groups(groups).with_projection(mask).with_batch_size(rows);
        let reader = builder.build().map_err(Error::parquet("read", &path))?;
        Ok(Reading { path, reader })
    }
}

/// A file that is being read.
pub(crate) struct Reading {
    path: PathBuf,
    reader: ParquetRecordBatchReader,
}

impl Iterator for Reading {
    type Item = Result<Rows, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.reader.next()?;
        let batch = batch.map_err(|error| Error::parquet("read", &self.path)(error.into()));
        Some(batch.and_then(|batch| {
            Rows::of(&batch).ok_or_else(|| Error::Manifest {
                path: self.path.clone(),
                problem: "its columns are not those of a segment".to_owned(),
            })
        }))
    }
}

/// Some rows. Columns that were not asked for are as if they were empty.
pub(crate) struct Rows {
    count: usize,
    sequence: UInt64Array,
    time: TimestampNanosecondArray,
    accepted: TimestampMicrosecondArray,
    id: Option<StringArray>,
    source: Option<StringArray>,
    kind: Option<StringArray>,
    subject: Option<StringArray>,
    region: Option<StringArray>,
    group: Option<StringArray>,
    content_type: Option<StringArray>,
    attributes: Option<Attributes>,
    data: Option<StringArray>,
    data_bytes: Option<BinaryArray>,
    label: Option<StringArray>,
}

struct Attributes {
    map: MapArray,
    names: StringArray,
    values: StringArray,
}

impl Rows {
    /// None where the columns are of other types.
    pub(crate) fn of(batch: &RecordBatch) -> Option<Self> {
        let text = |name: &str| match batch.column_by_name(name) {
            Some(column) => column.as_string_opt::<i32>().cloned().map(Some),
            None => Some(None),
        };
        let attributes = match batch.column_by_name("attributes") {
            Some(column) => {
                let map = column.as_map_opt()?.clone();
                let names = map.keys().as_string_opt::<i32>()?.clone();
                let values = map.values().as_string_opt::<i32>()?.clone();
                Some(Attributes { map, names, values })
            }
            None => None,
        };
        let data_bytes = match batch.column_by_name("data_bytes") {
            Some(column) => Some(column.as_binary_opt::<i32>()?.clone()),
            None => None,
        };
        let column = |name: &str| batch.column_by_name(name);
        Some(Self {
            count: batch.num_rows(),
            sequence: column("sequence")?.as_primitive_opt::<UInt64Type>()?.clone(),
            time: column("time")?.as_primitive_opt::<TimestampNanosecondType>()?.clone(),
            accepted: column("accepted")?.as_primitive_opt::<TimestampMicrosecondType>()?.clone(),
            id: text("id")?,
            source: text("source")?,
            kind: text("type")?,
            subject: text("subject")?,
            region: text("region")?,
            group: text("group")?,
            content_type: text("content_type")?,
            attributes,
            data: text("data")?,
            data_bytes,
            label: text(LABEL)?,
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.count
    }

    pub(crate) fn sequence(&self, row: usize) -> u64 {
        self.sequence.value(row)
    }

    pub(crate) fn time_ns(&self, row: usize) -> u64 {
        self.time.value(row).cast_unsigned()
    }

    pub(crate) fn accepted_us(&self, row: usize) -> u64 {
        self.accepted.value(row).cast_unsigned()
    }

    pub(crate) fn id(&self, row: usize) -> &str {
        text(self.id.as_ref(), row)
    }

    pub(crate) fn source(&self, row: usize) -> &str {
        text(self.source.as_ref(), row)
    }

    pub(crate) fn kind(&self, row: usize) -> &str {
        text(self.kind.as_ref(), row)
    }

    pub(crate) fn subject(&self, row: usize) -> &str {
        text(self.subject.as_ref(), row)
    }

    pub(crate) fn region(&self, row: usize) -> &str {
        text(self.region.as_ref(), row)
    }

    pub(crate) fn group(&self, row: usize) -> &str {
        text(self.group.as_ref(), row)
    }

    pub(crate) fn content_type(&self, row: usize) -> &str {
        text(self.content_type.as_ref(), row)
    }

    /// Names and values, by names.
    pub(crate) fn attributes(&self, row: usize) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.attributes.as_ref().map(|it| {
            let offsets = it.map.value_offsets();
            let place = |at: i32| usize::try_from(at).unwrap_or(0);
            let places = place(offsets[row])..place(offsets[row + 1]);
            places.map(|at| (it.names.value(at), it.values.value(at)))
        });
        pairs.into_iter().flatten()
    }

    pub(crate) fn data(&self, row: usize) -> &[u8] {
        match self.data_bytes.as_ref().filter(|column| column.is_valid(row)) {
            Some(column) => column.value(row),
            None => text(self.data.as_ref(), row).as_bytes(),
        }
    }

    /// The label, in exports.
    pub(crate) fn label(&self, row: usize) -> Option<&str> {
        self.label.as_ref().filter(|it| it.is_valid(row)).map(|it| it.value(row))
    }

    pub(crate) fn stored(&self, row: usize) -> Stored {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let event = Event {
            time_ns: self.time_ns(row),
            id: self.id(row).to_owned(),
            source: self.source(row).to_owned(),
            kind: self.kind(row).to_owned(),
            subject: self.subject(row).to_owned(),
            region: self.region(row).to_owned(),
            group: self.group(row).to_owned(),
            attributes: self.attributes(row).map(own).collect(),
            content_type: self.content_type(row).to_owned(),
            data: Bytes::copy_from_slice(self.data(row)),
        };
        Stored { sequence: self.sequence(row), accepted_us: self.accepted_us(row), event }
    }
}

fn text(column: Option<&StringArray>, row: usize) -> &str {
    column.filter(|column| column.is_valid(row)).map_or("", |column| column.value(row))
}
