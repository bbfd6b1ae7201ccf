//! One link: everything about it.

use pblink_serve::control::{End, Outage, Sample};
use pblink_server::LinkStatus;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::theme::{Theme, symbol};
use super::{Position, lists, log, passing, put, say};
use crate::monitor::data::Data;
use crate::monitor::model::Model;
use crate::monitor::rates::Rate;
use crate::output::{cells, events, units};

/// Cells of a label with its value and a gap.
const ITEM: usize = 26;

/// Draws the page of the link that is open.
pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) -> Position {
    let data = model.data();
    let id = model.page().unwrap_or_default();
    let Some(link) = data.link(id) else {
        let sentence =
            format!("The server does not know {} any more. Esc goes back.", events::id(id));
        say(frame, area, &sentence, theme);
        return None;
    };
    let mut rest = area;
    title(frame, take(&mut rest, 1), data, link, theme);
    if model.only_lines() {
        rule(frame, take(&mut rest, 1), "Lines", theme);
        passing::draw(frame, rest, model, theme);
        return None;
    }
    if let Some((last, age)) = data.last_line(id)
        && rest.height > 8
    {
        let spans = vec![
            Span::styled(format!("last line {} ago  ", units::age(age)), theme.dim()),
            Span::raw(events::clean(last.shown()).into_owned()),
        ];
        put(frame.buffer_mut(), take(&mut rest, 1), spans);
    }
    counters(frame, &mut rest, data, link, theme);
    charts(frame, &mut rest, data, link, theme);

    let outages: Vec<&Outage> = data.outages.values().rev().filter(|o| o.client == id).collect();
    // The log needs three lines of its own; an outage takes one, and one for the headings.
    let room = rest.height.saturating_sub(3);
    if !outages.is_empty() && room >= 3 {
        // At most a third, so that the log stays the longer of the two.
        let height = (outages.len() as u16 + 1).min((room / 3 + 1).max(3));
        let open = outages.iter().any(|o| o.end == End::Open);
        let open = if open { ", one open" } else { "" };
        rule(frame, take(&mut rest, 1), &format!("Outages: {}{open}", outages.len()), theme);
        let area = take(&mut rest, height);
        lists::outage_table(frame, area, model, &outages, None, false, theme);
    }
    if rest.height < 2 {
        return None;
    }
    if model.has_lines() && rest.height >= 10 {
        let height = rest.height / 2;
        rule(frame, take(&mut rest, 1), "Lines", theme);
        passing::draw(frame, take(&mut rest, height - 1), model, theme);
    }
    rule(frame, take(&mut rest, 1), "Log", theme);
    log::draw(frame, rest, model, theme)
}

fn title(frame: &mut Frame, area: Rect, data: &Data, link: &LinkStatus, theme: Theme) {
    let age = units::age(data.link_age(link));
    let state = events::state_name(link.state);
    let mut spans = vec![
        Span::styled(format!("Link {}", events::id(&link.id)), theme.heading()),
        Span::raw("  "),
        Span::styled(format!("{} {state} for {age}", symbol(link.state)), theme.state(link.state)),
    ];
    if let Some(peer) = &link.peer {
        spans.push(Span::styled(format!("  {}", events::clean(peer)), theme.dim()));
    }
    if let Some(gateway) = data.gateway(&link.id) {
        spans.push(Span::styled(format!("  by {}", events::clean(gateway)), theme.dim()));
    }
    // Of the board, as `pblink keys` shows it.
    if let Some(key) = &link.key {
        spans.push(Span::styled(format!("  key {}", events::clean(key)), theme.dim()));
    }
    put(frame.buffer_mut(), area, spans);
}

fn counters(frame: &mut Frame, rest: &mut Rect, data: &Data, link: &LinkStatus, theme: Theme) {
    let optional = |value: Option<u64>| value.map_or("-".into(), units::count);
    let boots = data.reports.get(&link.id).map_or(0, |reports| reports.boots);
    let items = [
        ("lines in", units::count(link.lines_in)),
        ("lines out", units::count(link.lines_out)),
        ("write→ack", link.write_ack_us.map_or("-".into(), units::micros)),
        ("connects", units::count(link.connects)),
        ("outages", units::count(link.outages)),
        ("unacked", units::count(link.unacked)),
        ("resent", units::count(link.retransmissions)),
        ("duplicates", units::count(link.duplicates)),
        ("unread", units::count(link.unread)),
        ("invalid", units::count(link.invalid_lines)),
        ("report", optional(link.report_number)),
        ("ESP connects", optional(link.board_connects)),
        ("ESP boots", units::count(boots)),
        ("free memory", link.mem_free.map_or("-".into(), units::bytes)),
    ];
    let room = usize::from(rest.width).saturating_sub(2);
    // One more cell than needed: the last item of a row has no gap.
    let columns = ((room + 4) / ITEM).clamp(1, 5);
    for row in items.chunks(columns) {
        if rest.height <= 2 {
            return;
        }
        let mut spans = Vec::new();
        for (label, value) in row {
            spans.push(Span::styled(cells::fit(label, 12, false), theme.dim()));
            spans.push(Span::raw(cells::fit(value, ITEM - 16, true)));
            spans.push(Span::raw("    "));
        }
        put(frame.buffer_mut(), take(rest, 1), spans);
    }
}

/// Draws rows of bars, each between its lowest and its highest value, and the time that they span.
fn charts(frame: &mut Frame, rest: &mut Rect, data: &Data, link: &LinkStatus, theme: Theme) {
    if let Some(reports) = data.reports.get(&link.id) {
        let free = reports.samples.iter().map(|sample| sample.report.mem_free.into());
        let time = |sample: Option<&Sample>| sample.map_or(0, |sample| sample.at_ms);
        let span = time(reports.samples.back()).saturating_sub(time(reports.samples.front()));
        chart(frame, rest, ("free memory", units::bytes), free, span, theme);
    }
    let rates = data.rates.of(&link.id);
    let span = |first: Option<&Rate>, last: Option<&Rate>| {
        last.map_or(0, |rate| rate.at_ms).saturating_sub(first.map_or(0, |rate| rate.at_ms))
    };
    let span = span(rates.clone().next(), rates.clone().last());
    let known = rates.clone().filter_map(|rate| rate.write_ack_us).collect::<Vec<_>>();
    chart(frame, rest, ("write→ack", units::micros), known.into_iter(), span, theme);
    let per_second = |tenths| format!("{}.{}/s", tenths / 10, tenths % 10);
    chart(frame, rest, ("lines", per_second), rates.map(|rate| rate.tenths), span, theme);
}

fn chart(
    frame: &mut Frame,
    rest: &mut Rect,
    (label, unit): (&str, fn(u64) -> String),
    values: impl ExactSizeIterator<Item = u64> + Clone,
    span_ms: u64,
    theme: Theme,
) {
    let room = usize::from(rest.width).saturating_sub(2 + 13 + 10 + 10 + 16);
    if rest.height < 5 || values.len() < 2 || room < 8 {
        return;
    }
    // Scale and axis are those of the bars that are shown.
    let all = values.len();
    let shown = values.skip(all.saturating_sub(room));
    let span_ms = span_ms / (all as u64 - 1).max(1) * (shown.len() as u64 - 1);
    let (low, high) = (shown.clone().min().unwrap_or(0), shown.clone().max().unwrap_or(0));
    let spans = vec![
        Span::styled(cells::fit(label, 12, false), theme.dim()),
        Span::raw(cells::fit(&unit(low), 10, true)),
        Span::raw(" "),
        Span::raw(cells::sparkline(shown, room)),
        Span::raw(format!(" {}", unit(high))),
        Span::styled(format!("  in {}", units::span(span_ms)), theme.dim()),
    ];
    put(frame.buffer_mut(), take(rest, 1), spans);
}

/// Draws a heading with a line to the right end.
fn rule(frame: &mut Frame, area: Rect, title: &str, theme: Theme) {
    let room = usize::from(area.width).saturating_sub(3 + cells::text_width(title));
    let spans = vec![
        Span::styled(title.to_owned(), theme.heading()),
        Span::styled(format!(" {}", "─".repeat(room)), theme.dim()),
    ];
    put(frame.buffer_mut(), area, spans);
}

/// Cuts rows off the top.
fn take(rest: &mut Rect, height: u16) -> Rect {
    let height = height.min(rest.height);
    let top = Rect { height, ..*rest };
    rest.y += height;
    rest.height -= height;
    top
}
