//! Between rows and what they stand for.

use std::error::Error;
use std::str::FromStr;

use martlet_core::Principal;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::de::DeserializeOwned;

use crate::{StoreError, ValueId};

/// Why work inside a transaction ended early.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite failed.
    Sqlite(rusqlite::Error),
    /// What is stored is not what was written: what and where.
    Damage(String),
    /// It is refused.
    Refusal(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Refusal(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => Self::sqlite(&error),
            Failure::Damage(problem) => Self::damaged(problem),
            Failure::Refusal(error) => error,
        }
    }
}

/// SQLite has no numbers beyond 63 bits; nothing that is counted here gets there.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// What callers ask for at most, as a limit of SQL.
pub(super) fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// A column that is read as text.
pub(super) fn text<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    row.get_ref(column)?.as_str()?.parse().map_err(|error| unreadable(column, Type::Text, error))
}

/// A column that is read as text, or is empty.
pub(super) fn optional_text<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<T>>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(str::parse).transpose().map_err(|error| unreadable(column, Type::Text, error))
}

/// A column that is read as JSON.
pub(super) fn json<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> rusqlite::Result<T> {
    serde_json::from_str(row.get_ref(column)?.as_str()?)
        .map_err(|error| unreadable(column, Type::Text, error))
}

/// A column that is read as JSON, or is empty.
pub(super) fn optional_json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> rusqlite::Result<Option<T>> {
    let text = row.get_ref(column)?.as_str_or_null()?;
    text.map(serde_json::from_str).transpose().map_err(|error| unreadable(column, Type::Text, error))
}

/// A column with the hash of a value.
pub(super) fn hash(row: &Row<'_>, column: usize) -> rusqlite::Result<ValueId> {
    row.get(column).map(ValueId::from_bytes)
}

/// Two columns with a tenant and a user.
pub(super) fn principal(row: &Row<'_>, column: usize) -> rusqlite::Result<Principal> {
    let (tenant, user) = (row.get_ref(column)?.as_str()?, row.get_ref(column + 1)?.as_str()?);
    Principal::new(tenant, user).map_err(|error| unreadable(column, Type::Text, error))
}

/// Two columns with a tenant and a user, or none.
pub(super) fn optional_principal(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Principal>> {
    row.get_ref(column)?.as_str_or_null()?.map(|_| principal(row, column)).transpose()
}

/// JSON as it is stored.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| StoreError::refused(format!("a value cannot be written as JSON ({error})")).into())
}

fn unreadable(column: usize, kind: Type, error: impl Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(error))
}
