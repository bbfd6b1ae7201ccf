//! The ESP8266's side of the exchange.

use super::{Header, PULSE, Payload, SETUP, WAIT};
use crate::fifo::Fifo;
use crate::time::{Duration, Instant};

/// An action of the owner on its pin or as I2C master. Actions are carried out in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResponderAction {
    /// Set `ack`, then call [`Responder::on_ack_set`].
    Ack(bool),
    /// Read this many bytes from the slave, then call [`Responder::on_read`].
    Read(usize),
    /// Write [`Responder::tx_bytes`] to the slave, then call [`Responder::on_written`].
    Write,
}

/// The reason why a transfer failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BusFault {
    /// The slave did not acknowledge its address: it is not armed yet, and has lost nothing. The
    /// transfer is tried again.
    NoAddress,
    /// Anything else: data not acknowledged, clock held low, bus stuck.
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// `ack` 0; waits for `syn` 0.
    Syncing,
    /// Waits for the initiator to raise `syn`.
    Idle,
    /// In an exchange, which is given up at the instant.
    Step(Step, Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// Waits before a transfer, then does it.
    Setup(Transfer, Instant),
    /// The transfer is under way.
    Busy(Transfer),
    /// 4: `ack` 1; waits for `syn` 0 after the header.
    HeaderDone,
    /// 6: `ack` 0; waits for `syn` 1 before the payload.
    AwaitPayload,
    /// 8: `ack` 1; waits for `syn` 0 after the payload.
    PayloadDone,
    /// `ack` is to go low (pulse A or A').
    PulseBegins,
    /// `ack` is low until then.
    Pulse(Instant),
    /// 9: `ack` 1, request to send; waits for `syn` 1.
    Request,
    /// 12: `ack` 0; waits for `syn` 0 after the header.
    HeaderSent,
    /// 14: `ack` 1; waits for `syn` 1.
    RequestPayload,
    /// 17: `ack` 0; waits for `syn` 0 after the payload.
    PayloadSent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Transfer {
    ReadHeader,
    ReadPayload,
    WriteHeader,
    WritePayload,
}

/// The pause before a transfer is tried again whose address was not acknowledged.
const RETRY: Duration = Duration::from_millis(1);

/// The ESP8266's side of the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Responder {
    state: State,
    actions: Fifo<ResponderAction, 4>,
    syn: bool,
    /// Length of the payload that the initiator has announced.
    announced: usize,
    header: [u8; 2],
    tx: Payload,
    sending: bool,
    /// The initiator has not confirmed that it has the payload: what it sends next says whether it does.
    unsure: bool,
    /// The payload that is being received; handed over when the initiator has confirmed it.
    incoming: Payload,
    rx: Payload,
    peer_free: bool,
    /// Exchanges that were given up.
    failures: u32,
}

impl Responder {
    /// Returns a responder that has just booted. `syn` is the level of the wire.
    pub fn new(syn: bool) -> Self {
        let mut responder = Self::idle();
        responder.start(syn);
        responder
    }

    /// Returns a responder that does nothing until [`start`](Self::start): for a `static`.
    pub const fn idle() -> Self {
        Self {
            state: State::Syncing,
            actions: Fifo::new(),
            syn: true,
            announced: 0,
            header: [0; 2],
            tx: Payload::EMPTY,
            sending: false,
            unsure: false,
            incoming: Payload::EMPTY,
            rx: Payload::EMPTY,
            peer_free: true,
            failures: 0,
        }
    }

    /// Begins, once. `syn` is the level of the wire.
    pub fn start(&mut self, syn: bool) {
        self.syn = syn;
        self.act(ResponderAction::Ack(false));
        self.sync();
    }

    /// Returns true once the initiator has taken `syn` down since boot: exchanges may come.
    pub fn is_synchronised(&self) -> bool {
        self.state != State::Syncing
    }

    /// Returns the number of exchanges that were given up because of a bus fault or a wait of more than a second.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// Returns the next action.
    pub fn next_action(&mut self) -> Option<ResponderAction> {
        self.actions.pop()
    }

    /// Returns the bytes of a [`ResponderAction::Write`].
    pub fn tx_bytes(&self) -> &[u8] {
        match self.state {
            State::Step(Step::Busy(Transfer::WritePayload), _) => self.tx.as_slice(),
            _ => &self.header,
        }
    }

    /// Returns true if [`submit`](Self::submit) would take a payload.
    pub fn can_submit(&self) -> bool {
        self.tx.is_empty()
    }

    /// Gives the next payload to pass: as much of `bytes` as fits. Returns how many bytes were taken, 0
    /// if the last payload has not been passed yet.
    pub fn submit(&mut self, bytes: &[u8]) -> usize {
        if self.tx.is_empty() { self.tx.set(bytes) } else { 0 }
    }

    /// Takes the report that what was received is of an initiator that goes on: it has all that was sent to it.
    pub(crate) fn on_continued(&mut self) {
        if core::mem::take(&mut self.unsure) {
            self.tx.clear();
        }
    }

    /// Takes the report that the initiator has begun anew: the payload that was given last is forgotten, here as there.
    pub(crate) fn on_restarted(&mut self) {
        self.unsure = false;
        self.tx.clear();
    }

    /// Returns the bytes that were received and not yet consumed. While there are any, the initiator is
    /// held off.
    pub fn received(&self) -> &[u8] {
        self.rx.as_slice()
    }

    /// Drops the first `n` received bytes.
    pub fn consume(&mut self, n: usize) {
        self.rx.consume(n);
    }

    /// Takes a change of `syn` to `level`.
    pub fn on_syn(&mut self, now: Instant, level: bool) {
        self.syn = level;
        self.advance(now);
    }

    /// Takes the report that `syn` was low for a moment, and is high again. That is so when the owner was at
    /// something else between two exchanges; at any other step nothing but a disturbance does it, and the level
    /// counts.
    pub fn on_syn_pulse(&mut self, now: Instant) {
        let last = match self.state {
            State::Step(Step::HeaderSent, _) => !self.sending,
            State::Step(Step::PayloadSent, _) => true,
            _ => false,
        };
        if last && self.syn {
            self.on_syn(now, false);
            self.on_syn(now, true);
        }
    }

    /// Takes the report that `ack` has the level of the last [`ResponderAction::Ack`] since `now`. Pulses are
    /// counted from here: whatever the owner does before it moves the pin does not shorten them, and an
    /// initiator that polls sees each.
    pub fn on_ack_set(&mut self, now: Instant) {
        if let State::Step(Step::PulseBegins, limit) = self.state {
            self.state = State::Step(Step::Pulse(now + PULSE), limit);
        }
    }

    /// Takes the bytes of a [`ResponderAction::Read`].
    pub fn on_read(&mut self, now: Instant, bytes: &[u8]) {
        match self.state {
            State::Step(Step::Busy(Transfer::ReadHeader), _) => {
                let header = <[u8; 2]>::try_from(bytes).ok().and_then(Header::decode);
                let Some(header) = header else {
                    return self.give_up();
                };
                // A payload that comes although this side has held off would overwrite one.
                if header.len > 0 && !self.rx.is_empty() {
                    return self.give_up();
                }
                self.announced = usize::from(header.len);
                self.peer_free = !header.hold_off;
                self.confirm(Step::HeaderDone, now);
            }
            State::Step(Step::Busy(Transfer::ReadPayload), _) => {
                self.incoming.set(bytes);
                self.confirm(Step::PayloadDone, now);
            }
            _ => {}
        }
    }

    /// Takes the report that the [`ResponderAction::Write`] is complete.
    pub fn on_written(&mut self, now: Instant) {
        let step = match self.state {
            State::Step(Step::Busy(Transfer::WriteHeader), _) => Step::HeaderSent,
            State::Step(Step::Busy(Transfer::WritePayload), _) => Step::PayloadSent,
            _ => return,
        };
        self.act(ResponderAction::Ack(false));
        self.enter(step, now);
        self.advance(now);
    }

    /// Takes the failure of a transfer.
    pub fn on_bus_fault(&mut self, now: Instant, fault: BusFault) {
        if let State::Step(Step::Busy(transfer), limit) = self.state {
            match fault {
                BusFault::NoAddress if now < limit => {
                    self.state = State::Step(Step::Setup(transfer, now + RETRY), limit);
                }
                _ => self.give_up(),
            }
        }
    }

    /// Does everything that is due at `now`.
    pub fn poll(&mut self, now: Instant) {
        match self.state {
            State::Step(_, limit) if now >= limit => self.give_up(),
            State::Step(Step::Setup(transfer, at), limit) if now >= at => {
                self.state = State::Step(Step::Busy(transfer), limit);
                self.act(match transfer {
                    Transfer::ReadHeader => ResponderAction::Read(2),
                    Transfer::ReadPayload => ResponderAction::Read(self.announced),
                    Transfer::WriteHeader | Transfer::WritePayload => ResponderAction::Write,
                });
            }
            State::Step(Step::Pulse(end), _) if now >= end => {
                self.act(ResponderAction::Ack(true));
                self.enter(Step::Request, now);
                self.advance(now);
            }
            _ => {}
        }
    }

    /// Returns the time of the next poll, if nothing happens before: `now` at the earliest.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        let at = match self.state {
            State::Syncing | State::Idle => return None,
            State::Step(Step::Setup(_, at) | Step::Pulse(at), limit) => at.min(limit),
            State::Step(_, limit) => limit,
        };
        Some(at.max(now))
    }

    fn act(&mut self, action: ResponderAction) {
        let fits = self.actions.push(action);
        debug_assert!(fits, "the owner does not carry out the actions");
    }

    fn enter(&mut self, step: Step, now: Instant) {
        self.state = State::Step(step, now + WAIT);
    }

    fn setup(&mut self, transfer: Transfer, now: Instant) {
        self.enter(Step::Setup(transfer, now + SETUP), now);
    }

    fn confirm(&mut self, step: Step, now: Instant) {
        self.act(ResponderAction::Ack(true));
        self.enter(step, now);
        self.advance(now);
    }

    fn sync(&mut self) {
        self.state = if self.syn { State::Syncing } else { State::Idle };
    }

    /// Handles an initiator that does not continue or breaks the protocol, and a bus that fails: the initiator will reset this board,
    /// and until then this is ready for a new exchange.
    fn give_up(&mut self) {
        self.failures = self.failures.wrapping_add(1);
        self.incoming.clear();
        self.sending = false;
        self.actions.clear();
        match self.state {
            // A level that falls would confirm a payload which the initiator may have, and which would come once more. It waits for
            // that in vain, and resets this board.
            State::Step(Step::Busy(Transfer::WritePayload), _) => {}
            // Each byte of it was acknowledged, and the level says so. An initiator that is slow has it; one that has noticed an
            // error begins anew, and if it cannot reset this board, that is seen by what it sends next.
            State::Step(Step::PayloadSent, _) => {
                self.unsure = true;
                self.act(ResponderAction::Ack(false));
            }
            _ => self.act(ResponderAction::Ack(false)),
        }
        self.sync();
    }

    fn pulse(&mut self, now: Instant) {
        self.act(ResponderAction::Ack(false));
        self.enter(Step::PulseBegins, now);
    }

    /// Continues as far as the level of `syn` allows.
    fn advance(&mut self, now: Instant) {
        match (self.state, self.syn) {
            (State::Syncing, false) => self.state = State::Idle,
            (State::Idle, true) => self.setup(Transfer::ReadHeader, now),
            (State::Step(step, _), syn) => match (step, syn) {
                (Step::HeaderDone, false) if self.announced > 0 => {
                    self.act(ResponderAction::Ack(false));
                    self.enter(Step::AwaitPayload, now);
                }
                (Step::HeaderDone, false) => {
                    self.on_continued();
                    self.pulse(now);
                }
                (Step::AwaitPayload, true) => self.setup(Transfer::ReadPayload, now),
                (Step::PayloadDone, false) => {
                    core::mem::swap(&mut self.rx, &mut self.incoming);
                    self.incoming.clear();
                    self.pulse(now);
                }
                (Step::Request, true) => {
                    self.sending = self.peer_free && !self.tx.is_empty() && !self.unsure;
                    let len = if self.sending { self.tx.as_slice().len() as u16 } else { 0 };
                    self.header = Header { len, hold_off: !self.rx.is_empty() }.encode();
                    self.setup(Transfer::WriteHeader, now);
                }
                (Step::HeaderSent, false) if self.sending => {
                    self.act(ResponderAction::Ack(true));
                    self.enter(Step::RequestPayload, now);
                }
                (Step::RequestPayload, true) => self.setup(Transfer::WritePayload, now),
                (Step::PayloadSent, false) => {
                    self.tx.clear();
                    self.sending = false;
                    self.state = State::Idle;
                }
                (Step::HeaderSent, false) => self.state = State::Idle,
                // The initiator gave up in the middle of a transfer's set-up.
                (Step::Setup(..), false) => self.give_up(),
                _ => {}
            },
            _ => {}
        }
    }
}
