//! A file with the rows of the screen.

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A list of objects.
    Json,
    /// A table with a heading.
    Csv,
}

/// A file that the user wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Its name, without the ending: `pblink-links-20260301-120000`.
    pub stem: String,
    /// Its ending.
    pub ending: &'static str,
    /// Rows in it.
    pub rows: usize,
    /// Its contents.
    pub text: String,
}
