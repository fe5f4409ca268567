//! The manifest that goes with a trained model, so that it can be published as it is.
//!
//! Always true: its test cases are events the model did not learn from, with the answers that
//! this program computed itself; its claimed figure says what it was measured on.

use crate::features::{COUNT, NAMES, Row};
use crate::learn::{Network, Score};

/// Test cases of each kind; a handful shows that the file is whole.
const CASES: usize = 2;

/// How far another engine's sums may be off.
const TOLERANCE: f32 = 0.0005;

/// The text of `freehold.toml`.
pub(crate) fn text(network: &Network, score: &Score, held_out: &[Row]) -> String {
    let of_kind = |risky: bool| held_out.iter().filter(move |row| row.risky == risky).take(CASES);
    let cases: Vec<&Row> = of_kind(true).chain(of_kind(false)).collect();
    let features: Vec<f32> = cases.iter().flat_map(|row| row.features).collect();
    let answers: Vec<f32> = cases.iter().map(|row| network.risk(&row.features)).collect();
    let rows = cases.len();
    let request = format!(
        "{{ inputs = [{{ name = \"features\", shape = [{rows}, {COUNT}], datatype = \"FP32\", \
         data = {features:?} }}] }}"
    );
    let (accuracy, risky, judged) = (score.accuracy_ppm(), score.risky, score.rows);
    format!(
        r#"kind = "model"
name = "signin-risk-model"
title = "Sign-in risk"
summary = "The probability that a sign-in is an attack, from {COUNT} numbers about it."
category = "security"
subcategory = "sign-in-risk"
tags = ["sign-in", "anomaly", "tabular-classification"]
license = "Apache-2.0 OR MIT"

# Of each event: {names}.
[input]
kind = "tensors"
tensors = [{{ name = "features", datatype = "FP32", shape = [-1, {COUNT}] }}]

[output]
kind = "tensors"
tensors = [{{ name = "risk", datatype = "FP32", shape = [-1, 1] }}]

[task]
runtime = "onnx"
entry = "model.onnx"
timeout_ms = 2000
batch_max = 64

[[figures]]
name = "accuracy_ppm"
value = {accuracy}
source = "the newest {judged} of the training events, {risky} of them risky, held out"

[[tests]]
name = "events that were held out"
input = {{ request = {request} }}
[[tests.expect.outputs]]
name = "risk"
datatype = "FP32"
shape = [{rows}, 1]
data = {answers:?}
tolerance = {TOLERANCE:?}
"#,
        names = NAMES.join(", "),
    )
}
