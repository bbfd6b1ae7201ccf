//! The last 24 hours of each link.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::table::{self, Column};
use super::theme::Theme;
use super::{Position, lists, say};
use crate::monitor::model::Model;
use crate::monitor::order::Sorted;
use crate::monitor::timeline::{Day, percent};
use crate::output::{events, units};

struct Row<'a> {
    id: &'a str,
    day: Day,
}

/// Draws a bar for each link, and what it adds up to.
pub fn draw(frame: &mut Frame, area: Rect, model: &Model, theme: Theme) -> Position {
    let days = model.day_rows();
    if days.is_empty() {
        say(frame, area, &lists::no_links(model), theme);
        return None;
    }
    let indices: Vec<usize> = days.iter().map(|(i, _)| *i).collect();
    let links = &model.data().links;
    let row = |(i, day): (usize, Day)| Row { id: &links[i].id, day };
    let rows: Vec<Row> = days.into_iter().map(row).collect();
    let id = lists::id_width(rows.iter().map(|row| row.id));
    let number = |title, width, rank, cell| Column::<Row> {
        title,
        sign: "",
        end: "",
        width,
        most: width,
        right: true,
        rank,
        cell,
    };
    let mut columns = [
        Column {
            title: "id",
            sign: "",
            end: "",
            width: id.0,
            most: id.1,
            right: false,
            rank: 0,
            cell: |row: &Row, _, _| (events::id(row.id).into_owned(), Style::new()),
        },
        Column {
            title: "24 h ago",
            sign: "",
            end: "now",
            width: 24,
            most: 96,
            right: false,
            rank: 1,
            cell: |row, width, _| (row.day.bar(width), Style::new()),
        },
        number("outages", 8, 4, |row, _, theme| (units::count(row.day.outages), quiet(row, theme))),
        number("down", 10, 2, |row, _, theme| (length(row.day.down_ms), quiet(row, theme))),
        number("longest", 10, 5, |row, _, theme| (length(row.day.longest_ms), quiet(row, theme))),
        number("available", 9, 3, |row, _, _| {
            (row.day.availability_ppm().map_or("-".into(), percent), Style::new())
        }),
    ];
    let order = model.day_order();
    let sorted = columns.iter_mut().filter(|column| column.title == order.by.title());
    for column in sorted.filter(|_| order != Sorted::default()) {
        column.sign = order.sign();
    }
    table::draw(frame, area, &columns, &rows, Some(model.selected_link(&indices)), theme)
}

/// A column of noughts should not catch the eye.
fn quiet(row: &Row, theme: Theme) -> Style {
    if row.day.outages == 0 { theme.dim() } else { Style::new() }
}

fn length(ms: u64) -> String {
    if ms == 0 { "-".into() } else { units::span(ms) }
}
