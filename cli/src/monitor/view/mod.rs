//! Drawing the model. Every screen fits its area: columns and panels that find no room are left
//! out in a fixed order, so that the most telling ones stay.

mod alarm;
mod ascii;
mod day;
mod footer;
mod help;
mod lists;
mod log;
mod page;
mod passing;
mod table;
mod theme;

use pblink_serve::control::GatewayInfo;
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::data::Connection;
use super::filter::States;
use super::keys::Tab;
use super::model::Model;
use crate::output::{cells, events, gateways, units};
use theme::Theme;

/// The smallest terminal that shows something useful.
const SMALLEST: (u16, u16) = (40, 10);

/// The user's position in a list that is longer than the screen: row (from 1) and rows.
type Position = Option<(usize, usize)>;

/// Draws the whole screen.
pub fn draw(frame: &mut Frame, model: &Model) {
    let theme = Theme::new(model.colour());
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (width, height) = SMALLEST;
        let text = format!("too small: pblink needs {width}×{height} (q quits)");
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
        if model.ascii() {
            ascii::reduce(frame.buffer_mut());
        }
        return;
    }
    let [head, tabs, alarm, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(alarm::height(model)),
        Constraint::Min(1),
        Constraint::Length(1),
    ])
    .areas(area);
    let position = if model.page().is_some() {
        page::draw(frame, body, model, theme)
    } else {
        match model.tab() {
            Tab::Links => lists::links(frame, body, model, theme),
            Tab::Reports => lists::reports(frame, body, model, theme),
            Tab::Outages => lists::outages(frame, body, model, theme),
            Tab::Log => log::draw(frame, body, model, theme),
            Tab::Day => day::draw(frame, body, model, theme),
        }
    };
    header(frame.buffer_mut(), head, model, theme);
    tab_line(frame.buffer_mut(), tabs, model, position, theme);
    alarm::draw(frame.buffer_mut(), alarm, model, theme);
    footer::draw(frame.buffer_mut(), foot, model, theme);
    if model.help_is_open() {
        help::draw(frame, body, model, theme);
    }
    if model.ascii() {
        ascii::reduce(frame.buffer_mut());
    }
}

/// Draws the server and whether it is there.
fn header(buffer: &mut Buffer, area: Rect, model: &Model, theme: Theme) {
    let data = model.data();
    let state = match &data.connection {
        Connection::Connecting => Span::styled("○ connecting…", theme.warning()),
        Connection::Live => Span::styled("● live", theme.good()),
        Connection::Lost { since, .. } => {
            let age = units::age(data.now.mono_ms.saturating_sub(*since));
            Span::styled(format!(" ✗ no server for {age} "), theme.alarm())
        }
    };
    let mut room = usize::from(area.width).saturating_sub(cells::text_width(&state.content) + 2);
    put_right(buffer, area, vec![state]);

    let Some(server) = &data.server else {
        put(buffer, area, vec![Span::styled("pblink", theme.heading())]);
        return;
    };
    let uptime = units::age(data.uptime().unwrap_or_default());
    let up = format!("{}/{} up", data.links_up(), data.links.len());
    // In the order of the line, with the rank of each: the lowest number is kept longest.
    let mut pieces = vec![
        (3, Span::styled(format!("pblink {}", events::clean(&server.version)), theme.heading())),
        (2, Span::raw(events::clean(&server.listen).into_owned())),
        (1, Span::styled(up, theme.heading())),
        (5, Span::raw(format!("uptime {uptime}"))),
        (6, Span::raw(format!("app {}", events::clean(&server.app)))),
        (7, Span::raw(format!("time-out {}", units::span(server.timeout_ms)))),
    ];
    if let Some(gateways) = gateways(&server.gateways, theme) {
        pieces.insert(3, (4, gateways));
    }
    let mut ranked: Vec<_> = (0..pieces.len()).collect();
    ranked.sort_by_key(|i| pieces[*i].0);
    let mut kept = Vec::new();
    for i in ranked {
        // The first that does not fit ends it: a lesser piece in its place would look odd.
        let width = cells::text_width(&pieces[i].1.content) + 3;
        let Some(rest) = room.checked_sub(width) else {
            break;
        };
        room = rest;
        kept.push(i);
    }
    let mut spans = Vec::new();
    for i in (0..pieces.len()).filter(|i| kept.contains(i)) {
        if !spans.is_empty() {
            spans.push(Span::styled(" · ", theme.dim()));
        }
        spans.push(pieces[i].1.clone());
    }
    put(buffer, area, spans);
}

/// Returns the one that leads of servers that share a log, and how many others are there.
fn gateways(gateways: &[GatewayInfo], theme: Theme) -> Option<Span<'static>> {
    let (text, is_well) = gateways::words(gateways)?;
    Some(Span::styled(text, if is_well { Style::new() } else { theme.warning() }))
}

/// Draws the tabs; on their right what limits the view: frozen, filter, position.
fn tab_line(buffer: &mut Buffer, area: Rect, model: &Model, position: Position, theme: Theme) {
    let mut spans = Vec::new();
    for (i, tab) in Tab::ALL.into_iter().enumerate() {
        let style = if tab == model.tab() { theme.selected() } else { Style::new() };
        spans.push(Span::styled(format!(" {} {} ", i + 1, tab.name()), style));
    }
    let used: usize = spans.iter().map(|span| cells::text_width(&span.content)).sum();
    // The tabs bring their own margin.
    buffer.set_line(area.x, area.y, &Line::from(spans), area.width);

    let mut room = usize::from(area.width).saturating_sub(used + 3);
    let mut right: Vec<Span> = Vec::new();
    let mut add = |text: String, style: Style| {
        if let Some(rest) = room.checked_sub(cells::text_width(&text) + 1) {
            room = rest;
            right.insert(0, Span::raw(" "));
            right.insert(0, Span::styled(text, style));
        }
    };
    if model.is_frozen() {
        add(" FROZEN ".into(), theme.alarm());
    }
    if !model.filter().is_empty() {
        let filter = format!("/{}", model.filter());
        let cells = cells::text_width(&filter).min(12);
        add(cells::fit(&filter, cells, false), theme.warning());
    }
    if model.states() != States::All {
        add(format!("only {}", model.states().name()), theme.warning());
    }
    if let Some((row, rows)) = position {
        add(format!("{row}/{rows}"), theme.dim());
    }
    right.pop();
    put_right(buffer, area, right);
}

/// Puts a line into an area's first row, one cell in from its left.
fn put(buffer: &mut Buffer, area: Rect, spans: Vec<Span>) {
    buffer.set_line(area.x + 1, area.y, &Line::from(spans), area.width.saturating_sub(1));
}

/// Puts a line to the right end of an area's first row, one cell in.
fn put_right(buffer: &mut Buffer, area: Rect, spans: Vec<Span>) {
    let line = Line::from(spans);
    let width = (line.width() as u16).min(area.width.saturating_sub(1));
    buffer.set_line(area.right() - width - 1, area.y, &line, width);
}

/// Explains, in the middle of an area, why it is empty.
fn say(frame: &mut Frame, area: Rect, sentence: &str, theme: Theme) {
    let lines = Paragraph::new(sentence).wrap(Wrap { trim: true }).centered().style(theme.dim());
    let middle =
        Rect { y: area.y + area.height / 3, height: area.height - area.height / 3, ..area };
    let inner = Rect { x: middle.x + 2, width: middle.width.saturating_sub(4), ..middle };
    frame.render_widget(lines, inner);
}
