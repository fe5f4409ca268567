//! Backup of an embedded database into a file.
//!
//! Always true: the backup is of one moment, and a file of its name is whole; the database is
//! used while it is made. PostgreSQL has tools of its own.

use std::path::{Path, PathBuf};

use sqlx::any::AnyConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::error::Error;
use crate::store::Store;

const BACK_UP: &str = "back up the database";

impl Store {
    /// Writes the database into a new file at `path`, which must be on one file system with its
    /// folder. Refuses to overwrite.
    ///
    /// # Errors
    ///
    /// [`Error::NotEmbedded`] on PostgreSQL (`pg_dump` does it there); [`Error::File`] when the
    /// file cannot be made or exists; [`Error::Full`] when there is no room.
    pub async fn backup(&self, path: &Path) -> Result<(), Error> {
        let file = self.file().ok_or(Error::NotEmbedded)?;
        let failed = |source| Error::File { action: BACK_UP, path: path.to_owned(), source };
        if path.try_exists().map_err(failed)? {
            return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
        }
        let part = part_of(path);
        // Left by a backup that was interrupted.
        let _ = std::fs::remove_file(&part);
        crate::store::make_private(&part)?;
        let url = format!("sqlite://{}?mode=rw", file.display());
        let into = part.to_string_lossy().into_owned();
        let copied = copy(&url, into).await;
        if let Err(source) = copied {
            // What there is of it is of no use; the error to report is the one above.
            let _ = std::fs::remove_file(&part);
            return Err(Error::from_database(BACK_UP, source));
        }
        let (from, to) = (part, path.to_owned());
        let moved = tokio::task::spawn_blocking(move || settle(&from, &to)).await;
        moved.map_err(|broken| failed(std::io::Error::other(broken)))?.map_err(failed)
    }
}

async fn copy(url: &str, into: String) -> Result<(), sqlx::Error> {
    let options: AnyConnectOptions = url.parse()?;
    let mut connection = options.connect().await?;
    sqlx::query("VACUUM INTO $1").bind(into).execute(&mut connection).await?;
    connection.close().await
}

/// Makes sure the file is on the disk before it has its name.
fn settle(part: &Path, path: &Path) -> std::io::Result<()> {
    std::fs::File::open(part)?.sync_all()?;
    std::fs::rename(part, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}
