//! The list of boards.

use std::collections::BTreeSet;
use std::path::Path;

use pblink_protocol::tcp::line::check_id;

use crate::settings::{self, Place, Problem};

/// A board of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Board {
    pub(super) id: String,
    /// Text for its label.
    pub(super) label: Option<String>,
}

/// Reads a list.
///
/// # Errors
/// It cannot be read, is empty, or has mistakes: each with its line.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Board>> {
    parse(path, &settings::read_text(path)?).map_err(|problems| settings::failed(&problems))
}

fn parse(path: &Path, text: &str) -> Result<Vec<Board>, Vec<Problem>> {
    let (mut boards, mut problems, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (n, line) in text.lines().enumerate().map(|(n, line)| (n + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let problem = |message: &str| Problem {
            file: path.to_owned(),
            place: Some(Place { line: n, column: 1 }),
            message: message.to_owned(),
            excerpt: None,
        };
        let Some((id, rest)) = field(line) else {
            problems.push(problem("a quote is not closed, or something stands behind it"));
            continue;
        };
        if boards.is_empty() && problems.is_empty() && id == "id" {
            continue;
        }
        let label = rest.map(|rest| field(rest).map_or(rest.to_owned(), |(label, _)| label));
        let label = label.filter(|label| !label.is_empty());
        match check_id(&id) {
            Err(why) => problems.push(problem(&format!("this id cannot be one: {why}"))),
            Ok(()) if known.insert(id.clone()) => boards.push(Board { id, label }),
            Ok(()) => problems.push(problem("this id is in the list twice")),
        }
    }
    match (boards.is_empty(), problems.is_empty()) {
        (_, false) => Err(problems),
        (true, true) => Err(vec![Problem::of_file(path, "there is no board in it: an id a line")]),
        (false, true) => Ok(boards),
    }
}

/// Returns the first field of a line, and what is behind its comma. `None`: its quotes are wrong.
fn field(line: &str) -> Option<(String, Option<&str>)> {
    let line = line.trim();
    let Some(mut rest) = line.strip_prefix('"') else {
        return Some(match line.split_once(',') {
            Some((field, rest)) => (field.trim().to_owned(), Some(rest)),
            None => (line.to_owned(), None),
        });
    };
    let mut text = String::new();
    loop {
        let (part, behind) = rest.split_once('"')?;
        text += part;
        match behind.strip_prefix('"') {
            // Two of them are one in the text.
            Some(more) => {
                text.push('"');
                rest = more;
            }
            None if behind.trim().is_empty() => return Some((text, None)),
            None => return Some((text, Some(behind.trim_start().strip_prefix(',')?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boards(text: &str) -> Vec<(String, String)> {
        let boards = parse(Path::new("ids.csv"), text).unwrap();
        boards.into_iter().map(|board| (board.id, board.label.unwrap_or_default())).collect()
    }

    #[test]
    fn a_line_is_an_id_and_perhaps_a_label() {
        let text = "\u{feff}id,label\n# note\nkitchen\n attic , Up there, left \r\n\n\"a, \"\"b\"\"\",\"x \"\"y\"\"\"\n";
        let expected = [("kitchen", ""), ("attic", "Up there"), ("a, \"b\"", "x \"y\"")];
        assert_eq!(boards(text), expected.map(|(id, label)| (id.to_owned(), label.to_owned())));
        assert_eq!(boards("x\nid\n").len(), 2, "a heading is in the first line only");
    }

    #[test]
    fn mistakes_have_their_lines() {
        let problems = |text: &str| {
            let problems = parse(Path::new("ids.csv"), text).unwrap_err();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        let said = problems("a\na\n\"open\n,label\n");
        for part in
            ["ids.csv:2:1: this id is in", "ids.csv:3:1: a quote", "ids.csv:4:1: this id cannot"]
        {
            assert!(said.contains(part), "{part}: {said}");
        }
        assert!(problems("id\n# none\n").contains("there is no board in it"));
    }
}
