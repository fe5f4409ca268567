//! Formats: the type of data that flows between data sets, models and pipeline stages.
//!
//! Always true: two stages join without an adapter only when their formats are equal as
//! `policy::linking` says.

use serde::{Deserialize, Serialize};

use crate::tensor::TensorSpec;

/// The type of data that flows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Format {
    /// Named tensors.
    Tensors {
        /// The tensors, in the model's order.
        tensors: Vec<TensorSpec>,
    },
    /// Rows with named columns, as in a CSV file.
    Table {
        /// The columns, in file order.
        columns: Vec<Column>,
    },
    /// A JSON document.
    Json {
        /// A JSON schema; anything goes where absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<Object>)]
        schema: Option<serde_json::Value>,
    },
    /// Bytes of a media type, such as `image/png`.
    Media {
        /// The media type.
        media_type: String,
    },
}

/// One column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The column's name, as in the header line.
    pub name: String,
    /// What its cells hold.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
}

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    Integer,
    Number,
    Boolean,
    Timestamp,
    Text,
}
