//! A PostgreSQL server for tests: the one whose URL `FREEHOLD_TEST_POSTGRES` is, or a throwaway one
//! started here from the programs in that folder, or from the machine's packages.
//!
//! Processes of one test run share the throwaway server: the first to come starts it, and it ends
//! by itself with the run, whatever becomes of the tests. It keeps nothing safe, so it is quick.
//! Each test makes a database of its own. Where there is no server, tests say so and pass.
//!
//! Always true: nothing outside its folder below the temporary folder is written, and the folder
//! goes with it; it listens on the loopback address and on a socket in its folder only.

use std::fs::{self, File, Permissions};
use std::io::Read as _;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use workflow::Clock;

/// Longest start of a server, with room for a busy machine.
const START_MS_MAX: u64 = 60_000;

/// A server on which databases can be made.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// Its address, up to the name of the database.
    base: String,
    /// What stands behind the name of the database.
    options: String,
}

impl Server {
    /// The server of this run; none, said aloud, where the machine has none.
    pub(crate) fn find() -> Option<Self> {
        static FOUND: OnceLock<Option<Server>> = OnceLock::new();
        FOUND.get_or_init(find).clone()
    }

    /// Makes an empty database, and gives its URL.
    pub(crate) async fn make_database(&self) -> String {
        let name = format!("test_{}", Clock::system().uuid().simple());
        self.tell(&format!("CREATE DATABASE {name}")).await;
        format!("{}/{name}{}", self.base, self.options)
    }

    /// Drops a database made here.
    pub(crate) async fn drop_database(&self, url: &str) {
        let name = url.rsplit('/').next().unwrap().split('?').next().unwrap();
        self.tell(&format!("DROP DATABASE {name} WITH (FORCE)")).await;
    }

    async fn tell(&self, text: &str) {
        sqlx::any::install_default_drivers();
        let url = format!("{}/postgres{}", self.base, self.options);
        let mut connection = AnyConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "tests are told of a server by the environment")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn find() -> Option<Server> {
    let told = std::env::var("FREEHOLD_TEST_POSTGRES").ok();
    if let Some(url) = told.as_deref().filter(|told| told.contains("://")) {
        let (address, options) = url.split_once('?').unwrap_or((url, ""));
        let base = address.rsplit_once('/').map_or(address, |(base, _)| base).to_owned();
        let options = if options.is_empty() { String::new() } else { format!("?{options}") };
        return Some(Server { base, options });
    }
    let told = told.map(PathBuf::from).filter(|folder| folder.join("initdb").exists());
    let Some(programs) = told.or_else(programs) else {
        eprintln!("SKIPPED: no PostgreSQL in /usr/lib/postgresql: install the package postgresql");
        return None;
    };
    // One process per test, children of the runner; or all tests in this process.
    let (run, watched) = match std::env::var("NEXTEST_RUN_ID") {
        Ok(run) => (run, parent_id()),
        Err(_) => (std::process::id().to_string(), std::process::id()),
    };
    Some(share(&programs, &run, watched))
}

/// The folder of the newest server programs on this machine.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
    let folders = versions.flatten().map(|version| version.path().join("bin"));
    let number = |bin: &PathBuf| {
        let version = bin.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<u32>().ok())
    };
    folders.filter(|bin| bin.join("initdb").exists()).max_by_key(number)
}

/// The server of this run, started where no other process has started it.
fn share(programs: &Path, run: &str, watched: u32) -> Server {
    let folder = std::env::temp_dir().join(format!("freehold-postgres-{run}"));
    fs::create_dir_all(&folder).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let address = folder.join("address");
    let base = fs::read_to_string(&address).unwrap_or_else(|_| {
        let base = start(programs, &folder, watched);
        fs::write(&address, &base).unwrap();
        base
    });
    Server { base, options: String::new() }
}

/// Starts a server, and a shell that ends it when process `watched` is gone.
#[expect(clippy::zombie_processes, reason = "the shell outlives us, and ends by itself")]
fn start(programs: &Path, folder: &Path, watched: u32) -> String {
    let user = postgres_user(folder);
    if let Some((uid, gid)) = user {
        chown(folder, Some(uid), Some(gid)).unwrap();
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    let data = folder.join("data");
    let mut initdb = as_user(&programs.join("initdb"), user);
    initdb.args([
        "--username=postgres",
        "--auth=trust",
        "--no-sync",
        "--locale=C",
        "--encoding=UTF8",
    ]);
    initdb.arg("--pgdata").arg(&data);
    let made = initdb.output().unwrap();
    assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut guard = as_user(Path::new("/bin/sh"), user);
    guard.arg("-c").arg(GUARD).arg("guard").arg(programs.join("postgres"));
    guard.arg(folder).arg(port.to_string()).arg(watched.to_string());
    guard.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    guard.spawn().unwrap();
    wait_for(&data, port);
    format!("postgres://postgres@127.0.0.1:{port}")
}

/// Runs the server until the run is over, then leaves nothing.
const GUARD: &str = r#"
"$1" -D "$2/data" -p "$3" -c listen_addresses=127.0.0.1 -c unix_socket_directories="$2" \
    -c fsync=off -c full_page_writes=off -c max_connections=300 -c autovacuum=off \
    >"$2/log" 2>&1 &
server=$!
while [ -d "/proc/$4" ] && kill -0 "$server"; do sleep 1; done
kill -INT "$server"
wait "$server"
rm -rf "$2"
"#;

fn as_user(program: &Path, user: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").stdin(Stdio::null());
    if let Some((uid, gid)) = user {
        command.uid(uid).gid(gid);
    }
    command
}

/// The user `postgres`, where we are root: the server refuses to be.
fn postgres_user(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder).unwrap().uid() != 0 {
        return None;
    }
    let mut users = String::new();
    File::open("/etc/passwd").unwrap().read_to_string(&mut users).unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let mut fields = line.expect("the package postgresql makes a user postgres").split(':').skip(2);
    let mut next = || fields.next().unwrap().parse().unwrap();
    Some((next(), next()))
}

/// Waits until the server says in its own file that it is ready.
fn wait_for(data: &Path, port: u16) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(START_MS_MAX) {
        let says = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
        if says.lines().any(|line| line.trim() == "ready") {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let log = fs::read_to_string(data.with_file_name("log")).unwrap_or_default();
    panic!("PostgreSQL did not start on port {port}: {log}");
}
