//! The shown part of the data, and the effects of the keys on it.

use pblink_serve::control::{Outage, Update};

use super::data::{Data, LogEntry, Now, OutageKey};

/// Longest filter.
const FILTER: usize = 64;

/// A key, independent of the terminal library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    /// A character with the control key.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Tab with shift.
    BackTab,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

/// The runner's next action after a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing but to draw.
    None,
    /// End the monitor.
    Quit,
    /// Hand an extra key to whoever asked for it.
    Extra(char),
}

/// A key that the monitor does not know itself, such as "WiFi outage" in `pblink demo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraKey {
    /// The key. It takes precedence over the monitor's own keys, except while a filter is typed.
    pub key: char,
    /// One or two words for the footer.
    pub label: String,
    /// A short sentence for the help; 43 characters fit everywhere.
    pub help: String,
}

/// The screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tab {
    /// The table of links.
    Links,
    /// Reports of the ESP8266s.
    Reports,
    /// Outages.
    Outages,
    /// The log.
    Log,
}

impl Tab {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Links, Self::Reports, Self::Outages, Self::Log];

    /// Returns the name on the tab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Links => "Links",
            Self::Reports => "Reports",
            Self::Outages => "Outages",
            Self::Log => "Log",
        }
    }

    fn step(self, by: usize) -> Self {
        Self::ALL[(self as usize + by) % Self::ALL.len()]
    }
}

/// The state of the monitor.
#[derive(Debug, Clone)]
pub struct Model {
    live: Data,
    frozen: Option<Box<Data>>,
    tab: Tab,
    page: Option<String>,
    filter: String,
    editing: bool,
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
}

impl Model {
    /// Returns an empty model. Without `colour`, words, bold and reverse must do.
    pub fn new(colour: bool, extra: Vec<ExtraKey>) -> Self {
        Self {
            live: Data::default(),
            frozen: None,
            tab: Tab::Links,
            page: None,
            filter: String::new(),
            editing: false,
            help: false,
            rows: 20,
            link_pick: None,
            outage_pick: None,
            log_pick: None,
            page_pick: None,
            extra,
            colour,
        }
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

    /// Returns the filter; empty shows all.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// Returns true while the filter is being typed.
    pub fn is_editing(&self) -> bool {
        self.editing
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

    /// Returns the indices of the links that the filter lets through.
    pub fn link_rows(&self) -> Vec<usize> {
        let links = &self.data().links;
        (0..links.len()).filter(|i| self.passes(Some(&links[*i].id))).collect()
    }

    /// Returns the indices of the links that the filter lets through and that have sent reports.
    pub fn report_rows(&self) -> Vec<usize> {
        let data = self.data();
        let mut rows = self.link_rows();
        rows.retain(|i| data.reports.contains_key(&data.links[*i].id));
        rows
    }

    /// Returns the outages that the filter lets through, newest first.
    pub fn outage_rows(&self) -> Vec<(OutageKey, &Outage)> {
        let outages = self.data().outages.iter().rev().map(|(key, outage)| (*key, outage));
        outages.filter(|(_, outage)| self.passes(Some(&outage.client))).collect()
    }

    /// Returns the log entries that the filter lets through, oldest first; those of the open page's link
    /// only, if a page is open.
    pub fn log_rows(&self) -> Vec<&LogEntry> {
        let log = self.data().log.iter();
        match &self.page {
            Some(id) => log.filter(|entry| entry.id.as_ref() == Some(id)).collect(),
            None => log.filter(|entry| self.passes(entry.id.as_deref())).collect(),
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
            Tab::Links | Tab::Reports => {
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
        if key == Key::Ctrl('c') {
            return Action::Quit;
        }
        if self.editing {
            self.edit(key);
            return Action::None;
        }
        if let Key::Char(c) = key
            && self.extra.iter().any(|extra| extra.key == c)
        {
            return Action::Extra(c);
        }
        if key == Key::Char('q') {
            return Action::Quit;
        }
        if self.help {
            self.help = false;
            return Action::None;
        }
        match key {
            Key::Char('?') => self.help = true,
            Key::Char('/') => {
                // The filter works on lists, not on the page of one link.
                self.page = None;
                self.editing = true;
            }
            Key::Char('f') => {
                self.frozen = match self.frozen {
                    Some(_) => None,
                    None => Some(Box::new(self.live.clone())),
                }
            }
            Key::Char(c @ '1'..='4') => self.go(Tab::ALL[c as usize - '1' as usize]),
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
            Key::Esc => self.filter.clear(),
            Key::Up | Key::Char('k') => self.walk(-1),
            Key::Down | Key::Char('j') => self.walk(1),
            Key::PageUp => self.walk(-(self.rows as isize)),
            Key::PageDown => self.walk(self.rows as isize),
            Key::Home | Key::Char('g') => self.walk(isize::MIN),
            Key::End | Key::Char('G') => self.walk(isize::MAX),
            _ => {}
        }
        Action::None
    }

    fn go(&mut self, tab: Tab) {
        self.page = None;
        self.tab = tab;
    }

    fn edit(&mut self, key: Key) {
        match key {
            Key::Enter => self.editing = false,
            Key::Esc => {
                self.filter.clear();
                self.editing = false;
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Ctrl('u') => self.filter.clear(),
            Key::Char(c) if !c.is_control() && self.filter.len() + c.len_utf8() <= FILTER => {
                self.filter.push(c);
            }
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
        if self.tab == Tab::Reports { self.report_rows() } else { self.link_rows() }
    }

    fn passes(&self, id: Option<&str>) -> bool {
        self.filter.is_empty()
            || id.is_some_and(|id| id.to_lowercase().contains(&self.filter.to_lowercase()))
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
