//! Traces: a call, and where its time went, as a collector shows it.
//!
//! A caller says by `traceparent` (W3C) or `X-Amzn-Trace-Id` what its call is part of; the function
//! is told in the second form, which its libraries read, so that what it traces itself hangs under
//! the call. Spans are named and described by OpenTelemetry's conventions for functions.
//!
//! Always true: without a collector nothing is made of a call but the text that is handed on; what
//! was told not to be sampled is not.

use std::time::{Duration, SystemTime};

use api::internal::functions::Called;
use http::HeaderMap;
use opentelemetry::global::{self, BoxedSpan, BoxedTracer};
use opentelemetry::trace::{
    SpanBuilder, SpanContext, SpanId, SpanKind, Status, TraceContextExt as _, TraceFlags, TraceId,
    TraceState, Tracer as _,
};
use opentelemetry::{Context, KeyValue};

use crate::hub::Hub;
use crate::proxy::{TRACEPARENT, is_traceparent};

/// Longest trace that is handed on, in bytes.
const TEXT_BYTES_MAX: usize = 512;
/// Who makes the spans, as a collector tells them.
const TRACER: &str = "freehold";

/// What a call is part of, by the words of its caller; in the form of `X-Amzn-Trace-Id`.
pub(super) fn told(headers: &HeaderMap) -> Option<String> {
    if let Some(text) = headers.get("x-amzn-trace-id").and_then(|value| value.to_str().ok()) {
        return (text.len() <= TEXT_BYTES_MAX).then(|| text.to_owned());
    }
    let value = headers.get(TRACEPARENT).filter(|value| is_traceparent(value.as_bytes()))?;
    let mut parts = value.to_str().ok()?.split('-').skip(1);
    let (trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?);
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(text_of(&SpanContext::new(trace, span, flags, true, TraceState::NONE)))
}

/// A span, as `X-Amzn-Trace-Id` writes it.
fn text_of(context: &SpanContext) -> String {
    let trace = context.trace_id().to_string();
    let (epoch, rest) = trace.split_at(8.min(trace.len()));
    let sampled = u8::from(context.is_sampled());
    format!("Root=1-{epoch}-{rest};Parent={};Sampled={sampled}", context.span_id())
}

/// The span that such a text names.
fn context_of(text: &str) -> Option<SpanContext> {
    let part = |key: &str| {
        text.split(';').filter_map(|part| part.trim().split_once('=')).find(|(it, _)| *it == key)
    };
    let (_, root) = part("Root")?;
    let (epoch, rest) = root.strip_prefix("1-")?.split_once('-')?;
    let (_, parent) = part("Parent")?;
    let is_sampled = part("Sampled").is_none_or(|(_, word)| word != "0");
    let flags = if is_sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let context = SpanContext::new(
        TraceId::from_hex(&format!("{epoch}{rest}")).ok()?,
        SpanId::from_hex(parent).ok()?,
        flags,
        true,
        TraceState::NONE,
    );
    context.is_valid().then_some(context)
}

/// A call that a collector is told of when it is over.
pub(super) struct Trace {
    tracer: BoxedTracer,
    span: BoxedSpan,
    began_us: u64,
}

/// What of a call is told before it has run.
pub(super) struct Begun<'a> {
    /// As its caller calls it.
    pub(super) function: &'a str,
    pub(super) id: &'a str,
    pub(super) began_us: u64,
}

impl Trace {
    /// Begins the span of a call, where a collector is told, and says what the function is told
    /// that its call is part of.
    pub(super) fn begin(
        hub: &Hub,
        begun: &Begun<'_>,
        told: Option<String>,
    ) -> (Option<Self>, Option<String>) {
        if !hub.settings.traces {
            return (None, told);
        }
        let trace = Self::new(begun, told.as_deref().and_then(context_of));
        let told = text_of(opentelemetry::trace::Span::span_context(&trace.span));
        (Some(trace), Some(told))
    }

    fn new(begun: &Begun<'_>, parent: Option<SpanContext>) -> Self {
        let tracer = global::tracer(TRACER);
        let parent = parent
            .map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let span = SpanBuilder::from_name(begun.function.to_owned())
            .with_kind(SpanKind::Server)
            .with_start_time(at(begun.began_us))
            .with_attributes([
                KeyValue::new("faas.name", begun.function.to_owned()),
                KeyValue::new("faas.invocation_id", begun.id.to_owned()),
            ]);
        let span = tracer.build_with_context(span, &parent);
        Self { tracer, span, began_us: begun.began_us }
    }

    /// Tells of a call that is over.
    pub(super) fn end(mut self, called: &Called, ended_us: u64) {
        use opentelemetry::trace::Span as _;
        self.span.set_attribute(KeyValue::new("faas.coldstart", called.start.is_some()));
        if let Some(kind) = &called.error {
            self.span.set_attribute(KeyValue::new("error.type", kind.clone()));
            self.span.set_status(Status::error(kind.clone()));
        }
        let parent = Context::new().with_remote_span_context(self.span.span_context().clone());
        let mut from_us = self.began_us;
        let waits = called.start.map(|start| start.explained(called.waited_us));
        for (name, took_us) in waits.into_iter().flatten().filter(|(_, took_us)| *took_us > 0) {
            let to_us = from_us.saturating_add(took_us).min(ended_us);
            self.part(name, &parent, (from_us, to_us));
            from_us = to_us;
        }
        let handler_us = ended_us.saturating_sub(called.duration_us).max(self.began_us);
        self.part("handler", &parent, (handler_us, ended_us));
        self.span.end_with_timestamp(at(ended_us));
    }

    fn part(&self, name: &'static str, parent: &Context, (from_us, to_us): (u64, u64)) {
        use opentelemetry::trace::Span as _;
        let span = SpanBuilder::from_name(name).with_start_time(at(from_us));
        self.tracer.build_with_context(span, parent).end_with_timestamp(at(to_us));
    }
}

fn at(us: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(us)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        [(http::HeaderName::from_static(name), value.parse().unwrap())].into_iter().collect()
    }

    #[test]
    fn a_caller_tells_its_trace_in_either_form() {
        let w3c = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let text = "Root=1-0af76519-16cd43dd8448eb211c80319c;Parent=b7ad6b7169203331;Sampled=1";
        assert_eq!(told(&headers("traceparent", w3c)).as_deref(), Some(text));
        assert_eq!(told(&headers("x-amzn-trace-id", text)).as_deref(), Some(text));
        let context = context_of(text).unwrap();
        assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(
            (context.span_id().to_string(), context.is_sampled()),
            ("b7ad6b7169203331".into(), true)
        );
        assert_eq!(text_of(&context), text);
        let unsampled = w3c.replace("-01", "-00");
        let text = told(&headers("traceparent", &unsampled)).unwrap();
        assert!(text.ends_with(";Sampled=0") && !context_of(&text).unwrap().is_sampled());
    }

    #[test]
    fn what_is_no_trace_is_not_taken_for_one() {
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        for wrong in ["", "00", "00-x-y-z", zeros] {
            assert_eq!(told(&headers("traceparent", wrong)), None, "{wrong}");
        }
        for wrong in ["", "Root=1-2-3", "Root=;Parent=", "Root=1-é-é;Parent=b7ad6b7169203331"] {
            assert!(context_of(wrong).is_none(), "{wrong}");
        }
        let long = "a".repeat(TEXT_BYTES_MAX + 1);
        assert_eq!(told(&headers("x-amzn-trace-id", &long)), None);
    }
}
