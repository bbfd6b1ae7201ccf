//! The monitor's knowledge of the server: built from updates, all of it bounded.

use std::collections::{BTreeMap, HashMap, VecDeque};

use pblink_serve::control::{
    ConsumerInfo, End, LastLine, LinkReports, Outage, Sample, ServerInfo, Update,
};
use pblink_server::{Event, EventKind, LinkState, LinkStatus};

use super::entry::{LogEntry, Tone};
use super::groups;
use super::ids::id_order;
use super::rates::Rates;
use crate::output::events;

/// Log entries kept.
const LOG: usize = 2000;
/// Outages kept: as many as a server keeps.
const OUTAGES: usize = 50_000;
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

/// Place of an outage: the run of the server, and the outage's number in it. Later ones are greater, and a selection
/// holds while new ones come.
pub type OutageKey = (u64, u64);

/// The reports of one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reports {
    /// The last ones, oldest first.
    pub samples: VecDeque<Sample>,
    /// Number of times that the numbers began again: the ESP8266 had booted.
    pub boots: u64,
    /// Those in earlier runs of the server, of which this one knows nothing.
    earlier_boots: u64,
    /// Nothing has come from this run of the server yet.
    is_old: bool,
}

impl LogEntry {
    /// Returns true if it concerns this link.
    pub fn is_of(&self, id: &str) -> bool {
        self.id.as_deref() == Some(id) || self.group.as_ref().is_some_and(|group| group.has(id))
    }
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
    /// Lines per second and acknowledgement times.
    pub rates: Rates,
    /// Reports by id.
    pub reports: HashMap<String, Reports>,
    /// Outages, as the server knows them.
    pub outages: BTreeMap<OutageKey, Outage>,
    /// The log, oldest first: everything but reports.
    pub log: VecDeque<LogEntry>,
    /// The time of what is shown.
    pub now: Now,
    /// The consumers of the server's log, by name.
    pub consumers: Vec<ConsumerInfo>,
    last_lines: HashMap<String, LastLine>,
    last_lines_at: u64,
    gateways: HashMap<String, String>,
    links_at: u64,
    server_at: u64,
    next_key: u64,
    /// Runs of the server that were seen to end.
    run: u64,
    /// Outages of earlier runs, by client and begin: a server with a log on disk knows them, too.
    earlier: HashMap<(String, u64), OutageKey>,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            server: None,
            connection: Connection::Connecting,
            links: Vec::new(),
            rates: Rates::default(),
            reports: HashMap::new(),
            consumers: Vec::new(),
            last_lines: HashMap::new(),
            last_lines_at: 0,
            gateways: HashMap::new(),
            outages: BTreeMap::new(),
            log: VecDeque::new(),
            now: Now::default(),
            links_at: 0,
            server_at: 0,
            next_key: 0,
            run: 0,
            earlier: HashMap::new(),
        }
    }
}

impl Data {
    /// Takes in what a follower learnt.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Server(info) => self.server(info),
            Update::Links(mut links) => {
                links.sort_by(|a, b| id_order(&a.id).cmp(&id_order(&b.id)));
                self.rates.look(&links, self.now.mono_ms);
                self.links = links;
                self.links_at = self.now.mono_ms;
            }
            Update::Gateways(ways) => self.gateways = ways.into_iter().collect(),
            Update::LastLines(lines) => {
                self.last_lines = lines.into_iter().collect();
                self.last_lines_at = self.now.mono_ms;
            }
            Update::Consumers(consumers) => self.consumers = consumers,
            Update::Outages(outages) => self.outages(outages),
            Update::Reports(reports) => reports.into_iter().for_each(|of_one| self.report(of_one)),
            Update::Event(event) => self.event(&event),
            Update::Missed(count) => {
                self.own(format!("{count} events were missed"));
            }
            Update::Lost { reason, .. } => {
                // Each failed try says so again; only the first is news.
                if !matches!(self.connection, Connection::Lost { .. }) {
                    self.own(format!(
                        "cannot reach the server ({}); retrying",
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
        let found = self.links.binary_search_by(|link| id_order(&link.id).cmp(&id_order(id)));
        found.ok().map(|index| &self.links[index])
    }

    /// Counts the links that are up.
    pub fn links_up(&self) -> usize {
        self.links.iter().filter(|link| link.state == LinkState::Up).count()
    }

    /// Returns the time that the link has been in its state, in milliseconds.
    pub fn link_age(&self, link: &LinkStatus) -> u64 {
        link.since_ms.saturating_add(self.stale(self.links_at))
    }

    /// Returns the last line of a link, and its age in milliseconds.
    pub fn last_line(&self, id: &str) -> Option<(&LastLine, u64)> {
        let last = self.last_lines.get(id)?;
        Some((last, last.age_ms.saturating_add(self.stale(self.last_lines_at))))
    }

    /// Returns the gateway by which a client has come, if servers share the log.
    pub fn gateway(&self, id: &str) -> Option<&str> {
        self.gateways.get(id).map(String::as_str)
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
            self.run += 1;
            for outage in self.outages.values_mut().filter(|o| o.end == End::Open) {
                outage.end = End::ServerRestarted;
            }
            let outages = self.outages.iter();
            self.earlier = outages.map(|(k, o)| ((o.client.clone(), o.began_ms), *k)).collect();
            for reports in self.reports.values_mut() {
                (reports.earlier_boots, reports.is_old) = (reports.boots, true);
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
            EventKind::QueueFull { .. } | EventKind::BoardRestarted { .. } => Tone::Warning,
            _ => Tone::Plain,
        };
        match &event.kind {
            EventKind::OutageBegan { id, cause, layer }
                if groups::begin(&mut self.log, event.at_ms, id, (*cause, *layer)) =>
            {
                return;
            }
            EventKind::OutageEnded { id, lasted_ms, .. }
                if groups::end(&mut self.log, id, *lasted_ms) =>
            {
                return;
            }
            _ => {}
        }
        let began = match &event.kind {
            EventKind::OutageBegan { cause, layer, .. } => Some((*cause, *layer)),
            _ => None,
        };
        let id = event.kind.id().map(str::to_owned);
        // Reports have a screen of their own; here they would drown everything else.
        if !matches!(event.kind, EventKind::Report { .. }) {
            let whole = events::describe(&event.kind);
            self.log(event.at_ms, id, (events::what(&event.kind), whole), tone);
            if let Some(entry) = self.log.back_mut() {
                entry.began = began;
            }
        }
    }

    fn outages(&mut self, outages: Vec<Outage>) {
        for outage in outages {
            if !self.earlier.is_empty()
                && let Some(known) = self.earlier.remove(&(outage.client.clone(), outage.began_ms))
            {
                self.outages.remove(&known);
            }
            self.outages.insert((self.run, outage.number), outage);
        }
        while self.outages.len() > OUTAGES {
            self.outages.pop_first();
        }
    }

    fn report(&mut self, LinkReports { client, boots, samples }: LinkReports) {
        if !self.reports.contains_key(&client) && self.reports.len() >= REPORTING {
            return;
        }
        let reports = self.reports.entry(client).or_default();
        let mut samples = &samples[..];
        if std::mem::take(&mut reports.is_old)
            && let Some(last) = reports.samples.back()
            && let Some(known) = samples.iter().rposition(|sample| sample == last)
        {
            // The server knows them from its log, and their boots.
            samples = &samples[known + 1..];
            reports.earlier_boots = reports.earlier_boots.saturating_sub(boots);
        }
        reports.boots = reports.earlier_boots.saturating_add(boots);
        for sample in samples.iter().copied() {
            push(&mut reports.samples, sample, SAMPLES);
        }
    }

    fn own(&mut self, text: String) {
        self.log(self.now.wall_ms, None, (text.clone(), text), Tone::Own);
    }

    fn log(&mut self, at_ms: u64, id: Option<String>, (text, whole): (String, String), tone: Tone) {
        let entry =
            LogEntry { key: self.key(), at_ms, id, text, whole, tone, began: None, group: None };
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
