//! Made-up servers for the tests of monitor and control API.

#![allow(dead_code)] // Each test file uses a part.

use std::sync::{Arc, Mutex};

use pblink_cli::control::{EventStream, History, ServerInfo, Source};
use pblink_cli::monitor::{Model, view};
use pblink_server::{EventKind, LinkState, LinkStatus};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

/// A server whose links and events the test sets.
pub struct Fake {
    pub history: History,
    pub links: Mutex<Vec<LinkStatus>>,
    pub info: ServerInfo,
}

impl Fake {
    /// A server that started at `run`, with a history of `capacity` events.
    pub fn new(run: u64, capacity: usize) -> Arc<Self> {
        Arc::new(Self { history: History::new(capacity), links: Mutex::default(), info: info(run) })
    }

    /// Records a note.
    pub fn note(&self, text: &str) {
        self.history.record(note(text));
    }
}

impl Source for Fake {
    fn info(&self) -> ServerInfo {
        self.info.clone()
    }

    fn links(&self) -> Vec<LinkStatus> {
        self.links.lock().unwrap().clone()
    }

    fn events(&self) -> EventStream {
        self.history.subscribe()
    }
}

pub fn info(run: u64) -> ServerInfo {
    ServerInfo {
        version: "0.1.0".into(),
        listen: "[::]:8123".into(),
        timeout_ms: 2000,
        app: "echo".into(),
        started_at_ms: run,
        uptime_ms: 7_500_000,
        links_up: 0,
        links_total: 0,
    }
}

pub fn note(text: &str) -> EventKind {
    EventKind::Note { id: None, text: text.into() }
}

pub fn link(id: &str, state: LinkState) -> LinkStatus {
    LinkStatus {
        id: id.into(),
        state,
        since_ms: 0,
        peer: None,
        connects: 0,
        outages: 0,
        lines_in: 0,
        lines_out: 0,
        retransmissions: 0,
        duplicates: 0,
        invalid_lines: 0,
        unread: 0,
        unacked: 0,
        write_ack_us: None,
        mem_free: None,
        report_number: None,
        board_connects: None,
    }
}

/// Ids that try to take over the terminal, a label or a table.
pub const NASTY: &str = "a\x1b[31m\"b\\c\n\u{202e}d";

/// The screen of a size.
pub fn screen(model: &Model, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| view::draw(frame, model)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text, without what is only space at the ends of lines.
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
