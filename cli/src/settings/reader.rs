//! Turns the text of `pblink.toml` into settings and a list of its problems, with lines.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::Path;

use pblink_serve::consumers::Entity;
use toml::de::DeTable;

use super::environment::Environment;
use super::lists::{self, Disagreement};
use super::names::{Names, shown};
use super::problem::{Lines, Problem};
use super::shape::{Found, Misplaced, Mistake, Shape};
use super::value::Value;
use super::{Board, BoardKind, Consumer, DEFAULT_FILE, Pins, Settings, is_password_key};

/// The most problems that are reported of one file: with more, it is probably the wrong file.
const MOST: usize = 50;

/// Reads the text of `file`. With problems, the settings are what could be understood.
pub(crate) fn read(file: &Path, text: &str) -> (Settings, Vec<Problem>) {
    read_in(Some(file), text, &Environment::default())
}

/// As [`read`], with what the environment gives; without a file that is all.
pub(super) fn read_in(
    path: Option<&Path>,
    text: &str,
    environment: &Environment,
) -> (Settings, Vec<Problem>) {
    let file = path.unwrap_or(Path::new(DEFAULT_FILE));
    let (document, errors) = DeTable::parse_recoverable(text);
    let (found, misplaced) =
        Shape::of(lists::all_keys().map(|key| key.path)).walk(document.get_ref());
    let mut reader = Reader {
        file,
        text,
        lines: Lines::new(text),
        names: Names::new(lists::all_keys().map(|key| key.path)),
        wrong: misplaced.into_iter().map(|m| (m.span.start, Wrong::Misplaced(m))).collect(),
    };
    let mut settings = Settings { file: path.map(Path::to_owned), ..Settings::default() };
    for found in &found {
        reader.take(&mut settings, found);
    }
    let mut of_variables = environment.apply(&mut settings);
    // What was understood of a line with a syntax error is a guess: only the error counts.
    let mut broken = BTreeSet::new();
    let mut syntax = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or_default();
        if broken.insert(reader.lines.place(span.start).line) {
            let message = error.message().to_owned();
            syntax.push((span.start, Wrong::Syntax { span, message }));
        }
    }
    let mut wrong = std::mem::take(&mut reader.wrong);
    wrong.retain(|(at, _)| !broken.contains(&reader.lines.place(*at).line));
    wrong.extend(syntax);
    let disagreements = shared_port(&settings).into_iter().chain(pins_of_others(&settings));
    for (key, message) in disagreements {
        match settings.variable_of(&key) {
            Some(variable) => of_variables.push(Problem::of_file(Path::new(variable), message)),
            None => {
                let span = settings.places.get(&key).map(|(_, span)| span.clone());
                let span = span.unwrap_or_default();
                wrong.push((
                    span.start,
                    Wrong::Value { shown: span.clone(), marked: span, message },
                ));
            }
        }
    }
    for Disagreement { section, key, message } in lists::disagreements(&settings) {
        wrong.push(in_section(&settings, &section, key, message));
    }
    wrong.extend(boards(&settings));
    settings.choose(0);
    wrong.sort_by_key(|(at, _)| *at);
    let (count, whole) = (wrong.len(), settings.problems_of_boards());
    let mut problems: Vec<_> =
        wrong.into_iter().take(MOST).map(|(_, wrong)| reader.problem(wrong)).collect();
    problems.extend(whole);
    problems.extend(of_variables);
    if count > MOST {
        let message = format!("{} problems more are not shown", count - MOST);
        problems.push(Problem::of_file(file, message));
    }
    (settings, problems)
}

/// Reports a port that is given for both boards and the control API: it cannot serve both. The key is the one that
/// should be changed.
fn shared_port(settings: &Settings) -> Option<(String, String)> {
    let server = &settings.server;
    let control = server.control?;
    let same = control.port() == server.port
        && (control.ip() == server.listen || server.listen.is_unspecified());
    let keys = ["server.control", "server.port"];
    let of_variable = keys.into_iter().find(|key| settings.variable_of(key).is_some());
    let key = of_variable.or_else(|| keys.into_iter().find(|key| settings.is_given(key)));
    let message =
        "`server.control` has the port of `server.port`: give it one of its own".to_owned();
    same.then(|| (key.unwrap_or(keys[0]).to_owned(), message))
}

/// Reports pins that were chosen for a board other than a Pyboard: no program would ever look at them. The usual ones stand
/// in the file that `config init` writes, and mean nothing. Those of the environment are for all boards, and one Pyboard
/// is enough.
fn pins_of_others(settings: &Settings) -> Vec<(String, String)> {
    let boards = settings.all_boards();
    let everywhere = settings.variable_of("board.pins").is_some();
    if everywhere && boards.iter().any(|board| board.kind == BoardKind::Pyboard) {
        return Vec::new();
    }
    let key = |n| match settings.has_list_of_boards() && !everywhere {
        true => format!("board[{n}].pins"),
        false => "board.pins".to_owned(),
    };
    let other = |board: &Board| board.kind != BoardKind::Pyboard && board.pins != Pins::default();
    let others = boards.iter().enumerate().filter(|(_, board)| other(board));
    let wrong = others.map(|(n, board)| {
        let message = format!(
            "`board.pins` is for a Pyboard with MicroPython, and this board is a {} (`board.kind`), whose program has \
             its pins in its source: take `pins` out, or set `kind` to \"pyboard\"",
            board.kind.map().title
        );
        (key(n), message)
    });
    // One variable is one mistake.
    wrong.take(if everywhere { 1 } else { boards.len() }).collect()
}

/// Reports boards with the same id.
fn boards(settings: &Settings) -> Vec<(usize, Wrong)> {
    let mut ids = BTreeSet::new();
    let twice = settings.boards.iter().enumerate().filter(|(_, board)| !ids.insert(&board.id));
    let wrong = twice.map(|(n, board)| {
        let message = format!(
            "there are two boards with the id {:?}: give each an `id` of its own",
            board.id
        );
        in_section(settings, &format!("board[{n}]"), "id", message)
    });
    wrong.collect()
}

/// Returns something wrong in a section of a list, at this key of it, or at its begin if the key is not there.
fn in_section(settings: &Settings, section: &str, key: &str, message: String) -> (usize, Wrong) {
    let places = [format!("{section}.{key}"), section.to_owned()];
    let span = places.iter().find_map(|key| settings.places.get(key));
    let span = span.map(|(_, span)| span.clone()).unwrap_or_default();
    (span.start, Wrong::Value { shown: span.clone(), marked: span, message })
}

/// Something wrong, of which a problem can be made. There may be very many: what costs time is done
/// only for those that are shown.
enum Wrong {
    Misplaced(Misplaced),
    Value { shown: Range<usize>, marked: Range<usize>, message: String },
    Syntax { span: Range<usize>, message: String },
}

struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    lines: Lines<'a>,
    names: Names,
    /// By place.
    wrong: Vec<(usize, Wrong)>,
}

impl Reader<'_> {
    fn take(&mut self, settings: &mut Settings, found: &Found<'_>) {
        let (key, at, path, name, value) = match found {
            Found::Key { key, at, path, name, value } => (key, at, path, name, value),
            Found::Element { path, span } => {
                let place = self.lines.place(span.start);
                settings.places.insert(path.clone(), (place, span.clone()));
                if path.starts_with("consumer[") {
                    settings.consumers.push(Consumer::default());
                } else if path.starts_with("entity[") {
                    settings.entities.push(Entity::default());
                } else if path.starts_with("board[") {
                    settings.boards.push(Settings::default().board);
                }
                return;
            }
        };
        let shown = name.start..value.span().end;
        let place = self.lines.place(name.start);
        settings.places.insert(path.clone(), (place, shown.clone()));
        let Some(key) = lists::all_keys().nth(*key) else { return };
        let (shown, marked) = match key.is_private() {
            true => (name.clone(), name.clone()),
            false => (shown, value.span()),
        };
        if let Err(message) = key.apply_at(settings, at, &Value::from(value.get_ref())) {
            self.wrong.push((name.start, Wrong::Value { shown, marked, message }));
        }
    }

    fn problem(&self, wrong: Wrong) -> Problem {
        let (place, message, excerpt) = match wrong {
            Wrong::Value { shown, marked, message } => {
                (self.lines.place(marked.start), message, self.lines.excerpt(shown, marked))
            }
            Wrong::Misplaced(Misplaced { path, span, kind }) => {
                // Only the name is shown: the value of an unknown key may be a password.
                let excerpt = self.lines.excerpt(span.clone(), span.clone());
                (self.lines.place(span.start), self.misplaced(&path, kind), excerpt)
            }
            Wrong::Syntax { span, message } => {
                (self.lines.place(span.start), message, self.harmless(span))
            }
        };
        Problem { file: self.file.to_owned(), place: Some(place), message, excerpt }
    }

    fn misplaced(&self, path: &str, kind: Mistake) -> String {
        let name = shown(path);
        match kind {
            Mistake::UnknownKey | Mistake::UnknownSection if is_password_key(path) => format!(
                "`{name}` must not stand here, since this file is copied and shared: write \
                 `wifi_password = \"...\"` into the file that `wifi.secrets` names (mode 0600), or \
                 set {}",
                super::PASSWORD_ENV
            ),
            Mistake::UnknownKey => self.names.unknown_key(path),
            Mistake::UnknownSection => self.names.unknown_section(path),
            Mistake::NotASection => {
                format!("`{name}` is a section: write [{name}] on a line of its own")
            }
            Mistake::NotAList => {
                format!("`{name}` is a list of sections: write [[{name}]] above each of them")
            }
        }
    }

    /// Returns the line of a syntax error, if no password can be in it: the value of a known key that has none, or the
    /// header of a section. Of others only the name is shown.
    fn harmless(&self, span: Range<usize>) -> Option<String> {
        let line = self.lines.line_at(span.start);
        let text = self.text.get(line.clone())?;
        let text = text.split('#').next().unwrap_or_default();
        let bare = |c: char| c.is_ascii_alphanumeric() || "_-. \t".contains(c);
        let len = match text.split_once('=') {
            Some((name, value)) if name.chars().all(bare) => {
                let leaf = name.rsplit('.').next().unwrap_or_default().trim();
                let private = lists::is_private_leaf(leaf);
                let known = self.names.has_leaf(leaf) && !private && !value.contains('=');
                if known { text.len() } else { name.trim_end().len() }
            }
            None if text.chars().all(|c| bare(c) || "[]".contains(c)) => text.len(),
            _ => return None,
        };
        let end = line.start + len;
        let indent = text.len() - text.trim_start().len();
        let marked = span.start.min(end)..span.end.min(end);
        self.lines.excerpt(line.start + indent..end, marked)
    }
}

#[cfg(test)]
mod tests;
