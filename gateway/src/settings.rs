//! Settings of the gateway. Every limit has a name, a unit, a default and a reason.
//!
//! Absent on purpose: reading them. Only the binary reads files, flags and the environment.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::mail::Smtp;
use crate::trust::Proof;

/// What a gateway may be told.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What this gateway is called in usage reports; with its start it makes them unique.
    pub name: String,
    /// Where it keeps events of streams and what replays recorded; without one it has neither.
    pub folder: Option<PathBuf>,
    /// Where sealed events of streams are copied, for other programs and for when its disk is lost.
    #[serde(skip)]
    pub copies: Option<objects::Files>,
    /// What seals the keys of streams and runs that begin, so that they are encrypted; without it none
    /// is that begins, and what is encrypted cannot be read.
    #[serde(skip)]
    pub events_keys: Option<objects::Vault>,
    /// The socket by which its own replays come in, served by whoever runs it; only its owner may
    /// open it. Without one it sends none.
    pub replay_socket: Option<PathBuf>,
    /// The domain under which an endpoint has its own host name, `<endpoint>.<account>.<domain>`.
    /// None by default: bare `/ping` and `/invocations` are then not served.
    pub base_domain: Option<String>,
    /// Whether its public address speaks TLS: what is told of that address says so.
    pub tls: bool,
    /// Largest request body, before and after decompression, in bytes. 64 MiB holds an image batch
    /// and keeps a thousand of them within reach of one machine.
    pub body_bytes_max: usize,
    /// Longest pause between two parts of a body, in milliseconds; a slower client is let go.
    pub body_pause_ms_max: u64,
    /// Most requests answered at one time; more are told to come back.
    pub requests_max: usize,
    /// Most requests of one caller answered at one time, so that none can fill the gateway alone.
    pub requests_per_caller_max: usize,
    /// Most requests under way at one instance; batching needs a few, a queue adds only waiting.
    pub requests_per_backend_max: usize,
    /// Most connections to one instance. One carries many requests; a second one lets small
    /// requests pass large ones.
    pub connections_per_backend_max: usize,
    /// Longest wait for a connection to an instance, in milliseconds.
    pub connect_ms_max: u64,
    /// How long to look for the answer of an instance that has nothing else under way, in
    /// microseconds, before sleeping: see `policy::polling`. 0, for never, where the processors are
    /// not told.
    pub look_us_max: u64,
    /// Most bytes waiting to be sent over one connection.
    pub outbox_bytes_max: usize,
    /// Requests that one caller earns in a minute; 0 for no limit. The default keeps one caller
    /// from using up a gateway, and is above what one connection can ask.
    pub rate_per_min: u32,
    /// Requests that one caller may save up, so that a burst after a pause is served.
    pub rate_burst: u32,
    /// How long control may hold the answer to a watch, in milliseconds.
    pub watch_wait_ms: u64,
    /// Between two reports of usage, in milliseconds.
    pub usage_period_ms: u64,
    /// Between two looks at how right captured answers were, in milliseconds. Labels come seldom sooner
    /// than within minutes, and each look reads what windows have.
    pub right_period_ms: u64,
    /// How this gateway shows itself to agents on other hosts, and knows them. Without it only
    /// instances on this host are reached.
    #[serde(skip)]
    pub proof: Option<Proof>,
    /// Whether a collector is told of calls of functions.
    pub traces: bool,
    /// Where webhooks may be.
    #[serde(skip)]
    pub door: egress::Door,
    /// By which server e-mails are sent; without one none are.
    #[serde(skip)]
    pub smtp: Option<Smtp>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: "gateway".to_owned(),
            folder: None,
            copies: None,
            events_keys: None,
            replay_socket: None,
            base_domain: None,
            tls: false,
            body_bytes_max: 64 << 20,
            body_pause_ms_max: 10_000,
            requests_max: 1_024,
            requests_per_caller_max: 512,
            requests_per_backend_max: 256,
            connections_per_backend_max: 2,
            connect_ms_max: 2_000,
            look_us_max: 0,
            outbox_bytes_max: 256 << 20,
            rate_per_min: 3_000_000,
            rate_burst: 100_000,
            watch_wait_ms: 20_000,
            usage_period_ms: 1_000,
            right_period_ms: 10_000,
            proof: None,
            traces: false,
            door: egress::Door::default(),
            smtp: None,
        }
    }
}
