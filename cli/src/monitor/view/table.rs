//! A table that leaves out the columns that do not fit.

use std::ops::Range;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::Position;
use super::theme::Theme;
use crate::output::cells;

/// One column of rows of type `R`.
pub struct Column<R> {
    pub title: &'static str,
    /// `▼` or `▲` behind the title, if the rows are in its order.
    pub sign: &'static str,
    /// Text at the right end of the title's cells, if there is room.
    pub end: &'static str,
    /// Cells that it needs.
    pub width: usize,
    /// Cells that it can use when there is room.
    pub most: usize,
    /// True if it is aligned to the right, as numbers are.
    pub right: bool,
    /// The lowest rank is kept longest when room is short.
    pub rank: u8,
    /// The cell's text and style; it gets the width of the column.
    pub cell: fn(&R, usize, Theme) -> (String, Style),
}

/// Draws heading and rows; `selected` is kept in sight and marked.
pub fn draw<R>(
    frame: &mut Frame,
    area: Rect,
    columns: &[Column<R>],
    rows: &[R],
    selected: Option<usize>,
    theme: Theme,
) -> Position {
    let widths = widths(columns, usize::from(area.width).saturating_sub(2));
    let shown: Vec<_> = columns.iter().zip(widths).filter_map(|(c, w)| Some((c, w?))).collect();
    let buffer = frame.buffer_mut();

    let titles = shown.iter().map(|(column, width)| {
        let title = format!("{}{}", column.title, column.sign);
        let (begin, end) = (cells::text_width(&title), cells::text_width(column.end));
        if end > 0 && begin + end < *width {
            let title = cells::fit(&title, *width - end, false) + column.end;
            return (title, theme.heading());
        }
        (cells::fit(&title, *width, column.right), theme.heading())
    });
    buffer.set_line(area.x + 1, area.y, &joined(titles), area.width.saturating_sub(2));

    let body = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let range = window(rows.len(), selected.unwrap_or(0), usize::from(body.height));
    let first = range.start;
    for (line, row) in rows[range.clone()].iter().enumerate() {
        let y = body.y + line as u16;
        let cells = shown.iter().map(|(column, width)| {
            let (text, style) = (column.cell)(row, *width, theme);
            (cells::fit(&text, *width, column.right), style)
        });
        buffer.set_line(body.x + 1, y, &joined(cells), body.width.saturating_sub(2));
        if selected == Some(first + line) {
            buffer.set_style(Rect { y, height: 1, ..body }, theme.cursor());
        }
    }
    let hidden = range.len() < rows.len();
    selected.filter(|_| hidden).map(|row| (row + 1, rows.len()))
}

/// Returns the rows to show so that `selected` is among them, in the middle where possible.
pub fn window(rows: usize, selected: usize, height: usize) -> Range<usize> {
    let first = selected.saturating_sub(height / 2).min(rows.saturating_sub(height));
    first..rows.min(first + height)
}

/// Returns the width of each column, `None` for those that are left out.
fn widths<R>(columns: &[Column<R>], room: usize) -> Vec<Option<usize>> {
    let mut ranked: Vec<_> = (0..columns.len()).collect();
    ranked.sort_by_key(|i| columns[*i].rank);
    let mut widths = vec![None; columns.len()];
    // The gap before the first column does not exist.
    let mut room = room + 1;
    for &i in &ranked {
        if let Some(rest) = room.checked_sub(columns[i].width + 1) {
            room = rest;
            widths[i] = Some(columns[i].width);
        }
    }
    for i in ranked {
        if let Some(width) = &mut widths[i] {
            let more = room.min(columns[i].most.saturating_sub(*width));
            *width += more;
            room -= more;
        }
    }
    widths
}

fn joined(cells: impl Iterator<Item = (String, Style)>) -> Line<'static> {
    let mut spans = Vec::new();
    for (text, style) in cells {
        if !spans.is_empty() {
            spans.push(Span::raw(" "));
        }
        spans.push(Span::styled(text, style));
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::window;

    #[test]
    fn the_selected_row_is_always_in_sight() {
        assert_eq!(window(3, 2, 10), 0..3);
        assert_eq!(window(100, 0, 10), 0..10);
        assert_eq!(window(100, 50, 10), 45..55);
        assert_eq!(window(100, 99, 10), 90..100);
        assert_eq!(window(0, 0, 10), 0..0);
        assert_eq!(window(5, 3, 0), 3..3);
    }
}
