//! The words every room shares: ids, names, units, tensor and format types, the worker's wire
//! frame and the kinds of error.
//!
//! Always true: a value of one of these types is valid; text is checked where it comes in.
//! Absent on purpose: behaviour, input and output, clocks, chance. A new module here needs a line
//! in an architecture decision record.
#![forbid(unsafe_code)]

pub mod digest;
pub mod figure;
pub mod fleet;
pub mod format;
pub mod frame;
pub mod functions;
pub mod ids;
pub mod kinds;
pub mod modes;
pub mod names;
pub mod task;
pub mod tensor;
pub mod url_id;

pub use digest::Digest;
pub use figure::{Figure, FigureName, Grade};
pub use fleet::{Fleet, FleetError};
pub use format::{Column, ColumnType, Format};
pub use functions::{
    AliasName, AliasNameError, CallLimits, Concurrency, ConcurrencyError, FunctionName,
    FunctionNameError, FunctionReference, FunctionRuntime,
};
pub use ids::*;
pub use kinds::{ErrorKind, ItemKind};
pub use modes::{Mode, Used};
pub use names::{Name, NameError, Reference, StreamReference, stream_arn};
pub use task::{InstanceType, Limits, Runtime, TaskReference};
pub use tensor::{Datatype, Tensor, TensorSpec};
pub use url_id::{UrlId, UrlIdError};
