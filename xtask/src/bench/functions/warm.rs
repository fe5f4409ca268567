//! What a call of a function that runs costs: through the gateway, beside a server that does nothing
//! but give requests to instances in the same sandboxes, and beside a server of isolates.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use super::super::cloud::{Cloud, Plan};
use super::super::tools::{Server, Tools, number};
use super::super::{Row, median};
use super::workerd;
use crate::places::Places;
use crate::{Failure, process};

/// Runs that take turns with those of what they are measured beside.
const RUNS: usize = 5;
/// Callers of the rows of throughput: enough that no processor waits for one. Each has an instance of
/// its own where the memory of so many is there; else calls wait for one another.
const CALLERS: &str = "8";
/// Memory that comes with a whole processor, as the instances beside have one.
const MEMORY_MIB: &str = "1769";
/// Instances beside: as many as run calls at one time.
const INSTANCES: &str = CALLERS;

/// What the gateway and the agent may add to a call of one client.
const ADDED_P50_US_MAX: f64 = 150.0;
const ADDED_P99_US_MAX: f64 = 1_000.0;
/// Calls a second of the native function; Python's own work sets those of the other.
const PER_S_MIN: f64 = 10_000.0;

/// A cloud with functions that echo.
pub(super) struct World<'a> {
    pub(super) tools: &'a Tools,
    pub(super) cloud: Cloud,
    plan: Plan,
}

/// A kind of function: its name, which is that of its folder too, its runtime, and its handler.
pub(super) const KINDS: [(&str, &str, &str); 2] =
    [("native", "provided", ""), ("python", "python3", "app.handler")];

impl<'a> World<'a> {
    /// Starts the cloud, and makes the functions.
    pub(super) fn start(places: &Places, tools: &'a Tools) -> Result<Self, Failure> {
        let plan = Plan::new(places, "functions")?;
        let mut cloud = plan.start()?;
        cloud.enter()?;
        let world = Self { tools, cloud, plan };
        for (kind, runtime, handler) in KINDS {
            let folder = world.folder(kind)?;
            let code = folder.display().to_string();
            let mut words = vec!["function", "create", kind, "--code", &code, "--runtime", runtime];
            words.extend(["--memory", MEMORY_MIB]);
            if !handler.is_empty() {
                words.extend(["--handler", handler]);
            }
            world.cloud.run(&words)?;
        }
        Ok(world)
    }

    /// The folder of a function's code.
    pub(super) fn folder(&self, kind: &str) -> Result<PathBuf, Failure> {
        let folder = self.plan.data.join(format!("code-{kind}"));
        let failed = |error| Failure::at(folder.display(), error);
        fs::create_dir_all(&folder).map_err(failed)?;
        if kind == "native" {
            let program = folder.join("bootstrap");
            fs::copy(self.tools.program("bench-functions"), &program).map_err(failed)?;
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(program, mode).map_err(failed)?;
        } else {
            let code = "def handler(event, context):\n    return event\n";
            fs::write(folder.join("app.py"), code).map_err(failed)?;
        }
        Ok(folder)
    }

    /// Stops the cloud, and removes what it had.
    pub(super) fn stop(self) -> Result<(), Failure> {
        self.cloud.stop()?;
        self.plan.clean();
        Ok(())
    }

    /// Asks this path at this address; what the load generator tells.
    pub(super) fn ask(
        &self,
        (address, path): (&str, &str),
        words: &[&str],
    ) -> Result<serde_json::Value, Failure> {
        let (path, token) = (format!("path={path}"), format!("token={}", self.cloud.token()));
        let asked = ["rest", address, &path, &token];
        self.tools.load(None, &[asked.as_slice(), words].concat())
    }

    /// Every row of calls.
    pub(super) fn rows(&self, places: &Places) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        let isolates = workerd::start(places);
        for (kind, ..) in KINDS {
            let mut command = Command::new(self.tools.program("bench-functions"));
            command.args(["serve", kind, INSTANCES]);
            let (server, bare) = Server::that_says_its_address(&mut command)?;
            rows.extend(self.kind(kind, &bare, isolates.as_ref().map(|(_, at)| at.as_str()))?);
            // It is killed, and so cannot do it.
            let left = std::env::temp_dir().join(format!("freehold-bench-{}", server.0.id()));
            drop(server);
            let _ = fs::remove_dir_all(left);
        }
        Ok(rows)
    }

    fn kind(&self, kind: &str, bare: &str, isolates: Option<&str>) -> Result<Vec<Row>, Failure> {
        let gateway = self.cloud.addresses.http.to_string();
        let path = format!("/v1/functions/{kind}/invocations");
        let ours = (gateway.as_str(), path.as_str());
        let mut seen = Seen::default();
        for _ in 0..RUNS {
            for (place, at) in [Some(ours), Some((bare, "/")), isolates.map(|at| (at, "/"))]
                .into_iter()
                .enumerate()
            {
                let Some(at) = at else { continue };
                let (one, many) =
                    (self.ask(at, &[])?, self.ask(at, &[&format!("clients={CALLERS}")])?);
                seen.p50[place].push(number(&one, "p50_us")?);
                seen.p99[place].push(number(&one, "p99_us")?);
                seen.per_s[place].push(number(&many, "per_second")?);
            }
        }
        let rows = seen.rows(kind, isolates.is_some());
        for row in &rows {
            process::tell(&format!("{}: {}; {}", row.work, row.measured, row.beside));
        }
        Ok(rows)
    }
}

/// What was measured: of ours, of the bare server, of isolates.
#[derive(Default)]
struct Seen {
    p50: [Vec<f64>; 3],
    p99: [Vec<f64>; 3],
    per_s: [Vec<f64>; 3],
}

impl Seen {
    fn rows(self, kind: &str, isolates: bool) -> Vec<Row> {
        let name = workerd::NAME;
        let row = |what: &str, [our, bare, other]: [Vec<f64>; 3], max: f64| {
            let added = median(our.iter().zip(&bare).map(|(our, bare)| our - bare).collect());
            let (our, bare, other) = (median(our), median(bare), median(other));
            let other = if isolates { format!(", {name} {other:.0} µs") } else { String::new() };
            Row {
                work: format!("{kind}: a call of one that runs, 1 caller: {what}"),
                measured: format!("{our:.0} µs, {added:.0} µs added"),
                beside: format!("a bare server of the same instances {bare:.0} µs{other}"),
                must: format!("added ≤ {max} µs"),
                reached: added <= max,
            }
        };
        let native = kind == KINDS[0].0;
        let [our, bare, other] = self.per_s.map(median);
        let told = if isolates { format!(", {name} {other:.0} /s") } else { String::new() };
        vec![
            row("p50", self.p50, ADDED_P50_US_MAX),
            row("p99", self.p99, ADDED_P99_US_MAX),
            Row {
                work: format!("{kind}: calls a second, {CALLERS} callers, all on this machine"),
                measured: format!("{our:.0} /s"),
                beside: format!("a bare server of the same instances {bare:.0} /s{told}"),
                must: if native { format!("≥ {PER_S_MIN} /s") } else { String::new() },
                reached: !native || our >= PER_S_MIN,
            },
        ]
    }
}
