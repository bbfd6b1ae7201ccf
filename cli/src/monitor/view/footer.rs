//! The last line: keys that fit, or what is typed or asked.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::put;
use super::theme::{Theme, mark};
use crate::monitor::filter::States;
use crate::monitor::keys::Tab;
use crate::monitor::model::Model;
use crate::output::{cells, events};

/// Draws the keys that fit, the filter while it is typed, or a question.
pub fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: Theme) {
    if let Some((question, answers)) = model.question() {
        let mut spans = vec![Span::styled(format!("{question}  "), theme.warning())];
        for (key, label) in answers {
            spans.push(Span::styled(*key, theme.key()));
            spans.push(Span::raw(format!(" {label}  ")));
        }
        spans.push(Span::styled("any other key", theme.key()));
        spans.push(Span::raw(" no"));
        return put(buffer, area, spans);
    }
    if let Some((text, tone)) = model.notice() {
        let text = format!("{} {}", mark(tone), events::clean(text));
        return put(buffer, area, vec![Span::styled(text, theme.tone(tone))]);
    }
    if model.is_editing() {
        let hint = match model.pattern().is_literal() {
            true => "  not a pattern: searched as it is",
            false => "  Enter keeps it, Esc clears it",
        };
        return typed(buffer, area, ("/", model.filter(), hint), theme);
    }
    if let Some((client, text)) = model.writing() {
        let sign = format!("line to {}: ", events::id(client));
        return typed(buffer, area, (&sign, text, "  Enter sends it, Esc does not"), theme);
    }
    let keys = keys(model);
    let gap = 2;
    let mut room = usize::from(area.width);
    let mut spans: Vec<Span> = Vec::new();
    for (key, label) in keys {
        let width = gap + cells::text_width(&key) + 1 + cells::text_width(&label);
        let Some(rest) = room.checked_sub(width) else {
            continue;
        };
        room = rest;
        spans.push(Span::raw(if spans.is_empty() { "" } else { "  " }));
        spans.push(Span::styled(key, theme.key()));
        spans.push(Span::raw(format!(" {label}")));
    }
    put(buffer, area, spans);
}

/// Draws a text that is being typed, between its sign and a hint.
fn typed(buffer: &mut Buffer, area: Rect, (sign, text, hint): (&str, &str, &str), theme: Theme) {
    let around = cells::text_width(sign) + cells::text_width(hint) + 3;
    let room = usize::from(area.width).saturating_sub(around);
    // The end of a long text is where the user types.
    let mut text = text;
    while cells::text_width(text) > room {
        text = &text[text.chars().next().map_or(0, char::len_utf8)..];
    }
    let spans = vec![
        Span::styled(sign.to_owned(), theme.heading()),
        Span::raw(text.to_owned()),
        Span::styled(" ", theme.selected()),
        Span::styled(hint.to_owned(), theme.dim()),
    ];
    put(buffer, area, spans);
}

/// Returns the keys with their labels, the most important first: those that find no room are left out.
fn keys(model: &Model) -> Vec<(String, String)> {
    let mut keys: Vec<(String, String)> = Vec::new();
    let mut key = |key: &str, label: &str| keys.push((key.to_owned(), label.to_owned()));
    if model.help_is_open() {
        key("any key", "closes the help");
    } else if model.page().is_some() {
        key("Esc", "back");
    } else if model.is_filtered() {
        key("Esc", "show all");
    }
    key("q", "quit");
    key("?", "help");
    let in_list = model.page().is_none();
    if in_list {
        key("Enter", "link");
    }
    key("Tab", "view");
    key("/", "filter");
    if model.is_frozen() {
        key("f", "unfreeze");
    }
    if model.has_lines() && !in_list {
        key("l", if model.only_lines() { "all" } else { "lines" });
        key("m", "send");
    }
    for extra in model.extra() {
        key(&extra.key.to_string(), &extra.label);
    }
    if in_list && model.tab() != Tab::Log {
        key("s", "sort");
        key("d", if model.states() == States::All { "down only" } else { "next state" });
    }
    if !model.is_frozen() {
        key("f", "freeze");
    }
    key("e", "export");
    if model.has_lines() && in_list {
        key("m", "send");
    }
    key("↑↓", if in_list { "select" } else { "log" });
    keys
}
