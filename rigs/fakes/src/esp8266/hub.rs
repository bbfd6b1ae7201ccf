//! A hub into which boards are plugged, some of them later. No time passes but what is waited.

use std::time::Duration;

use pblink_flash::coprocessor::{Adapter, Ports};
use pblink_flash::{Error, Kind, Result};

use super::{Board, Line};

/// A board, the port that it has, and when.
#[derive(Debug)]
struct Plugged {
    board: Board,
    path: String,
    /// An adapter of a kind that ESP8266 boards have.
    known: bool,
    at: Duration,
    /// Why and until when it cannot be opened.
    closed: Option<(Kind, Duration)>,
}

/// A hub.
#[derive(Debug, Default)]
pub struct Hub {
    boards: Vec<Plugged>,
    now: Duration,
}

impl Hub {
    /// Plugs a board in after this time, with an adapter of a known kind.
    #[must_use]
    pub fn with(mut self, path: &str, board: &Board, at: Duration) -> Self {
        let (path, board) = (path.to_owned(), board.clone());
        self.boards.push(Plugged { board, path, known: true, at, closed: None });
        self
    }

    /// Makes the adapter of the board that was plugged in last one of an unknown kind.
    #[must_use]
    pub fn of_unknown_kind(mut self) -> Self {
        if let Some(last) = self.boards.last_mut() {
            last.known = false;
        }
        self
    }

    /// Closes the port of the board that was plugged in last, for this time from when it is there.
    #[must_use]
    pub fn closed(mut self, why: Kind, time: Duration) -> Self {
        if let Some(last) = self.boards.last_mut() {
            last.closed = Some((why, last.at + time));
        }
        self
    }

    /// Returns the time that was let pass.
    pub fn time(&self) -> Duration {
        self.now
    }

    fn there(&self) -> impl Iterator<Item = &Plugged> {
        self.boards.iter().filter(|plugged| plugged.at <= self.now)
    }
}

impl Ports for Hub {
    type Port = Line;

    fn adapters(&mut self) -> Result<Vec<Adapter>> {
        let adapter = |plugged: &Plugged| Adapter {
            path: plugged.path.clone(),
            name: "CH340",
            serial_number: None,
        };
        Ok(self.there().filter(|plugged| plugged.known).map(adapter).collect())
    }

    fn is_there(&mut self, path: &str) -> bool {
        self.there().any(|plugged| plugged.path == path)
    }

    fn open(&mut self, path: &str) -> Result<Line> {
        let plugged = self.there().find(|plugged| plugged.path == path);
        match plugged.map(|plugged| (plugged, plugged.closed)) {
            None => Err(Error::new(Kind::NotFound, "there is no such port", "plug it in")),
            Some((_, Some((why, until)))) if self.now < until => {
                Err(Error::new(why, format!("{path} cannot be opened"), "do something about it"))
            }
            Some((plugged, _)) => Ok(plugged.board.line()),
        }
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }
}
