//! The rows of each view: what the filter lets through, in its order, and which one is selected.

use std::collections::HashMap;

use pblink_serve::control::{End, Outage};

use super::Model;
use crate::monitor::data::OutageKey;
use crate::monitor::entry::LogEntry;
use crate::monitor::filter::States;
use crate::monitor::keys::Tab;
use crate::monitor::order::{DayOrder, LinkOrder, OutageOrder};
use crate::monitor::timeline::Day;
use crate::output::events;

impl Model {
    /// Returns the indices of the links that the filter lets through, in their order.
    pub fn link_rows(&self) -> Vec<usize> {
        let links = &self.data().links;
        let mut rows: Vec<_> = (0..links.len()).filter(|i| self.shows_link(*i)).collect();
        let order = self.link_order;
        // Stable: the ids decide where the column does not.
        rows.sort_by(|a, b| order.turn(order.by.compare(self.data(), &links[*a], &links[*b])));
        if order.by == LinkOrder::Id && order.reverse {
            rows.reverse();
        }
        rows
    }

    fn shows_link(&self, index: usize) -> bool {
        let link = &self.data().links[index];
        let texts = [&*link.id, events::state_name(link.state)];
        let last = self.data().last_line(&link.id).map(|(line, _)| line.shown());
        let more = link.peer.as_deref().into_iter().chain(last);
        self.states.has(link.state) && self.filter.finds(texts.into_iter().chain(more))
    }

    /// Returns the indices of the links that the filter lets through and that have sent reports.
    pub fn report_rows(&self) -> Vec<usize> {
        let data = self.data();
        let mut rows = self.link_rows();
        rows.retain(|i| data.reports.contains_key(&data.links[*i].id));
        rows
    }

    /// Returns the outages that the filter lets through, in their order: unless another was chosen, the newest
    /// first.
    pub fn outage_rows(&self) -> Vec<(OutageKey, &Outage)> {
        let outages = self.data().outages.iter().rev().map(|(key, outage)| (*key, outage));
        let mut rows: Vec<_> = outages.filter(|(_, outage)| self.shows(outage)).collect();
        let order = self.outage_order;
        rows.sort_by(|(_, a), (_, b)| order.turn(order.by.compare(a, b)));
        if order.by == OutageOrder::Began && order.reverse {
            rows.reverse();
        }
        rows
    }

    fn shows(&self, outage: &Outage) -> bool {
        let state = match self.states {
            States::All => true,
            States::Down => outage.end == End::Open,
            States::Waiting => false,
            States::Up => outage.end != End::Open,
        };
        if !state || self.filter.text().is_empty() {
            return state;
        }
        let layer = outage.blamed().map(events::layer_name);
        let cause = outage.cause.map(|cause| cause.to_string());
        let texts = [Some(&*outage.client), layer, cause.as_deref()];
        self.filter.finds(texts.into_iter().flatten())
    }

    /// Returns the log entries in which the filter is found, oldest first; those of the open page's link only,
    /// if a page is open.
    pub fn log_rows(&self) -> Vec<&LogEntry> {
        let log = self.data().log.iter();
        match &self.page {
            Some(id) => log.filter(|entry| entry.is_of(id)).collect(),
            None => log.filter(|entry| self.filter.finds([&*entry.whole])).collect(),
        }
    }

    /// Returns the index of the selected row in `rows`.
    pub fn selected_link(&self, rows: &[usize]) -> usize {
        let links = &self.data().links;
        place(rows.iter().map(|i| &links[*i].id), self.link_pick.as_ref()).unwrap_or(0)
    }

    /// Returns the index of the selected row in `rows`.
    pub fn selected_outage(&self, rows: &[(OutageKey, &Outage)]) -> usize {
        place(rows.iter().map(|(key, _)| key), self.outage_pick.as_ref()).unwrap_or(0)
    }

    /// Returns the index of the selected row in `rows`; `None` while the log follows its end.
    pub fn selected_log(&self, rows: &[&LogEntry]) -> Option<usize> {
        let pick = if self.page.is_some() { self.page_pick } else { self.log_pick };
        place(rows.iter().map(|entry| &entry.key), pick.as_ref())
    }

    /// Returns the id that the user points at: that of the open page, else of the selected row.
    pub fn selected_id(&self) -> Option<String> {
        if self.page.is_some() {
            return self.page.clone();
        }
        match self.tab {
            Tab::Links | Tab::Reports | Tab::Day => {
                let rows = self.rows_of_links();
                rows.get(self.selected_link(&rows)).map(|i| self.data().links[*i].id.clone())
            }
            Tab::Outages => {
                let rows = self.outage_rows();
                rows.get(self.selected_outage(&rows)).map(|(_, outage)| outage.client.clone())
            }
            Tab::Log => {
                let rows = self.log_rows();
                rows[self.selected_log(&rows)?].id.clone()
            }
        }
    }

    /// Returns the last 24 hours of the links that the filter lets through, in their order.
    pub fn day_rows(&self) -> Vec<(usize, Day)> {
        let data = self.data();
        let mut outages: HashMap<&str, Vec<&Outage>> = HashMap::new();
        for outage in data.outages.values() {
            outages.entry(&outage.client).or_default().push(outage);
        }
        // Nothing is known of the time before the server ran, but outages.
        let now_ms = data.now.wall_ms;
        let since_ms = data.uptime().map_or(now_ms, |uptime| now_ms.saturating_sub(uptime));
        let mut links: Vec<usize> = (0..data.links.len()).filter(|i| self.shows_link(*i)).collect();
        if self.day_order.by == DayOrder::Id && self.day_order.reverse {
            links.reverse();
        }
        let day = |i: usize| {
            let outages = outages.get(&*data.links[i].id).into_iter().flatten().copied();
            (i, Day::new(outages, since_ms, now_ms))
        };
        let mut rows: Vec<_> = links.into_iter().map(day).collect();
        let order = self.day_order;
        rows.sort_by(|(_, a), (_, b)| order.turn(order.by.compare(a, b)));
        rows
    }

    pub(super) fn rows_of_links(&self) -> Vec<usize> {
        match self.tab {
            Tab::Reports => self.report_rows(),
            Tab::Day => self.day_rows().into_iter().map(|(i, _)| i).collect(),
            _ => self.link_rows(),
        }
    }
}

fn place<'a, K: PartialEq + 'a>(
    mut keys: impl Iterator<Item = &'a K>,
    pick: Option<&K>,
) -> Option<usize> {
    let pick = pick?;
    keys.position(|key| key == pick)
}
