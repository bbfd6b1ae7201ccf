//! The lines of the link whose page is open.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::say;
use super::theme::Theme;
use crate::monitor::model::Model;
use crate::output::{cells, events};

/// Draws the newest lines, the last one at the bottom.
pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) {
    let watched = model.watched();
    let problem = watched.and_then(|watched| watched.problem.as_deref());
    let lines = watched.map(|watched| &watched.lines).filter(|lines| !lines.is_empty());
    let (Some(lines), None) = (lines, problem) else {
        let sentence = match problem {
            Some(problem) => format!("The lines cannot be read: {}", events::clean(problem)),
            None => "No line has passed yet.".to_owned(),
        };
        return say(frame, area, &sentence, theme);
    };
    let first = lines.len().saturating_sub(area.height.into());
    let shown = lines.range(first..);
    let times = shown.clone().map(|line| model.time(line.at_ms));
    let width = times.clone().map(|time| time.len()).max().unwrap_or(0);
    let room = usize::from(area.width).saturating_sub(3 + width);
    for (row, (line, time)) in shown.zip(times).enumerate() {
        let spans = vec![
            Span::styled(cells::fit(&time, width, true), theme.dim()),
            Span::raw(" "),
            Span::raw(cells::fit(&events::clean(&line.text), room, false)),
        ];
        let y = area.y + row as u16;
        let width = area.width.saturating_sub(2);
        frame.buffer_mut().set_line(area.x + 1, y, &Line::from(spans), width);
    }
}
