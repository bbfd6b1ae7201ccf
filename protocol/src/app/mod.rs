//! The application base: what runs on the STM32 between the user's program and the exchange.
//!
//! The reference's `AppBase` without its faults. The configuration goes out first after every reset of
//! the ESP8266, before any line; lines that were written keep their order and are sent again from
//! their beginning if the ESP8266 was reset in their middle; the ESP8266 is reset when it stops
//! sending keepalives (4 s, armed by the first), never begins (60 s), or fails in an exchange.

use core::fmt;

use heapless::Vec;

use crate::MAX_TEXT;
use crate::config::{Config, ConfigError};
use crate::delivery::Delivery;
use crate::i2c::frame::{CoprocessorFrame, CoprocessorHeader, FrameError, HostFrame};
use crate::i2c::payload::{Assembler, Outgoing, Step};
use crate::i2c::{Failure, Initiator, InitiatorEvent, InitiatorTiming, MAX_PAYLOAD};
use crate::inband::Message;
use crate::report::Report;
use crate::tcp::line::{BadText, check_text};
use crate::time::{Duration, Instant, earliest};

/// No keepalive for this long means that the ESP8266 has crashed.
pub const CRASH_TIMEOUT: Duration = Duration::from_secs(4);

/// The same for the first keepalive after the configuration. A published ESP8266 sends none before
/// it has reached the server, which takes it half a minute at worst; one that got a garbled
/// configuration (I2C has no checksum) never sends one.
pub const FIRST_KEEPALIVE: Duration = Duration::from_secs(60);

/// How long the ESP8266 is given after its configuration to reach the server for the first time. Then
/// it is reset, in case the configuration was garbled on the bus, which has no checksum, or the chip is
/// stuck. It has taken no lines by then, so nothing is lost.
pub const SERVER_TIMEOUT: Duration = Duration::from_secs(300);

/// Bytes of lines that an [`AppBase`] keeps in each direction: at least two of the longest.
pub const QUEUE: usize = 2 * (MAX_TEXT + 2);

/// What happened on the link. The hooks of the reference, as values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppEvent {
    /// The ESP8266 has the configuration, for the first time: the reference's `start`.
    Started,
    /// The ESP8266 has a server, or has lost it: the reference's `server_ok`.
    Server(bool),
    /// The ESP8266 could not join the network within 20 s. It keeps trying; a reference ESP8266 halts
    /// and is reset.
    BadWifi,
    /// The server refused the first connection. It keeps trying; a reference ESP8266 halts.
    BadServer,
    /// A report arrived.
    Report(Report),
    /// The ESP8266 is being reset.
    Reset(ResetCause),
    /// A line from the ESP8266 was dropped.
    Dropped(DropCause),
}

/// Why the ESP8266 is being reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResetCause {
    /// It sent no keepalive for [`CRASH_TIMEOUT`], or no first one for [`FIRST_KEEPALIVE`].
    Silent,
    /// It has not reached the server for [`SERVER_TIMEOUT`] since it was configured.
    NoServer,
    /// An exchange failed.
    Exchange(Failure),
    /// The application asked for it.
    Asked,
}

impl fmt::Display for ResetCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("the ESP8266 stopped sending keepalives, or never began"),
            Self::NoServer => f.write_str("the ESP8266 found no server for 5 min"),
            Self::Exchange(failure) => failure.fmt(f),
            Self::Asked => f.write_str("the application asked for it"),
        }
    }
}

/// Why a line from the ESP8266 was dropped. Only a foreign or broken ESP8266 sends such lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropCause {
    /// Longer than [`MAX_TEXT`].
    TooLong,
    /// Not UTF-8: the bus garbled it, as I2C has no checksum.
    NotUtf8,
    /// Its header is none that is known.
    UnknownHeader(u8),
}

/// Why a line was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteError {
    /// The queue is full: try again when a line has been passed on.
    Full,
    /// The text is longer than [`MAX_TEXT`] bytes.
    TooLong,
    /// The text cannot be a line.
    Text(BadText),
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the queue is full"),
            Self::TooLong => write!(f, "the line is longer than {MAX_TEXT} bytes"),
            Self::Text(why) => why.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}

/// The application base of one STM32.
///
/// The owner moves its [`wires`](Self::wires) (pins and I2C), and calls [`poll`](Self::poll) after
/// everything that it did to them and at [`poll_at`](Self::poll_at).
#[derive(Debug)]
pub struct AppBase {
    wires: Initiator,
    config: Vec<u8, MAX_PAYLOAD>,
    phase: Phase,
    /// Has the application been started?
    started: bool,
    /// Whole lines with header and `\n`, in order. They leave when they have been passed.
    queue: Vec<u8, QUEUE>,
    /// The line at the head of the queue, or the configuration.
    outgoing: Outgoing<{ MAX_TEXT + 2 }>,
    /// Bytes of the queue that `outgoing` is a copy of; 0 for the configuration.
    from_queue: usize,
    assembler: Assembler<{ MAX_TEXT + 1 }>,
    /// Received texts, each with its `\n`.
    received: Vec<u8, QUEUE>,
    /// When the ESP8266 counts as crashed.
    crash_at: Option<Instant>,
    /// When the ESP8266 must have reached the server for the first time since its reset.
    server_by: Option<Instant>,
    /// The application does not read, so keepalives cannot come through: do not wait for them.
    blocked: bool,
    server_up: bool,
    forward_reports: bool,
    /// The last report, if it is to be forwarded.
    report: Option<Report>,
    events: heapless::Deque<AppEvent, 8>,
    resets: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Down,
    Configuring,
    Running,
}

impl AppBase {
    /// An application base that does nothing until [`start`](Self::start).
    ///
    /// # Errors
    /// If the configuration cannot be used.
    pub fn new(config: &Config, timing: InitiatorTiming) -> Result<Self, ConfigError> {
        let mut app = Self::idle();
        app.configure(config, timing)?;
        Ok(app)
    }

    /// An application base without a configuration. It is large for a chip's stack: this makes it where
    /// it stays, in a `static`. [`configure`](Self::configure) it before [`start`](Self::start).
    pub const fn idle() -> Self {
        Self {
            wires: Initiator::new(InitiatorTiming::classic()),
            config: Vec::new(),
            phase: Phase::Down,
            started: false,
            queue: Vec::new(),
            outgoing: Outgoing::new(),
            from_queue: 0,
            assembler: Assembler::new(),
            received: Vec::new(),
            crash_at: None,
            server_by: None,
            blocked: false,
            server_up: false,
            forward_reports: true,
            report: None,
            events: heapless::Deque::new(),
            resets: 0,
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
        self.wires.set_timing(timing);
        Ok(())
    }

    /// Sets whether reports of the ESP8266 are also sent to the server, as [`Message::Report`]. On by
    /// default.
    pub fn set_forward_reports(&mut self, forward: bool) {
        self.forward_reports = forward;
        self.report = self.report.filter(|_| forward);
    }

    /// Resets the ESP8266 and begins. The level of `ack` must have been told by then.
    pub fn start(&mut self, now: Instant) {
        self.wires.start(now);
        self.down();
    }

    /// The reference's `reboot`: resets the ESP8266, with nothing lost that it has not been given.
    pub fn reboot(&mut self, now: Instant) {
        self.start(now);
        self.reset(ResetCause::Asked);
    }

    /// Stops. Lines stay in their queues.
    pub fn close(&mut self) {
        self.wires.close();
        self.down();
    }

    /// The machine behind the pins and the I2C peripheral.
    pub fn wires(&mut self) -> &mut Initiator {
        &mut self.wires
    }

    /// Whether the ESP8266 has a server: the reference's `status`.
    pub fn server_up(&self) -> bool {
        self.server_up
    }

    /// Whether the ESP8266 is there and has its configuration.
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// How often the ESP8266 was reset because of a failure or on demand.
    pub fn resets(&self) -> u32 {
        self.resets
    }

    /// The next event. At most eight are kept; of more, the oldest are lost.
    pub fn next_event(&mut self) -> Option<AppEvent> {
        self.events.pop_front()
    }

    /// Puts a line into the queue. It leaves in order, when the ESP8266 can take it, however often that
    /// is reset in between.
    ///
    /// # Errors
    /// See [`WriteError`]. Nothing is queued then.
    pub fn write(
        &mut self,
        text: &str,
        delivery: Delivery,
        now: Instant,
    ) -> Result<(), WriteError> {
        let text = check_text(text).map_err(WriteError::Text)?;
        if text.len() > MAX_TEXT {
            return Err(WriteError::TooLong);
        }
        self.queue(&HostFrame::Line { delivery, text })?;
        self.pump(now);
        Ok(())
    }

    fn queue(&mut self, frame: &HostFrame<'_>) -> Result<(), WriteError> {
        let at = self.queue.len();
        self.queue.resize(at + frame.buffer_len(), 0).map_err(|_| WriteError::Full)?;
        frame.emit(&mut self.queue[at..]);
        Ok(())
    }

    /// Whether every line that was written has been passed to the ESP8266.
    pub fn is_flushed(&self) -> bool {
        self.queue.is_empty()
    }

    /// Hands the next received line to `take`. The rest stays, and holds the ESP8266 off when there is
    /// no more room.
    pub fn read_line<R>(&mut self, now: Instant, take: impl FnOnce(&str) -> R) -> Option<R> {
        let end = self.received.iter().position(|&b| b == b'\n')?;
        // Checked when it was put in.
        let result = take(core::str::from_utf8(&self.received[..end]).unwrap_or_default());
        drop_front(&mut self.received, end + 1);
        self.pump(now);
        Some(result)
    }

    /// Time has passed, or the wires have moved.
    pub fn poll(&mut self, now: Instant) {
        self.wires.poll(now);
        while let Some(event) = self.wires.next_event() {
            match event {
                InitiatorEvent::Synchronised => {
                    self.phase = Phase::Configuring;
                    self.outgoing.set(&[&self.config]);
                    self.from_queue = 0;
                }
                InitiatorEvent::Failed(failure) => {
                    self.down();
                    self.reset(ResetCause::Exchange(failure));
                }
            }
        }
        self.pump(now);
        let due = |at: Option<Instant>| at.is_some_and(|at| now >= at);
        let cause = if due(self.crash_at) {
            ResetCause::Silent
        } else if due(self.server_by) {
            ResetCause::NoServer
        } else {
            return;
        };
        self.start(now);
        self.reset(cause);
    }

    /// When to poll again.
    pub fn poll_at(&self) -> Option<Instant> {
        earliest(self.wires.poll_at(), earliest(self.crash_at, self.server_by))
    }

    fn event(&mut self, event: AppEvent) {
        if self.events.is_full() {
            self.events.pop_front();
        }
        let _ = self.events.push_back(event);
    }

    fn reset(&mut self, cause: ResetCause) {
        self.resets = self.resets.wrapping_add(1);
        self.event(AppEvent::Reset(cause));
    }

    fn down(&mut self) {
        self.phase = Phase::Down;
        self.outgoing.clear();
        self.from_queue = 0;
        self.assembler.clear();
        self.crash_at = None;
        self.server_by = None;
        self.blocked = false;
        self.report = None;
        if core::mem::take(&mut self.server_up) {
            self.event(AppEvent::Server(false));
        }
    }

    /// Moves lines between queues and wires.
    fn pump(&mut self, now: Instant) {
        // Wires that have failed have forgotten their payload; it was not passed. `poll` sees to that.
        if self.phase != Phase::Down && self.wires.is_synchronised() {
            self.receive(now);
            self.send(now);
        }
    }

    fn send(&mut self, now: Instant) {
        while self.wires.is_passed() {
            if self.outgoing.is_empty() {
                if self.phase != Phase::Running {
                    return;
                }
                self.queue_report();
                let Some(end) = self.queue.iter().position(|&b| b == b'\n') else {
                    return;
                };
                self.outgoing.set(&[&self.queue[..=end]]);
                self.from_queue = end + 1;
            }
            if self.outgoing.rest().is_empty() {
                // The whole line has been passed.
                self.outgoing.clear();
                drop_front(&mut self.queue, self.from_queue);
                self.from_queue = 0;
                if self.phase == Phase::Configuring {
                    self.phase = Phase::Running;
                    self.crash_at = Some(now + FIRST_KEEPALIVE);
                    self.server_by = Some(now + SERVER_TIMEOUT);
                    if !core::mem::replace(&mut self.started, true) {
                        self.event(AppEvent::Started);
                    }
                }
                continue;
            }
            let taken = self.wires.submit(self.outgoing.rest(), now);
            if taken == 0 {
                return;
            }
            self.outgoing.submitted(taken);
        }
    }

    /// A report goes to the server when nothing else is waiting; a newer one takes its place.
    fn queue_report(&mut self) {
        if !self.queue.is_empty() || !self.server_up {
            return;
        }
        if let Some(report) = self.report.take() {
            let text = &Message::Report(report).to_line();
            // Best effort: the next one makes up for it. It fits, as the queue is empty.
            let _ = self.queue(&HostFrame::Line { delivery: Delivery::BestEffort, text });
        }
    }

    fn receive(&mut self, now: Instant) {
        let was_blocked = core::mem::take(&mut self.blocked);
        while !self.wires.received().is_empty() {
            let payload = self.wires.received();
            if self.assembler.first(payload).and_then(CoprocessorHeader::parse)
                == Some(CoprocessorHeader::Line)
                && let Some(len) = self.assembler.completes(payload)
                && self.received.len() + len > QUEUE
            {
                self.blocked = true;
                self.crash_at = None;
                return;
            }
            let step = self.assembler.push(payload);
            let (Step::Partial(used) | Step::Complete(used) | Step::TooLong(used)) = step;
            self.wires.consume(used);
            match step {
                // Its program must run to go on with a line, and keepalives wait behind that line.
                Step::Partial(_) => {
                    self.crash_at = self.crash_at.map(|at| at.max(now + CRASH_TIMEOUT));
                }
                Step::TooLong(_) => self.event(AppEvent::Dropped(DropCause::TooLong)),
                Step::Complete(_) => {
                    self.line(now);
                    self.assembler.clear();
                }
            }
        }
        if was_blocked {
            self.crash_at = Some(now + CRASH_TIMEOUT);
        }
    }

    fn line(&mut self, now: Instant) {
        let event = match CoprocessorFrame::parse(self.assembler.line()) {
            Ok(CoprocessorFrame::Line(text)) => {
                let text = text.as_bytes();
                // Room was made sure of before.
                let _ = self.received.extend_from_slice(text).map(|()| self.received.push(b'\n'));
                return;
            }
            Ok(CoprocessorFrame::Keepalive) => {
                self.crash_at = Some(now + CRASH_TIMEOUT);
                return;
            }
            Ok(CoprocessorFrame::Server(up)) => {
                if up {
                    self.server_by = None;
                }
                if core::mem::replace(&mut self.server_up, up) == up {
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

fn drop_front<const N: usize>(bytes: &mut Vec<u8, N>, n: usize) {
    bytes.copy_within(n.., 0);
    bytes.truncate(bytes.len() - n);
}
