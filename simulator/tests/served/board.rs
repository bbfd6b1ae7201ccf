//! A simulated board on the network, and its accounts.

use std::sync::{Arc, Mutex, MutexGuard};

use pblink_protocol::time::{Duration, Instant};
use pblink_simulator::{Fault, Ledger, NetCommand, Pair, PairEvent, sequence_of};

use super::net::{Input, Net};

/// The accounts of a board: lines to the server, lines from it.
#[derive(Debug, Default)]
pub struct Accounts {
    pub outward: Ledger,
    pub inward: Ledger,
}

/// See [`Accounts`]. The application at the server has them, too.
pub type Shared = Arc<Mutex<Accounts>>;

/// See the module's text.
pub struct Board {
    pub id: String,
    pub pair: Pair,
    pub accounts: Shared,
    pub connection: Option<usize>,
    open: bool,
    next: Option<Instant>,
}

/// A look that was due "at once" and could not be taken is taken this much later.
const AGAIN: Duration = Duration::from_micros(500);

impl Board {
    pub fn new(pair: Pair) -> Self {
        Self {
            id: pair.id().to_owned(),
            pair,
            accounts: Shared::default(),
            connection: None,
            open: false,
            next: Some(Instant::ZERO),
        }
    }

    pub fn accounts(&self) -> MutexGuard<'_, Accounts> {
        self.accounts.lock().expect("no panic")
    }

    /// Returns the time of the next step.
    pub const fn next_at(&self) -> Option<Instant> {
        self.next
    }

    /// Returns the open connection.
    pub fn open(&self) -> Option<usize> {
        self.connection.filter(|_| self.open)
    }

    /// Returns true if something is due, of the board's own or on the network.
    pub fn is_due(&mut self, net: &Net, now: Instant) -> bool {
        let waits = |connection| net.has_news(connection);
        self.next.is_some_and(|at| at <= now)
            || self.connection.is_some_and(waits) && self.pair.is_on_air()
            || self.open && !self.pair.outgoing().is_empty()
    }

    pub fn inject(&mut self, fault: Fault, net: &Net, now: Instant) {
        self.pair.advance(now);
        self.pair.inject(fault, now);
        self.step(net, now);
    }

    /// Does what is due.
    pub fn step(&mut self, net: &Net, now: Instant) {
        self.pair.advance(now);
        // While there is no network, what comes waits in the air.
        if self.pair.is_on_air()
            && let Some(connection) = self.connection
        {
            for input in net.take(connection, now) {
                self.on_input(connection, input, net, now);
            }
        }
        self.look_after(net, now);
        if self.pair.is_on_air()
            && let Some(connection) = self.open()
            && !self.pair.outgoing().is_empty()
        {
            let taken = net.write(connection, self.pair.outgoing(), now);
            self.pair.outgoing().drain(..taken);
            self.look_after(net, now);
        }
        self.next = self.pair.next_at().map(|at| at.max(now + AGAIN));
    }

    fn on_input(&mut self, connection: usize, input: Input, net: &Net, now: Instant) {
        match input {
            Input::Opened => {
                self.open = true;
                self.pair.net_connected(now);
            }
            Input::Bytes(bytes) => self.pair.net_received(&bytes, now),
            Input::Refused | Input::Closed => {
                net.close(connection, true, now);
                self.connection = None;
                match std::mem::take(&mut self.open) {
                    true => self.pair.net_closed(now),
                    false => self.pair.net_failed(now),
                }
            }
        }
    }

    fn look_after(&mut self, net: &Net, now: Instant) {
        while let Some(event) = self.pair.next_event() {
            let mut accounts = self.accounts.lock().expect("no panic");
            match event {
                PairEvent::Wrote(number) => accounts.outward.wrote(number),
                PairEvent::Read(line) => match sequence_of(&line) {
                    Some(number) => accounts.inward.got(number),
                    None => accounts.inward.got_unknown(),
                },
                PairEvent::App(_) | PairEvent::Secure(_) | PairEvent::PowerCycled => {}
            }
        }
        while let Some(command) = self.pair.next_net_command() {
            let heard = !matches!(command, NetCommand::Close { heard: false });
            if let Some(old) = self.connection.take() {
                net.close(old, heard, now);
            }
            self.open = false;
            if command == NetCommand::Connect {
                self.connection = Some(net.connect(now));
            }
        }
    }
}
