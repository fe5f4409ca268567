//! Values: how typed ids, names, digests, numbers and JSON go into statements and come out of rows.
//!
//! Two column types exist, TEXT and BIGINT. Whatever prints and parses goes in as text; numbers
//! and yes or no go in as BIGINT.
//!
//! Always true: a number above 2^63 - 1 and a text with a NUL character are refused on the way in,
//! since one of the databases could not hold them; what comes out is parsed, never trusted.

use std::str::FromStr;

use sqlx::Arguments as _;
use sqlx::Row as _;
use sqlx::any::{AnyArguments, AnyRow};

use types::{
    AccountId, AliasName, Digest, EndpointId, EventId, Fleet, FunctionId, FunctionName, GrantId,
    HostId, InstanceId, ItemId, ItemKind, Name, ObjectId, PublishId, Reference, RevisionId, RunId,
    SagaId, ServiceId, ServiceKeyId, SourceId, StreamId, TaskReference, TokenId, TrainingId,
};
use workflow::saga::Phase;

use crate::error::Cause;

/// A value on its way into a statement.
#[derive(Debug)]
pub(crate) enum Cell {
    /// A text, or NULL of that type.
    Text(Option<String>),
    /// A number, or NULL of that type.
    Number(Option<i64>),
}

impl Cell {
    /// Adds this value to the arguments of a statement.
    pub(crate) fn add_to(self, arguments: &mut AnyArguments) -> Result<(), Cause> {
        match self {
            Self::Text(Some(text)) if text.contains('\0') => {
                Err("a text has a NUL character".into())
            }
            Self::Text(text) => arguments.add(text),
            Self::Number(number) => arguments.add(number),
        }
    }
}

/// A type that can be stored.
pub(crate) trait Value: Sized {
    /// NULL of its column type.
    const NULL: Cell;

    /// The value as it goes into a statement.
    fn cell(&self) -> Result<Cell, Cause>;

    /// The value in this column of a row, or none where it is NULL.
    fn read(row: &AnyRow, column: &'static str) -> Result<Option<Self>, Cause>;
}

/// Reads a text column.
pub(crate) fn read_text<T>(row: &AnyRow, column: &'static str) -> Result<Option<T>, Cause>
where
    T: FromStr,
    T::Err: Into<Cause>,
{
    let text: Option<&str> = row.try_get(column)?;
    text.map(str::parse).transpose().map_err(Into::into)
}

/// Makes types that print and parse storable as text.
macro_rules! stored_as_text {
    ($($name:ty),* $(,)?) => {$(
        impl $crate::values::Value for $name {
            const NULL: $crate::values::Cell = $crate::values::Cell::Text(None);

            fn cell(&self) -> Result<$crate::values::Cell, $crate::error::Cause> {
                Ok($crate::values::Cell::Text(Some(self.to_string())))
            }

            fn read(
                row: &sqlx::any::AnyRow,
                column: &'static str,
            ) -> Result<Option<Self>, $crate::error::Cause> {
                $crate::values::read_text(row, column)
            }
        }
    )*};
}

pub(crate) use stored_as_text;

stored_as_text!(
    Fleet,
    AccountId,
    AliasName,
    Digest,
    EndpointId,
    EventId,
    FunctionId,
    FunctionName,
    GrantId,
    HostId,
    InstanceId,
    ItemId,
    ItemKind,
    Name,
    ObjectId,
    PublishId,
    Phase,
    Reference,
    RevisionId,
    RunId,
    SagaId,
    ServiceId,
    ServiceKeyId,
    SourceId,
    StreamId,
    String,
    TaskReference,
    TokenId,
    TrainingId,
    serde_json::Value,
);

/// Makes numbers storable.
macro_rules! stored_as_number {
    ($($name:ty),*) => {$(
        impl Value for $name {
            const NULL: Cell = Cell::Number(None);

            fn cell(&self) -> Result<Cell, Cause> {
                Ok(Cell::Number(Some(i64::try_from(*self)?)))
            }

            fn read(row: &AnyRow, column: &'static str) -> Result<Option<Self>, Cause> {
                let number: Option<i64> = row.try_get(column)?;
                Ok(number.map(TryInto::try_into).transpose()?)
            }
        }
    )*};
}

stored_as_number!(i64, u64, u32, u16);

impl Value for bool {
    const NULL: Cell = Cell::Number(None);

    fn cell(&self) -> Result<Cell, Cause> {
        Ok(Cell::Number(Some(i64::from(*self))))
    }

    fn read(row: &AnyRow, column: &'static str) -> Result<Option<Self>, Cause> {
        let number: Option<i64> = row.try_get(column)?;
        Ok(number.map(|number| number != 0))
    }
}

impl<T: Value> Value for Option<T> {
    const NULL: Cell = T::NULL;

    fn cell(&self) -> Result<Cell, Cause> {
        self.as_ref().map_or(Ok(Self::NULL), T::cell)
    }

    fn read(row: &AnyRow, column: &'static str) -> Result<Option<Self>, Cause> {
        T::read(row, column).map(Some)
    }
}
