//! The main loop's body.

use core::fmt::Write;

use pblink_protocol::coprocessor::{Command, Coprocessor, host_name};
use pblink_protocol::i2c::{ADDRESS, MAX_PAYLOAD, ResponderAction};
use pblink_protocol::mdns::{Finder, is_local};
use pblink_protocol::time::{Duration, Instant, earliest};

use crate::board::{Board, Event, Syn};
use crate::clock::Clock;

/// The longest time that [`Program::run`] works before it lets the WiFi stack run. A transfer
/// that has begun is ended first.
pub const BUDGET: Duration = Duration::from_millis(5);

/// The longest time that is waited for on the spot, for pulses and set-up times of the exchange, which no
/// timer of the chip can follow.
const SPIN: Duration = Duration::from_micros(300);

/// Free memory below which the connection is closed, in bytes: two segments and what they need.
const MIN_FREE: u32 = 4096;

/// The time until something that is due but cannot be done is looked at again.
const AGAIN: Duration = Duration::from_millis(1);

/// The program of one ESP8266: the machine, and what it needs to know of the board.
#[derive(Debug)]
pub struct Program {
    esp: Coprocessor,
    clock: Clock,
    /// Looks for a server whose name ends in `.local`.
    finder: Finder,
    /// The level of `syn` that the machine knows.
    syn: bool,
    /// [`Event::Sent`] has not come yet.
    sending: bool,
    configured: bool,
    up: bool,
}

impl Program {
    /// Makes a program that does nothing until [`start`](Self::start). It is larger than the chip's
    /// stack: this makes it where it stays, in a `static`.
    pub const fn idle() -> Self {
        Self {
            esp: Coprocessor::idle(),
            clock: Clock::new(),
            finder: Finder::new(),
            syn: true,
            sending: false,
            configured: false,
            up: false,
        }
    }

    /// Begins, once. `syn` is the level of that wire.
    pub fn start(&mut self, syn: bool) {
        self.syn = syn;
        self.esp.start(syn);
    }

    /// Returns the machine, to look at.
    pub fn machine(&self) -> &Coprocessor {
        &self.esp
    }

    /// Something has happened to WiFi or TCP. It is only noted; [`run`](Self::run) acts on it.
    pub fn event(&mut self, event: Event<'_>, micros: u32) {
        let now = self.clock.now(micros);
        match event {
            Event::Wifi(up) => {
                if up {
                    self.finder.on_network(now);
                }
                self.esp.on_wifi(now, up);
            }
            Event::Connected => {
                self.sending = false;
                self.esp.on_connected(now);
            }
            Event::ConnectFailed => self.esp.on_connect_failed(now),
            Event::Closed => self.esp.on_closed(now),
            Event::Sent => self.sending = false,
            Event::Received(bytes) => self.esp.on_bytes(now, bytes),
            Event::Answer(bytes) => {
                if let Some(config) = self.esp.config() {
                    self.finder.on_message(bytes, &config.server);
                }
            }
        }
    }

    /// Does what there is to do, for about [`BUDGET`] at most. Returns in what time it wants to be
    /// called again at the latest; `None` for never, if nothing happens.
    pub fn run(&mut self, board: &mut impl Board) -> Option<Duration> {
        let started = self.clock.now(board.micros());
        let free = board.mem_free();
        self.esp.set_mem_free(free);
        if free < MIN_FREE {
            self.esp.on_low_memory(started);
        }
        loop {
            let mut acted = false;
            // Before anything else: the other board waits for the pin.
            if self.look(board) {
                acted = self.exchange(board);
            }
            let polled = self.clock.now(board.micros());
            self.esp.poll(polled);
            acted |= self.exchange(board);
            self.log_changes(board);
            acted |= self.network(board) | self.find(board, polled) | self.transmit(board, polled);
            let now = self.clock.now(board.micros());
            self.esp.set_writable(!self.sending);
            // An action that was due when this polled and still is cannot be done now. One that has become due
            // since then can.
            let next = earliest(self.esp.poll_at(polled), self.finder.poll_at(polled));
            let soon = next.is_some_and(|at| polled < at && at <= now + SPIN);
            if now.since(started) >= BUDGET {
                return if acted {
                    Some(Duration::ZERO)
                } else {
                    next.map(|at| pause(at, polled, now))
                };
            }
            if !acted && !soon {
                // An edge that comes while this runs is seen at once.
                if !self.look(board) {
                    return next.map(|at| pause(at, polled, now));
                }
                self.exchange(board);
            }
        }
    }

    /// Looks at `syn`. Returns whether there was anything new, of which the machine knows then.
    fn look(&mut self, board: &mut impl Board) -> bool {
        let Syn { level, moved } = board.syn();
        let now = self.clock.now(board.micros());
        if level != core::mem::replace(&mut self.syn, level) {
            self.esp.exchange().on_syn(now, level);
        } else if moved {
            self.esp.exchange().on_syn_pulse(now);
        } else {
            return false;
        }
        true
    }

    /// Carries out what the wires' machine wants. Returns whether there was anything.
    fn exchange(&mut self, board: &mut impl Board) -> bool {
        let mut acted = false;
        while let Some(action) = self.esp.exchange().next_action() {
            acted = true;
            let mut bytes = [0; MAX_PAYLOAD];
            let result = match action {
                ResponderAction::Ack(level) => {
                    board.set_ack(level);
                    let now = self.clock.now(board.micros());
                    self.esp.exchange().on_ack_set(now);
                    continue;
                }
                ResponderAction::Read(len) => {
                    let bytes = &mut bytes[..len.min(MAX_PAYLOAD)];
                    let result = board.i2c_read(ADDRESS, bytes);
                    let now = self.clock.now(board.micros());
                    result.map(|()| self.esp.exchange().on_read(now, bytes))
                }
                ResponderAction::Write => {
                    let result = board.i2c_write(ADDRESS, self.esp.exchange().tx_bytes());
                    let now = self.clock.now(board.micros());
                    result.map(|()| self.esp.exchange().on_written(now))
                }
            };
            if let Err(fault) = result {
                let now = self.clock.now(board.micros());
                self.esp.exchange().on_bus_fault(now, fault);
            }
        }
        acted
    }

    /// Carries out what the machine wants of WiFi and TCP. Returns whether there was anything.
    fn network(&mut self, board: &mut impl Board) -> bool {
        let mut acted = false;
        while let Some(command) = self.esp.next_command() {
            acted = true;
            if let (Command::Join | Command::JoinRemembered, Some(config)) =
                (command, self.esp.config())
            {
                board.set_host_name(&host_name(&config.id));
            }
            match (command, self.esp.config()) {
                (Command::Join, Some(config)) => {
                    board.log(format_args!("wifi: joining \"{}\"", config.ssid));
                    board.join(&config.ssid, &config.password);
                }
                (Command::Join | Command::JoinRemembered, _) => {
                    board.log(format_args!("wifi: joining the remembered network"));
                    board.join_remembered();
                }
                (Command::Leave, _) => {
                    board.log(format_args!("wifi: the server is silent, joining anew"));
                    board.leave();
                }
                (Command::Connect, Some(config)) => {
                    board.disconnect();
                    self.sending = false;
                    if is_local(&config.server) {
                        board.log(format_args!("server: looking for {}", config.server));
                        self.finder.begin();
                    } else {
                        connect(board, &config.server, config.port);
                    }
                }
                (Command::Disconnect | Command::Connect, _) => {
                    self.sending = false;
                    self.finder.end();
                    board.disconnect();
                }
            }
        }
        acted
    }

    /// Looks for the server, if its address is wanted. Returns whether there was anything to do.
    fn find(&mut self, board: &mut impl Board, now: Instant) -> bool {
        let Some(config) = self.esp.config() else { return false };
        if let Some([a, b, c, d]) = self.finder.take(now) {
            let mut address: heapless::String<15> = heapless::String::new();
            let _ = write!(address, "{a}.{b}.{c}.{d}");
            connect(board, &address, config.port);
            return true;
        }
        // There is no connection whose bytes could be in it.
        let question = self.finder.poll(now, &config.server, board.send_buffer());
        question.is_some_and(|len| {
            board.ask(len);
            true
        })
    }

    /// Sends, if nothing is on its way. Returns whether it did.
    fn transmit(&mut self, board: &mut impl Board, now: Instant) -> bool {
        if self.sending {
            return false;
        }
        let bytes = board.send_buffer();
        let mut len = 0;
        // Several lines in one segment: each costs the WiFi stack the same, long or short.
        while bytes.len() - len >= 3 {
            match self.esp.transmit(now, &mut bytes[len..]) {
                0 => break,
                n => len += n,
            }
        }
        if len == 0 {
            return false;
        }
        self.sending = true;
        board.send(len);
        true
    }

    /// Reports changes on the console.
    fn log_changes(&mut self, board: &mut impl Board) {
        if !self.configured
            && let Some(config) = self.esp.config()
        {
            self.configured = true;
            board.log(format_args!("configured: id \"{}\"", config.id));
        }
        if self.up != self.esp.server_up() {
            self.up = !self.up;
            board.log(format_args!("server: {}", if self.up { "up" } else { "down" }));
        }
    }
}

fn connect(board: &mut impl Board, server: &str, port: u16) {
    board.log(format_args!("server: connecting {server}:{port}"));
    board.connect(server, port);
}

/// Returns the time from `now` until something that is due `at`; [`AGAIN`] if it was due already when all was
/// done that could be, at `polled`.
fn pause(at: Instant, polled: Instant, now: Instant) -> Duration {
    if at <= polled { AGAIN } else { at.since(now) }
}
