//! The server: one endpoint, and a ledger of what went over it.

use std::collections::VecDeque;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::endpoint::{Disposition, Endpoint, Host, Receipt, Role, Ticket, Timing};
use pblink_protocol::tcp::lobby::{Guest, Standing, Verdict};
use pblink_protocol::time::{Duration, Instant};
use pblink_secure_suite::keys::ServerKeys;

use crate::session::Session;

/// Lines that the board sent, and those of the server's that have arrived.
#[derive(Default)]
pub struct Ledger {
    /// Lines of the board, in the order of their delivery.
    pub got: Vec<String>,
    /// Lines for the board that were acknowledged.
    pub acked: usize,
    /// Lines that are none. There must not be any.
    pub invalid: usize,
    /// Lines of a secure link, if it is one.
    packets: Option<VecDeque<String>>,
}

impl Host<Vec<u8>> for Ledger {
    fn deliver(&mut self, text: &str, _: Receipt) -> Disposition {
        match &mut self.packets {
            Some(packets) => packets.push_back(text.into()),
            None => self.got.push(text.into()),
        }
        Disposition::Taken
    }

    fn acked(&mut self, _: Ticket, _: Option<Vec<u8>>, _: Duration) {
        self.acked += 1;
    }

    fn invalid(&mut self, _: &[u8]) {
        self.invalid += 1;
    }
}

/// The server.
pub struct Server {
    end: Endpoint<heapless::Vec<u8, 1100>, Vec<u8>, 4>,
    /// A connection whose id is not complete.
    guest: Option<Guest>,
    /// The id of the last connection.
    pub id: String,
    /// Lines that went over the link.
    pub ledger: Ledger,
    waiting: VecDeque<String>,
    /// The secure link in it.
    pub session: Option<Session>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            end: Endpoint::new(Role::Server, Timing::default(), heapless::Vec::new()),
            guest: None,
            id: String::new(),
            ledger: Ledger::default(),
            waiting: VecDeque::new(),
            session: None,
        }
    }
}

fn at(us: u64) -> Instant {
    Instant::from_micros(us)
}

impl Server {
    /// Serves no link but one with these keys from now on.
    pub fn secure(&mut self, keys: ServerKeys) {
        self.session = Some(Session::new(keys));
        self.ledger.packets = Some(VecDeque::new());
    }

    /// Writes a line to the board: guaranteed, in order.
    pub fn write(&mut self, line: &str) {
        match &mut self.session {
            Some(session) => session.write(line),
            None => self.waiting.push_back(line.into()),
        }
    }

    /// Lines that were written and not acknowledged yet.
    pub fn unacked(&self) -> usize {
        self.waiting.len() + self.end.unacked()
    }

    /// Notes that a connection has come.
    pub(crate) fn connected(&mut self, now: u64) {
        self.end.on_disconnected();
        self.guest = Some(Guest::new(at(now), Timing::default()));
    }

    /// Notes that the connection is gone.
    pub(crate) fn disconnected(&mut self) {
        self.end.on_disconnected();
        self.guest = None;
        if let Some(session) = &mut self.session {
            session.disconnected();
        }
    }

    /// Bytes have come.
    pub(crate) fn receive(&mut self, mut bytes: &[u8], now: u64) {
        if let Some(guest) = &mut self.guest {
            let hello = guest.on_bytes(at(now), bytes).expect("the board's hello is an id");
            let (Some(hello), Some(id)) = (hello, guest.id()) else { return };
            self.id = id.to_owned();
            // The old connection is gone by now: the bench says so first.
            assert_eq!(guest.on_standing(at(now), Standing::Free), Verdict::Admit);
            bytes = &bytes[hello..];
            self.guest = None;
            if let Some(session) = &mut self.session {
                // Nothing of a connection outlives it.
                self.end = Endpoint::new(Role::Server, Timing::default(), heapless::Vec::new());
                session.connected(at(now));
            }
            self.end.on_connected(at(now));
        }
        self.end.on_bytes(at(now), bytes, &mut self.ledger);
    }

    /// Returns the bytes to send now.
    pub(crate) fn transmit(&mut self, now: u64) -> Vec<u8> {
        while self.end.has_room()
            && let Some(line) = self.waiting.pop_front()
        {
            let taken = self.end.write(at(now), line.into_bytes(), Delivery::ORDERED);
            assert!(taken.is_ok(), "there is room");
        }
        let mut all = self.bytes(now);
        if let Some(session) = &mut self.session
            && let Some(packets) = &mut self.ledger.packets
            && self.guest.is_none()
        {
            for line in session.exchange(at(now), packets) {
                let taken = self.end.write(at(now), line.into_bytes(), Delivery::BestEffort);
                assert!(taken.is_ok(), "each is sent before the next one is written");
                all.extend(self.bytes(now));
            }
        }
        all
    }

    fn bytes(&mut self, now: u64) -> Vec<u8> {
        let (mut all, mut some) = (Vec::new(), [0; 256]);
        loop {
            match self.end.transmit(at(now), &mut some) {
                0 => return all,
                n => all.extend_from_slice(&some[..n]),
            }
        }
    }

    /// Returns the time of the next poll.
    pub(crate) fn poll_at(&self, now: u64) -> Option<u64> {
        if !self.waiting.is_empty() && self.end.has_room() && self.end.is_connected() {
            return Some(now);
        }
        let session = self.session.as_ref().filter(|_| self.end.is_connected());
        let session = session.and_then(|session| session.poll_at(at(now)));
        let end = self.end.poll_at(at(now));
        [end, session].into_iter().flatten().min().map(Instant::as_micros)
    }
}
