//! The store itself: which database it is, its connections, and what is counted about them.
//!
//! Always true: SQLite has one writing connection, and readers that cannot write; both databases
//! have the newest schema once the store is open; what is committed is on the disk.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Once};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, ConnectOptions as _, Connection as _, Executor as _, Transaction};
use tokio::sync::RwLock;
use workflow::Tasks;

use crate::error::Error;
use crate::watchers::Watchers;

/// Longest wait for a connection, so that a lost database is an answer and not a silence.
const ACQUIRE_MS_MAX: u64 = 5_000;
/// Most reading connections on SQLite: each is a thread.
const READERS_MAX: u32 = 4;
/// Most connections on PostgreSQL, whose default limit for all clients is 100.
const CONNECTIONS_MAX: u32 = 16;

/// What every SQLite connection is told. The wait is for other processes, such as a backup.
const SQLITE_WRITER: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; \
     PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
const SQLITE_READER: &str = "PRAGMA busy_timeout = 5000; PRAGMA query_only = ON;";
/// What every PostgreSQL connection is told: nothing hangs for ever; and nothing is noticed that is
/// no error, such as the rollback after a commit that lost a race.
const POSTGRES_SESSION: &str = "SET client_min_messages = 'error'; \
     SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
     SET idle_in_transaction_session_timeout = '60s'; SET synchronous_commit = on;";

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// A file on this machine.
    Sqlite,
    /// A server.
    Postgres,
}

impl Database {
    /// Its name as people know it: `sqlite` or `postgresql`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgresql",
        }
    }
}

/// The store. Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    database: Database,
    /// The file of an SQLite database.
    file: Option<PathBuf>,
    writer: AnyPool,
    reader: AnyPool,
    lane: RwLock<()>,
    statements: AtomicU64,
    watchers: Watchers,
    /// Beginnings and ends of transactions, which go on when a caller gives up.
    tasks: Tasks,
}

impl Store {
    /// Opens `sqlite:///path/file.db`, made where it is missing, or `postgres://user@host/name`,
    /// and brings its schema to this release.
    ///
    /// # Errors
    ///
    /// [`Error::Address`] for any other URL; [`Error::Unavailable`] when it cannot be reached;
    /// [`Error::Newer`] and [`Error::Migrated`] when its schema is not an ancestor of ours.
    pub async fn open(url: &str) -> Result<Self, Error> {
        static DRIVERS: Once = Once::new();
        DRIVERS.call_once(sqlx::any::install_default_drivers);
        let store = match database_of(url)? {
            Database::Sqlite => Self::open_sqlite(url).await?,
            Database::Postgres => Self::open_postgres(url).await?,
        };
        crate::migrations::apply(&store).await?;
        Ok(store)
    }

    async fn open_sqlite(url: &str) -> Result<Self, Error> {
        let url = url.split('?').next().unwrap_or(url);
        let file = file_of(url)?;
        make_private(&file)?;
        let url = format!("{url}?mode=rw");
        // The writer sets the journal before any reader looks.
        let writer = pool(1, SQLITE_WRITER).connect_with(options(&url)?).await;
        let writer = writer.map_err(|source| Error::from_database(OPEN, source))?;
        let reader = pool(READERS_MAX, SQLITE_READER).connect_with(options(&url)?).await;
        let reader = reader.map_err(|source| Error::from_database(OPEN, source))?;
        Ok(Self::over(Database::Sqlite, Some(file), writer, reader))
    }

    async fn open_postgres(url: &str) -> Result<Self, Error> {
        let both = pool(CONNECTIONS_MAX, POSTGRES_SESSION).connect_with(options(url)?).await;
        let both = both.map_err(|source| Error::from_database(OPEN, source))?;
        Ok(Self::over(Database::Postgres, None, both.clone(), both))
    }

    fn over(database: Database, file: Option<PathBuf>, writer: AnyPool, reader: AnyPool) -> Self {
        let shared = Shared {
            database,
            file,
            writer,
            reader,
            lane: RwLock::new(()),
            statements: AtomicU64::new(0),
            watchers: Watchers::default(),
            tasks: Tasks::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Closes every connection, after the statements that run now.
    pub async fn close(&self) {
        self.shared.reader.close().await;
        self.shared.writer.close().await;
    }

    /// Which database it is.
    pub fn database(&self) -> Database {
        self.shared.database
    }

    /// How many SQL statements this store has run; see also [`crate::counted`].
    pub fn statements(&self) -> u64 {
        self.shared.statements.load(Ordering::Relaxed)
    }

    pub(crate) fn count_statement(&self) {
        self.shared.statements.fetch_add(1, Ordering::Relaxed);
    }

    /// The file of an SQLite database.
    pub(crate) fn file(&self) -> Option<&Path> {
        self.shared.file.as_deref()
    }

    /// Where write transactions that lost a race too often run alone.
    pub(crate) fn lane(&self) -> &RwLock<()> {
        &self.shared.lane
    }

    pub(crate) fn watchers(&self) -> &Watchers {
        &self.shared.watchers
    }

    pub(crate) async fn begin_write(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let begin = match self.shared.database {
            // Waits for its turn here, rather than failing at its first write.
            Database::Sqlite => "BEGIN IMMEDIATE",
            Database::Postgres => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        };
        self.whole("begin a transaction", begin_on(self.shared.writer.clone(), begin)).await
    }

    pub(crate) async fn begin_read(&self) -> Result<Transaction<'static, Any>, sqlx::Error> {
        let begin = match self.shared.database {
            Database::Sqlite => "BEGIN",
            Database::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        };
        self.whole("begin a transaction", begin_on(self.shared.reader.clone(), begin)).await
    }

    /// Does all of `work`, also when the caller is dropped in the middle: a driver that is left
    /// between `BEGIN` or `COMMIT` and its answer loses count of its transactions.
    pub(crate) async fn whole<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, sqlx::Error>> + Send + 'static,
    ) -> Result<T, sqlx::Error> {
        let done = self.shared.tasks.spawn(name, work).await;
        done.unwrap_or(Err(sqlx::Error::WorkerCrashed))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("database", &self.shared.database).finish_non_exhaustive()
    }
}

const OPEN: &str = "open the database";

async fn begin_on(
    pool: AnyPool,
    statement: &'static str,
) -> Result<Transaction<'static, Any>, sqlx::Error> {
    pool.begin_with(statement).await
}

/// Where to connect. The driver does not log statements: errors say what was attempted.
fn options(url: &str) -> Result<AnyConnectOptions, Error> {
    let options: AnyConnectOptions = url.parse().map_err(|_| Error::Address)?;
    Ok(options.disable_statement_logging())
}

fn pool(connections_max: u32, session: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(Duration::from_millis(ACQUIRE_MS_MAX))
        .acquire_slow_threshold(Duration::from_millis(ACQUIRE_MS_MAX))
        .before_acquire(|connection, _| {
            // A database may end a transaction by itself, as SQLite does on a full disk; the
            // driver then counts one for ever. Such a connection is given up.
            let whole = !connection.is_in_transaction();
            Box::pin(async move { Ok(whole) })
        })
        .after_connect(move |connection, _| {
            Box::pin(async move { connection.execute(sqlx::raw_sql(session)).await.map(|_| ()) })
        })
}

fn database_of(url: &str) -> Result<Database, Error> {
    match url.split_once("://") {
        Some(("sqlite", _)) => Ok(Database::Sqlite),
        Some(("postgres" | "postgresql", _)) => Ok(Database::Postgres),
        _ => Err(Error::Address),
    }
}

/// The file that an SQLite URL names; it must be a whole path.
fn file_of(url: &str) -> Result<PathBuf, Error> {
    let path = url.strip_prefix("sqlite://").filter(|path| path.starts_with('/'));
    let path = path.ok_or(Error::Address)?;
    // Percent signs are decoded by the driver; a path with one is refused, not misread.
    if path.contains(['%', '#']) || path.ends_with('/') {
        return Err(Error::Address);
    }
    Ok(PathBuf::from(path))
}

/// Makes the file where it is missing, readable for its owner only.
pub(crate) fn make_private(file: &Path) -> Result<(), Error> {
    let made = OpenOptions::new().create(true).append(true).mode(0o600).open(file);
    made.map(|_| ()).map_err(|source| Error::File {
        action: "make the database file",
        path: file.to_owned(),
        source,
    })
}
