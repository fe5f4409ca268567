//! Settings of a server: flags, then `FREEHOLD_` variables, then a TOML file, then defaults.
//!
//! Always true: an unknown key of the file and an unknown `FREEHOLD_` variable are refused by
//! name, so that a misspelt setting is never lost.

#![allow(clippy::doc_markdown, reason = "these lines are help texts, which are no Markdown")]

mod smtp;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Deserialize;

use api::identity::PROCESS_LIFETIME_MS;
use types::Fleet;

use crate::exit::Failure;

/// Variables that are read elsewhere than in [`ServerArguments`].
const OTHER_VARIABLES: [&str; 5] = [
    "FREEHOLD_SERVER",
    "FREEHOLD_TOKEN",
    "FREEHOLD_AUTHORITY",
    "FREEHOLD_OUTPUT",
    "FREEHOLD_SETTINGS",
];
/// Variables with this beginning belong to the tests.
const TEST_PREFIX: &str = "FREEHOLD_TEST_";

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $field:ident: $type:ty, $env:literal $(, $more:meta)*;)*) => {
        /// Settings of a server, as given; defaults are filled in by [`Settings`].
        #[derive(Clone, Debug, Default, Args, Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        pub struct ServerArguments {
            /// A TOML file with any of these settings, named as the flags are
            #[arg(long, env = "FREEHOLD_SETTINGS", value_name = "FILE")]
            #[serde(skip)]
            pub settings: Option<PathBuf>,
            $(
                $(#[doc = $doc])+
                #[arg(long, env = $env $(, $more)*)]
                pub $field: Option<$type>,
            )*
        }

        impl ServerArguments {
            /// Every variable that gives one of these settings.
            const VARIABLES: &'static [&'static str] = &[$($env),*];

            /// These settings, and the file's where these say nothing.
            fn or(self, file: Self) -> Self {
                Self { settings: self.settings, $($field: self.$field.or(file.$field)),* }
            }
        }
    };
}

settings! {
    /// Folder of everything that is kept [default: freehold-data]
    data: PathBuf, "FREEHOLD_DATA", value_name = "DIR";
    /// Public address: API and inference over HTTP; port 0 takes any [default: 127.0.0.1:8000]
    listen: SocketAddr, "FREEHOLD_LISTEN", value_name = "ADDRESS";
    /// Public address of inference over gRPC [default: the next port after --listen]
    listen_grpc: SocketAddr, "FREEHOLD_LISTEN_GRPC", value_name = "ADDRESS";
    /// Address of /metrics [default: the second port after --listen]
    listen_metrics: SocketAddr, "FREEHOLD_LISTEN_METRICS", value_name = "ADDRESS";
    /// Address for agents and gateways on other machines, over mutual TLS [default: none for `up`, 127.0.0.1:8443 for `control`]
    listen_internal: SocketAddr, "FREEHOLD_LISTEN_INTERNAL", value_name = "ADDRESS";
    /// postgres://... or sqlite:///FILE [default: a SQLite file in the data folder]
    database: String, "FREEHOLD_DATABASE", value_name = "URL", hide_env_values = true;
    /// s3://BUCKET/PREFIX?endpoint=URL&region=..., or file:///DIR [default: a folder in the data folder]
    objects: String, "FREEHOLD_OBJECTS", value_name = "URL", hide_env_values = true;
    /// Where sealed events of streams are copied, for DuckDB, pandas or Spark, and for when a disk is lost: s3://... or file:///DIR [default: nowhere]
    segments: String, "FREEHOLD_SEGMENTS", value_name = "URL", hide_env_values = true;
    /// File with the key by which events of streams are encrypted that begin from now on, made by `freehold events-key new`; not in the data folder [default: none]
    events_key: PathBuf, "FREEHOLD_EVENTS_KEY", value_name = "FILE";
    /// File with the master key, 64 hex digits; made where absent [default: master.key in the data folder]
    master_key_file: PathBuf, "FREEHOLD_MASTER_KEY_FILE", value_name = "FILE";
    /// The master key itself, 64 hex digits, in place of a file
    master_key: String, "FREEHOLD_MASTER_KEY", value_name = "HEX", hide_env_values = true;
    /// Certificate chain for public listeners, PEM [default: one of our own, where an address is not loopback]
    tls_certificate: PathBuf, "FREEHOLD_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key";
    /// Private key of the certificate, PEM
    tls_key: PathBuf, "FREEHOLD_TLS_KEY", value_name = "FILE", requires = "tls_certificate";
    /// Endpoints also answer as ENDPOINT.ACCOUNT.DOMAIN [default: localhost]
    domain: String, "FREEHOLD_DOMAIN", value_name = "DOMAIN";
    /// The shared library of ONNX Runtime [default: looked for; `freehold status` says where]
    onnxruntime: PathBuf, "FREEHOLD_ONNXRUNTIME", value_name = "FILE";
    /// What makes the sandboxes of instances: process, crun, runc, runsc, auto, or the path of an OCI runtime [default: process]
    sandbox: String, "FREEHOLD_SANDBOX", value_name = "LEVEL";
    /// Private networks that functions and webhooks may reach where they name a place in them, as 10.1.0.0/16, with commas [default: none]
    egress_networks: String, "FREEHOLD_EGRESS_NETWORKS", value_name = "NETWORKS";
    /// Mail server for e-mails of triggers: smtps://HOST:PORT, or smtp://HOST:PORT which turns to TLS beyond this machine [default: none]
    smtp: String, "FREEHOLD_SMTP", value_name = "URL";
    /// By whom these e-mails are, as cloud@example.org
    smtp_from: String, "FREEHOLD_SMTP_FROM", value_name = "ADDRESS";
    /// As whom the mail server is asked
    smtp_user: String, "FREEHOLD_SMTP_USER", value_name = "NAME";
    /// File with that user's password
    smtp_password_file: PathBuf, "FREEHOLD_SMTP_PASSWORD_FILE", value_name = "FILE";
    /// What an agent's host is there for: hot, cold or dedicated=ACCOUNT; for `up` with several hosts one for each, parted by commas [default: cold; every second of several is hot]
    fleet: String, "FREEHOLD_FLEET", value_name = "FLEET";
    /// Hosts that `up` runs, with equal shares of this machine [default: 1]
    hosts: u32, "FREEHOLD_HOSTS", value_name = "NUMBER";
    /// Requests per second that one token may make; 0 for no limit [default: 0]
    rate_limit: u32, "FREEHOLD_RATE_LIMIT", value_name = "NUMBER";
    /// Largest request body of an inference, in MiB [default: 64]
    body_limit: u64, "FREEHOLD_BODY_LIMIT", value_name = "MIB";
    /// Seconds that in-flight requests may take to finish at a stop [default: 20]
    stop_grace: u64, "FREEHOLD_STOP_GRACE", value_name = "SECONDS";
    /// Seconds that a certificate of an agent or gateway holds; each renews its own in time [default: 2592000, 30 days]
    certificate_lifetime: u64, "FREEHOLD_CERTIFICATE_LIFETIME", value_name = "SECONDS";
    /// Which log lines: error, warn, info, debug, or tracing's filter syntax [default: info]
    log: String, "FREEHOLD_LOG", value_name = "FILTER";
    /// text or json [default: text]
    log_format: String, "FREEHOLD_LOG_FORMAT", value_name = "FORMAT";
    /// Send traces to this OpenTelemetry collector, over HTTP
    otlp: String, "FREEHOLD_OTLP", value_name = "URL";
}

/// Settings of a server, complete.
#[derive(Clone, Debug)]
pub struct Settings {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub listen_grpc: SocketAddr,
    pub listen_metrics: SocketAddr,
    pub listen_internal: Option<SocketAddr>,
    pub database: String,
    pub objects: String,
    /// Where sealed events are copied.
    pub segments: Option<String>,
    /// File with what seals the keys of streams.
    pub events_key: Option<PathBuf>,
    pub master_key_file: PathBuf,
    pub master_key: Option<String>,
    pub tls: Option<(PathBuf, PathBuf)>,
    pub domain: String,
    pub onnxruntime: Option<PathBuf>,
    pub sandbox: executor::Choice,
    pub egress_networks: Vec<policy::egress::Network>,
    /// By which server e-mails are sent, if by any.
    pub smtp: Option<gateway::mail::Smtp>,
    /// What each host is there for; one in a process of its own, or as many as `up` runs.
    pub fleets: Vec<Fleet>,
    /// Requests per second; 0 for no limit.
    pub rate_limit: u32,
    pub body_bytes_max: u64,
    pub stop_grace_ms: u64,
    pub certificate_ms: u64,
    pub log: String,
    pub log_json: bool,
    pub otlp: Option<String>,
}

const MIB: u64 = 1 << 20;
/// Most hosts of one process: each has its own sandboxes, and a share of the machine that has to be
/// of use to something.
const HOSTS_MAX: u32 = 64;
/// The shortest lifetime of a certificate: the last third of it has to do for the next one.
const CERTIFICATE_MS_MIN: u64 = 10_000;
/// The longest one: a year. Revoking one that was stolen needs its process to enrol again.
const CERTIFICATE_MS_MAX: u64 = 365 * 24 * 3_600_000;

impl Settings {
    /// Reads the file, where one is named, and fills in the defaults.
    pub fn resolve(arguments: ServerArguments) -> Result<Self, Failure> {
        let given = match arguments.settings.clone() {
            None => arguments,
            Some(path) => arguments.or(read_file(&path)?),
        };
        let smtp = smtp::resolve(&given)?;
        let data = given.data.unwrap_or_else(|| PathBuf::from("freehold-data"));
        let data = std::path::absolute(&data)
            .map_err(|error| Failure::usage(format!("--data {}: {error}", data.display())))?;
        let listen = given.listen.unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 8000)));
        let log_json = match given.log_format.as_deref() {
            None | Some("text") => false,
            Some("json") => true,
            Some(other) => {
                return Err(Failure::usage(format!("--log-format {other:?}: use text or json")));
            }
        };
        let sandbox = given.sandbox.as_deref().map(str::parse).transpose();
        let sandbox = sandbox.map_err(|error| Failure::usage(format!("--sandbox {error}")))?;
        let networks = given.egress_networks.unwrap_or_default();
        let networks = networks.split(',').map(str::trim).filter(|text| !text.is_empty());
        let networks = networks.map(str::parse).collect::<Result<_, _>>();
        let egress_networks = networks
            .map_err(|error: String| Failure::usage(format!("--egress-networks: {error}")))?;
        let fleets = fleets(given.hosts.unwrap_or(1), given.fleet.as_deref())?;
        let certificate_ms = given.certificate_lifetime.map(certificate_ms).transpose()?;
        Ok(Self {
            listen,
            listen_grpc: given.listen_grpc.unwrap_or_else(|| beside(listen, 1)),
            listen_metrics: given.listen_metrics.unwrap_or_else(|| beside(listen, 2)),
            listen_internal: given.listen_internal,
            database: given
                .database
                .unwrap_or_else(|| format!("sqlite://{}", data.join("freehold.db").display())),
            objects: given
                .objects
                .unwrap_or_else(|| format!("file://{}", data.join("objects").display())),
            segments: given.segments,
            events_key: given.events_key.map(|file| outside(&data, file)).transpose()?,
            master_key_file: given.master_key_file.unwrap_or_else(|| data.join("master.key")),
            master_key: given.master_key,
            tls: given.tls_certificate.zip(given.tls_key),
            domain: given.domain.unwrap_or_else(|| "localhost".to_owned()),
            onnxruntime: given.onnxruntime,
            sandbox: sandbox.unwrap_or_default(),
            egress_networks,
            smtp,
            fleets,
            rate_limit: given.rate_limit.unwrap_or(0),
            body_bytes_max: given.body_limit.unwrap_or(64).saturating_mul(MIB),
            stop_grace_ms: given.stop_grace.unwrap_or(20).saturating_mul(1_000),
            certificate_ms: certificate_ms.unwrap_or(PROCESS_LIFETIME_MS),
            log: given.log.unwrap_or_else(|| "info".to_owned()),
            log_json,
            otlp: given.otlp,
            data,
        })
    }

    /// The way out of this machine to what users name: not to the control plane at that URL, where
    /// it is on another.
    pub fn door(&self, control: Option<&str>) -> egress::Door {
        let host = control
            .and_then(|url| url.parse::<http::Uri>().ok())
            .and_then(|url| url.host().map(|host| host.trim_matches(['[', ']']).to_owned()));
        egress::Door::new(self.egress_networks.clone(), host.into_iter().collect())
    }
}

/// A file of keys: whoever gets the data folder, or a copy of it, must not get it too.
fn outside(data: &Path, file: PathBuf) -> Result<PathBuf, Failure> {
    let real = |path: &Path| path.canonicalize().or_else(|_| std::path::absolute(path));
    let is_within =
        real(&file).ok().zip(real(data).ok()).is_some_and(|(it, of)| it.starts_with(of));
    if !is_within {
        return Ok(file);
    }
    let told = format!("--events-key {}: it is in the data folder", file.display());
    Err(Failure::usage(told)
        .hint("keep it elsewhere: whoever gets the data must not get its key too"))
}

/// What each of so many hosts is there for: as given, or else every second one is hot.
fn fleets(hosts: u32, given: Option<&str>) -> Result<Vec<Fleet>, Failure> {
    if !(1..=HOSTS_MAX).contains(&hosts) {
        return Err(Failure::usage(format!("--hosts {hosts}: use 1 to {HOSTS_MAX}")));
    }
    let Some(given) = given else {
        let fleet = |host| if host % 2 == 0 { Fleet::Cold } else { Fleet::Hot };
        return Ok((0..hosts).map(fleet).collect());
    };
    let fleets: Result<Vec<Fleet>, _> = given.split(',').map(str::parse).collect();
    let fleets = fleets.map_err(|error| Failure::usage(format!("--fleet {error}")))?;
    if u32::try_from(fleets.len()) == Ok(hosts) {
        return Ok(fleets);
    }
    let told = format!("--fleet {given:?} is {} for {hosts} of --hosts", fleets.len());
    Err(Failure::usage(told).hint("name one for each, such as --hosts 3 --fleet cold,hot,hot"))
}

/// A lifetime of certificates in milliseconds, from seconds.
fn certificate_ms(seconds: u64) -> Result<u64, Failure> {
    let ms = seconds.saturating_mul(1_000);
    if (CERTIFICATE_MS_MIN..=CERTIFICATE_MS_MAX).contains(&ms) {
        return Ok(ms);
    }
    Err(Failure::usage(format!("--certificate-lifetime {seconds}: use 10 to 31536000 seconds")))
}

/// The port `steps` after another; any port after any port.
fn beside(address: SocketAddr, steps: u16) -> SocketAddr {
    let port = if address.port() == 0 { 0 } else { address.port().saturating_add(steps) };
    SocketAddr::new(address.ip(), port)
}

fn read_file(path: &Path) -> Result<ServerArguments, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("--settings {}: {error}", path.display())))?;
    toml::from_str(&text)
        .map_err(|error| Failure::usage(format!("--settings {}: {error}", path.display())))
}

/// Refuses a `FREEHOLD_` variable that gives no setting.
pub fn refuse_unknown_variables() -> Result<(), Failure> {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("FREEHOLD_")) else {
            continue;
        };
        let known = ServerArguments::VARIABLES.contains(&name)
            || OTHER_VARIABLES.contains(&name)
            || ProcessArguments::VARIABLES.contains(&name)
            || name.starts_with(TEST_PREFIX);
        if !known {
            return Err(Failure::usage(format!("{name} is set, but there is no such setting"))
                .hint("`freehold up --help` lists the variables; unset this one or correct it"));
        }
    }
    Ok(())
}

/// Arguments of a gateway or an agent that runs alone.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ProcessArguments {
    #[command(subcommand)]
    pub command: Option<ProcessCommand>,
    /// Address of control, such as https://control:8443
    #[arg(long, env = "FREEHOLD_CONTROL", value_name = "URL")]
    pub control: Option<String>,
    /// An agent's address for gateways on other hosts, over mutual TLS [default: 127.0.0.1:8444]
    #[arg(long, env = "FREEHOLD_LISTEN_DATA", value_name = "ADDRESS")]
    pub listen_data: Option<SocketAddr>,
    #[command(flatten)]
    pub server: ServerArguments,
}

impl ProcessArguments {
    const VARIABLES: &'static [&'static str] = &["FREEHOLD_CONTROL", "FREEHOLD_LISTEN_DATA"];
}

/// What a gateway or agent does besides running.
#[derive(Clone, Debug, Subcommand)]
pub enum ProcessCommand {
    /// Get a certificate for this machine with a token made by `freehold status --enrol`
    Enrol {
        /// The token, which carries the fingerprint of control's authority
        token: String,
        /// Address of control
        #[arg(long, env = "FREEHOLD_CONTROL", value_name = "URL")]
        control: String,
        /// Folder that keeps the certificate
        #[arg(long, env = "FREEHOLD_DATA", default_value = "freehold-data", value_name = "DIR")]
        data: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let file: ServerArguments =
            toml::from_str("domain = \"a.example\"\nrate-limit = 7\n").unwrap();
        let flags =
            ServerArguments { domain: Some("b.example".to_owned()), ..ServerArguments::default() };
        let settings = Settings::resolve(flags.or(file)).unwrap();
        assert_eq!((settings.domain.as_str(), settings.rate_limit), ("b.example", 7));
        assert_eq!(settings.listen_grpc.port(), 8001);
    }

    #[test]
    fn certificates_hold_neither_too_short_nor_too_long() {
        let resolve = |seconds| {
            let certificate_lifetime = Some(seconds);
            let given = ServerArguments { certificate_lifetime, ..ServerArguments::default() };
            Settings::resolve(given).map(|settings| settings.certificate_ms)
        };
        assert_eq!(resolve(10).unwrap(), 10_000);
        assert_eq!(resolve(31_536_000).unwrap(), CERTIFICATE_MS_MAX);
        for wrong in [0, 9, 31_536_001, u64::MAX] {
            assert_eq!(resolve(wrong).unwrap_err().exit, 2);
        }
    }

    #[test]
    fn the_key_of_events_is_not_kept_with_them() {
        let resolve = |file: &str| {
            let (data, events_key) = (Some("some/data".into()), Some(file.into()));
            Settings::resolve(ServerArguments { data, events_key, ..ServerArguments::default() })
        };
        assert_eq!(resolve("some/data/../data/a.key").unwrap_err().exit, 2);
        assert_eq!(resolve("some/data/a.key").unwrap_err().exit, 2);
        let settings = resolve("some/a.key").unwrap();
        assert_eq!(settings.events_key, Some(PathBuf::from("some/a.key")));
    }

    #[test]
    fn every_host_has_a_fleet() {
        let resolve = |hosts, fleet: Option<&str>| {
            let fleet = fleet.map(ToOwned::to_owned);
            let given = ServerArguments { fleet, hosts, ..ServerArguments::default() };
            Settings::resolve(given).map(|settings| settings.fleets)
        };
        assert_eq!(resolve(None, None).unwrap(), [Fleet::Cold], "alone it serves everybody");
        assert_eq!(resolve(Some(3), None).unwrap(), [Fleet::Cold, Fleet::Hot, Fleet::Cold]);
        let own = Fleet::Dedicated("acme".parse().unwrap());
        assert_eq!(resolve(Some(2), Some("hot,dedicated=acme")).unwrap(), [Fleet::Hot, own]);
        for (hosts, fleet) in [
            (Some(0), None),
            (Some(65), None),
            (None, Some("warm")),
            (None, Some("hot,cold")),
            (Some(2), Some("hot")),
        ] {
            assert_eq!(resolve(hosts, fleet).unwrap_err().exit, 2, "{hosts:?} {fleet:?}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused_by_name() {
        let error = toml::from_str::<ServerArguments>("domian = \"x\"").unwrap_err();
        assert!(error.to_string().contains("domian"), "{error}");
    }
}
