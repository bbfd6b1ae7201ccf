//! Several boards in one file: `[[board]]`.

use super::{Board, Problem, Settings, entry};
use crate::exit::{Exit, Failed};

/// Flag that chooses a board.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct BoardArg {
    /// Which of the boards in pblink.toml, by its id; needed if there are several (`[[board]]`).
    #[arg(long, value_name = "ID")]
    pub board: Option<String>,
}

impl Settings {
    /// Returns the boards of the file: at least one.
    pub fn all_boards(&self) -> &[Board] {
        if self.boards.is_empty() { std::slice::from_ref(&self.board) } else { &self.boards }
    }

    /// Returns true if the file has a list of boards, be it of one.
    pub(crate) fn has_list_of_boards(&self) -> bool {
        !self.boards.is_empty()
    }

    /// Makes the board with this id the one that is meant. Without an id it must be the only one.
    ///
    /// # Errors
    /// [`Exit::Usage`] if there is no such board, or several and none is named. The message says which there are.
    pub fn choose_board(&mut self, id: Option<&str>) -> anyhow::Result<()> {
        let boards = self.all_boards();
        let n = match (id, boards) {
            (None, [_]) => 0,
            (None, boards) => {
                let what = format!("there are {} boards: name one with --board ID", boards.len());
                return Err(self.cannot_choose(&what));
            }
            (Some(id), boards) => match boards.iter().position(|board| board.id == id) {
                Some(n) => n,
                None => return Err(self.cannot_choose(&format!("there is no board {id:?}"))),
            },
        };
        self.choose(n);
        Ok(())
    }

    /// Takes another id for the board, as `--client` gives it; of several boards the one with that id.
    ///
    /// # Errors
    /// [`Exit::Usage`] if it cannot be one, or there is no such board.
    pub(crate) fn choose_client(&mut self, id: Option<&str>) -> anyhow::Result<()> {
        match id {
            Some(id) if self.boards.is_empty() => self.set_id(id),
            id => self.choose_board(id),
        }
    }

    /// Makes the board of this number the one that is meant: its keys and their places are those of `board` then.
    pub(super) fn choose(&mut self, n: usize) {
        let Some(board) = self.boards.get(n) else { return };
        self.board = board.clone();
        self.places.retain(|key, _| !key.starts_with("board."));
        let element = format!("board[{n}].");
        let of_it = self.places.iter().filter_map(|(key, place)| {
            let name = key.strip_prefix(&element)?;
            Some((format!("board.{name}"), place.clone()))
        });
        let of_it: Vec<_> = of_it.collect();
        self.places.extend(of_it);
    }

    /// Returns these settings once for each `[[board]]`, with that one chosen; once for `[board]`.
    pub(crate) fn for_each_board(&self) -> Vec<Self> {
        let all = (0..self.boards.len().max(1)).map(|n| {
            let mut settings = self.clone();
            settings.choose(n);
            settings
        });
        all.collect()
    }

    /// Reports boards that cannot be told apart, and those whose line for the ESP8266 gets too long.
    pub(super) fn problems_of_boards(&self) -> Vec<Problem> {
        let lines = self.for_each_board().into_iter().filter_map(|s| s.config_line_problem(None));
        lines.collect()
    }

    fn cannot_choose(&self, what: &str) -> anyhow::Error {
        let ids: Vec<_> = self.all_boards().iter().map(|board| format!("{:?}", board.id)).collect();
        let file = self.file().map_or("pblink.toml".into(), |file| file.display().to_string());
        Failed::with(Exit::Usage, format!("{what}; {file} has {}", ids.join(", ")))
    }
}

/// Returns the number of the board in `board[3].log`, and its key's path, `board.log`; `None` for other paths.
pub(crate) fn numbered(path: &str) -> Option<(usize, String)> {
    let (n, name) = path.strip_prefix("board[")?.split_once("].")?;
    let path = format!("board.{name}");
    entry(&path).is_some().then_some((n.parse().ok()?, path))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::read;
    use super::*;

    const TWO: &str = "[server]\nclients = [\"a\", \"b\"]\n\
        [[board]]\nid = \"a\"\nlog = \"off\"\n\
        [[board]]\nid = \"b\"\nreport_s = 5\npins = [\"Y9\", \"Y10\", \"X1\", \"X2\", \"X3\"]\n";

    fn settings(text: &str) -> Settings {
        let (settings, problems) = read(Path::new("pblink.toml"), text);
        assert_eq!(problems, []);
        settings
    }

    #[test]
    fn one_of_several_boards_has_to_be_named() {
        let mut two = settings(TWO);
        let why = two.choose_board(None).unwrap_err().to_string();
        assert_eq!(
            why,
            "there are 2 boards: name one with --board ID; pblink.toml has \"a\", \"b\""
        );
        let why = two.choose_board(Some("c")).unwrap_err().to_string();
        assert_eq!(why, "there is no board \"c\"; pblink.toml has \"a\", \"b\"");
        two.choose_board(Some("b")).unwrap();
        assert_eq!((two.board.id.as_str(), two.board.report_s), ("b", 5));
        assert_eq!((two.line_of("board.report_s"), two.line_of("board.log")), (Some(8), None));
        assert_eq!(two.board_config(None).unwrap().id, "b");
        // A key that the file does not give has its default, not the other board's value.
        assert_eq!(two.board.log, Settings::default().board.log);
        two.choose_client(Some("a")).unwrap();
        assert_eq!((two.board.id.as_str(), two.line_of("board.log")), ("a", Some(5)));
        two.choose_client(Some("other")).unwrap_err();
    }

    #[test]
    fn one_board_need_not_be_named() {
        for text in ["[board]\nid = \"a\"\n", "[[board]]\nid = \"a\"\n"] {
            let mut one = settings(&format!("[server]\nclients = [\"a\"]\n{text}"));
            assert_eq!(one.board.id, "a", "{text}");
            one.choose_board(None).unwrap();
            one.choose_board(Some("a")).unwrap();
            let why = one.choose_board(Some("b")).unwrap_err().to_string();
            assert_eq!(why, "there is no board \"b\"; pblink.toml has \"a\"");
            assert_eq!(one.line_of("board.id"), Some(4));
        }
        let mut none = Settings::default();
        none.choose_board(None).unwrap();
        none.choose_client(Some("other")).unwrap();
        assert_eq!(none.board.id, "other");
    }

    #[test]
    fn each_board_is_checked() {
        let (_, problems) = read(
            Path::new("pblink.toml"),
            "[[board]]\nid = \"a\"\n[[board]]\nid = \"a\"\nkind = \"toaster\"\n[[board]]\ncolour = 1\n",
        );
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        let said = said.join("\n");
        for part in [
            "pblink.toml:4:1: there are two boards with the id \"a\": give each an `id` of its own",
            "`board.kind` must be \"pyboard\", \"black-pill\" or \"nucleo-f446\", not \"toaster\"",
            "unknown key `board.colour`",
        ] {
            assert!(said.contains(part), "{part}:\n{said}");
        }
        let long = "x".repeat(64);
        let text = format!(
            "[server]\nhost = \"{}\"\n[[board]]\n[[board]]\nid = \"{long}\"\n",
            "y".repeat(120)
        );
        let (_, problems) = read(Path::new("pblink.toml"), &text);
        assert_eq!(problems.len(), 1, "{problems:?}");
        let notes = settings("[[board]]\n[[board]]\nid = \"b\"\n").notes(None);
        assert_eq!(
            notes,
            ["`server.clients` does not list the board \"b\": the server will refuse it"]
        );
    }

    #[test]
    fn keys_of_boards_are_numbered() {
        assert_eq!(numbered("board[12].log"), Some((12, "board.log".into())));
        for path in
            ["board.log", "board[x].log", "board[1].nothing", "consumer[0].name", "board[1]"]
        {
            assert_eq!(numbered(path), None, "{path}");
        }
    }
}
