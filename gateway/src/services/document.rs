//! A service's OpenAPI document, for its users' tools.
//!
//! Source: OpenAPI Specification 3.1.0, whose schemas are JSON Schema 2020-12.

use api::services::{KEY_HEADER, Operation, ServiceSpec};
use serde_json::{Map, Value, json};

use super::{Segment, Service, segments};

/// The document of a version.
pub(super) fn document(service: &Service, version: u32, spec: &ServiceSpec) -> Value {
    let told = &service.told;
    let mut paths = Map::new();
    for operation in &spec.operations {
        let path = paths.entry(operation.path.clone()).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = one(operation);
    }
    let base = format!("/services/{}/{}/v{version}", told.account_name, told.name);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": told.name,
            "version": version.to_string(),
            "description": spec.description,
        },
        "servers": [{ "url": base }],
        "paths": paths,
        "components": { "securitySchemes": {
            "key": { "type": "apiKey", "in": "header", "name": KEY_HEADER },
        }},
    });
    if !spec.open {
        document["security"] = json!([{ "key": [] }]);
    }
    document
}

fn one(operation: &Operation) -> Value {
    let input = operation.input.clone().unwrap_or_else(|| json!({ "type": "object" }));
    let property = |name: &str| {
        input.get("properties").and_then(|all| all.get(name)).cloned().unwrap_or_else(|| json!({}))
    };
    let in_path: Vec<String> = segments(&operation.path)
        .into_iter()
        .filter_map(|segment| match segment {
            Segment::Parameter(name) => Some(name),
            Segment::Fixed(_) => None,
        })
        .collect();
    let parameter = |name: &String| json!({ "name": name, "in": "path", "required": true, "schema": property(name) });
    let mut parameters: Vec<Value> = in_path.iter().map(parameter).collect();
    let mut described = json!({
        "summary": operation.summary,
        "operationId": operation_id(operation),
        "responses": {
            "200": {
                "description": "the answer",
                "content": { "application/json": {
                    "schema": operation.output.clone().unwrap_or_else(|| json!({})),
                }},
            },
            "default": {
                "description": "why there is none",
                "content": { "application/problem+json": { "schema": { "type": "object" } } },
            },
        },
    });
    if operation.method.has_body() {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": without(input.clone(), &in_path) } },
        });
    } else if let Some(properties) = input.get("properties").and_then(Value::as_object) {
        let required = input.get("required").and_then(Value::as_array);
        let wanted = |name: &str| required.is_some_and(|all| all.iter().any(|it| it == name));
        let others = properties.iter().filter(|(name, _)| !in_path.contains(name));
        parameters.extend(others.map(|(name, schema)| {
            json!({ "name": name, "in": "query", "required": wanted(name), "schema": schema })
        }));
    }
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    described
}

/// The schema of a body: what stands in the path is not in it.
fn without(mut schema: Value, names: &[String]) -> Value {
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        properties.retain(|name, _| !names.contains(name));
    }
    if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| !names.iter().any(|it| name == it));
    }
    schema
}

fn operation_id(operation: &Operation) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    let path: String = operation.path.chars().map(plain).collect();
    format!("{}{path}", operation.method.as_str().to_ascii_lowercase())
}
