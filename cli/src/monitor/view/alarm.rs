//! The line that says which consumer cannot go on, fails, or is far behind: on each screen, for as long as it does or is.

use pblink_serve::control::{ConsumerInfo, Failing, Stalled};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::put;
use super::theme::Theme;
use crate::monitor::model::Model;
use crate::output::{events, units};

/// Lines behind from which on it is said: with many lines a second some are always under way.
const BEHIND: u64 = 1_000;

/// Returns the consumer and the line that fail longest, and the number of further ones.
fn oldest(model: &Model) -> Option<(&ConsumerInfo, &Failing, u64)> {
    let consumers = &model.data().consumers;
    let failing = consumers.iter().flat_map(|c| c.failing.iter().map(move |line| (c, line)));
    let (consumer, line) = failing.min_by_key(|(_, line)| line.since_ms)?;
    let all: u64 = consumers.iter().map(|consumer| consumer.failing_clients).sum();
    Some((consumer, line, all.saturating_sub(1)))
}

/// Returns the consumer that is furthest behind, of those that run here, and the number of further ones.
fn slowest(model: &Model) -> Option<(&ConsumerInfo, usize)> {
    let consumers = &model.data().consumers;
    let behind = || consumers.iter().filter(|c| c.running && c.lag >= BEHIND);
    Some((behind().max_by_key(|c| c.lag)?, behind().count() - 1))
}

/// Returns the consumer that cannot go on for longest, and the number of further ones.
fn stalled(model: &Model) -> Option<(&ConsumerInfo, &Stalled, usize)> {
    let all = || model.data().consumers.iter().filter_map(|c| Some((c, c.stalled.as_ref()?)));
    let (consumer, stalled) = all().min_by_key(|(_, stalled)| stalled.since_ms)?;
    Some((consumer, stalled, all().count() - 1))
}

/// Returns the rows that it needs.
pub fn height(model: &Model) -> u16 {
    let any = stalled(model).is_some() || oldest(model).is_some() || slowest(model).is_some();
    u16::from(any)
}

/// Draws it, if a consumer cannot go on, fails or is far behind.
pub fn draw(buffer: &mut Buffer, area: Rect, model: &Model, theme: Theme) {
    let (text, more, why) = if let Some((consumer, stalled, more)) = stalled(model) {
        // All lines wait, and not only those of one client.
        let (name, since) = (events::clean(&consumer.name), model.time(stalled.since_ms));
        (format!(" ✗ {name} cannot go on since {since}"), more as u64, &stalled.why)
    } else if let Some((consumer, line, more)) = oldest(model) {
        let (name, client) = (events::clean(&consumer.name), events::id(&line.client));
        let (offset, since) = (line.offset, model.time(line.since_ms));
        (format!(" ✗ {name} fails at {offset}, a line of {client}, since {since}"), more, &line.why)
    } else {
        if let Some((consumer, more)) = slowest(model) {
            let (name, lag) = (events::clean(&consumer.name), units::lines(consumer.lag));
            let mut text = format!("   {name} is {lag} behind");
            if more > 0 {
                text += &format!(", and {more} more are");
            }
            put(buffer, area, vec![Span::raw(text)]);
        }
        return;
    };
    let others = if more > 0 { format!(", and {more} more") } else { String::new() };
    let spans = vec![
        Span::styled(format!("{text}{others} "), theme.alarm()),
        Span::raw(format!(" {}", events::clean(why))),
    ];
    put(buffer, area, spans);
}
