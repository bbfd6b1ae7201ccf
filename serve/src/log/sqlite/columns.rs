//! Texts in columns.

use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::Type;

/// Returns the text in a column, without a copy in between.
pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// Returns the text in a column.
pub(super) fn shared(row: &Row<'_>, column: usize) -> rusqlite::Result<Arc<str>> {
    text(row, column).map(Arc::from)
}
