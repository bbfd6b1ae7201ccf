//! The program of the ESP8266: between the exchange with the STM32 and the server.
//!
//! The reference's `esp_link.py` without its faults. It waits for the configuration, joins the
//! network, keeps a connection to the server, and passes lines each way as
//! [frames](crate::i2c::frame).
//!
//! A line from the server is acknowledged when the STM32 has taken it, so a crash of the ESP8266 loses
//! none; a line for the server leaves the STM32's queue when the ESP8266 has it, so a crash loses
//! those that it holds: at most one that waits for its acknowledgement and one in the receive
//! buffer if they are written with `wait`, else at most [`OUTBOX`] and one.

mod from_host;
mod host_name;
mod to_host;

use heapless::Vec;

use crate::MAX_TEXT;
use crate::config::Config;
use crate::fifo::Fifo;
use crate::i2c::Responder;
use crate::i2c::frame::CoprocessorFrame;
use crate::i2c::payload::Assembler;
use crate::report::Report;
use crate::tcp::endpoint::{Endpoint, Role, Stats, Timing};
use crate::tcp::packed::Packed;
use crate::time::{Duration, Instant, earliest};
pub use host_name::{MAX_HOST_NAME, host_name};
use to_host::ToHost;

/// Lines for the server that are sent and not yet acknowledged, or wait for the server: at most this
/// many, since a crash of the ESP8266 loses them.
pub const OUTBOX: usize = 4;
/// The bytes that they have together: at least two of the longest.
const OUTBOX_BYTES: usize = 2 * MAX_TEXT;
/// Lines from the server that the STM32 has not taken yet. More are refused, and come again.
pub const INBOX: usize = 16;
/// The bytes that they have together, with header and `\n`: at least two of the longest.
const INBOX_BYTES: usize = 2 * (MAX_TEXT + 2);

/// The time from one keepalive to the next.
pub const KEEPALIVE: Duration = Duration::from_secs(2);
/// The time that the first attempt to join is given; it doubles up to [`MAX_JOIN`]. A DHCP server may be slow.
pub const JOIN: Duration = Duration::from_secs(10);
/// The longest time that an attempt to join is given.
pub const MAX_JOIN: Duration = Duration::from_secs(40);
/// A network whose server says nothing for this long is left and joined anew: an access point that has forgotten the
/// chip passes nothing, and the SDK tells of no such thing. It doubles up to [`MAX_SILENCE`] until a word comes, since
/// the server may be what is away. Never less than two time-outs.
pub const MIN_SILENCE: Duration = Duration::from_secs(60);
/// The longest silence after which the network is joined anew.
pub const MAX_SILENCE: Duration = Duration::from_secs(960);
/// The pause between leaving a network and joining it: the chip tells the access point.
pub const LEAVING: Duration = Duration::from_secs(1);
/// `b` is sent when the network could not be joined for this long.
pub const BAD_WIFI: Duration = Duration::from_secs(20);
/// The first pause before the server is tried again; it doubles up to [`MAX_BACKOFF`].
pub const MIN_BACKOFF: Duration = Duration::from_millis(250);
/// The longest pause before the server is tried again.
pub const MAX_BACKOFF: Duration = Duration::from_secs(4);

/// An action of the owner on WiFi or TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Join the network that the chip remembers: none is configured.
    JoinRemembered,
    /// Join the network of [`Coprocessor::config`], if that is not under way: a chip that is in it and waits for its
    /// address goes on.
    Join,
    /// Leave the network: the attempt to join that follows begins from the start.
    Leave,
    /// Open a TCP connection to the server of [`Coprocessor::config`]. Close any other first.
    Connect,
    /// Close the TCP connection, or give up opening it.
    Disconnect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wifi {
    /// No configuration yet.
    Off,
    /// Joining; another attempt at the instant.
    Joining(Instant),
    /// In the network, which is left at the instant if the server says nothing until then.
    Up(Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Tcp {
    /// Connect at the instant.
    Waiting(Instant),
    /// The owner is connecting; it has failed at the instant.
    Connecting(Instant),
    /// Connected; this many bytes of the hello are sent.
    Connected(usize),
}

/// The program of one ESP8266.
///
/// The owner moves its [`exchange`](Self::exchange), carries out [`Command`]s, reports what
/// WiFi and TCP do, sends what [`transmit`](Self::transmit) gives, and calls
/// [`poll`](Self::poll) after each of these and at [`poll_at`](Self::poll_at).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Coprocessor {
    exchange: Responder,
    config: Option<Config>,
    assembler: Assembler<{ MAX_TEXT + 1 }>,
    endpoint: Endpoint<Vec<u8, { MAX_TEXT + 2 }>, (), OUTBOX, Packed<OUTBOX_BYTES, OUTBOX>>,
    to_host: ToHost,
    commands: Fifo<Command, 4>,
    wifi: Wifi,
    /// The time that the next attempt to join is given.
    patience: Duration,
    /// The silence after which the network is left.
    silence: Duration,
    /// `b` is due then.
    bad_wifi_at: Option<Instant>,
    tcp: Tcp,
    backoff: Duration,
    /// No connection has succeeded since boot.
    initial: bool,
    /// The present connection has been counted in `connects`.
    counted: bool,
    /// Connections to the server that succeeded since boot.
    connects: u32,
    /// The state of the server that was reported to the STM32.
    reported_up: bool,
    report_bad_wifi: bool,
    report_bad_server: bool,
    keepalive_at: Option<Instant>,
    /// The check sum of the configuration as it has come, which the STM32 has not been told.
    config_sum: Option<u16>,
    report_at: Option<Instant>,
    reports: u32,
    mem_free: u32,
    /// The TCP stack takes bytes.
    writable: bool,
    dropped: u32,
}

impl Coprocessor {
    /// Returns a program that has just started. `syn` is the level of that wire.
    pub fn new(syn: bool) -> Self {
        let mut program = Self::idle();
        program.start(syn);
        program
    }

    /// Returns a program that does nothing until [`start`](Self::start). It is larger than a chip's
    /// stack: this makes it where it stays, in a `static`.
    pub const fn idle() -> Self {
        Self {
            exchange: Responder::idle(),
            config: None,
            assembler: Assembler::new(),
            endpoint: Endpoint::with_store(
                Role::Client,
                Timing::classic(),
                Vec::new(),
                Packed::new(),
            ),
            to_host: ToHost::new(),
            commands: Fifo::new(),
            wifi: Wifi::Off,
            patience: JOIN,
            silence: MIN_SILENCE,
            bad_wifi_at: None,
            tcp: Tcp::Waiting(Instant::ZERO),
            backoff: MIN_BACKOFF,
            initial: true,
            counted: false,
            connects: 0,
            reported_up: false,
            report_bad_wifi: false,
            report_bad_server: false,
            keepalive_at: None,
            config_sum: None,
            report_at: None,
            reports: 0,
            mem_free: 0,
            writable: true,
            dropped: 0,
        }
    }

    /// Begins, once. `syn` is the level of that wire.
    pub fn start(&mut self, syn: bool) {
        self.exchange.start(syn);
    }

    /// Returns the configuration, once it has come.
    pub fn config(&self) -> Option<&Config> {
        self.config.as_ref()
    }

    /// Returns the machine behind the pin and the I2C bus.
    pub fn exchange(&mut self) -> &mut Responder {
        &mut self.exchange
    }

    /// Returns the counters of the link to the server.
    pub fn stats(&self) -> &Stats {
        self.endpoint.stats()
    }

    /// Returns true while lines flow to and from the server.
    pub fn server_up(&self) -> bool {
        self.endpoint.is_up()
    }

    /// Returns the number of lines from the STM32 that the server has acknowledged.
    pub fn acked(&self) -> u32 {
        self.to_host.acked
    }

    /// Returns the number of lines from the server that were too long for this board. They are never acknowledged.
    pub fn too_long(&self) -> u32 {
        self.to_host.too_long
    }

    /// Returns the number of lines from the STM32 that were dropped: too long, not UTF-8, or without a known header.
    /// Only a foreign STM32 program or a garbled bus sends such lines.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }

    /// Sets the free memory in bytes, for the reports.
    pub fn set_mem_free(&mut self, bytes: u32) {
        self.mem_free = bytes;
    }

    /// Sets whether the TCP stack takes bytes now. While it takes none, bytes that are due are no reason
    /// to poll. True at first.
    pub fn set_writable(&mut self, writable: bool) {
        self.writable = writable;
    }

    /// Returns the next action on WiFi or TCP.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop()
    }

    /// Takes the state of the network: connected, with an address, or not.
    pub fn on_wifi(&mut self, now: Instant, up: bool) {
        if up {
            self.wifi = Wifi::Up(now + self.silence);
            self.patience = JOIN;
            self.bad_wifi_at = None;
            if matches!(self.tcp, Tcp::Waiting(_)) {
                self.backoff = MIN_BACKOFF;
                self.tcp = Tcp::Waiting(now);
            }
        } else if matches!(self.wifi, Wifi::Up(_)) {
            self.lost(now);
            self.join(now);
        }
    }

    /// Takes the report that the TCP connection is open.
    pub fn on_connected(&mut self, now: Instant) {
        if matches!(self.tcp, Tcp::Connecting(_)) {
            self.tcp = Tcp::Connected(0);
            self.endpoint.on_connected(now);
        }
    }

    /// Takes the report that the TCP connection could not be opened.
    pub fn on_connect_failed(&mut self, now: Instant) {
        if matches!(self.tcp, Tcp::Connecting(_)) {
            self.report_bad_server |= core::mem::take(&mut self.initial);
            self.retry(now);
        }
    }

    /// Takes the end of the TCP connection: closed by the server or by an error.
    pub fn on_closed(&mut self, now: Instant) {
        match self.tcp {
            Tcp::Connected(_) => self.server_failed(now),
            Tcp::Connecting(_) => self.on_connect_failed(now),
            Tcp::Waiting(_) => {}
        }
    }

    /// Takes the report that memory is nearly used up: a TCP stack without memory may drop what it has acknowledged,
    /// and one line would be glued to another. A connection is closed, since a new one repeats all that is not
    /// acknowledged by its line.
    pub fn on_low_memory(&mut self, now: Instant) {
        if matches!(self.tcp, Tcp::Connected(_)) {
            self.lost(now);
        }
    }

    /// Takes bytes from the server.
    pub fn on_bytes(&mut self, now: Instant, bytes: &[u8]) {
        if matches!(self.tcp, Tcp::Connected(_)) {
            self.stay(now);
            self.endpoint.on_bytes(now, bytes, &mut self.to_host);
        }
    }

    /// Fills `out` (at least three bytes) with what is to be sent to the server now; returns how many
    /// bytes that are. Call it until it returns 0.
    pub fn transmit(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let Tcp::Connected(sent) = self.tcp else {
            return 0;
        };
        let id = self.config.as_ref().map_or(&b""[..], |config| config.id.as_bytes());
        if sent <= id.len() {
            let mut used = 0;
            for &byte in id[sent..].iter().chain(b"\n").take(out.len()) {
                out[used] = byte;
                used += 1;
            }
            self.tcp = Tcp::Connected(sent + used);
            return used;
        }
        self.endpoint.transmit(now, out)
    }

    /// Does everything that is due at `now`, or that a report has made possible.
    pub fn poll(&mut self, now: Instant) {
        self.exchange.poll(now);
        self.take_from_host(now);
        self.poll_network(now);
        self.give_to_host(now);
    }

    /// Returns the time of the next poll, if nothing happens before.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        let online = matches!(self.wifi, Wifi::Up(_)) && self.config.is_some();
        let wifi = match self.wifi {
            Wifi::Joining(next) => earliest(Some(next), self.bad_wifi_at),
            Wifi::Up(leave_at) => Some(leave_at).filter(|_| online),
            Wifi::Off => None,
        };
        let tcp = match self.tcp {
            Tcp::Waiting(at) | Tcp::Connecting(at) => Some(at).filter(|_| online),
            Tcp::Connected(_) if !self.writable => self.endpoint.outage_at(),
            Tcp::Connected(sent) => {
                let hello = self.config.as_ref().is_some_and(|c| sent <= c.id.len());
                if hello { Some(now) } else { self.endpoint.poll_at(now) }
            }
        };
        // Signals for the STM32 wait until the wires are free, which the exchange reports.
        let host = earliest(self.keepalive_at, self.report_at).filter(|_| self.to_host.is_idle());
        earliest(earliest(self.exchange.poll_at(now), host), earliest(wifi, tcp))
    }

    fn command(&mut self, command: Command) {
        let fits = self.commands.push(command);
        debug_assert!(fits, "the owner does not carry out the commands");
    }

    // ---- to the STM32 ----

    fn give_to_host(&mut self, now: Instant) {
        while self.exchange.can_submit() {
            if self.to_host.rest().is_empty() {
                if let Some(receipt) = self.to_host.passed() {
                    self.endpoint.release(receipt);
                }
                if !self.choose_for_host(now) {
                    return;
                }
            }
            let taken = self.exchange.submit(self.to_host.rest());
            self.to_host.submitted(taken);
        }
    }

    /// Chooses the next line for the STM32: what is short and urgent first.
    fn choose_for_host(&mut self, now: Instant) -> bool {
        let Some(config) = &self.config else {
            return false;
        };
        let up = self.endpoint.is_up();
        let signal = if self.keepalive_at.is_some_and(|at| now >= at) {
            self.keepalive_at = Some(now + KEEPALIVE);
            CoprocessorFrame::Keepalive(self.config_sum.take())
        } else if up != self.reported_up {
            self.reported_up = up;
            CoprocessorFrame::Server(up)
        } else if core::mem::take(&mut self.report_bad_wifi) {
            CoprocessorFrame::BadWifi
        } else if core::mem::take(&mut self.report_bad_server) {
            CoprocessorFrame::BadServer
        } else if self.report_at.is_some_and(|at| now >= at) {
            self.report_at = report_interval(config).map(|interval| now + interval);
            let number = self.reports;
            self.reports = number.wrapping_add(1);
            let (connects, mem_free) = (self.connects, self.mem_free);
            CoprocessorFrame::Report(Report { connects, number, mem_free })
        } else {
            return self.to_host.message();
        };
        self.to_host.signal(&signal);
        true
    }

    // ---- WiFi and TCP ----

    fn poll_network(&mut self, now: Instant) {
        if let Wifi::Joining(next) = self.wifi {
            if self.bad_wifi_at.is_some_and(|at| now >= at) {
                self.bad_wifi_at = None;
                self.report_bad_wifi = true;
            }
            if now >= next {
                self.join(now);
            }
        }
        let Wifi::Up(leave_at) = self.wifi else { return };
        if self.config.is_none() {
            return;
        }
        if now >= leave_at {
            return self.leave(now);
        }
        match self.tcp {
            Tcp::Waiting(at) if now >= at => {
                self.command(Command::Connect);
                let patience = self.endpoint.timing().timeout.times(2);
                self.tcp = Tcp::Connecting(now + patience);
            }
            Tcp::Connecting(at) if now >= at => {
                self.command(Command::Disconnect);
                self.on_connect_failed(now);
            }
            Tcp::Connected(_) => {
                if self.endpoint.is_up() && !core::mem::replace(&mut self.counted, true) {
                    self.connects = self.connects.wrapping_add(1);
                    self.initial = false;
                    self.backoff = MIN_BACKOFF;
                }
                if self.endpoint.outage(now) {
                    self.server_failed(now);
                }
            }
            _ => {}
        }
    }

    fn join(&mut self, now: Instant) {
        let known = self.config.as_ref().is_some_and(|config| !config.ssid.is_empty());
        self.command(if known { Command::Join } else { Command::JoinRemembered });
        self.wifi = Wifi::Joining(now + self.patience);
        self.patience = self.patience.times(2).min(MAX_JOIN);
    }

    /// The network is not left before a whole silence from now on.
    fn stay(&mut self, now: Instant) {
        self.silence = MIN_SILENCE.max(self.endpoint.timing().timeout.times(2));
        if let Wifi::Up(leave_at) = &mut self.wifi {
            *leave_at = now + self.silence;
        }
    }

    fn leave(&mut self, now: Instant) {
        self.lost(now);
        self.command(Command::Leave);
        self.wifi = Wifi::Joining(now + LEAVING);
        self.silence = self.silence.times(2).min(MAX_SILENCE);
    }

    /// The server has closed the connection or is silent. One that did so before it ever answered (it
    /// does not know the id, or is another program) is reported like one that cannot be reached.
    fn server_failed(&mut self, now: Instant) {
        self.report_bad_server |= core::mem::take(&mut self.initial);
        self.lost(now);
    }

    /// The connection is dead: close it whatever its state, so that the server learns of it.
    fn lost(&mut self, now: Instant) {
        if !matches!(self.tcp, Tcp::Waiting(_)) {
            self.command(Command::Disconnect);
        }
        self.retry(now);
    }

    fn retry(&mut self, now: Instant) {
        self.endpoint.on_disconnected();
        self.counted = false;
        self.tcp = Tcp::Waiting(now + self.backoff);
        self.backoff = self.backoff.times(2).min(MAX_BACKOFF);
    }
}

fn report_interval(config: &Config) -> Option<Duration> {
    (config.report_s > 0).then(|| Duration::from_secs(u64::from(config.report_s)))
}
