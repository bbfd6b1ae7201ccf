//! The log, of all links or of one.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::lists::nothing_passes;
use super::theme::{Theme, mark};
use super::{Position, put, say, table};
use crate::monitor::entry::LogEntry;
use crate::monitor::model::Model;
use crate::output::cells;

/// Draws the log, newest at the bottom. A selected entry that is cut is shown in full below.
pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) -> Position {
    let rows = model.log_rows();
    let Some(last) = rows.len().checked_sub(1) else {
        let filtered = model.is_filtered() && model.page().is_none();
        let sentence =
            if filtered { nothing_passes(model, "event") } else { "No event so far.".into() };
        say(frame, area, &sentence, theme);
        return None;
    };
    let picked = model.selected_log(&rows);
    let selected = picked.unwrap_or(last);
    // The widest time that is there: those of today need no date.
    let times = rows.first().map_or(0, |oldest| model.time(oldest.at_ms).len());
    let times = times.max(model.time(rows[last].at_ms).len());
    let room = usize::from(area.width).saturating_sub(2 + times + 3);
    let full = picked.map(|i| said(rows[i], model)).filter(|text| cells::text_width(text) > room);
    let area = match full {
        Some(full) => below(frame, area, full, theme),
        None => area,
    };
    let range = table::window(rows.len(), selected, usize::from(area.height));
    for (line, i) in range.clone().enumerate() {
        let entry = rows[i];
        let y = area.y + line as u16;
        let spans = vec![
            Span::styled(cells::fit(&model.time(entry.at_ms), times, true), theme.dim()),
            Span::raw(" "),
            Span::styled(mark(entry.tone), theme.tone(entry.tone)),
            Span::raw(" "),
            Span::styled(cells::fit(said(entry, model), room, false), theme.tone(entry.tone)),
        ];
        let buffer = frame.buffer_mut();
        buffer.set_line(area.x + 1, y, &Line::from(spans), area.width.saturating_sub(2));
        if picked == Some(i) {
            buffer.set_style(Rect { y, height: 1, ..area }, theme.cursor());
        }
    }
    (range.len() < rows.len()).then_some((selected + 1, rows.len()))
}

/// Returns the entry's text with the id, except on the link's own page.
fn said<'a>(entry: &'a LogEntry, model: &Model) -> &'a str {
    if model.page().is_some() { &entry.text } else { &entry.whole }
}

/// Shows a text at the bottom of the area; returns what is left of it.
fn below(frame: &mut Frame, area: Rect, text: &str, theme: Theme) -> Rect {
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    // Words are not split, so a line may take less than the width: one more line for that.
    let lines = cells::text_width(text).div_ceil(width) as u16 + 1;
    // The list keeps at least half of the room.
    let height = (lines + 1).min(area.height / 2);
    if height < 2 {
        return area;
    }
    let top = Rect { height: area.height - height, ..area };
    let rule = Rect { y: top.bottom(), height: 1, ..area };
    put(frame.buffer_mut(), rule, vec![Span::styled("─".repeat(width), theme.dim())]);
    let rest = Rect {
        x: area.x + 1,
        y: rule.y + 1,
        width: area.width.saturating_sub(2),
        height: height - 1,
    };
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), rest);
    top
}
