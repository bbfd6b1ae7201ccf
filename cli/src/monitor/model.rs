//! The shown part of the data, and the effects of the keys on it.

use std::collections::HashMap;

use pblink_serve::control::{End, Outage, Update};

use super::data::{Data, LogEntry, Now, OutageKey, Tone};
use super::export::{self, Form};
use super::filter::{Pattern, States};
use super::keys::{Action, ExtraKey, Key, Tab};
use super::order::{DayOrder, LinkOrder, OutageOrder, Sorted};
use super::timeline::Day;
use crate::output::{events, times::Zone};

/// The meaning of the next key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Mode {
    /// It is a command.
    #[default]
    Command,
    /// It belongs to the filter.
    Filter,
    /// It answers whether to end.
    Ending,
    /// It says in which form to export.
    Exporting,
}

/// The state of the monitor.
#[derive(Debug, Clone)]
pub struct Model {
    live: Data,
    frozen: Option<Box<Data>>,
    tab: Tab,
    page: Option<String>,
    filter: Pattern,
    states: States,
    mode: Mode,
    link_order: Sorted<LinkOrder>,
    outage_order: Sorted<OutageOrder>,
    day_order: Sorted<DayOrder>,
    /// The outcome of the last action, until the next key.
    notice: Option<(String, Tone)>,
    help: bool,
    rows: usize,
    /// Selected id on Links and Reports: `None` is the first row.
    link_pick: Option<String>,
    /// Selected outage: `None` is the newest.
    outage_pick: Option<OutageKey>,
    /// Selected log entry: `None` follows the newest.
    log_pick: Option<u64>,
    /// The same on a link's page.
    page_pick: Option<u64>,
    extra: Vec<ExtraKey>,
    colour: bool,
    ascii: bool,
    zone: Zone,
    /// Question before the end, for one that ends more than the screen.
    ending: Option<String>,
}

impl Model {
    /// Returns an empty model. Without `colour`, symbols, words, bold and reverse must do. Times are in UTC.
    pub fn new(colour: bool, extra: Vec<ExtraKey>) -> Self {
        Self {
            live: Data::default(),
            frozen: None,
            tab: Tab::Links,
            page: None,
            filter: Pattern::default(),
            states: States::default(),
            mode: Mode::default(),
            link_order: Sorted::default(),
            outage_order: Sorted::default(),
            day_order: Sorted::default(),
            notice: None,
            help: false,
            rows: 20,
            link_pick: None,
            outage_pick: None,
            log_pick: None,
            page_pick: None,
            extra,
            colour,
            ascii: false,
            zone: Zone::utc(),
            ending: None,
        }
    }

    /// Shows times in this zone.
    #[must_use]
    pub fn with_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// Shows ASCII only, if so.
    #[must_use]
    pub fn with_ascii(self, ascii: bool) -> Self {
        Self { ascii, ..self }
    }

    /// Asks this before `q` ends it.
    #[must_use]
    pub fn with_ending(self, ending: Option<String>) -> Self {
        Self { ending, ..self }
    }

    /// Takes in what a follower learnt. A frozen view does not show it yet.
    pub fn apply(&mut self, update: Update) {
        self.live.apply(update);
    }

    /// Sets the time.
    pub fn tick(&mut self, now: Now) {
        self.live.now = now;
    }

    /// Sets the height of the terminal, which is how far a page key goes.
    pub fn resize(&mut self, height: u16) {
        self.rows = usize::from(height.saturating_sub(5)).max(1);
    }

    /// Returns the shown data: live ones, or those of the moment when the view was frozen.
    pub fn data(&self) -> &Data {
        self.frozen.as_deref().unwrap_or(&self.live)
    }

    /// Returns true if the view is frozen.
    pub fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Returns the tab.
    pub fn tab(&self) -> Tab {
        self.tab
    }

    /// Returns the link whose page is open.
    pub fn page(&self) -> Option<&str> {
        self.page.as_deref()
    }

    /// Returns the filter's text; empty shows all.
    pub fn filter(&self) -> &str {
        self.filter.text()
    }

    /// Returns the filter.
    pub fn pattern(&self) -> &Pattern {
        &self.filter
    }

    /// Returns the states that are shown.
    pub fn states(&self) -> States {
        self.states
    }

    /// Returns true if the filter or the state hides something.
    pub fn is_filtered(&self) -> bool {
        !self.filter.text().is_empty() || self.states != States::All
    }

    /// Returns true while the filter is being typed.
    pub fn is_editing(&self) -> bool {
        self.mode == Mode::Filter
    }

    /// Returns the question that the next key answers, and the answers.
    pub fn question(&self) -> Option<(String, &'static [(&'static str, &'static str)])> {
        match self.mode {
            Mode::Ending => self.ending.clone().map(|question| (question, &[("y", "yes")][..])),
            Mode::Exporting => {
                let question = format!("Write {} to a file?", export::name(self));
                Some((question, &[("j", "JSON"), ("c", "CSV")]))
            }
            Mode::Command | Mode::Filter => None,
        }
    }

    /// Returns the outcome of the last action.
    pub fn notice(&self) -> Option<(&str, Tone)> {
        self.notice.as_ref().map(|(text, tone)| (&**text, *tone))
    }

    /// Shows the outcome of an action until the next key.
    pub fn tell(&mut self, text: String, tone: Tone) {
        self.notice = Some((text, tone));
    }

    /// Returns the time for the name of a file.
    pub(super) fn stamp(&self) -> String {
        self.zone.stamp(self.data().now.wall_ms)
    }

    /// Returns the order of the days.
    pub fn day_order(&self) -> Sorted<DayOrder> {
        self.day_order
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

    /// Returns the order of the links.
    pub fn link_order(&self) -> Sorted<LinkOrder> {
        self.link_order
    }

    /// Returns the order of the outages.
    pub fn outage_order(&self) -> Sorted<OutageOrder> {
        self.outage_order
    }

    /// Returns true if only ASCII is shown.
    pub fn ascii(&self) -> bool {
        self.ascii
    }

    /// Formats a wall-clock time in the zone of the screen.
    pub fn time(&self, at_ms: u64) -> String {
        self.zone.time(at_ms, self.data().now.wall_ms)
    }

    /// Returns true if the help is open.
    pub fn help_is_open(&self) -> bool {
        self.help
    }

    /// Returns the extra keys.
    pub fn extra(&self) -> &[ExtraKey] {
        &self.extra
    }

    /// Returns true if colours are used.
    pub fn colour(&self) -> bool {
        self.colour
    }

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
        let last = self.data().last_line(&link.id).map(|(line, _)| &*line.text);
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

    /// Does what the key says.
    pub fn key(&mut self, key: Key) -> Action {
        match key {
            Key::Ctrl('c') => return Action::Quit,
            Key::Ctrl('l') => return Action::Redraw,
            _ => {}
        }
        self.notice = None;
        match self.mode {
            Mode::Exporting => {
                self.mode = Mode::Command;
                let form = match key {
                    Key::Char('j') => Form::Json,
                    Key::Char('c') => Form::Csv,
                    _ => return Action::None,
                };
                return Action::Export(Box::new(export::export(self, form)));
            }
            Mode::Filter => {
                self.edit(key);
                return Action::None;
            }
            Mode::Ending => {
                self.mode = Mode::Command;
                let yes = matches!(key, Key::Char('y' | 'Y'));
                return if yes { Action::Quit } else { Action::None };
            }
            Mode::Command => {}
        }
        if let Key::Char(c) = key
            && self.extra.iter().any(|extra| extra.key == c)
        {
            return Action::Extra(c);
        }
        if key == Key::Char('q') {
            if self.ending.is_none() {
                return Action::Quit;
            }
            self.mode = Mode::Ending;
            return Action::None;
        }
        if self.help {
            self.help = false;
            return Action::None;
        }
        self.command(key);
        Action::None
    }

    fn command(&mut self, key: Key) {
        match key {
            Key::Char('?') => self.help = true,
            Key::Char('/') => {
                // The filter works on lists, not on the page of one link.
                self.page = None;
                self.mode = Mode::Filter;
            }
            Key::Char('d') => {
                self.page = None;
                self.states = self.states.next();
            }
            Key::Char('e') => self.mode = Mode::Exporting,
            Key::Char('s') => self.sort(),
            Key::Char('S') => self.reverse(),
            Key::Char('f') => {
                self.frozen = match self.frozen {
                    Some(_) => None,
                    None => Some(Box::new(self.live.clone())),
                }
            }
            Key::Char(c @ '1'..='5') => self.go(Tab::ALL[c as usize - '1' as usize]),
            Key::Tab => self.go(self.tab.step(1)),
            Key::BackTab => self.go(self.tab.step(Tab::ALL.len() - 1)),
            Key::Enter => {
                if self.page.is_none()
                    && let Some(id) = self.selected_id()
                    && self.data().link(&id).is_some()
                {
                    self.link_pick = Some(id.clone());
                    self.page = Some(id);
                    self.page_pick = None;
                }
            }
            Key::Esc if self.page.is_some() => self.page = None,
            Key::Esc => {
                self.filter.clear();
                self.states = States::All;
            }
            Key::Up | Key::Char('k') => self.walk(-1),
            Key::Down | Key::Char('j') => self.walk(1),
            Key::PageUp => self.walk(-(self.rows as isize)),
            Key::PageDown => self.walk(self.rows as isize),
            Key::Home | Key::Char('g') => self.walk(isize::MIN),
            Key::End | Key::Char('G') => self.walk(isize::MAX),
            _ => {}
        }
    }

    /// Sorts the shown list by its next column.
    fn sort(&mut self) {
        match self.tab {
            _ if self.page.is_some() => {}
            Tab::Links | Tab::Reports => {
                self.link_order = Sorted { by: self.link_order.by.next(), reverse: false };
            }
            Tab::Outages => {
                self.outage_order = Sorted { by: self.outage_order.by.next(), reverse: false };
            }
            Tab::Day => {
                self.day_order = Sorted { by: self.day_order.by.next(), reverse: false };
            }
            Tab::Log => {}
        }
    }

    /// Turns the order of the shown list round.
    fn reverse(&mut self) {
        match self.tab {
            _ if self.page.is_some() => {}
            Tab::Links | Tab::Reports => self.link_order.reverse ^= true,
            Tab::Outages => self.outage_order.reverse ^= true,
            Tab::Day => self.day_order.reverse ^= true,
            Tab::Log => {}
        }
    }

    fn go(&mut self, tab: Tab) {
        self.page = None;
        self.tab = tab;
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Enter => self.mode = Mode::Command,
            Key::Esc => {
                self.filter.clear();
                self.mode = Mode::Command;
            }
            Key::Backspace => self.filter.pop(),
            Key::Ctrl('u') => self.filter.clear(),
            Key::Char(c) => self.filter.push(c),
            _ => {}
        }
    }

    fn walk(&mut self, by: isize) {
        if self.page.is_some() || self.tab == Tab::Log {
            let rows = self.log_rows();
            let Some(last) = rows.len().checked_sub(1) else {
                return;
            };
            let to = stepped(self.selected_log(&rows).unwrap_or(last), by, last);
            // At its end the log follows again.
            let pick = (to < last).then(|| rows[to].key);
            if self.page.is_some() { self.page_pick = pick } else { self.log_pick = pick }
        } else if self.tab == Tab::Outages {
            let rows = self.outage_rows();
            let Some(last) = rows.len().checked_sub(1) else {
                return;
            };
            let to = stepped(self.selected_outage(&rows), by, last);
            // At the top, new outages push in above and the selection stays on the newest.
            self.outage_pick = (to > 0).then(|| rows[to].0);
        } else {
            let rows = self.rows_of_links();
            let Some(last) = rows.len().checked_sub(1) else {
                return;
            };
            let to = stepped(self.selected_link(&rows), by, last);
            self.link_pick = Some(self.data().links[rows[to]].id.clone());
        }
    }

    fn rows_of_links(&self) -> Vec<usize> {
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

fn stepped(from: usize, by: isize, last: usize) -> usize {
    from.saturating_add_signed(by).min(last)
}
