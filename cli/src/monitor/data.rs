//! The monitor's knowledge of the server: built from updates, all of it bounded.

use std::collections::{HashMap, VecDeque};

use pblink_serve::control::{ServerInfo, Update};
use pblink_server::{Cause, Event, EventKind, Layer, LinkState, LinkStatus, Report};

use crate::output::events;

/// Log entries kept.
const LOG: usize = 2000;
/// Outages kept.
const OUTAGES: usize = 1000;
/// Reports kept of one link: more than the widest terminal shows.
const SAMPLES: usize = 240;
/// Links whose reports are kept.
const REPORTING: usize = 20_000;

/// The time, from the runner's clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, in milliseconds from any start. Ages come from this one.
    pub mono_ms: u64,
    /// Wall clock in milliseconds since the Unix epoch, for the monitor's own log entries.
    pub wall_ms: u64,
}

/// State of the monitor's own connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Connection {
    /// Nothing has come yet.
    Connecting,
    /// The screen shows the present state.
    Live,
    /// The screen shows the last known state.
    Lost {
        /// Since when, on [`Now::mono_ms`].
        since: u64,
        /// Reason, in a few words.
        reason: String,
    },
}

/// End of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutageEnd {
    /// It lasts.
    Open,
    /// It lasted this many milliseconds.
    After(u64),
    /// The server was started anew meanwhile.
    Unknown,
}

/// One outage of one link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outage {
    /// Counts up, so that a selection holds while new ones come.
    pub key: u64,
    /// The client's id.
    pub id: String,
    /// Wall clock of its begin.
    pub began_ms: u64,
    /// Its end.
    pub end: OutageEnd,
    /// The layer that was down and the cause, unless the begin was not seen.
    pub why: Option<(Layer, Cause)>,
}

/// One report of an ESP8266.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Wall clock.
    pub at_ms: u64,
    /// The report.
    pub report: Report,
}

/// The reports of one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reports {
    /// The last ones, oldest first.
    pub samples: VecDeque<Sample>,
    /// Number of times that the numbers began again: the ESP8266 had booted.
    pub boots: u64,
}

/// Look of an entry of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    Plain,
    /// Something works again.
    Good,
    /// Something is down.
    Bad,
    /// Something that should not be.
    Warning,
    /// The monitor's own words.
    Own,
}

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Counts up, so that a selection holds while new ones come.
    pub key: u64,
    /// Wall clock.
    pub at_ms: u64,
    /// The client's id, if it concerns one.
    pub id: Option<String>,
    /// The text without the id, safe to show.
    pub text: String,
    /// Its look.
    pub tone: Tone,
}

/// All that the monitor knows.
#[derive(Debug, Clone)]
pub struct Data {
    /// The server, once it was reached.
    pub server: Option<ServerInfo>,
    /// State of the connection to it.
    pub connection: Connection,
    /// The links, in the order of their ids: numbers by value, then the rest.
    pub links: Vec<LinkStatus>,
    /// Reports by id.
    pub reports: HashMap<String, Reports>,
    /// Outages, oldest first.
    pub outages: VecDeque<Outage>,
    /// The log, oldest first: everything but reports.
    pub log: VecDeque<LogEntry>,
    /// The time of what is shown.
    pub now: Now,
    links_at: u64,
    server_at: u64,
    next_key: u64,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            server: None,
            connection: Connection::Connecting,
            links: Vec::new(),
            reports: HashMap::new(),
            outages: VecDeque::new(),
            log: VecDeque::new(),
            now: Now::default(),
            links_at: 0,
            server_at: 0,
            next_key: 0,
        }
    }
}

impl Data {
    /// Takes in what a follower learnt.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Server(info) => self.server(info),
            Update::Links(mut links) => {
                links.sort_by(|a, b| order(&a.id).cmp(&order(&b.id)));
                self.links = links;
                self.links_at = self.now.mono_ms;
            }
            Update::Event(event) => self.event(&event),
            Update::Missed(count) => {
                self.own(format!("{count} events were missed"));
            }
            Update::Lost { reason, .. } => {
                // Each failed try says so again; only the first is news.
                if !matches!(self.connection, Connection::Lost { .. }) {
                    self.own(format!(
                        "server not reachable: {}; trying again",
                        events::clean(&reason)
                    ));
                    let since = self.now.mono_ms;
                    self.connection = Connection::Lost { since, reason };
                }
            }
        }
    }

    /// Returns a link by its id.
    pub fn link(&self, id: &str) -> Option<&LinkStatus> {
        self.links.iter().find(|link| link.id == id)
    }

    /// Counts the links that are up.
    pub fn links_up(&self) -> usize {
        self.links.iter().filter(|link| link.state == LinkState::Up).count()
    }

    /// Returns the time that the link has been in its state, in milliseconds.
    pub fn link_age(&self, link: &LinkStatus) -> u64 {
        link.since_ms.saturating_add(self.stale(self.links_at))
    }

    /// Returns the time that the server has been running, in milliseconds.
    pub fn uptime(&self) -> Option<u64> {
        Some(self.server.as_ref()?.uptime_ms.saturating_add(self.stale(self.server_at)))
    }

    /// Returns the age of what came at `at`, in milliseconds. It does not age while the server cannot be
    /// reached: its state is unknown then.
    fn stale(&self, at: u64) -> u64 {
        let until = match self.connection {
            Connection::Lost { since, .. } => since,
            _ => self.now.mono_ms,
        };
        until.saturating_sub(at)
    }

    fn server(&mut self, info: ServerInfo) {
        let new_run =
            self.server.as_ref().is_some_and(|old| old.started_at_ms != info.started_at_ms);
        if new_run {
            self.own("server was started anew".into());
            for outage in self.outages.iter_mut().filter(|o| o.end == OutageEnd::Open) {
                outage.end = OutageEnd::Unknown;
            }
        } else if matches!(self.connection, Connection::Lost { .. }) {
            self.own("server reached again".into());
        }
        self.connection = Connection::Live;
        self.server = Some(info);
        self.server_at = self.now.mono_ms;
    }

    fn event(&mut self, event: &Event) {
        let tone = match &event.kind {
            EventKind::Listening { .. } | EventKind::Connected { .. } => Tone::Good,
            EventKind::OutageEnded { .. } | EventKind::Board { up: true, .. } => Tone::Good,
            EventKind::OutageBegan { .. } | EventKind::Board { up: false, .. } => Tone::Bad,
            EventKind::Stopped => Tone::Bad,
            EventKind::Refused { .. } | EventKind::InvalidLine { .. } => Tone::Warning,
            EventKind::QueueFull { .. } => Tone::Warning,
            _ => Tone::Plain,
        };
        let id = event.kind.id().map(str::to_owned);
        // Reports have a screen of their own; here they would drown everything else.
        if !matches!(event.kind, EventKind::Report { .. }) {
            self.log(event.at_ms, id, events::what(&event.kind), tone);
        }
        match &event.kind {
            EventKind::OutageBegan { id, cause, layer } => {
                self.outage(id, event.at_ms, OutageEnd::Open, Some((*layer, *cause)));
            }
            EventKind::OutageEnded { id, lasted_ms, .. } => {
                let end = OutageEnd::After(*lasted_ms);
                match self.open_outage(id) {
                    Some(outage) => outage.end = end,
                    None => self.outage(id, event.at_ms.saturating_sub(*lasted_ms), end, None),
                }
            }
            EventKind::Connected { id, .. } => {
                if let Some(outage) = self.open_outage(id) {
                    outage.end = OutageEnd::Unknown;
                }
            }
            EventKind::Report { id, report } => {
                self.report(id, Sample { at_ms: event.at_ms, report: *report });
            }
            _ => {}
        }
    }

    fn report(&mut self, id: &str, sample: Sample) {
        if !self.reports.contains_key(id) && self.reports.len() >= REPORTING {
            return;
        }
        let reports = self.reports.entry(id.to_owned()).or_default();
        if reports.samples.back().is_some_and(|last| sample.report.number < last.report.number) {
            reports.boots += 1;
        }
        push(&mut reports.samples, sample, SAMPLES);
    }

    fn open_outage(&mut self, id: &str) -> Option<&mut Outage> {
        self.outages.iter_mut().rev().find(|o| o.id == id && o.end == OutageEnd::Open)
    }

    fn outage(&mut self, id: &str, began_ms: u64, end: OutageEnd, why: Option<(Layer, Cause)>) {
        let outage = Outage { key: self.key(), id: id.to_owned(), began_ms, end, why };
        push(&mut self.outages, outage, OUTAGES);
    }

    fn own(&mut self, text: String) {
        self.log(self.now.wall_ms, None, text, Tone::Own);
    }

    fn log(&mut self, at_ms: u64, id: Option<String>, text: String, tone: Tone) {
        let entry = LogEntry { key: self.key(), at_ms, id, text, tone };
        push(&mut self.log, entry, LOG);
    }

    fn key(&mut self) -> u64 {
        self.next_key += 1;
        self.next_key
    }
}

fn push<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() == limit {
        queue.pop_front();
    }
    queue.push_back(item);
}

/// Returns the sort key of an id. Ids are often numbers; 10 should follow 9. Other ids come after the numbers.
fn order(id: &str) -> (bool, u64, &str) {
    let number = id.parse().ok();
    (number.is_none(), number.unwrap_or(0), id)
}
