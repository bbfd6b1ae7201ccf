//! The application base of a board that may have keys.
//!
//! Without keys it is an [`AppBase`]. With them its lines go through a session with the server, of which the ESP8266 and all
//! that is behind it only carry the packets:
//!
//! - A packet is made when the wires take it, and is one line without qos. It is never sent a second time: what an ESP8266
//!   took with it into a reset comes again in a new one.
//! - Lines of the carrier are taken at once, so that keepalives come through; what has no room is repeated by the server.
//! - Through our ESP8266 up to 8 lines are in flight each way, through a published one 2: it stalls with more.
//! - If nothing valid comes for too long while there is a connection, the ESP8266 is reset; so is one that had a server and has had
//!   none for [`SERVER_TIMEOUT`](super::SERVER_TIMEOUT): it may be the ESP8266 that takes nothing any more, and no line is lost by it.

use crate::config::{Config, ConfigError};
use crate::delivery::Delivery;
use crate::fifo::Fifo;
use crate::i2c::{Initiator, InitiatorTiming};
use crate::lines::WriteError;
use crate::secure::MAX_WINDOW;
use crate::secure::board::{Board, BoardEvent, Memory};
use crate::secure::frame::Keyed;
use crate::secure::packet::MAX_UP;
use crate::secure::suite::BoardSuite;
use crate::tcp::line::check_text;
use crate::time::{Instant, earliest};

use super::happening::{Happening, RestartCause};
use super::{AppBase, AppEvent, ResetCause};

/// Lines in flight each way through an ESP8266 with the published program.
const PUBLISHED_WINDOW: u8 = 2;

/// An event of the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecureEvent {
    /// The same as without keys. [`Server`](AppEvent::Server) means the session: lines pass.
    App(AppEvent),
    /// There is a server, and it does not answer: it may have no secure link, or not know this board.
    NoAnswer,
    /// The server has closed the link for a minute. The reason is for people.
    Closed(u8),
    /// The server's clock, in ms since the Unix epoch, when a key was made.
    Time(u64),
    /// A line came that cannot be one, and is passed over: the server's program is wrong.
    Invalid,
    /// The server has given the board a key.
    Keyed(Keyed),
}

/// The application base of one STM32, with or without keys.
///
/// The owner moves its [`exchange`](Self::exchange) (pins and I2C), and calls [`poll`](Self::poll) after everything that it
/// did to them and at [`poll_at`](Self::poll_at). After each poll it lets it [compute](Self::compute) if it
/// [wants](Self::wants_compute) to.
pub struct SecureApp<S: BoardSuite, M> {
    base: AppBase,
    board: Board<S, M>,
    /// The session knows that the ESP8266 has a server.
    carrier: bool,
    events: Fifo<SecureEvent, 8>,
}

impl<S: BoardSuite, M> core::fmt::Debug for SecureApp<S, M> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SecureApp").field("base", &self.base).finish_non_exhaustive()
    }
}

impl<S: BoardSuite, M> SecureApp<S, M> {
    /// Returns an application base without configuration and keys. It is large for a chip's stack: this makes it where it stays,
    /// in a `static`. `memory` is not used before there are keys; `None` does.
    pub const fn idle(memory: M) -> Self {
        Self {
            base: AppBase::idle(),
            board: Board::idle(memory),
            carrier: false,
            events: Fifo::new(),
        }
    }
}

impl<S: BoardSuite, M: Memory> SecureApp<S, M> {
    /// Sets configuration and times. The ESP8266 gets them after its next reset.
    ///
    /// # Errors
    /// If the configuration cannot be used; the one before stays.
    pub fn configure(
        &mut self,
        config: &Config,
        timing: InitiatorTiming,
    ) -> Result<(), ConfigError> {
        self.base.configure(config, timing)
    }

    /// Gives the board its keys, and what its memory has kept. Once, before [`start`](Self::start): from then on it never speaks
    /// without them.
    pub fn set_keys(&mut self, suite: S, memory: M) {
        self.base.set_forward_reports(false);
        self.base.supervisor.set_lossless();
        self.base.outbox.drop_lines();
        self.board.begin(suite, memory);
    }

    /// Notes why the program has started, for the server: once, after [`set_keys`](Self::set_keys). It is told with the first lines
    /// of the link, and may be lost with them. Without keys, nobody is told.
    pub fn tell_restart(&mut self, cause: RestartCause) {
        if self.is_secure() {
            self.tell(Happening::Restart(cause));
        }
    }

    /// Sets whether reports of the ESP8266 are also sent to the server, by a board without keys. With keys they always are.
    pub fn set_forward_reports(&mut self, forward: bool) {
        self.base.set_forward_reports(forward && !self.is_secure());
    }

    /// Returns true if the board has keys.
    pub const fn is_secure(&self) -> bool {
        self.board.has_keys()
    }

    /// Returns the session: its state, its counters, its memory.
    pub const fn board(&self) -> &Board<S, M> {
        &self.board
    }

    /// Returns the memory, for what is the owner's in it, such as its time.
    pub const fn memory_mut(&mut self) -> &mut M {
        self.board.memory_mut()
    }

    /// Gives the memory back: this is the end of a chip that is reset.
    pub fn into_memory(self) -> M {
        self.board.into_memory()
    }

    /// Resets the ESP8266 and begins. The owner has reported the level of `ack` before.
    pub fn start(&mut self, now: Instant) {
        self.base.start(now);
        self.pump(now);
    }

    /// Resets the ESP8266, as the reference's `reboot` does. Lines that are not done are kept.
    pub fn reboot(&mut self, now: Instant) {
        self.base.reboot(now);
        self.pump(now);
    }

    /// Stops. Lines stay.
    pub fn close(&mut self, now: Instant) {
        self.base.close();
        self.pump(now);
    }

    /// Returns the machine behind the pins and the I2C peripheral.
    pub fn exchange(&mut self) -> &mut Initiator {
        self.base.exchange()
    }

    /// Returns true while lines pass to and from the server: with keys, while the session is up.
    pub fn server_up(&self) -> bool {
        if self.is_secure() { self.board.is_up() } else { self.base.server_up() }
    }

    /// Returns true while the ESP8266 has a connection, whoever is at its other end.
    pub fn has_carrier(&self) -> bool {
        self.base.server_up()
    }

    /// Returns true while the ESP8266 is there and has its configuration.
    pub fn is_running(&self) -> bool {
        self.base.is_running()
    }

    /// Returns the number of times that the ESP8266 was reset because of a failure or on demand.
    pub fn resets(&self) -> u32 {
        self.base.resets()
    }

    /// Returns the next event. At most eight are kept; of more, the oldest are lost.
    pub fn next_event(&mut self) -> Option<SecureEvent> {
        if self.is_secure() {
            return self.events.pop();
        }
        self.base.next_event().map(SecureEvent::App)
    }

    /// Takes a line for the server. With keys, a guaranteed one gets a number, with which
    /// [`is_done`](Self::is_done) tells when the server has it; all of them arrive in order. `None`: nobody will know.
    ///
    /// # Errors
    /// See [`WriteError`]. Nothing is taken then. [`Full`](WriteError::Full) also means that a best-effort line before this
    /// one still waits.
    pub fn write(
        &mut self,
        now: Instant,
        text: &str,
        delivery: Delivery,
    ) -> Result<Option<u64>, WriteError> {
        if !self.is_secure() {
            return self.base.write(now, text, delivery).map(|()| None);
        }
        let written = if delivery.is_guaranteed() {
            Some(self.board.write(now, text)?)
        } else {
            let text = check_text(text).map_err(WriteError::Text)?;
            if text.len() > crate::MAX_TEXT {
                return Err(WriteError::TooLong);
            }
            if !self.board.send(text) {
                return Err(WriteError::Full);
            }
            None
        };
        self.pump(now);
        Ok(written)
    }

    /// Returns true if the server has this line where it keeps it.
    pub fn is_done(&self, number: u64) -> bool {
        self.board.is_done(number)
    }

    /// Returns true if no line waits: with keys, if the server has every guaranteed one where it keeps it; without, if the
    /// ESP8266 has them.
    pub fn is_flushed(&self) -> bool {
        if self.is_secure() { self.board.is_flushed() } else { self.base.is_flushed() }
    }

    /// Hands the next received line to `take`. With keys, the application is [done](Self::accept) with the one before then.
    pub fn read_line<R>(&mut self, now: Instant, take: impl FnOnce(&str) -> R) -> Option<R> {
        if !self.is_secure() {
            return self.base.read_line(now, take);
        }
        let result = self.board.read_line(take);
        if result.is_some() {
            self.pump(now);
        }
        result
    }

    /// Notes that the application is done with the line that it has read: with keys, it will not come again after a restart of
    /// the program.
    pub fn accept(&mut self, now: Instant) {
        self.board.accept();
        self.pump(now);
    }

    /// Returns true if there is arithmetic on the curve to do, and nobody waits on the wires: between two exchanges.
    pub fn wants_compute(&self, now: Instant) -> bool {
        !self.base.exchange.is_exchanging() && self.board.wants_compute(now)
    }

    /// Does one half of a handshake's arithmetic, if there is one to do: some tens of milliseconds on a chip. The next exchange
    /// begins later for it.
    pub fn compute(&mut self, now: Instant) {
        self.board.compute(now);
        self.pump(now);
    }

    /// Does everything that is due at `now`, or that the wires have made possible.
    pub fn poll(&mut self, now: Instant) {
        self.base.poll(now);
        self.pump(now);
    }

    /// Returns the time of the next poll, if nothing happens before: `now` at the earliest.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        if self.wants_compute(now) {
            return Some(now);
        }
        earliest(self.base.poll_at(now), self.board.poll_at(now))
    }

    /// Moves lines between session and wires.
    fn pump(&mut self, now: Instant) {
        if !self.is_secure() {
            return;
        }
        self.follow_carrier(now);
        let board = &mut self.board;
        while self.base.read_line(now, |line| board.on_line(now, line)).is_some() {}
        self.board.poll(now);
        self.take_events(now);
        let mut buffer = [0; MAX_UP];
        while self.base.takes_line()
            && let Some(line) = self.board.transmit(now, &mut buffer)
        {
            // The queue is empty, and a packet is a line.
            let _ = self.base.write(now, line, Delivery::BestEffort);
        }
        self.base.exchange.await_answer(now, self.board.expects_answer());
    }

    /// Tells the session about a connection of the ESP8266, or about its end.
    fn follow_carrier(&mut self, now: Instant) {
        if !self.base.is_running() {
            // What was on its way to an ESP8266 that was reset is old when this one has a server.
            self.base.outbox.drop_lines();
        }
        let up = self.base.server_up();
        if up == self.carrier {
            return;
        }
        self.carrier = up;
        let ours = self.base.supervisor.is_ours();
        self.board.set_window(if ours { MAX_WINDOW as u8 } else { PUBLISHED_WINDOW });
        self.board.on_server(now, up);
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.board.next_event() {
            self.events.push_newest(match event {
                BoardEvent::Up => SecureEvent::App(AppEvent::Server(true)),
                BoardEvent::Down => SecureEvent::App(AppEvent::Server(false)),
                BoardEvent::NoAnswer => SecureEvent::NoAnswer,
                BoardEvent::Closed(reason) => SecureEvent::Closed(reason),
                BoardEvent::Time(ms) => SecureEvent::Time(ms),
                BoardEvent::Invalid => SecureEvent::Invalid,
                BoardEvent::Keyed(keyed) => SecureEvent::Keyed(keyed),
                BoardEvent::ResetWanted => {
                    self.base.start(now);
                    self.base.reset(ResetCause::Unproven);
                    self.follow_carrier(now);
                    continue;
                }
            });
        }
        while let Some(event) = self.base.next_event() {
            match event {
                // Of the carrier: the application hears of the session.
                AppEvent::Server(_) => continue,
                // The next one is not far; a cause that waits for the link must stay.
                AppEvent::Report(report) if self.board.is_up() => {
                    self.tell(Happening::Report(report));
                }
                AppEvent::Reset(cause) => self.tell(Happening::Reset(cause)),
                AppEvent::Started
                | AppEvent::BadWifi
                | AppEvent::BadServer
                | AppEvent::Report(_)
                | AppEvent::Dropped(_) => {}
            }
            self.events.push_newest(SecureEvent::App(event));
        }
    }

    fn tell(&mut self, happening: Happening) {
        let mut details = [0; Happening::MAX];
        let len = happening.encode(&mut details);
        self.board.tell(happening.kind(), &details[..len]);
    }
}
