//! Files: the records of a run as Parquet, in parts that are whole as soon as they have their name.
//!
//! Always true: a part is complete and on the disk before it has its name, so whoever is killed loses
//! no more than the part that was being written; what is read back is what was written.
//! Absent on purpose: who may read them, and when they are removed.

mod columns;

use std::fs::{self, File};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::properties::WriterProperties;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;

use super::error::Error;
use super::record::{Outcome, Record};
use crate::key::{Folder, Key, tables};

/// Most records of a part.
pub const PART_RECORDS_MAX: usize = 1 << 16;
/// Records that are made columns at once.
const BATCH_RECORDS: usize = 4_096;
/// What a part's name begins with.
const PREFIX: &str = "records-";

/// Which records are wanted: those that meet all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// When they were intended, from the start of the run.
    pub offset_ns: Range<u64>,
    /// From when they were intended until they were done; those that were not sent took none.
    pub response_ns: Range<u64>,
    /// The variant's place; any where none is said.
    pub variant: Option<u16>,
    /// The region; any where none is said.
    pub region: Option<String>,
    /// The group; any where none is said.
    pub group: Option<String>,
    /// Whether what they predict is right; either, or not known, where nothing is said.
    pub right: Option<bool>,
    /// What became of them; anything where none is said.
    pub outcomes: Vec<Outcome>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            offset_ns: 0..u64::MAX,
            response_ns: 0..u64::MAX,
            variant: None,
            region: None,
            group: None,
            right: None,
            outcomes: Vec::new(),
        }
    }
}

impl Wanted {
    fn has(&self, record: &Record) -> bool {
        let is =
            |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|one| one == name);
        self.offset_ns.contains(&record.offset_ns)
            && self.response_ns.contains(&record.response_ns().unwrap_or(0))
            && self.variant.is_none_or(|variant| variant == record.variant)
            && is(&self.region, &record.region)
            && is(&self.group, &record.group)
            && self.right.is_none_or(|right| record.right == Some(right))
            && (self.outcomes.is_empty() || self.outcomes.contains(&record.outcome))
    }
}

/// Records that were wanted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// They themselves.
    pub records: Vec<Record>,
    /// How many there are in all.
    pub matching: u64,
    /// Parts that were read.
    pub parts_read: usize,
    /// Parts that could not have any, by their statistics.
    pub parts_left_out: usize,
}

/// Writes the records of a run.
#[derive(Debug)]
pub(super) struct Writer {
    folder: Folder,
    schema: Arc<Schema>,
    names: Vec<Arc<str>>,
    next_part: u64,
    part: Option<ArrowWriter<File>>,
    in_part: usize,
    waiting: Vec<Record>,
}

impl Writer {
    /// Writes parts after those that are in the folder; variants have these names.
    pub(super) fn open(folder: impl Into<Folder>, names: Vec<Arc<str>>) -> Result<Self, Error> {
        let folder = folder.into();
        fs::create_dir_all(&folder.path).map_err(Error::io("make", &folder.path))?;
        let unfinished = folder.path.join("records.tmp");
        if unfinished.exists() {
            fs::remove_file(&unfinished).map_err(Error::io("remove", &unfinished))?;
        }
        let next_part = parts(&folder.path)?.last().map_or(0, |(number, _)| number + 1);
        let (schema, waiting) = (Arc::new(columns::schema()), Vec::new());
        Ok(Self { folder, schema, names, next_part, part: None, in_part: 0, waiting })
    }

    /// Adds a record; it is safe once its part is closed.
    pub(super) fn add(&mut self, record: Record) -> Result<(), Error> {
        self.waiting.push(record);
        self.in_part += 1;
        if self.waiting.len() >= BATCH_RECORDS {
            self.write()?;
        }
        if self.in_part >= PART_RECORDS_MAX { self.close() } else { Ok(()) }
    }

    /// Closes the part, so that all records are safe.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        self.write()?;
        let Some(part) = self.part.take() else { return Ok(()) };
        let path = self.folder.path.join("records.tmp");
        let file = part.into_inner().map_err(Error::parquet("write", &path))?;
        file.sync_all().map_err(Error::io("write", &path))?;
        let name = self.folder.path.join(self.name());
        fs::rename(&path, &name).map_err(Error::io("name", &name))?;
        self.next_part += 1;
        self.in_part = 0;
        File::open(&self.folder.path)
            .and_then(|folder| folder.sync_all())
            .map_err(Error::io("keep", &self.folder.path))
    }

    /// The name of the part that is being written, once it is whole.
    fn name(&self) -> String {
        format!("{PREFIX}{:06}.parquet", self.next_part)
    }

    /// Begins a part, encrypted where the folder is.
    fn begin(&self, path: &Path) -> Result<ArrowWriter<File>, Error> {
        let file = File::create(path).map_err(Error::io("make", path))?;
        let level = Compression::ZSTD(ZstdLevel::default());
        let mut properties = WriterProperties::builder().set_compression(level);
        for name in columns::EACH_OTHER {
            let column = ColumnPath::from(name);
            properties = properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
        }
        let properties = match &self.folder.key {
            Some(key) => tables::encrypted(properties, key, &self.name()),
            None => Ok(properties),
        };
        properties
            .and_then(|it| ArrowWriter::try_new(file, Arc::clone(&self.schema), Some(it.build())))
            .map_err(Error::parquet("write", path))
    }

    /// Makes columns of what waits.
    fn write(&mut self) -> Result<(), Error> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let path = self.folder.path.join("records.tmp");
        let mut part = match self.part.take() {
            Some(part) => part,
            None => self.begin(&path)?,
        };
        let batch = columns::batch(&self.schema, &self.waiting, &self.names);
        let batch = batch.map_err(|source| Error::parquet("write", &path)(source.into()))?;
        part.write(&batch).map_err(Error::parquet("write", &path))?;
        self.part = Some(part);
        self.waiting.clear();
        Ok(())
    }
}

/// Reads all records of a run, part by part, in the order in which they ended.
///
/// # Errors
///
/// Where the folder or a part cannot be read; after that nothing more is read.
pub fn read<F: Into<Folder>>(
    folder: F,
) -> Result<impl Iterator<Item = Result<Record, Error>> + use<F>, Error> {
    let Folder { path, key } = folder.into();
    let parts = parts(&path)?;
    let mut failed = false;
    let all = 0..u64::MAX;
    let records =
        parts.into_iter().flat_map(move |(_, path)| Part::open(&path, key.as_ref(), &all));
    Ok(records.take_while(move |record| !std::mem::replace(&mut failed, record.is_err())))
}

/// Finds the records that are wanted, in the order in which they ended: gives up to so many of them,
/// and counts all.
///
/// Parts that have none at the wanted times are not read.
///
/// # Errors
///
/// As [`read`].
pub fn find(folder: impl Into<Folder>, wanted: &Wanted, most: usize) -> Result<Found, Error> {
    let mut found = Found::default();
    let folder = folder.into();
    for (_, path) in parts(&folder.path)? {
        let part = Part::open(&path, folder.key.as_ref(), &wanted.offset_ns);
        if matches!(part, Part::Elsewhere) {
            found.parts_left_out += 1;
            continue;
        }
        found.parts_read += 1;
        for record in part {
            let record = record?;
            if !wanted.has(&record) {
                continue;
            }
            found.matching += 1;
            if found.records.len() < most {
                found.records.push(record);
            }
        }
    }
    Ok(found)
}

/// The parts of a run, in their order.
fn parts(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
        let path = entry.map_err(Error::io("list", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_prefix(PREFIX)?.strip_suffix(".parquet"));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            parts.push((number, path));
        }
    }
    parts.sort_unstable();
    Ok(parts)
}

/// One part, as it is read.
enum Part {
    Reading {
        path: PathBuf,
        batches: parquet::arrow::arrow_reader::ParquetRecordBatchReader,
        records: std::vec::IntoIter<Record>,
    },
    /// It has no records of the wanted times.
    Elsewhere,
    Failed(Option<Error>),
}

impl Part {
    fn open(path: &Path, key: Option<&Key>, offset_ns: &Range<u64>) -> Self {
        let opened = File::open(path).map_err(Error::io("read", path)).and_then(|file| {
            let builder = tables::open(file, key, path).map_err(Error::parquet("read", path))?;
            if !may_have(builder.metadata(), offset_ns) {
                return Ok(None);
            }
            let reader = builder.with_batch_size(BATCH_RECORDS).build();
            reader.map(Some).map_err(Error::parquet("read", path))
        });
        match opened {
            Ok(None) => Self::Elsewhere,
            Ok(Some(batches)) => {
                let path = path.to_path_buf();
                Self::Reading { path, batches, records: Vec::new().into_iter() }
            }
            Err(error) => Self::Failed(Some(error)),
        }
    }
}

/// Whether a part may have records of these times, by its statistics; so may one that has none.
fn may_have(part: &ParquetMetaData, offset_ns: &Range<u64>) -> bool {
    part.row_groups().iter().any(|group| {
        let column =
            group.columns().iter().find(|column| column.column_path().string() == "offset_ns");
        match column.and_then(|column| column.statistics()) {
            Some(Statistics::Int64(values)) => {
                let least = values.min_opt().map_or(0, |least| least.cast_unsigned());
                let most = values.max_opt().map_or(u64::MAX, |most| most.cast_unsigned());
                least < offset_ns.end && most >= offset_ns.start
            }
            _ => true,
        }
    })
}

impl Iterator for Part {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Elsewhere => None,
            Self::Failed(error) => error.take().map(Err),
            Self::Reading { path, batches, records } => loop {
                if let Some(record) = records.next() {
                    return Some(Ok(record));
                }
                let batch = batches.next()?.map_err(parquet::errors::ParquetError::from);
                let read = batch
                    .map_err(Error::parquet("read", &*path))
                    .and_then(|batch| columns::records(&batch).ok_or_else(|| Error::damaged(path)));
                match read {
                    Ok(read) => *records = read.into_iter(),
                    Err(error) => return Some(Err(error)),
                }
            },
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
