//! The help, over everything else.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use super::theme::Theme;
use crate::monitor::model::Model;
use crate::output::cells;

const KEYS: [(&str, &str); 14] = [
    ("Tab 1-5", "next view; shift-Tab: the one before"),
    ("↑ ↓ j k", "select; PgUp, PgDn: a page; Home, End"),
    ("Enter", "everything about one link"),
    ("l", "on a link's page: its lines only, all again"),
    ("m", "send a line to the link, after a question"),
    ("Esc", "back; show all again"),
    ("/", "show only what fits a text or pattern (a|b)"),
    ("d", "show only what is down, waiting, up, all"),
    ("s S", "sort by the next column; S reverses"),
    ("f", "freeze the display; data go on"),
    ("e", "write what is shown to a file, JSON or CSV"),
    ("ctrl-L", "draw everything anew"),
    ("?", "this help"),
    ("q ctrl-C", "quit"),
];

const WORDS: [(&str, &str); 7] = [
    ("conn", "how often the client has connected"),
    ("last", "time since the last line came"),
    ("in, out", "lines from and to the client, each counted once"),
    ("resent", "lines sent again: no acknowledgement came"),
    ("dup", "lines that came again: acknowledged, dropped"),
    ("write→ack", "time from write to acknowledgement, last line"),
    ("free", "free memory of the ESP8266, from its reports"),
];

/// Draws the keys, and the words of the tables where there is room for them.
pub fn draw(frame: &mut Frame, body: Rect, model: &Model, theme: Theme) {
    let extra: Vec<_> = model.extra().iter().map(|e| (e.key.to_string(), &*e.help)).collect();
    let mut lines: Vec<Line> = Vec::new();
    lines.extend(extra.iter().map(|(key, help)| line(key, help, theme)));
    lines.extend(KEYS.iter().map(|(key, help)| line(key, help, theme)));
    if lines.len() + 1 + WORDS.len() + 2 <= usize::from(body.height) {
        lines.push(Line::default());
        lines.extend(WORDS.iter().map(|(word, help)| line(word, help, theme)));
    }
    let width = body.width.min(66);
    let height = body.height.min(lines.len() as u16 + 2);
    let area = Rect {
        x: body.x + (body.width - width) / 2,
        y: body.y + (body.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered().border_type(BorderType::Rounded).title(" Help ");
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn line(key: &str, help: &str, theme: Theme) -> Line<'static> {
    let key = format!(" {} ", cells::fit(key, 12, false));
    Line::from(vec![Span::styled(key, theme.key()), Span::raw(help.to_owned())])
}
