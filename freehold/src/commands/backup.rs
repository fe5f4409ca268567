//! `freehold backup` and `freehold restore`: a cloud of one machine as a folder of plain files.
//!
//! The copy is `freehold.db`, the sealed blobs below `objects`, and the small files of the data
//! folder, with a list of digests that `sha256sum -c SHA256SUMS` reads too. The database is copied
//! first: what it refers to was written before it, and is not collected for a day.
//!
//! Always true: a folder of the wanted name is whole, or is not there; nothing of a copy is put
//! back unless every digest is right; the cloud may run while it is copied.
//! Absent on purpose: `PostgreSQL` and S3, which have better tools of their own; what gateways keep,
//! which are events of streams and records of replays.

mod restore;
mod seal;

use std::path::{Path, PathBuf};

use workflow::{Clock, chain};

use self::seal::{Copying, Seal};
use crate::args::{BackupArguments, Format};
use crate::exit::Failure;
use crate::output::{Output, bytes, note};
use crate::settings::Settings;

pub use self::restore::restore;

/// The database in a copy and in a data folder.
const DATABASE: &str = "freehold.db";
/// The objects in a copy and in a data folder, and the part of them that holds blobs.
const OBJECTS: &str = "objects";
const BLOBS: &str = "account";
/// The master key in a copy and in a data folder.
const MASTER_KEY: &str = "master.key";
/// Other files of a data folder that a cloud goes on with, where they are there.
const SMALL_FILES: [&str; 3] = ["operator.token", "host", "control.name"];

/// Copies a cloud into a new folder.
///
/// # Errors
///
/// When the cloud is not of one machine, the folder exists, or a file cannot be copied.
pub async fn backup(arguments: BackupArguments) -> Result<(), Failure> {
    let settings = Settings::resolve(arguments.server)?;
    let source = Source::of(&settings)?;
    let to = arguments.to;
    if to.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!("{} is there already", to.display()))
            .hint("name a folder that does not exist"));
    }
    let part = beside(&to)?;
    // What an interrupted copy left.
    let _ = std::fs::remove_dir_all(&part);
    seal::make_folder(&part)?;
    let busy = Output::new(Format::Table).busy("copying");
    let copied = copy(&source, &part).await;
    busy.finish_and_clear();
    let seal = match copied {
        Ok(seal) => seal,
        Err(failure) => {
            let _ = std::fs::remove_dir_all(&part);
            return Err(failure);
        }
    };
    seal::rename(&part, &to)?;
    let (files, sum) = (seal.files, bytes(seal.bytes));
    note(&format!("{files} files, {sum}, in {}", to.display()))?;
    note(
        "events of streams and records of replays are NOT in it: have sealed events copied with \
         --segments, or copy the folder gateway of the data folder while the gateway is stopped",
    )?;
    if seal.master_key {
        note("the master key is in it: who has this folder can read everything in the cloud")
    } else {
        note(
            "the master key is NOT in it, since it is not a file of the data folder: keep it \
             elsewhere, for without it the copy cannot be read",
        )
    }
}

/// The files of a cloud of one machine.
struct Source {
    data: PathBuf,
    database: PathBuf,
    objects: PathBuf,
    master_key: Option<PathBuf>,
}

impl Source {
    fn of(settings: &Settings) -> Result<Self, Failure> {
        let Some(database) = settings.database.strip_prefix("sqlite://") else {
            return Err(Failure::usage("the database is not a file of this machine").hint(
                "copy PostgreSQL with pg_dump, the bucket with its own tools after it, and keep \
                 the master key",
            ));
        };
        let Some(objects) = settings.objects.strip_prefix("file://") else {
            return Err(Failure::usage("the objects are not in a folder of this machine").hint(
                "copy the bucket with its own tools, such as `aws s3 sync`, after copying the \
                 database",
            ));
        };
        let database = database.split('?').next().unwrap_or(database);
        let source = Self {
            data: settings.data.clone(),
            database: PathBuf::from(database),
            objects: PathBuf::from(objects),
            master_key: settings.master_key.is_none().then(|| settings.master_key_file.clone()),
        };
        if !source.database.is_file() {
            let message = format!("{} is not there", source.database.display());
            return Err(Failure::usage(message).hint("name the cloud's data folder with --data"));
        }
        Ok(source)
    }
}

/// Copies everything into `part`, and seals it.
async fn copy(source: &Source, part: &Path) -> Result<Seal, Failure> {
    let failed = |error: store::Error| {
        Failure::refused(format!("could not copy the database: {}", chain(&error)))
    };
    let url = format!("sqlite://{}", source.database.display());
    let store = store::Store::open(&url).await.map_err(failed)?;
    let copied = store.backup(&part.join(DATABASE)).await;
    store.close().await;
    copied.map_err(failed)?;
    let (part, objects) = (part.to_owned(), source.objects.join(BLOBS));
    let mut small: Vec<(PathBuf, &str)> =
        SMALL_FILES.iter().map(|name| (source.data.join(name), *name)).collect();
    if let Some(key) = &source.master_key {
        small.push((key.clone(), MASTER_KEY));
    }
    let made_at_ms = Clock::system().now_ms();
    let copied = tokio::task::spawn_blocking(move || {
        let mut copying = Copying::into(&part);
        copying.count(DATABASE)?;
        for (from, name) in small {
            copying.copy(&from, Path::new(name))?;
        }
        copying.copy_folder(&objects, &Path::new(OBJECTS).join(BLOBS))?;
        copying.seal(made_at_ms)
    });
    copied.await.map_err(|error| Failure::internal("could not copy", &error))?
}

/// The name under which a folder is made, until it is whole.
fn beside(folder: &Path) -> Result<PathBuf, Failure> {
    let whole = std::path::absolute(folder)
        .map_err(|error| Failure::usage(format!("{}: {error}", folder.display())))?;
    let Some(name) = whole.file_name() else {
        return Err(Failure::usage(format!("{} is no folder to make", folder.display())));
    };
    let mut part = name.to_owned();
    part.push(".part");
    Ok(whole.with_file_name(part))
}

#[cfg(test)]
mod tests;
