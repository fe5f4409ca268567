//! Parquet files that are encrypted, as Parquet's modular encryption says: every page, and the footer
//! with all statistics, by AES-256-GCM with one key, which other programs take as the footer's.
//!
//! Always true: a file has its name within, authenticated, so that another one under its name is
//! refused; one that is not encrypted is refused where all are to be.
//! Absent on purpose: filters of single values, which this format's writers leave in plain.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::path::Path;

use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::encryption::decrypt::FileDecryptionProperties;
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterPropertiesBuilder;

use super::Key;

/// What a Parquet file with an encrypted footer begins with.
const MAGIC: [u8; 4] = *b"PARE";
/// Under which name a file's name is within.
const NAME: &str = "freehold.file";

/// Has a file of this name be written encrypted.
pub(crate) fn encrypted(
    properties: WriterPropertiesBuilder,
    key: &Key,
    name: &str,
) -> Result<WriterPropertiesBuilder, ParquetError> {
    let sealed = FileEncryptionProperties::builder(key.of_tables().to_vec()).build()?;
    let name = KeyValue::new(NAME.to_owned(), name.to_owned());
    let properties = properties.with_file_encryption_properties(sealed);
    Ok(properties.set_key_value_metadata(Some(vec![name])))
}

/// Opens a file, of which nothing but the end is read.
///
/// # Errors
///
/// Where it is no Parquet file; with a key, also where it is not encrypted by it, or is another file.
pub(crate) fn open(
    mut file: File,
    key: Option<&Key>,
    path: &Path,
) -> Result<ParquetRecordBatchReaderBuilder<File>, ParquetError> {
    let Some(key) = key else { return ParquetRecordBatchReaderBuilder::try_new(file) };
    let (mut magic, wrong) =
        ([0; MAGIC.len()], |text: &str| ParquetError::General(text.to_owned()));
    file.read_exact(&mut magic)?;
    if magic != MAGIC {
        return Err(wrong("it is not encrypted, in a folder in which all is"));
    }
    file.seek(io::SeekFrom::Start(0))?;
    let opened = FileDecryptionProperties::builder(key.of_tables().to_vec()).build()?;
    let options = ArrowReaderOptions::new().with_file_decryption_properties(opened);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)?;
    let told = builder.metadata().file_metadata().key_value_metadata();
    let name =
        told.into_iter().flatten().find(|it| it.key == NAME).and_then(|it| it.value.as_deref());
    if name.is_none() || name != path.file_name().and_then(|name| name.to_str()) {
        return Err(wrong("it is another file under this name"));
    }
    Ok(builder)
}
