//! Made-up servers, and the screens that show them.

#[path = "../../../serve/tests/fixture/mod.rs"]
mod servers;

use std::sync::Arc;

use pblink_cli::monitor::{Action, Key, Model, view};
use pblink_serve::control::{
    ConsumerInfo, ConsumerKind, Failing, Filter, History, LastLine, Update,
};
use pblink_server::{Event, EventKind};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

pub use servers::*;

/// Events as a follower of a server gets them: with the outages and reports that the server derives from
/// them.
#[derive(Default)]
pub struct Feed {
    history: History,
    revision: u64,
}

impl Feed {
    /// Lets something happen, and gives it to the model.
    pub fn happen(&mut self, model: &mut Model, at_ms: u64, kind: EventKind) {
        let seq = self.history.push(Event { seq: 0, at_ms, kind: kind.clone() });
        model.apply(Update::Event(Arc::new(Event { seq, at_ms, kind })));
        self.give_records(model);
    }

    /// Lets the server know something of an earlier run.
    pub fn recall(&mut self, at_ms: u64, kind: EventKind) {
        let seq = self.history.last() + 1;
        self.history.recall(Event { seq, at_ms, kind });
    }

    /// Gives the model what began or changed.
    fn give_records(&mut self, model: &mut Model) {
        let after = Filter { after: self.revision, ..Filter::default() };
        let (outages, reports) = (self.history.outages(after), self.history.reports(after));
        self.revision = outages.revision;
        model.apply(Update::Outages(outages.outages));
        model.apply(Update::Reports(reports.reports));
    }

    /// Lets events be lost.
    pub fn lose(&mut self, model: &mut Model, count: u64) {
        self.history.lose(count);
        model.apply(Update::Missed(count));
        self.give_records(model);
    }
}

/// Returns a line that came this long ago.
pub fn last_line(age_ms: u64, text: &str) -> LastLine {
    LastLine { offset: 7, time: String::new(), at_ms: 0, age_ms, text: Some(text.into()) }
}

/// Returns a consumer that fails on a line of a client.
pub fn failing(name: &str, client: &str, since_ms: u64) -> ConsumerInfo {
    let line = Failing {
        client: client.into(),
        offset: 17,
        since: String::new(),
        since_ms,
        why: format!("the program ended with exit status: 7 {NASTY}"),
    };
    ConsumerInfo {
        name: name.into(),
        kind: ConsumerKind::Server,
        required: true,
        running: true,
        offset: 16,
        lag: 4,
        failing: vec![line],
        failing_clients: 1,
        stalled: None,
    }
}

/// Returns the screen of a size.
pub fn screen(model: &Model, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    terminal.backend().buffer().clone()
}

/// Returns the screen as text, without what is only space at the ends of lines.
pub fn text(buffer: &Buffer) -> String {
    let mut out = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut x = 0;
        while x < buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // The cell behind a wide character is hidden.
            x += ratatui::text::Span::raw(symbol).width().max(1) as u16;
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// Presses these keys, one after the other; a newline is Enter. Returns what follows from the last.
pub fn press(model: &mut Model, keys: &str) -> Action {
    let mut last = Action::None;
    for c in keys.chars() {
        last = model.key(match c {
            '\n' => Key::Enter,
            '\x1b' => Key::Esc,
            c => Key::Char(c),
        });
    }
    last
}
