//! Features as JSON: line by line, or as one request of the Open Inference Protocol.

use std::io::Write;

use serde_json::json;

use crate::Failure;
use crate::features::{COUNT, Row};

/// An inference request for these rows.
pub(crate) fn of_rows(rows: &[Row]) -> serde_json::Value {
    let data: Vec<f32> = rows.iter().flat_map(|row| row.features).collect();
    json!({
        "inputs": [
            { "name": "features", "shape": [rows.len(), COUNT], "datatype": "FP32", "data": data }
        ]
    })
}

/// Writes the rows, one line of JSON each, or all of them as one request.
pub(crate) fn write(mut output: impl Write, rows: &[Row], as_request: bool) -> Result<(), Failure> {
    if as_request {
        writeln!(output, "{}", of_rows(rows))?;
    } else {
        for row in rows {
            let Row { index, user, features, risky } = row;
            let line =
                json!({ "index": index, "user": user, "risky": risky, "features": features });
            writeln!(output, "{line}")?;
        }
    }
    Ok(output.flush()?)
}
