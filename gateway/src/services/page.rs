//! A service's page, for people: what it does, and how it is asked.
//!
//! Always true: nothing of it is run in a browser, and nothing is fetched for it.

use std::fmt::Write as _;

use api::services::{KEY_HEADER, Operation, ServiceSpec};
use axum::body::Body;
use http::{HeaderValue, Response, header};

use super::Service;
use crate::service::answer;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;\
padding:0 1rem}pre{background:#f4f4f4;padding:1rem;overflow:auto}h2{margin-top:2.5rem}\
.m{font-family:monospace}";

/// The page of a version.
pub(super) fn page(service: &Service, version: u32, spec: &ServiceSpec) -> Response<Body> {
    let mut response = answer("text/html; charset=utf-8", text(service, version, spec).into());
    let policy = HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'");
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn text(service: &Service, version: u32, spec: &ServiceSpec) -> String {
    let told = &service.told;
    let title =
        format!("{} of {}", escaped(told.name.as_str()), escaped(told.account_name.as_str()));
    let base = format!("/services/{}/{}", told.account_name, told.name);
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style><h1>{title}</h1><p>{}</p>\
         <p>Version {version}. <a href=\"{base}/v{version}/openapi.json\">OpenAPI document</a>.</p>",
        escaped(&spec.description),
    );
    let key = if spec.open {
        "It can be called without a key.".to_owned()
    } else {
        format!("Send your key as <span class=\"m\">{KEY_HEADER}</span> with each request.")
    };
    let _ = write!(page, "<p>{key}</p>");
    for operation in &spec.operations {
        let _ = write!(page, "{}", one(operation, &base, spec.open));
    }
    page
}

fn one(operation: &Operation, base: &str, open: bool) -> String {
    let method = operation.method.as_str();
    let path = escaped(&operation.path);
    let mut curl = format!("curl -X {method} HOST{base}{}", operation.path);
    if !open {
        let _ = write!(curl, " \\\n  -H '{KEY_HEADER}: KEY'");
    }
    if operation.method.has_body() {
        curl.push_str(" \\\n  -H 'content-type: application/json' -d '{}'");
    }
    let mut text = format!(
        "<h2 class=\"m\">{method} {path}</h2><p>{}</p><pre>{}</pre>",
        escaped(&operation.summary),
        escaped(&curl),
    );
    for (what, schema) in [("Takes", &operation.input), ("Answers", &operation.output)] {
        let Some(schema) = schema else { continue };
        let shown = serde_json::to_string_pretty(schema).unwrap_or_default();
        let _ = write!(text, "<h3>{what}</h3><pre>{}</pre>", escaped(&shown));
    }
    text
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_owners_words_is_markup() {
        let sly = "<script>alert('1')</script>&\"";
        assert_eq!(escaped(sly), "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;&quot;");
    }
}
