//! A throwaway PostgreSQL server from the machine's packages, and databases on it.
//!
//! Processes of one test run share a server: the first to come starts it, and it ends by itself
//! with the run, whatever becomes of the tests. It keeps nothing safe, so it is quick. Where the
//! machine has none, tests say so and pass.
//!
//! [`Fragile`] is a server of one test alone, which can be taken away and brought back.
//!
//! Always true: nothing outside its folder below the temporary folder is written, and the folder
//! goes with it; it listens on the loopback address and on a socket in its folder only.

use std::fs::{self, File, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::{CommandExt as _, parent_id};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{ports, processes};

/// Longest start of a server, with room for a busy machine.
const START_MS_MAX: u64 = 60_000;

/// A server on which databases can be made.
#[derive(Clone, Debug)]
pub struct Postgres {
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    /// The server of this run; none, said aloud, where the machine has none.
    pub fn find() -> Option<Self> {
        static FOUND: OnceLock<Option<Postgres>> = OnceLock::new();
        FOUND.get_or_init(find).clone()
    }

    /// Makes an empty database and gives its URL.
    pub fn make_database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        self.run("createdb", &["--template=template0", &name]);
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }

    /// Drops a database made here, whoever still uses it.
    pub fn drop_database(&self, url: &str) {
        let name = url.rsplit('/').next().expect("its name is the last part");
        self.run("dropdb", &["--force", name]);
    }

    fn run(&self, program: &str, words: &[&str]) {
        let mut command = Command::new(self.programs.join(program));
        command.args(["--host=127.0.0.1", "--username=postgres"]).current_dir("/");
        let done = command.arg(format!("--port={}", self.port)).args(words).output();
        let done = done.expect("it stands beside initdb");
        assert!(done.status.success(), "{program}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// A server of one test, which can be taken away and brought back.
#[derive(Debug)]
pub struct Fragile {
    programs: PathBuf,
    folder: TempDir,
    user: Option<(u32, u32)>,
    port: u16,
}

impl Fragile {
    /// Starts a server; none, said aloud, where the machine has none.
    pub fn start() -> Option<Self> {
        let programs = find_programs()?;
        let folder = tempfile::tempdir().expect("the temporary folder can be written");
        let user = init(&programs, folder.path());
        let mut guard = as_user(Path::new("/bin/sh"), user);
        guard.arg("-c").arg(FRAGILE_GUARD).arg("guard").arg(programs.join("pg_ctl"));
        guard.arg(folder.path()).arg(std::process::id().to_string());
        guard.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        processes::know(guard.spawn().expect("a shell can be run").id());
        let server = Self { programs, folder, user, port: ports::take().port() };
        server.go_on();
        Some(server)
    }

    /// Brings it back.
    pub fn go_on(&self) {
        let folder = self.folder.path().display();
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={folder} -c fsync=off",
            self.port
        );
        self.control(&["start", "--options", &options, "--log", &format!("{folder}/log")]);
        let pid = fs::read_to_string(self.folder.path().join("data/postmaster.pid"));
        let pid = pid.expect("it has started");
        let pid = pid.lines().next().and_then(|line| line.parse().ok());
        processes::know(pid.expect("the first line is its number"));
    }

    /// Takes it away at once, with every connection.
    pub fn stop(&self) {
        self.control(&["stop", "--mode=immediate"]);
    }

    /// The database that it came with.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn control(&self, words: &[&str]) {
        let mut control = as_user(&self.programs.join("pg_ctl"), self.user);
        control.args(words).arg("--wait").arg("--pgdata").arg(self.folder.path().join("data"));
        let status = control.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(status.expect("pg_ctl stands beside initdb").success(), "pg_ctl {words:?}");
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        let mut control = as_user(&self.programs.join("pg_ctl"), self.user);
        control.args(["stop", "--mode=immediate", "--wait", "--pgdata"]);
        let _ = control.arg(self.folder.path().join("data")).output();
    }
}

/// Ends the server of a test that was killed.
const FRAGILE_GUARD: &str = r#"
while [ -d "/proc/$3" ] && [ -d "$2" ]; do sleep 1; done
[ -d "$2" ] && "$1" stop --mode=immediate --wait --pgdata "$2/data"
rm -rf "$2"
"#;

#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn find_programs() -> Option<PathBuf> {
    let told = std::env::var_os("FREEHOLD_TEST_POSTGRES").map(PathBuf::from);
    let found = told.filter(|bin| bin.join("initdb").exists()).or_else(programs);
    if found.is_none() {
        eprintln!("SKIPPED: no PostgreSQL in /usr/lib/postgresql: install the package postgresql");
    }
    found
}

fn find() -> Option<Postgres> {
    let programs = find_programs()?;
    // One process per test, children of the runner; or all tests in this process.
    let (run, watched) = match std::env::var_os("NEXTEST_RUN_ID") {
        Some(run) => (run.to_string_lossy().into_owned(), parent_id()),
        None => (std::process::id().to_string(), std::process::id()),
    };
    let port = share(&programs, &run, watched);
    Some(Postgres { programs, port })
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

/// The port of this run's server, started where no other process has started it.
fn share(programs: &Path, run: &str, watched: u32) -> u16 {
    let folder = std::env::temp_dir().join(format!("freehold-postgres-{run}"));
    fs::create_dir_all(&folder).expect("the temporary folder can be written");
    let lock = File::create(folder.join("lock")).expect("the folder is ours");
    lock.lock().expect("locks work in the temporary folder");
    let kept = folder.join("port");
    if let Some(port) = fs::read_to_string(&kept).ok().and_then(|text| text.parse().ok()) {
        return port;
    }
    let port = start(programs, &folder, watched);
    fs::write(&kept, port.to_string()).expect("the folder is ours");
    port
}

/// Starts a server, and a shell that ends it when process `watched` is gone.
#[expect(clippy::zombie_processes, reason = "the shell outlives us, and ends by itself")]
fn start(programs: &Path, folder: &Path, watched: u32) -> u16 {
    let user = init(programs, folder);
    let data = folder.join("data");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let port = port.expect("the loopback has a free port").port();
    let mut guard = as_user(Path::new("/bin/sh"), user);
    guard.arg("-c").arg(GUARD).arg("guard").arg(programs.join("postgres"));
    guard.arg(folder).arg(port.to_string()).arg(watched.to_string());
    guard.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let guard = guard.spawn().expect("a shell can be run");
    processes::know(guard.id());
    wait_for(&data, port);
    port
}

/// Makes the files of a server in `folder/data`; gives the user that has to run it.
fn init(programs: &Path, folder: &Path) -> Option<(u32, u32)> {
    let user = postgres_user(folder);
    if let Some((uid, gid)) = user {
        chown(folder, Some(uid), Some(gid)).expect("root may give folders away");
    }
    fs::set_permissions(folder, Permissions::from_mode(0o700)).expect("the folder is ours");
    let mut initdb = as_user(&programs.join("initdb"), user);
    initdb.args([
        "--username=postgres",
        "--auth=trust",
        "--no-sync",
        "--locale=C",
        "--encoding=UTF8",
    ]);
    let made = initdb.arg("--pgdata").arg(folder.join("data")).output();
    let made = made.expect("initdb can be run");
    assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
    user
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
    if fs::metadata(folder).expect("the folder was just made").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("every machine has users");
    let line = users.lines().find(|line| line.starts_with("postgres:"));
    let line = line.expect("the package postgresql makes a user postgres");
    let mut numbers = line.split(':').skip(2).map(|field| field.parse().expect("ids are numbers"));
    numbers.next().zip(numbers.next())
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
