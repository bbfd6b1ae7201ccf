//! The application base: what runs on the STM32 between the user's program and the exchange.
//!
//! The reference's `AppBase` without its faults. The configuration goes out first after every reset of
//! the ESP8266, before any line; lines that were written keep their order and are sent again from
//! their beginning if the ESP8266 was reset in their middle; the ESP8266 is reset when it stops
//! sending keepalives (4 s, armed by the first), never begins (60 s), or fails in an exchange.

pub mod happening;
mod queue;
pub mod secure;
mod supervisor;

use heapless::Vec;

use crate::MAX_TEXT;
use crate::config::{Config, ConfigError};
use crate::delivery::Delivery;
use crate::fifo::Fifo;
use crate::i2c::frame::{CoprocessorFrame, CoprocessorHeader, FrameError, check_sum};
use crate::i2c::payload::{Assembler, Step};
use crate::i2c::{Initiator, InitiatorEvent, InitiatorTiming, MAX_PAYLOAD};
use crate::inband::Message;
use crate::lines::Inbox;
pub use crate::lines::{QUEUE, WriteError};
use crate::report::Report;
use crate::time::{Instant, earliest};
use queue::Outbox;
use supervisor::Supervisor;
pub use supervisor::{CRASH_TIMEOUT, FIRST_KEEPALIVE, ResetCause, SERVER_TIMEOUT};

/// An event of the link: the hooks of the reference, as values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AppEvent {
    /// The ESP8266 has the configuration, for the first time: the reference's `start`.
    Started,
    /// The ESP8266 has a server, or has lost it: the reference's `server_ok`.
    Server(bool),
    /// The ESP8266 could not join the network within 20 s. It retries; a reference ESP8266 halts
    /// and is reset.
    BadWifi,
    /// The server refused the first connection. The ESP8266 retries; a reference ESP8266 halts.
    BadServer,
    /// A report arrived.
    Report(Report),
    /// The ESP8266 is being reset.
    Reset(ResetCause),
    /// A line from the ESP8266 was dropped.
    Dropped(DropCause),
}

/// The reason why a line from the ESP8266 was dropped. Only a foreign or broken ESP8266 sends such
/// lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DropCause {
    /// Longer than [`MAX_TEXT`].
    TooLong,
    /// Not UTF-8: the bus garbled it, as I2C has no checksum.
    NotUtf8,
    /// Its header is unknown.
    UnknownHeader(u8),
}

/// The application base of one STM32.
///
/// The owner moves its [`exchange`](Self::exchange) (pins and I2C), and calls [`poll`](Self::poll) after
/// everything that it did to them and at [`poll_at`](Self::poll_at).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AppBase {
    exchange: Initiator,
    /// The configuration's line, with its `\n`.
    config: Vec<u8, MAX_PAYLOAD>,
    supervisor: Supervisor,
    outbox: Outbox,
    assembler: Assembler<{ MAX_TEXT + 1 }>,
    inbox: Inbox,
    forward_reports: bool,
    /// The last report, if it is to be forwarded.
    report: Option<Report>,
    events: Fifo<AppEvent, 8>,
}

impl AppBase {
    /// Returns an application base that does nothing until [`start`](Self::start).
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(config: &Config, timing: InitiatorTiming) -> Result<Self, ConfigError> {
        let mut app = Self::idle();
        app.configure(config, timing)?;
        Ok(app)
    }

    /// Returns an application base without a configuration. It is large for a chip's stack: this makes it
    /// where it stays, in a `static`. [`configure`](Self::configure) it before [`start`](Self::start).
    pub const fn idle() -> Self {
        Self {
            exchange: Initiator::new(InitiatorTiming::classic()),
            config: Vec::new(),
            supervisor: Supervisor::new(),
            outbox: Outbox::new(),
            assembler: Assembler::new(),
            inbox: Inbox::new(),
            forward_reports: true,
            report: None,
            events: Fifo::new(),
        }
    }

    /// Sets configuration and times. The ESP8266 gets them after its next reset.
    ///
    /// # Errors
    /// If the configuration cannot be used; the one before stays.
    pub fn configure(
        &mut self,
        config: &Config,
        timing: InitiatorTiming,
    ) -> Result<(), ConfigError> {
        let mut line = [0; MAX_PAYLOAD];
        let len = config.encode(&mut line)?;
        self.config = line[..len].iter().copied().collect();
        self.exchange.set_timing(timing);
        Ok(())
    }

    /// Sets whether reports of the ESP8266 are also sent to the server, as [`Message::Report`]. On by
    /// default.
    pub fn set_forward_reports(&mut self, forward: bool) {
        self.forward_reports = forward;
        self.report = self.report.filter(|_| forward);
    }

    /// Resets the ESP8266 and begins. The owner has reported the level of `ack` before.
    pub fn start(&mut self, now: Instant) {
        self.exchange.start(now);
        self.down();
    }

    /// Resets the ESP8266, as the reference's `reboot` does. Lines that it has not taken are kept.
    pub fn reboot(&mut self, now: Instant) {
        self.start(now);
        self.reset(ResetCause::Requested);
    }

    /// Stops. Lines stay in their queues.
    pub fn close(&mut self) {
        self.exchange.close();
        self.down();
    }

    /// Returns the machine behind the pins and the I2C peripheral.
    pub fn exchange(&mut self) -> &mut Initiator {
        &mut self.exchange
    }

    /// Returns true while the ESP8266 has a server: the reference's `status`.
    pub fn server_up(&self) -> bool {
        self.supervisor.server_up()
    }

    /// Returns true while the ESP8266 is there and has its configuration.
    pub fn is_running(&self) -> bool {
        self.supervisor.is_running()
    }

    /// Returns the number of times that the ESP8266 was reset because of a failure or on demand.
    pub fn resets(&self) -> u32 {
        self.supervisor.resets()
    }

    /// Returns the next event. At most eight are kept; of more, the oldest are lost.
    pub fn next_event(&mut self) -> Option<AppEvent> {
        self.events.pop()
    }

    /// Puts a line into the queue. It leaves in order, when the ESP8266 can take it, however often that
    /// is reset in between.
    ///
    /// # Errors
    /// See [`WriteError`]. Nothing is queued then.
    pub fn write(
        &mut self,
        now: Instant,
        text: &str,
        delivery: Delivery,
    ) -> Result<(), WriteError> {
        self.outbox.write(text, delivery)?;
        self.pump(now);
        Ok(())
    }

    /// Returns true if every line that was written has been passed to the ESP8266.
    pub fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    /// Hands the next received line to `take`. The rest stays, and holds the ESP8266 off when there is
    /// no more room.
    pub fn read_line<R>(&mut self, now: Instant, take: impl FnOnce(&str) -> R) -> Option<R> {
        let result = self.inbox.pop(take)?;
        self.pump(now);
        Some(result)
    }

    /// Does everything that is due at `now`, or that the wires have made possible.
    pub fn poll(&mut self, now: Instant) {
        self.exchange.poll(now);
        while let Some(event) = self.exchange.next_event() {
            match event {
                InitiatorEvent::Synchronised => {
                    self.supervisor.on_synchronised();
                    self.outbox.configure(&self.config);
                }
                InitiatorEvent::Failed(failure) => {
                    self.down();
                    self.reset(ResetCause::Exchange(failure));
                }
            }
        }
        self.pump(now);
        if let Some(cause) = self.supervisor.overdue(now) {
            self.start(now);
            self.reset(cause);
        }
    }

    /// Returns the time of the next poll, if nothing happens before: `now` at the earliest.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        earliest(self.exchange.poll_at(now), self.supervisor.poll_at(now))
    }

    /// Returns true if a line that is written now goes to the wires at once, and on to the server.
    fn takes_line(&self) -> bool {
        self.server_up() && self.outbox.is_empty() && self.exchange.is_free()
    }

    fn event(&mut self, event: AppEvent) {
        self.events.push_newest(event);
    }

    fn reset(&mut self, cause: ResetCause) {
        self.supervisor.on_reset();
        self.event(AppEvent::Reset(cause));
    }

    fn down(&mut self) {
        self.outbox.on_down();
        self.assembler.clear();
        self.report = None;
        if self.supervisor.on_down() {
            self.event(AppEvent::Server(false));
        }
    }

    /// Moves lines between queues and wires.
    fn pump(&mut self, now: Instant) {
        // Wires that have failed have forgotten their payload; it was not passed. `poll` sees to that.
        if !self.supervisor.is_down() && self.exchange.is_synchronised() {
            self.receive(now);
            self.send(now);
        }
    }

    fn send(&mut self, now: Instant) {
        while self.exchange.is_passed() {
            if !self.outbox.is_passing() {
                if !self.supervisor.is_running() {
                    return;
                }
                self.queue_report();
                if !self.outbox.begin() {
                    return;
                }
            }
            if self.outbox.rest().is_empty() {
                self.outbox.on_passed();
                if self.supervisor.on_passed(now) {
                    self.event(AppEvent::Started);
                }
                continue;
            }
            let taken = self.exchange.submit(now, self.outbox.rest());
            if taken == 0 {
                return;
            }
            self.outbox.on_submitted(taken);
        }
    }

    /// A report goes to the server when nothing else is waiting; a newer one takes its place.
    fn queue_report(&mut self) {
        if !self.outbox.is_empty() || !self.supervisor.server_up() {
            return;
        }
        if let Some(report) = self.report.take() {
            // Best effort: the next one makes up for it. It fits, as the queue is empty.
            let _ = self.outbox.write(&Message::Report(report).to_line(), Delivery::BestEffort);
        }
    }

    fn receive(&mut self, now: Instant) {
        while !self.exchange.received().is_empty() {
            let payload = self.exchange.received();
            if self.assembler.first(payload).and_then(CoprocessorHeader::parse)
                == Some(CoprocessorHeader::Line)
                && let Some(len) = self.assembler.completes(payload)
                && !self.inbox.fits(len - 1)
            {
                return self.supervisor.on_blocked();
            }
            let step = self.assembler.push(payload);
            let (Step::Partial(used) | Step::Complete(used) | Step::TooLong(used)) = step;
            self.exchange.consume(used);
            match step {
                Step::Partial(_) => self.supervisor.on_part(now),
                Step::TooLong(_) => self.event(AppEvent::Dropped(DropCause::TooLong)),
                Step::Complete(_) => {
                    self.line(now);
                    self.assembler.clear();
                }
            }
        }
        self.supervisor.on_taken(now);
    }

    fn line(&mut self, now: Instant) {
        let event = match CoprocessorFrame::parse(self.assembler.line()) {
            Ok(CoprocessorFrame::Line(text)) => {
                self.exchange.on_line(now);
                return self.inbox.push(text);
            }
            Ok(CoprocessorFrame::Keepalive(sum)) => {
                self.supervisor.on_keepalive(now);
                let line = self.config.strip_suffix(b"\n").unwrap_or(&self.config);
                if sum.is_some_and(|sum| sum != check_sum(line)) {
                    self.supervisor.on_garbled(now);
                }
                return;
            }
            Ok(CoprocessorFrame::Server(up)) => {
                self.exchange.expect_lines(up);
                if !self.supervisor.on_server(now, up) {
                    return;
                }
                AppEvent::Server(up)
            }
            Ok(CoprocessorFrame::BadWifi) => AppEvent::BadWifi,
            Ok(CoprocessorFrame::BadServer) => AppEvent::BadServer,
            Ok(CoprocessorFrame::Report(report)) => {
                self.report = Some(report).filter(|_| self.forward_reports);
                AppEvent::Report(report)
            }
            Err(FrameError::UnknownHeader(header)) => {
                AppEvent::Dropped(DropCause::UnknownHeader(header))
            }
            Err(FrameError::NotUtf8) => AppEvent::Dropped(DropCause::NotUtf8),
            // Nothing was lost.
            Err(FrameError::Empty | FrameError::NoText) => return,
        };
        self.event(event);
    }
}
