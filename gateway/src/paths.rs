//! Paths: which request is meant, from its method, path and host alone.
//!
//! Always true: `/v2` and `/v2/` stay two paths; names are percent-decoded once, after the path was
//! split; nothing but `/v1` and Lambda's dates, and below, goes to control (and of that not the calls of
//! functions), and of `/v1` never a path with `.` or `..` in it.

use std::borrow::Cow;

use api::functions::urls::{URL_HOST_LABEL, URLS_PATH};
use http::Method;
use percent_encoding::percent_decode_str;
use types::UrlId;

use crate::error::Error;
use crate::streams::StreamVerb;

/// What is asked about a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Metadata,
    Ready,
    Config,
    Statistics,
    Infer,
}

/// What is asked of a function in Lambda's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LambdaVerb {
    Invoke,
    /// The form before event invocations, which always has an event kept.
    InvokeAsync,
    Stream,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    Live,
    Ready,
    Server,
    Index,
    AllStatistics,
    Model {
        model: Cow<'a, str>,
        version: Cow<'a, str>,
        verb: Verb,
    },
    Ping {
        endpoint: Cow<'a, str>,
    },
    Invocations {
        endpoint: Cow<'a, str>,
    },
    Function {
        function: Cow<'a, str>,
    },
    Lambda {
        function: Cow<'a, str>,
        verb: LambdaVerb,
    },
    Service {
        account: Cow<'a, str>,
        service: Cow<'a, str>,
        rest: &'a str,
    },
    Stream {
        stream: Cow<'a, str>,
        verb: StreamVerb,
    },
    /// Whether conditions hold of an event.
    Rule,
    /// What a replay recorded.
    Records {
        run: Cow<'a, str>,
    },
    /// How a replay went over its time.
    Series {
        run: Cow<'a, str>,
    },
    /// Whether a replay's answers are as another's were.
    RunDrift {
        run: Cow<'a, str>,
    },
    /// A function, by its URL.
    Url {
        id: &'a str,
        rest: &'a str,
    },
    Management,
    /// What is at the cloud's own address.
    Root,
    /// A file or a page of the web console, by what follows `/console`.
    Console {
        rest: &'a str,
    },
}

/// What has a host name of its own, below the cloud's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OwnHost {
    /// An endpoint, as `account.endpoint`.
    Endpoint(String),
    Service {
        account: String,
        service: String,
    },
    /// A function's URL, by its id.
    Url(String),
}

/// The shape of a protocol's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// `{"error": …}`.
    Oip,
    /// Problem details.
    Problem,
    /// Those of AWS's services.
    Lambda,
    /// Those of functions' URLs.
    Url,
}

/// The shape of errors under a path, of a host name that somebody has.
pub(crate) fn shape(path: &str, own: Option<&OwnHost>) -> Shape {
    let by_path = path.starts_with(URLS_PATH) && !matches!(own, Some(OwnHost::Service { .. }));
    match path.strip_prefix("/v2") {
        _ if by_path || matches!(own, Some(OwnHost::Url(_))) => Shape::Url,
        Some(rest) if rest.is_empty() || rest.starts_with('/') => Shape::Oip,
        _ if types::functions::is_dated(path) => Shape::Lambda,
        _ => Shape::Problem,
    }
}

impl<'a> Target<'a> {
    /// Reads what a request asks; `own` is what has the host name that was used.
    ///
    /// # Errors
    ///
    /// [`Error::NoPath`] and [`Error::NoMethod`].
    pub(crate) fn read(
        method: &Method,
        path: &'a str,
        own: Option<&'a OwnHost>,
    ) -> Result<Self, Error> {
        let target = match own {
            Some(OwnHost::Service { account, service }) => {
                let (account, service) = (account.as_str().into(), service.as_str().into());
                Some(Self::Service { account, service, rest: path })
            }
            Some(OwnHost::Url(id)) => Some(Self::Url { id, rest: path }),
            Some(OwnHost::Endpoint(endpoint)) => Self::of_path(path, Some(endpoint)),
            None => Self::of_path(path, None),
        };
        let target = target.ok_or(Error::NoPath)?;
        let allow = target.allow();
        let taken = match allow {
            "" => true,
            "GET" => method == Method::GET || method == Method::HEAD,
            "POST" => method == Method::POST,
            _ => method == Method::GET || method == Method::HEAD || method == Method::POST,
        };
        if taken { Ok(target) } else { Err(Error::NoMethod { allow }) }
    }

    /// The path as metrics name it: without names of models.
    pub(crate) fn route(&self) -> &'static str {
        match self {
            Self::Live => "/v2/health/live",
            Self::Ready => "/v2/health/ready",
            Self::Server => "/v2",
            Self::Index => "/v2/repository/index",
            Self::AllStatistics => "/v2/models/stats",
            Self::Model { verb: Verb::Metadata, .. } => "/v2/models/{model}",
            Self::Model { verb: Verb::Ready, .. } => "/v2/models/{model}/ready",
            Self::Model { verb: Verb::Config, .. } => "/v2/models/{model}/config",
            Self::Model { verb: Verb::Statistics, .. } => "/v2/models/{model}/stats",
            Self::Model { verb: Verb::Infer, .. } => "/v2/models/{model}/infer",
            Self::Ping { .. } => "/endpoints/{endpoint}/ping",
            Self::Invocations { .. } => "/endpoints/{endpoint}/invocations",
            Self::Function { .. } => "/v1/functions/{function}/invocations",
            Self::Lambda { verb: LambdaVerb::Invoke, .. } => {
                "/2015-03-31/functions/{function}/invocations"
            }
            Self::Lambda { verb: LambdaVerb::InvokeAsync, .. } => {
                "/2014-11-13/functions/{function}/invoke-async"
            }
            Self::Lambda { verb: LambdaVerb::Stream, .. } => {
                "/2021-11-15/functions/{function}/response-streaming-invocations"
            }
            Self::Service { .. } => "/services/{account}/{service}",
            Self::Stream { verb: StreamVerb::Events, .. } => "/v1/streams/{stream}/events",
            Self::Stream { verb: StreamVerb::Imports, .. } => "/v1/streams/{stream}/imports",
            Self::Stream { verb: StreamVerb::Stats, .. } => "/v1/streams/{stream}/stats",
            Self::Stream { verb: StreamVerb::Labels, .. } => "/v1/streams/{stream}/labels",
            Self::Stream { verb: StreamVerb::Synthetic, .. } => "/v1/streams/{stream}/synthetic",
            Self::Stream { verb: StreamVerb::Forget, .. } => "/v1/streams/{stream}/forget",
            Self::Rule => "/v1/rules/answers",
            Self::Stream { verb: StreamVerb::Drift, .. } => "/v1/streams/{stream}/drift",
            Self::Records { .. } => "/v1/runs/{run}/records",
            Self::Series { .. } => "/v1/runs/{run}/series",
            Self::RunDrift { .. } => "/v1/runs/{run}/drift",
            Self::Url { .. } => "/urls/{id}",
            Self::Management => "/v1",
            Self::Root => "/",
            Self::Console { .. } => "/console",
        }
    }

    /// The methods it takes; empty where control, a service, or a function decides.
    fn allow(&self) -> &'static str {
        match self {
            Self::Model { verb: Verb::Infer, .. }
            | Self::Invocations { .. }
            | Self::Function { .. }
            | Self::Rule
            | Self::Stream {
                verb:
                    StreamVerb::Imports
                    | StreamVerb::Labels
                    | StreamVerb::Synthetic
                    | StreamVerb::Forget,
                ..
            }
            | Self::Lambda { .. } => "POST",
            Self::Index | Self::Stream { verb: StreamVerb::Events, .. } => "GET, POST",
            Self::Management | Self::Service { .. } | Self::Url { .. } => "",
            _ => "GET",
        }
    }

    fn of_path(path: &'a str, own: Option<&'a str>) -> Option<Self> {
        if let Some(rest) = path.strip_prefix("/v2/models/") {
            return Self::of_model(rest);
        }
        if let Some(rest) = path.strip_prefix("/endpoints/") {
            let (endpoint, verb) = rest.split_once('/')?;
            let endpoint = decode(endpoint)?;
            return match verb {
                "ping" => Some(Self::Ping { endpoint }),
                "invocations" => Some(Self::Invocations { endpoint }),
                _ => None,
            };
        }
        if let Some(rest) = path.strip_prefix("/services/") {
            let (account, rest) = rest.split_once('/')?;
            let (service, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let (account, service) = (decode(account)?, decode(service)?);
            return Some(Self::Service { account, service, rest });
        }
        if let Some(rest) = path.strip_prefix(URLS_PATH) {
            let (id, rest) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            return Some(Self::Url { id, rest });
        }
        if let Some(rest) = path.strip_prefix("/v1/functions/")
            && let Some((function, "invocations")) = rest.split_once('/')
        {
            return decode(function).map(|function| Self::Function { function });
        }
        if types::functions::is_dated(path) {
            return Self::of_lambda(path);
        }
        if let Some(found) = Self::of_events(path) {
            return Some(found);
        }
        if let (None, Some(rest)) = (own, path.strip_prefix("/console"))
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return Some(Self::Console { rest });
        }
        match path {
            "/" if own.is_none() => Some(Self::Root),
            "/v2" => Some(Self::Server),
            "/v2/health/live" => Some(Self::Live),
            "/v2/health/ready" => Some(Self::Ready),
            "/v2/repository/index" => Some(Self::Index),
            "/ping" => own.map(|endpoint| Self::Ping { endpoint: endpoint.into() }),
            "/invocations" => own.map(|endpoint| Self::Invocations { endpoint: endpoint.into() }),
            _ if path == "/v1" || path.starts_with("/v1/") => {
                (!has_dots(path)).then_some(Self::Management)
            }
            _ => None,
        }
    }

    /// Of streams and replays, what has events in it is answered here and the rest by control.
    fn of_events(path: &'a str) -> Option<Self> {
        if path == "/v1/rules/answers" {
            return Some(Self::Rule);
        }
        if let Some(rest) = path.strip_prefix("/v1/runs/") {
            let (run, verb) = rest.split_once('/')?;
            let run = decode(run)?;
            return match verb {
                "records" => Some(Self::Records { run }),
                "series" => Some(Self::Series { run }),
                "drift" => Some(Self::RunDrift { run }),
                _ => None,
            };
        }
        let (stream, verb) = path.strip_prefix("/v1/streams/")?.split_once('/')?;
        let verb = match verb {
            "events" => StreamVerb::Events,
            "imports" => StreamVerb::Imports,
            "stats" => StreamVerb::Stats,
            "drift" => StreamVerb::Drift,
            "labels" => StreamVerb::Labels,
            "synthetic" => StreamVerb::Synthetic,
            "forget" => StreamVerb::Forget,
            _ => return None,
        };
        decode(stream).map(|stream| Self::Stream { stream, verb })
    }

    /// Of Lambda's paths, calls are answered here and the rest by control.
    fn of_lambda(path: &'a str) -> Option<Self> {
        let (date, rest) = path[1..].split_once('/')?;
        let called = rest.strip_prefix("functions/").and_then(|rest| rest.split_once('/'));
        let (function, verb) = match (date, called) {
            ("2015-03-31", Some((function, "invocations"))) => (function, LambdaVerb::Invoke),
            ("2014-11-13", Some((function, "invoke-async" | "invoke-async/"))) => {
                (function, LambdaVerb::InvokeAsync)
            }
            ("2021-11-15", Some((function, "response-streaming-invocations"))) => {
                (function, LambdaVerb::Stream)
            }
            // A tag's path holds a whole ARN, percent-encoded.
            _ => return Some(Self::Management),
        };
        decode(function).map(|function| Self::Lambda { function, verb })
    }

    fn of_model(rest: &'a str) -> Option<Self> {
        if rest == "stats" {
            return Some(Self::AllStatistics);
        }
        let (model, rest) = rest.split_once('/').unwrap_or((rest, ""));
        let (version, verb) = match rest.strip_prefix("versions/") {
            Some(rest) => rest.split_once('/').unwrap_or((rest, "")),
            None => ("", rest),
        };
        let verb = match verb {
            "" => Verb::Metadata,
            "ready" => Verb::Ready,
            "config" => Verb::Config,
            "stats" => Verb::Statistics,
            "infer" => Verb::Infer,
            _ => return None,
        };
        Some(Self::Model { model: decode(model)?, version: decode_version(version)?, verb })
    }
}

/// What has this host name: `endpoint.account.BASE`, `service.account.services.BASE`, or
/// `id.lambda-url.BASE`.
pub(crate) fn own_host(host: &str, base_domain: &str) -> Option<OwnHost> {
    let host = match host.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => host,
    };
    let host = host.to_ascii_lowercase();
    let names = host.strip_suffix(&base_domain.to_ascii_lowercase())?.strip_suffix('.')?;
    let parts: Vec<&str> = names.split('.').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    match parts.as_slice() {
        [id, URL_HOST_LABEL] if id.parse::<UrlId>().is_ok() => Some(OwnHost::Url((*id).to_owned())),
        [endpoint, account] => Some(OwnHost::Endpoint(format!("{account}.{endpoint}"))),
        [service, account, "services"] => {
            let (account, service) = ((*account).to_owned(), (*service).to_owned());
            Some(OwnHost::Service { account, service })
        }
        _ => None,
    }
}

fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if segment.is_empty() {
        return None;
    }
    percent_decode_str(segment).decode_utf8().ok()
}

fn decode_version(segment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(segment).decode_utf8().ok()
}

/// Whether a segment is `.` or `..`, also when percent-encoded: some reader behind might follow it.
fn has_dots(path: &str) -> bool {
    path.split('/').any(|segment| {
        let decoded = percent_decode_str(segment).decode_utf8_lossy();
        decoded == "." || decoded == ".." || decoded.contains(['/', '\\'])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GETS: &[&str] = &[
        "/",
        "/v1",
        "/v1/items",
        "/v1/../internal/v1/routes",
        "/v1/%2e%2e/internal",
        "/v1/a%2fb",
        "/v10",
        "/internal/v1/routes",
        "/v2",
        "/v2/",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/health/ready/",
        "/v2/models",
        "/v2/models/",
        "/v2/models/m",
        "/v2/models/m/",
        "/v2/models/acme.m/ready",
        "/v2/models/m/versions/3",
        "/v2/models/m/versions/3/config",
        "/v2/models/m/versions//stats",
        "/v2/models/m%20n/stats",
        "/v2/models/m%ff",
        "/v2/models/stats",
        "/v2/models/m/infer",
        "/v2/models/m/manifests/latest",
        "/v2/repository/index",
        "/endpoints/m/ping",
        "/endpoints/m/invocations",
        "/endpoints/m",
        "/v1/functions/f",
        "/v1/functions/f/invocations",
        "/v1/streams",
        "/v1/streams/s",
        "/v1/streams/s/events",
        "/v1/streams/s/stats",
        "/v1/streams/s/drift",
        "/v1/streams/s/imports",
        "/v1/streams/s/others",
        "/v1/runs/r",
        "/v1/runs/r/records",
        "/v1/runs/r/series",
        "/v1/runs/r/drift",
        "/v1/runs/r/s/records",
        "/services/acme/risk",
        "/services/acme/risk/v2/openapi.json",
        "/services/acme",
        "/urls/abc",
        "/urls/abc/",
        "/urls/abc/v2/../models//x",
        "/urls",
        "/ping",
        "/invocations",
        "/metrics",
        "/console",
        "/console/",
        "/console/assets/../x",
        "/consoles",
    ];
    const POSTS: &[&str] = &[
        "/",
        "/console/",
        "/v2",
        "/v2/models/m/infer",
        "/v2/models/m/versions/3/infer",
        "/v2/models/m",
        "/v2/repository/index",
        "/endpoints/m/invocations",
        "/invocations",
        "/v1/functions/f/invocations",
        "/v1/functions/f/versions",
        "/v1/items",
        "/v1/streams/s/events",
        "/v1/streams/s/imports",
        "/v1/streams/s/labels",
        "/v1/streams/s/forget",
        "/v1/rules/answers",
        "/v1/streams/s/synthetic",
        "/v1/runs/r/records",
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Ar%3A1%3Afunction%3Af/invocations",
        "/2014-11-13/functions/f/invoke-async/",
        "/2021-11-15/functions/f/response-streaming-invocations",
        "/2015-03-31/functions/f/versions",
        "/2015-03-3/functions/f/invocations",
    ];

    #[test]
    fn the_whole_table() {
        let mut table = String::new();
        let gets = GETS.iter().map(|path| (Method::GET, *path));
        for (method, path) in gets.chain(POSTS.iter().map(|path| (Method::POST, *path))) {
            let endpoint = OwnHost::Endpoint("acme.own".to_owned());
            for own in [None, Some("acme.own")] {
                let bare = matches!(path, "/" | "/console/" | "/ping" | "/invocations");
                if own.is_none() || bare {
                    let target = Target::read(&method, path, own.map(|_| &endpoint));
                    table += &format!("{method} {path} {own:?}: {target:?}\n");
                }
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn a_host_is_of_what_its_names_say() {
        let id = UrlId::of([7; 20]).to_string();
        let endpoint = Some(OwnHost::Endpoint("acme.risk".to_owned()));
        let service = |account: &str, service: &str| {
            let (account, service) = (account.to_owned(), service.to_owned());
            Some(OwnHost::Service { account, service })
        };
        let cases = [
            ("risk.acme.example.org", endpoint.clone()),
            ("Risk.Acme.Example.org:8000", endpoint),
            ("risk.acme.services.example.org", service("acme", "risk")),
            (&format!("{id}.lambda-url.example.org:80"), Some(OwnHost::Url(id.clone()))),
            (
                "short.lambda-url.example.org",
                Some(OwnHost::Endpoint("lambda-url.short".to_owned())),
            ),
            (&format!("{id}.a.lambda-url.example.org"), None),
            ("acme.services.example.org", Some(OwnHost::Endpoint("services.acme".to_owned()))),
            ("example.org", None),
            ("acme.example.org", None),
            ("a.b.c.example.org", None),
            (".acme.example.org", None),
            ("risk.acme.example.orgx", None),
            ("risk.acmeexample.org", None),
        ];
        for (host, own) in cases {
            assert_eq!(own_host(host, "example.org"), own, "{host}");
        }
    }
}
