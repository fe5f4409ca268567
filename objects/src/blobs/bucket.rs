//! Blobs in a bucket of an S3-compatible store.
//!
//! A put is whole, durable and visible at once, so staging is putting. S3 cannot mark a blob as
//! used again, and cannot delete on a condition: see [`Backend::refresh`] and the law for callers
//! at `Store::delete_chunks`.
//!
//! Always true: a request ends within [`RETRY_S_MAX`] plus one [`REQUEST_S_MAX`]; TLS unless the
//! endpoint is on this machine or plain HTTP was allowed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutPayload,
    RetryConfig,
};

use types::AccountId;

use super::{Backend, Key, Listed, Options, Scope, Staged};
use crate::error::Error;

/// How long one request may take; a manifest of 18 MiB must pass on a slow line.
const REQUEST_S_MAX: u64 = 60;
/// How long it may take to connect.
const CONNECT_S_MAX: u64 = 5;
/// How long a failing request is repeated, and how often.
const RETRY_S_MAX: u64 = 15;
const RETRIES_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Bucket {
    store: Arc<AmazonS3>,
    /// Empty, or ends with `/`.
    prefix: String,
}

impl Bucket {
    /// Opens `bucket/prefix?endpoint=…&region=…` and asks it once.
    pub(super) async fn open(address: &str, options: Options) -> Result<Self, Error> {
        let (store, prefix) = open(address, options)?;
        let opened = Self { store: Arc::new(store), prefix };
        opened.accounts().await?;
        Ok(opened)
    }

    fn path(&self, key: Key) -> Path {
        Path::from(format!("{}{}", self.prefix, key.path()))
    }
}

impl Backend for Bucket {
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Bytes>, Error>> {
        Box::pin(async move {
            let got = async { self.store.get(&self.path(key)).await?.bytes().await }.await;
            absent_is_none(got).map_err(|source| failure("read", &key, source))
        })
    }

    fn refresh(&self, key: Key, bytes: u64) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            let found = absent_is_none(self.store.head(&self.path(key)).await)
                .map_err(|source| failure("look for", &key, source))?;
            Ok(found.is_some_and(|found| found.size == bytes))
        })
    }

    fn stage(&self, key: Key, parts: Vec<Bytes>) -> BoxFuture<'_, Result<Staged, Error>> {
        Box::pin(async move {
            let payload = PutPayload::from_iter(parts);
            let put = self.store.put(&self.path(key), payload).await;
            put.map_err(|source| failure("write", &key, source))?;
            Ok(Staged { key, temp: None })
        })
    }

    fn publish(&self, staged: Vec<Staged>) -> BoxFuture<'_, Result<(), Error>> {
        drop(staged);
        Box::pin(std::future::ready(Ok(())))
    }

    fn delete(
        &self,
        key: Key,
        written_before_ms: Option<u64>,
    ) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async move {
            let path = self.path(key);
            if let Some(before_ms) = written_before_ms {
                let found = absent_is_none(self.store.head(&path).await)
                    .map_err(|source| failure("look for", &key, source))?;
                // This answer drops the milliseconds, which a listing has.
                if found.is_some_and(|found| written_at_ms(&found) + 999 >= before_ms) {
                    return Ok(false);
                }
            }
            absent_is_none(self.store.delete(&path).await)
                .map_err(|source| failure("delete", &key, source))?;
            Ok(true)
        })
    }

    fn list(&self, scope: Scope) -> BoxStream<'_, Result<Listed, Error>> {
        let prefix = Path::from(format!("{}{}", self.prefix, scope.path()));
        let found = self.store.list(Some(&prefix));
        found
            .filter_map(move |meta| {
                let listed = match meta {
                    Ok(meta) => listed(scope, &meta).map(Ok),
                    Err(source) => Some(Err(failure("list", &scope.path(), source))),
                };
                std::future::ready(listed)
            })
            .boxed()
    }

    fn accounts(&self) -> BoxFuture<'_, Result<Vec<AccountId>, Error>> {
        Box::pin(async move {
            let prefix = Path::from(format!("{}account", self.prefix));
            let found = self.store.list_with_delimiter(Some(&prefix)).await;
            let found = found.map_err(|source| failure("list", &"accounts", source))?;
            let name = |path: &Path| path.filename()?.parse().ok();
            Ok(found.common_prefixes.iter().filter_map(name).collect())
        })
    }
}

/// A bucket at `bucket/prefix?endpoint=…&region=…`, and its prefix, which is empty or ends with `/`.
pub(crate) fn open(address: &str, options: Options) -> Result<(AmazonS3, String), Error> {
    // The HTTP client takes the process's TLS provider; it has none of its own. When the binary has
    // installed one already, this changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (bucket, prefix, options) = parse(address, options)?;
    let store = build(bucket, &options)
        .map_err(|source| failure("open", &format!("bucket {bucket}"), source))?;
    Ok((store, prefix))
}

/// Takes the address apart; what its query says goes before the options.
fn parse(address: &str, mut options: Options) -> Result<(&str, String, Options), Error> {
    let wrong = |what: String| Err(Error::Settings { what });
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("endpoint", value)) => options.endpoint = Some(value.to_owned()),
            Some(("region", value)) => options.region = Some(value.to_owned()),
            _ => return wrong(format!("an s3 URL takes endpoint= and region=, not {pair:?}")),
        }
    }
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    if bucket.is_empty() {
        return wrong("an s3 URL is s3://bucket/prefix".into());
    }
    let plain = options.endpoint.as_deref().and_then(|text| text.strip_prefix("http://"));
    if plain.is_some_and(|host| !is_this_machine(host)) && !options.allow_http {
        return wrong("the endpoint has no TLS; use https:// or allow plain HTTP".into());
    }
    let prefix = prefix.trim_matches('/');
    let slash = if prefix.is_empty() { "" } else { "/" };
    Ok((bucket, format!("{prefix}{slash}"), options))
}

fn is_this_machine(host: &str) -> bool {
    let host = host.split('/').next().unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

fn build(bucket: &str, options: &Options) -> object_store::Result<AmazonS3> {
    let client = ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(CONNECT_S_MAX))
        .with_timeout(Duration::from_secs(REQUEST_S_MAX))
        .with_allow_http(options.endpoint.as_ref().is_some_and(|url| url.starts_with("http://")));
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES_MAX,
        retry_timeout: Duration::from_secs(RETRY_S_MAX),
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(options.region.as_deref().unwrap_or("us-east-1"))
        .with_client_options(client)
        .with_retry(retry)
        .with_disable_bulk_delete(true);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.trim_end_matches('/'));
    }
    match &options.credentials {
        Some(key) => builder
            .with_access_key_id(&key.access_key_id)
            .with_secret_access_key(&key.secret_access_key)
            .build(),
        None => builder.with_skip_signature(true).build(),
    }
}

fn listed(scope: Scope, meta: &ObjectMeta) -> Option<Listed> {
    let key = Key::parse(scope, meta.location.filename()?)?;
    Some(Listed { key, bytes: meta.size, written_at_ms: written_at_ms(meta) })
}

fn written_at_ms(meta: &ObjectMeta) -> u64 {
    u64::try_from(meta.last_modified.timestamp_millis()).unwrap_or(0)
}

pub(crate) fn absent_is_none<T>(
    result: object_store::Result<T>,
) -> object_store::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The error for a failed request: an answer that says no is a refusal, all else passes.
pub(crate) fn failure(
    action: &'static str,
    what: &impl ToString,
    error: object_store::Error,
) -> Error {
    let (what, refused) = (what.to_string(), is_refusal(&error));
    let source = Box::new(error);
    if refused {
        return Error::Refused { action, what, source };
    }
    Error::Unreachable { action, what, source }
}

/// True when the store answered that this request is wrong or not allowed.
fn is_refusal(error: &object_store::Error) -> bool {
    if !matches!(error, object_store::Error::Generic { .. }) {
        return true;
    }
    // The client keeps the status of a failed listing to itself, but for the text of the cause.
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        let text = inner.to_string();
        if let Some(status) = text.strip_prefix("Server returned non-2xx status code: ") {
            let passes = status.starts_with("408") || status.starts_with("429");
            return status.starts_with('4') && !passes;
        }
        cause = inner.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_plain_http_leaves_no_machine() {
        let (bucket, prefix, options) =
            parse("models/a/b/?endpoint=http://127.0.0.1:9000&region=here", Options::default())
                .unwrap();
        assert_eq!((bucket, prefix.as_str()), ("models", "a/b/"));
        assert_eq!(options.endpoint.as_deref(), Some("http://127.0.0.1:9000"));
        assert_eq!(options.region.as_deref(), Some("here"));

        for refused in ["", "/prefix", "b?unknown=1", "b?endpoint=http://store.example:80"] {
            assert!(matches!(parse(refused, Options::default()), Err(Error::Settings { .. })));
        }
        let allowed = Options { allow_http: true, ..Options::default() };
        assert!(parse("b?endpoint=http://store.example:80", allowed).is_ok());
    }
}
