//! Formats: the type of data that flows between data sets, models and pipeline stages.
//!
//! Always true: two stages join without an adapter only when their formats are equal as
//! `policy::linking` says.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

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
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "object")]
        #[schema(value_type = Option<Object>)]
        schema: Option<Value>,
    },
    /// Bytes of a media type, such as `image/png`.
    Media {
        /// The media type.
        media_type: String,
    },
}

/// A schema that is an object, as the API's document says; other JSON is no schema.
fn object<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Ok(Option::<Map<String, Value>>::deserialize(from)?.map(Value::Object))
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
