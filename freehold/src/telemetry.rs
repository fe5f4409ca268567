//! Telemetry: log lines as text or JSON on stderr, and traces to a collector where one is named.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

use crate::exit::Failure;
use crate::settings::Settings;

/// Keeps what sends traces; the last ones are sent when it is dropped.
#[derive(Debug)]
pub struct Telemetry {
    traces: Option<opentelemetry_sdk::trace::SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(traces) = &self.traces {
            let _ = traces.shutdown();
        }
    }
}

/// Starts logging, once per process.
pub fn start(settings: &Settings, process: &'static str) -> Result<Telemetry, Failure> {
    let filter = EnvFilter::try_new(&settings.log)
        .map_err(|error| Failure::usage(format!("--log {:?}: {error}", settings.log)))?;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = if settings.log_json { lines.json().boxed() } else { lines.boxed() };
    let traces = settings.otlp.as_deref().map(|url| exporter(url, process)).transpose()?;
    let spans = traces
        .as_ref()
        .map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("freehold")));
    if let Some(traces) = &traces {
        // Of calls of functions, whose spans are made when they are over.
        opentelemetry::global::set_tracer_provider(traces.clone());
    }
    // A second cloud in one process keeps the first one's subscriber.
    let _ = tracing_subscriber::registry().with(filter).with(lines).with(spans).try_init();
    Ok(Telemetry { traces })
}

fn exporter(
    url: &str,
    process: &'static str,
) -> Result<opentelemetry_sdk::trace::SdkTracerProvider, Failure> {
    // Its client waits in a thread of its own, as what sends batches does: one that needs the
    // runtime of the rest would find none there.
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_endpoint(url)
        .build()
        .map_err(|error| Failure::usage(format!("--otlp {url:?}: {error}")))?;
    let resource =
        opentelemetry_sdk::Resource::builder().with_service_name(format!("freehold-{process}"));
    Ok(opentelemetry_sdk::trace::SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build())
}
