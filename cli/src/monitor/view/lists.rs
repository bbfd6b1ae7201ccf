//! The tables: links, reports, outages.

use pblink_serve::control::{End, Outage, Sample};
use pblink_server::{LinkState, LinkStatus};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::table::{self, Column};
use super::theme::{Theme, symbol};
use super::{Position, say};
use crate::monitor::data::{Connection, Data, Reports};
use crate::monitor::filter::States;
use crate::monitor::model::Model;
use crate::monitor::order::{LinkOrder, Sorted};
use crate::output::{cells, events, units};

/// A link with what else is known of it.
struct LinkRow<'a> {
    link: &'a LinkStatus,
    age: u64,
    reports: Option<&'a Reports>,
    /// True if this is the present state, not the one before the server was lost.
    live: bool,
    model: &'a Model,
}

impl LinkRow<'_> {
    fn style(&self, style: Style, theme: Theme) -> Style {
        if self.live { style } else { theme.dim() }
    }
}

/// Draws the table of links.
pub fn links(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) -> Position {
    let data = model.data();
    let indices = model.link_rows();
    if indices.is_empty() {
        say(frame, area, &no_links(model), theme);
        return None;
    }
    let rows: Vec<LinkRow> = indices.iter().map(|i| link_row(model, *i)).collect();
    let id = id_width(rows.iter().map(|row| &*row.link.id));
    let mut columns = [
        id_column(id),
        Column {
            // Without the server the state is unknown; this is the last known one.
            title: if live(data) { "state" } else { "was" },
            sign: "",
            end: "",
            width: 14,
            most: 14,
            right: false,
            rank: 1,
            cell: |row, _, theme| {
                let style = row.style(theme.state(row.link.state), theme);
                let state = row.link.state;
                (format!("{} {}", symbol(state), events::state_name(state)), style)
            },
        },
        number("since", 6, 2, |row, _, theme| {
            (units::age(row.age), row.style(Style::new(), theme))
        }),
        number("last", 6, 3, |row, _, theme| {
            let age = row.model.data().last_line(&row.link.id).map(|(_, age)| units::age(age));
            (age.unwrap_or_else(|| "-".into()), row.style(Style::new(), theme))
        }),
        number("conn", 5, 9, |row, _, theme| counter(row, row.link.connects, theme)),
        number("in", 6, 4, |row, _, theme| counter(row, row.link.lines_in, theme)),
        number("out", 6, 5, |row, _, theme| counter(row, row.link.lines_out, theme)),
        number("resent", 6, 10, |row, _, theme| counter(row, row.link.retransmissions, theme)),
        number("dup", 5, 11, |row, _, theme| counter(row, row.link.duplicates, theme)),
        Column {
            title: "last line",
            sign: "",
            end: "",
            width: 12,
            most: 60,
            right: false,
            rank: 6,
            cell: |row, _, theme| {
                let last = row.model.data().last_line(&row.link.id);
                let text = last.map_or("", |(line, _)| line.shown());
                (events::clean(text).into_owned(), row.style(Style::new(), theme))
            },
        },
        number("write→ack", 10, 7, |row, _, theme| {
            (
                row.link.write_ack_us.map_or("-".into(), units::micros),
                row.style(Style::new(), theme),
            )
        }),
        number("free", 8, 8, |row, _, theme| {
            (row.link.mem_free.map_or("-".into(), units::bytes), row.style(Style::new(), theme))
        }),
        Column {
            title: "free, trend",
            sign: "",
            end: "",
            width: 11,
            most: 24,
            right: false,
            rank: 12,
            cell: |row, width, theme| (trend(row.reports, width), row.style(Style::new(), theme)),
        },
    ];
    sort_sign(model, &mut columns);
    table::draw(frame, area, &columns, &rows, Some(model.selected_link(&indices)), theme)
}

/// Draws the last reports, one row a link.
pub fn reports(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) -> Position {
    let indices = model.report_rows();
    if indices.is_empty() {
        let sentence = if !model.is_filtered() {
            "No report yet. An ESP8266 reports its free memory every report interval.".into()
        } else {
            nothing_passes(model, "report")
        };
        say(frame, area, &sentence, theme);
        return None;
    }
    let rows: Vec<LinkRow> = indices.iter().map(|i| link_row(model, *i)).collect();
    let id = id_width(rows.iter().map(|row| &*row.link.id));
    let last = rows.iter().filter_map(|row| row.reports?.samples.back());
    let times = times_width(model, last.map(|sample| sample.at_ms));
    let mut columns = [
        id_column(id),
        number("last", times, 1, |row, _, theme| {
            let last = row.reports.and_then(|reports| reports.samples.back());
            let time = last.map_or("-".into(), |sample| row.model.time(sample.at_ms));
            (time, row.style(Style::new(), theme))
        }),
        number("number", 6, 3, |row, _, theme| {
            report(row, theme, |r| units::count(r.report.number.into()))
        }),
        number("connects", 8, 4, |row, _, theme| {
            report(row, theme, |r| units::count(r.report.connects.into()))
        }),
        number("boots", 5, 6, |row, _, theme| {
            (row.reports.map_or(0, |r| r.boots).to_string(), row.style(Style::new(), theme))
        }),
        number("free", 8, 2, |row, _, theme| {
            report(row, theme, |r| units::bytes(r.report.mem_free.into()))
        }),
        number("lowest", 8, 7, |row, _, theme| {
            let lowest =
                row.reports.and_then(|r| r.samples.iter().map(|s| s.report.mem_free.into()).min());
            (lowest.map_or("-".into(), units::bytes), row.style(Style::new(), theme))
        }),
        Column {
            title: "free, trend",
            sign: "",
            end: "",
            width: 11,
            most: 120,
            right: false,
            rank: 5,
            cell: |row, width, theme| (trend(row.reports, width), row.style(Style::new(), theme)),
        },
    ];
    sort_sign(model, &mut columns);
    table::draw(frame, area, &columns, &rows, Some(model.selected_link(&indices)), theme)
}

/// An outage with the time that it has lasted.
pub struct OutageRow<'a> {
    outage: &'a Outage,
    open_for: Option<u64>,
    model: &'a Model,
}

/// Draws all outages, newest first.
pub fn outages(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) -> Position {
    let outages = model.outage_rows();
    if outages.is_empty() {
        let sentence = if !model.is_filtered() {
            "No outage so far.".into()
        } else {
            nothing_passes(model, "outage")
        };
        say(frame, area, &sentence, theme);
        return None;
    }
    let selected = model.selected_outage(&outages);
    let outages: Vec<&Outage> = outages.into_iter().map(|(_, outage)| outage).collect();
    outage_table(frame, area, model, &outages, Some(selected), true, theme)
}

/// Draws a table of outages, with or without the column of ids.
pub fn outage_table(
    frame: &mut Frame,
    area: Rect,
    model: &Model,
    outages: &[&Outage],
    selected: Option<usize>,
    ids: bool,
    theme: Theme,
) -> Position {
    let rows: Vec<_> = outages.iter().map(|outage| outage_row(model, outage)).collect();
    let id = id_width(outages.iter().map(|outage| &*outage.client));
    let times = times_width(model, outages.iter().map(|outage| outage.began_ms));
    let mut columns = vec![
        outage_column("began", times, times, 1, |row, _, _| {
            (row.model.time(row.outage.began_ms), Style::new())
        }),
        outage_column("lasted", 11, 11, 2, |row, _, theme| match (row.outage.end, row.open_for) {
            (End::Reconnected(ms), _) => (units::span(ms), Style::new()),
            (End::Open, Some(ms)) => (format!("now, {}", units::age(ms)), theme.bad()),
            (End::Open, None) => ("now".into(), theme.bad()),
            (End::ServerRestarted, _) => ("restarted".into(), theme.dim()),
            (End::Unseen, _) => ("unknown".into(), theme.dim()),
        }),
        outage_column("layer", 7, 7, 3, |row, _, _| {
            (row.outage.blamed().map_or("-", events::layer_name).into(), Style::new())
        }),
        outage_column("cause", 14, 25, 4, |row, width, _| match row.outage.cause {
            Some(cause) => {
                let sentence = cause.to_string();
                let fits = sentence.len() <= width;
                (if fits { sentence } else { events::cause_name(cause).into() }, Style::new())
            }
            None => ("begin not seen".into(), Style::new()),
        }),
    ];
    if ids {
        columns.push(outage_column("id", id.0, id.1, 0, |row, _, _| {
            (events::id(&row.outage.client).into_owned(), Style::new())
        }));
    }
    let order = model.outage_order();
    let sorted = columns.iter_mut().filter(|column| column.title == order.by.title());
    for column in sorted.filter(|_| ids && order != Sorted::default()) {
        column.sign = order.sign();
    }
    table::draw(frame, area, &columns, &rows, selected, theme)
}

fn outage_row<'a>(model: &'a Model, outage: &'a Outage) -> OutageRow<'a> {
    let data = model.data();
    // The server's own count of the outage; the clocks of two machines may differ.
    let open = (outage.end == End::Open).then(|| data.link(&outage.client)).flatten();
    let open_for = open
        .filter(|link| matches!(link.state, LinkState::Down { .. }))
        .map(|link| data.link_age(link));
    OutageRow { outage, open_for, model }
}

fn outage_column<'a>(
    title: &'static str,
    width: usize,
    most: usize,
    rank: u8,
    cell: fn(&OutageRow<'a>, usize, Theme) -> (String, Style),
) -> Column<OutageRow<'a>> {
    Column { title, sign: "", end: "", width, most, right: false, rank, cell }
}

fn id_column<'a>((width, most): (usize, usize)) -> Column<LinkRow<'a>> {
    Column { title: "id", sign: "", end: "", width, most, right: false, rank: 0, cell: link_id }
}

fn number<'a>(
    title: &'static str,
    width: usize,
    rank: u8,
    cell: fn(&LinkRow<'a>, usize, Theme) -> (String, Style),
) -> Column<LinkRow<'a>> {
    Column { title, sign: "", end: "", width, most: width, right: true, rank, cell }
}

fn live(data: &Data) -> bool {
    !matches!(data.connection, Connection::Lost { .. })
}

fn link_row(model: &Model, index: usize) -> LinkRow<'_> {
    let data = model.data();
    let link = &data.links[index];
    LinkRow {
        link,
        age: data.link_age(link),
        reports: data.reports.get(&link.id),
        live: live(data),
        model,
    }
}

/// Marks the column by which links are sorted.
fn sort_sign(model: &Model, columns: &mut [Column<LinkRow>]) {
    let order = model.link_order();
    if order == Sorted::default() {
        return;
    }
    // Without the server the column of states has another title.
    let title = |title| if title == "was" { LinkOrder::State.title() } else { title };
    for column in columns.iter_mut().filter(|column| title(column.title) == order.by.title()) {
        column.sign = order.sign();
        // Whoever sorts by it wants to see it.
        column.rank = 0;
    }
}

fn link_id(row: &LinkRow, _: usize, theme: Theme) -> (String, Style) {
    (events::id(&row.link.id).into_owned(), row.style(Style::new(), theme))
}

fn counter(row: &LinkRow, value: u64, theme: Theme) -> (String, Style) {
    // A column of noughts should not catch the eye.
    let style = if value == 0 { theme.dim() } else { row.style(Style::new(), theme) };
    (units::count(value), style)
}

fn report(row: &LinkRow, theme: Theme, value: fn(&Sample) -> String) -> (String, Style) {
    let last = row.reports.and_then(|reports| reports.samples.back());
    (last.map_or("-".into(), value), row.style(Style::new(), theme))
}

/// Returns the bars of a link's free memory.
pub fn trend(reports: Option<&Reports>, cells: usize) -> String {
    reports.map_or(String::new(), |reports| {
        cells::sparkline(reports.samples.iter().map(|sample| sample.report.mem_free.into()), cells)
    })
}

/// Returns the cells that times need, at least those of a time of today.
fn times_width(model: &Model, times: impl Iterator<Item = u64>) -> usize {
    // A date is there in the oldest or in the newest, if it is in any.
    let ends = times.fold(None, |ends: Option<(u64, u64)>, at_ms| {
        let (oldest, newest) = ends.unwrap_or((at_ms, at_ms));
        Some((oldest.min(at_ms), newest.max(at_ms)))
    });
    let (oldest, newest) = ends.unwrap_or((model.data().now.wall_ms, model.data().now.wall_ms));
    model.time(oldest).len().max(model.time(newest).len())
}

/// Returns the cells that ids need and can use: as much as the longest, within limits.
pub fn id_width<'a>(ids: impl Iterator<Item = &'a str>) -> (usize, usize) {
    let longest = ids.map(|id| cells::text_width(&events::id(id))).max().unwrap_or(0);
    (longest.clamp(4, 12), longest.clamp(4, 24))
}

/// Explains why there is no link.
pub fn no_links(model: &Model) -> String {
    if model.is_filtered() {
        return nothing_passes(model, "link");
    }
    match &model.data().server {
        Some(server) => format!(
            "No board has connected yet. Boards connect to {}; `pblink simulate` plays one.",
            events::clean(&server.listen)
        ),
        None => "Waiting for the server.".into(),
    }
}

/// Explains why a filtered list is empty.
pub fn nothing_passes(model: &Model, what: &str) -> String {
    let state = match model.states() {
        States::All => String::new(),
        states => format!(" in state {}", states.name()),
    };
    let with = match (model.filter(), what) {
        ("", _) => String::new(),
        (text, "report") => format!(" with an id that contains “{text}”"),
        (text, _) => format!(" that contains “{text}”"),
    };
    format!("No {what}{state}{with}. Esc clears the filter.")
}
