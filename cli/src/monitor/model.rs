//! The shown part of the data, and the effects of the keys on it.

use pblink_serve::control::Update;

use super::data::{Data, Now, OutageKey};
use super::entry::Tone;
use super::filter::{Pattern, States};
use super::keys::{ExtraKey, Tab};
use super::order::{DayOrder, LinkOrder, OutageOrder, Sorted};
use super::passing::{Seen, Watched};
use crate::output::{events, times::Zone};

mod export;
mod press;
mod rows;

/// The longest line that can be written on the screen, in bytes.
const LINE: usize = 200;

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
    /// It belongs to a line for a link.
    Writing { client: String, text: String },
    /// It answers whether to send the line.
    Sending { client: String, text: String },
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
    /// The lines of the open page's link.
    watched: Option<Watched>,
    /// True if the page shows nothing but lines.
    only_lines: bool,
    /// True if there are lines to watch, and lines can be sent.
    has_lines: bool,
    /// Why nobody may send lines, if that is so.
    refusal: Option<String>,
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
            watched: None,
            only_lines: false,
            has_lines: false,
            refusal: None,
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

    /// Takes the reason why nobody may send lines, if there is one.
    #[must_use]
    pub fn with_refusal(self, refusal: Option<String>) -> Self {
        Self { refusal, ..self }
    }

    /// Offers the lines of links, if there are any to be had.
    #[must_use]
    pub fn with_lines(self, has_lines: bool) -> Self {
        Self { has_lines, ..self }
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
        match &self.mode {
            Mode::Ending => self.ending.clone().map(|question| (question, &[("y", "yes")][..])),
            Mode::Exporting => {
                let question = format!("Write {} to a file?", export::name(self));
                Some((question, &[("j", "JSON"), ("c", "CSV")]))
            }
            Mode::Sending { client, text } => {
                let question = format!("Send “{}” to {}?", events::clean(text), events::id(client));
                Some((question, &[("y", "yes")]))
            }
            Mode::Command | Mode::Filter | Mode::Writing { .. } => None,
        }
    }

    /// Returns the line that is being written, and the link that it is for.
    pub fn writing(&self) -> Option<(&str, &str)> {
        match &self.mode {
            Mode::Writing { client, text } => Some((client, text)),
            _ => None,
        }
    }

    /// Returns true if lines can be watched and sent.
    pub fn has_lines(&self) -> bool {
        self.has_lines
    }

    /// Returns true if the page shows nothing but lines.
    pub fn only_lines(&self) -> bool {
        self.only_lines
    }

    /// Returns the link whose lines are wanted.
    pub fn wants_lines_of(&self) -> Option<&str> {
        self.page.as_deref().filter(|_| self.has_lines)
    }

    /// Returns the lines of the open page's link.
    pub fn watched(&self) -> Option<&Watched> {
        self.watched.as_ref().filter(|watched| Some(&*watched.client) == self.page.as_deref())
    }

    /// Takes in lines of a link, or why there are none. The display may be frozen: then nothing changes.
    pub fn see(&mut self, (client, update): Seen) {
        if self.is_frozen() || self.page.as_ref() != Some(&client) {
            return;
        }
        let watched = self.watched.get_or_insert_default();
        if watched.client != client {
            *watched = Watched { client, ..Watched::default() };
        }
        watched.take(update);
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
}
