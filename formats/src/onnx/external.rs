//! Weights in other files: where a model says they are, and whether that is within its package.
//!
//! Always true: a location without finding names a file of the package that is long enough.
//! Source: ONNX, "External Data".

use std::collections::{BTreeMap, BTreeSet};

use crate::archive::{Entry, Limits, check_path};

use super::proto::{Graph, KeyValue, Model, Node, Tensor};
use super::{External, FINDINGS_MAX, Finding};

const SAVE_BESIDE: &str = "save the weights beside the model, or inside it \
    (onnx.save_model(save_as_external_data=False))";

/// Every tensor of a model that stands in another file.
pub(super) fn collect(model: &Model, graph: &Graph) -> Vec<External> {
    let mut found = Vec::new();
    collect_graph(graph, &mut found);
    for function in &model.functions {
        collect_nodes(&function.node, &mut found);
    }
    found
}

fn collect_graph(graph: &Graph, found: &mut Vec<External>) {
    found.extend(graph.initializers().filter_map(external));
    let indices = graph.sparse_initializer.iter().filter_map(|sparse| sparse.indices.as_ref());
    found.extend(indices.filter_map(external));
    collect_nodes(&graph.node, found);
}

fn collect_nodes(nodes: &[Node], found: &mut Vec<External>) {
    for attribute in nodes.iter().flat_map(|node| &node.attribute) {
        found.extend(attribute.tensors().filter_map(external));
        for graph in attribute.graphs() {
            collect_graph(graph, found);
        }
    }
}

fn external(tensor: &Tensor) -> Option<External> {
    if !tensor.is_external() {
        return None;
    }
    let value = |key: &str| {
        let matches = |entry: &&KeyValue| entry.key == key;
        tensor.external_data.iter().rev().find(matches).map(|entry| entry.value.as_str())
    };
    // A number that cannot be read must not pass as "from the start" or "to the end".
    let offset = value("offset").map_or(Some(0), |text| text.parse().ok());
    let length = value("length").map(|text| text.parse().unwrap_or(u64::MAX));
    Some(External {
        tensor: tensor.name.clone(),
        location: value("location").unwrap_or_default().to_owned(),
        offset,
        length,
    })
}

/// Tells which weights are not where the model says.
pub(super) fn check(
    external: &[External],
    path: &str,
    files: &[Entry],
    findings: &mut Vec<Finding>,
) {
    let sizes: BTreeMap<&str, u64> =
        files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut told = BTreeSet::new();
    for weights in external {
        if findings.len() >= FINDINGS_MAX {
            return;
        }
        let Err((problem, cure)) = judge(weights, folder, &sizes) else { continue };
        let subject = format!("weights {:?}", weights.tensor);
        if told.insert((weights.location.as_str(), problem.clone())) {
            findings.push(Finding { fatal: true, subject, problem, cure });
        }
    }
}

fn judge(
    weights: &External,
    folder: &str,
    sizes: &BTreeMap<&str, u64>,
) -> Result<(), (String, &'static str)> {
    let shown: String = weights.location.chars().take(200).collect();
    let location = weights.location.strip_prefix("./").unwrap_or(&weights.location);
    if location.is_empty() {
        return Err(("they are external but name no file".to_owned(), SAVE_BESIDE));
    }
    if check_path(location, &Limits::default()).is_err() {
        let problem = format!("they are in {shown:?}, which leads out of the package");
        return Err((problem, SAVE_BESIDE));
    }
    let file = if folder.is_empty() { location.to_owned() } else { format!("{folder}/{location}") };
    let Some(&bytes) = sizes.get(file.as_str()) else {
        let problem = format!("they are in {file:?}, which the package does not have");
        return Err((problem, "add the file to the folder"));
    };
    let Some(offset) = weights.offset else {
        return Err((format!("their offset in {file:?} is not a number"), SAVE_BESIDE));
    };
    let end = weights.length.map_or(Some(offset), |length| offset.checked_add(length));
    if end.is_none_or(|end| end > bytes) {
        let problem = format!("they reach past the end of {file:?}, which has {bytes} bytes");
        return Err((problem, SAVE_BESIDE));
    }
    Ok(())
}
