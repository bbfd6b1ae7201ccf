//! The server's file of keys, from its text.

use std::collections::BTreeSet;
use std::path::Path;

use pblink_secure_suite::keys::Id;

use super::fields::{Fields, Source};
use super::model::{Entry, Half, KeyFile, Revoked};
use crate::settings::Problem;

/// Reads the text of the file `file`. Nothing of its values is in an error.
///
/// # Errors
/// The first mistake, with its line.
pub(super) fn parse(file: &Path, text: &str) -> Result<KeyFile, Problem> {
    let source = Source::new(file, text);
    let document = source.document(text)?;
    let all = Fields::new(
        &source,
        document.get_ref(),
        "the file",
        0,
        &["format", "server", "board", "revoked"],
    )?;
    if all.number("format")? != super::text::FORMAT {
        let message = "`format` is not 1: this file is of another version of pblink";
        return Err(source.problem(0, message));
    }
    let server = match all.table("server")? {
        Some((table, at)) => {
            Fields::new(&source, table, "[server]", at, &["private"])?.secret("private")?
        }
        None => return Err(source.problem(0, "there is no [server] with its `private` key")),
    };
    let mut ids = BTreeSet::new();
    let mut new_id = |id: &Id, at: usize| match ids.insert(id.as_str().to_owned()) {
        true => Ok(()),
        false => Err(source.problem(at, "another section has this id, too")),
    };
    let mut boards = Vec::new();
    for (table, at) in all.tables("board")? {
        let allowed = ["id", "generation", "public", "shared", "issued", "next"];
        let fields = Fields::new(&source, table, "[[board]]", at, &allowed)?;
        let id = fields.id()?;
        new_id(&id, at)?;
        let next = match fields.table("next")? {
            Some((table, at)) => {
                let allowed = ["generation", "public", "shared", "issued"];
                Some(half(&Fields::new(&source, table, "[board.next]", at, &allowed)?)?)
            }
            None => None,
        };
        // Before a board has its first keys, there are only those that it is being given.
        let current = match next.is_some() && !table.contains_key("generation") {
            true => None,
            false => Some(half(&fields)?),
        };
        if let (Some(current), Some(next)) = (&current, &next)
            && next.generation <= current.generation
        {
            let message = "the generation in [board.next] must be greater than that of its board";
            return Err(source.problem(at, message));
        }
        boards.push(Entry { id, current, next });
    }
    let mut revoked = Vec::new();
    for (table, at) in all.tables("revoked")? {
        let fields = Fields::new(&source, table, "[[revoked]]", at, &["id", "generation", "at"])?;
        let id = fields.id()?;
        new_id(&id, at)?;
        revoked.push(Revoked {
            id,
            generation: fields.number("generation")?,
            at: fields.time("at")?,
        });
    }
    Ok(KeyFile { server, boards, revoked })
}

fn half(fields: &Fields<'_, '_>) -> Result<Half, Problem> {
    Ok(Half {
        generation: fields.number("generation")?,
        public: fields.public("public")?,
        shared: fields.secret("shared")?,
        issued: fields.time("issued")?,
    })
}
