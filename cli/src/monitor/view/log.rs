//! The log, of all links or of one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::lists::nothing_passes;
use super::theme::Theme;
use super::{Position, say, table};
use crate::monitor::model::Model;
use crate::monitor::text;

/// The log, newest at the bottom.
pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) -> Position {
    let rows = model.log_rows();
    let Some(last) = rows.len().checked_sub(1) else {
        let filtered = !model.filter().is_empty() && model.page().is_none();
        let sentence =
            if filtered { nothing_passes(model, "event") } else { "No event so far.".into() };
        say(frame, area, &sentence, theme);
        return None;
    };
    let picked = model.selected_log(&rows);
    let selected = picked.unwrap_or(last);
    let range = table::window(rows.len(), selected, usize::from(area.height));
    let room = usize::from(area.width).saturating_sub(2 + 10);
    for (line, i) in range.clone().enumerate() {
        let entry = rows[i];
        let y = area.y + line as u16;
        // On a link's own page its id would only take room.
        let said = match &entry.id {
            Some(id) if model.page().is_none() => format!("{}: {}", text::clean(id), entry.text),
            _ => entry.text.clone(),
        };
        let spans = vec![
            Span::styled(text::time(entry.at_ms), theme.dim()),
            Span::raw(" "),
            Span::styled(text::fit(&said, room, false), theme.tone(entry.tone)),
        ];
        let buffer = frame.buffer_mut();
        buffer.set_line(area.x + 1, y, &Line::from(spans), area.width.saturating_sub(2));
        if picked == Some(i) {
            let row = Rect { y, height: 1, ..area };
            buffer.set_style(row, Style::reset());
            buffer.set_style(row, theme.selected());
        }
    }
    (range.len() < rows.len()).then_some((selected + 1, rows.len()))
}
