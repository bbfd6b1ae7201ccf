//! The mutants, as cargo-mutants names them.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

/// A change of the code.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Mutant {
    /// Its name: file, place, and the change in words.
    pub name: String,
    /// Its file, from the root of the tree.
    pub file: String,
    /// The function that it is in; `None` outside of all.
    pub function: Option<Function>,
    /// Its kind.
    pub genre: Genre,
    /// The text that comes in.
    pub replacement: String,
    /// The text that goes out.
    pub span: Span,
}

/// The function that a mutant is in.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Function {
    /// Its name.
    pub function_name: String,
}

/// A kind of mutants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Genre {
    /// A function that does nothing but return a value.
    FnValue,
    /// Another operator between two expressions.
    BinaryOperator,
    /// No operator before an expression.
    UnaryOperator,
    /// A guard that is always true, or always false.
    MatchArmGuard,
    /// A match without an arm.
    MatchArm,
    /// A struct without a field, whose value another struct gives.
    StructField,
}

/// A part of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Span {
    /// Its first character.
    pub start: Place,
    /// The one behind its last character.
    pub end: Place,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character in it, from 1.
    pub column: usize,
}

impl Mutant {
    /// Returns its name without its place, which every change of the file moves.
    pub fn lasting_name(&self) -> String {
        let place = format!(":{}:{}: ", self.span.start.line, self.span.start.column);
        self.name.replacen(&place, ": ", 1)
    }

    /// Returns its file with it.
    pub fn apply(&self, text: &str) -> String {
        let out = self.span.start.byte(text)..self.span.end.byte(text);
        format!("{}{}{}", &text[..out.start], self.replacement, &text[out.end..])
    }
}

impl Place {
    /// Returns the byte of a text at which it stands; the last place is behind it.
    pub fn byte(self, text: &str) -> usize {
        let before = text.split_inclusive('\n').take(self.line - 1).map(str::len).sum::<usize>();
        let mut characters = text[before..].char_indices();
        characters.nth(self.column - 1).map_or(text.len(), |(byte, _)| before + byte)
    }
}

/// Lists the mutants of a package.
///
/// # Errors
/// If cargo-mutants is not there, or says something else.
pub fn list(root: &Path, package: &str) -> io::Result<Vec<Mutant>> {
    let output = Command::new("cargo")
        .args(["mutants", "--no-config", "--list", "--json", "--package", package])
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        return Err(io::Error::other(
            "cargo mutants does not list them: cargo install --locked cargo-mutants",
        ));
    }
    serde_json::from_slice(&output.stdout).map_err(io::Error::other)
}
