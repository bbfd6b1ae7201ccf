//! Text in the cells of a terminal.

use pblink_protocol::tcp::line::is_invisible;
use ratatui::text::Span;

/// Returns the cells that a character takes: 0 for those which [`clean`](super::events::clean) replaces.
pub fn width(c: char) -> usize {
    if c.is_control() {
        return 0;
    }
    Span::raw(&*c.encode_utf8(&mut [0; 4])).width()
}

/// Returns the cells that a text takes.
pub fn text_width(text: &str) -> usize {
    text.chars().map(width).sum()
}

/// Returns true for a character that is seen and leaves its neighbours as they are.
pub(crate) fn is_plain(c: char) -> bool {
    !c.is_control() && !is_invisible(c)
}

/// Returns the text in exactly `cells` cells: filled with spaces, or cut with `…` at the end.
pub fn fit(text: &str, cells: usize, right: bool) -> String {
    let wide = text_width(text);
    if wide <= cells {
        let space = " ".repeat(cells - wide);
        return if right { space + text } else { text.to_owned() + &space };
    }
    let mut out = String::new();
    let mut left = cells.saturating_sub(1);
    for c in text.chars() {
        let Some(rest) = left.checked_sub(width(c)) else {
            break;
        };
        left = rest;
        out.push(c);
    }
    if cells > 0 {
        out.push('…');
    }
    out + &" ".repeat(left)
}

/// Draws numbers as a row of bars, one per cell, the last `cells` of them. The scale is from the lowest
/// to the highest of these: a slow leak shows although the memory is mostly free.
pub fn sparkline(values: impl ExactSizeIterator<Item = u64> + Clone, cells: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let skipped = values.len().saturating_sub(cells);
    let shown = values.skip(skipped);
    let (low, high) = shown.clone().fold((u64::MAX, 0), |(l, h), v| (l.min(v), h.max(v)));
    shown
        .map(|v| match u128::from(high - low) {
            0 => BARS[3],
            range => BARS[(u128::from(v - low) * 7 / range) as usize],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fit_counts_cells_not_characters() {
        assert_eq!(fit("厨房", 6, false), "厨房  ");
        assert_eq!(fit("厨房灯", 5, false), "厨房…");
        assert_eq!(fit("厨房灯", 4, false), "厨… ");
        assert_eq!(fit("12", 4, true), "  12");
        assert_eq!(fit("12", 0, true), "");
    }

    #[test]
    fn sparkline_shows_the_last_values_between_their_extremes() {
        assert_eq!(sparkline([9, 0, 50, 100].into_iter(), 3), "▁▄█");
        assert_eq!(sparkline([7, 7].into_iter(), 8), "▄▄");
        assert_eq!(sparkline([0, u64::MAX].into_iter(), 8), "▁█");
        assert_eq!(sparkline([].into_iter(), 8), "");
    }
}
