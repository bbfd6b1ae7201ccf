//! The STM32's side of the exchange.

use core::fmt;

use super::pace::{InitiatorTiming, Pace};
use super::{Header, MAX_PAYLOAD, Payload, WAIT};
use crate::fifo::Fifo;
use crate::time::Instant;

/// An action of the owner on pins or I2C peripheral. Actions are carried out in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitiatorAction {
    /// Set `syn`.
    Syn(bool),
    /// Make the reset wire active (true) or not. The owner knows which level is active.
    Reset(bool),
    /// Be ready to be read: the bytes of [`Initiator::tx_bytes`]. Must be done *before* the next
    /// action, or the master's address byte finds nobody.
    ArmTx,
    /// Be ready to be written to: this many bytes.
    ArmRx(usize),
    /// Give up what is armed and bring the peripheral back to its initial state.
    Disarm,
}

/// The reason for which the initiator resets the ESP8266.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    /// It did not do its part of an exchange within a second.
    NoAnswer,
    /// It did not show itself after a reset.
    NoBoot,
    /// An I2C error.
    Bus,
    /// A header with an impossible length.
    BadHeader,
    /// It raised `ack` between two exchanges, as it does when it starts or ends its program.
    Restarted,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswer => "the ESP8266 did not answer within 1 s",
            Self::NoBoot => "the ESP8266 did not start: check power, reset and ack wires",
            Self::Bus => "I2C error: check scl, sda, ground and pull-ups",
            Self::BadHeader => "the ESP8266 sent an impossible header",
            Self::Restarted => "the ESP8266 has restarted or stopped by itself: check its supply",
        })
    }
}

/// Event of an initiator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitiatorEvent {
    /// The ESP8266 runs and waits for its configuration.
    Synchronised,
    /// The ESP8266 is about to be reset because of this.
    Failed(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// Not started, or closed: `syn` 1.
    Closed,
    /// Reset wire active until then.
    Reset(Instant),
    /// `syn` 0; looks at `ack` at the first instant, gives up at the second.
    Booting(Instant, Instant),
    /// Waits before the first exchange.
    Settling(Instant),
    /// Between exchanges: the next one begins at the latest then.
    Idle(Instant),
    /// Within an exchange; it fails at the instant.
    Step(Step, Instant),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Step {
    /// 1–3: armed, `syn` 1; waits for `ack` 1.
    SendHeader,
    /// 4–5: `syn` 0; waits for `ack` 0 (pulse A).
    HeaderTaken,
    /// 6–7: the payload is armed, `syn` 1; waits for `ack` 1.
    SendPayload,
    /// 8: `syn` 0; waits for `ack` 0 (pulse A').
    PayloadTaken,
    /// 9: waits for `ack` 1, the responder's request.
    AwaitRequest,
    /// 10–12: RX is armed, `syn` 1; waits for two bytes and `ack` 0.
    RecvHeader,
    /// 14: waits for `ack` 1, the request to send the payload.
    AwaitPayload(usize),
    /// 15–16: RX is armed, `syn` 1; waits for the payload and `ack` 0.
    RecvPayload(usize),
}

/// The STM32's side of the exchange.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Initiator {
    timing: InitiatorTiming,
    state: State,
    actions: Fifo<InitiatorAction, 8>,
    events: Fifo<InitiatorEvent, 4>,
    /// The last level of `ack` that was reported.
    ack: bool,
    /// The armed transfer is complete.
    transferred: bool,
    header: [u8; 2],
    header_in: [u8; 2],
    tx: Payload,
    /// The payload is part of the exchange under way.
    sending: bool,
    rx: Payload,
    /// The responder's receive buffer is empty.
    peer_free: bool,
    /// A payload passed in the last exchange.
    busy: bool,
    /// Resets in a row after which the responder did not show itself.
    no_boots: u32,
    ended: Instant,
    pace: Pace,
    /// An answer is due: pauses are as short as while payloads flow.
    awaits: bool,
    exchanges: u32,
}

impl Initiator {
    /// Returns an initiator that does nothing until [`start`](Self::start).
    pub const fn new(timing: InitiatorTiming) -> Self {
        Self {
            timing,
            state: State::Closed,
            actions: Fifo::new(),
            events: Fifo::new(),
            ack: true,
            transferred: false,
            header: [0; 2],
            header_in: [0; 2],
            tx: Payload::EMPTY,
            sending: false,
            rx: Payload::EMPTY,
            peer_free: true,
            busy: false,
            no_boots: 0,
            ended: Instant::ZERO,
            pace: Pace::new(),
            awaits: false,
            exchanges: 0,
        }
    }

    /// Sets other times, from the next step on.
    pub(crate) fn set_timing(&mut self, timing: InitiatorTiming) {
        self.timing = timing;
    }

    /// Resets the ESP8266 and begins anew, with the shortest wait for it; the owner has reported the present
    /// level of `ack` by then. Payloads that were not passed on are forgotten: what was under way is the
    /// owner's to send again.
    pub fn start(&mut self, now: Instant) {
        self.no_boots = 0;
        self.restart(now);
    }

    fn restart(&mut self, now: Instant) {
        // `syn` that falls behind a payload confirms it: a responder whose reset wire is broken is to give up first. It is at the
        // transfer for one wait at most, and stands by for another.
        let given_up = match self.state {
            State::Step(Step::SendPayload | Step::RecvPayload(_), limit) => now.max(limit + WAIT),
            _ => now,
        };
        self.tx.clear();
        self.rx.clear();
        self.sending = false;
        self.peer_free = true;
        self.busy = false;
        self.pace.restart();
        self.awaits = false;
        self.actions.clear();
        self.act(InitiatorAction::Disarm);
        self.act(InitiatorAction::Syn(true));
        self.act(InitiatorAction::Reset(true));
        self.state = State::Reset(given_up + self.timing.reset_pulse);
    }

    /// Stops, and leaves `syn` high, which makes the responder wait.
    pub fn close(&mut self) {
        self.actions.clear();
        self.act(InitiatorAction::Disarm);
        self.act(InitiatorAction::Reset(false));
        self.act(InitiatorAction::Syn(true));
        self.state = State::Closed;
    }

    /// Returns true while exchanges take place.
    pub fn is_synchronised(&self) -> bool {
        matches!(self.state, State::Idle(_) | State::Step(..))
    }

    /// Returns the number of exchanges that were completed since the program started.
    pub fn exchanges(&self) -> u32 {
        self.exchanges
    }

    /// Returns the next action.
    pub fn next_action(&mut self) -> Option<InitiatorAction> {
        self.actions.pop()
    }

    /// Returns the next event.
    pub fn next_event(&mut self) -> Option<InitiatorEvent> {
        self.events.pop()
    }

    /// Returns the bytes to send after [`InitiatorAction::ArmTx`].
    pub fn tx_bytes(&self) -> &[u8] {
        match self.state {
            State::Step(Step::SendPayload, _) => self.tx.as_slice(),
            _ => &self.header,
        }
    }

    /// Returns true if [`submit`](Self::submit) would take a payload: the last one has been passed.
    pub fn can_submit(&self) -> bool {
        self.is_synchronised() && self.tx.is_empty()
    }

    /// Gives the next payload to pass: as much of `bytes` as fits. Returns how many bytes were taken, 0
    /// if the last payload has not been passed yet.
    pub fn submit(&mut self, now: Instant, bytes: &[u8]) -> usize {
        if !self.can_submit() {
            return 0;
        }
        let taken = self.tx.set(bytes);
        self.pace.active(now);
        self.hurry(now);
        taken
    }

    /// Returns true if the last submitted payload has been passed.
    pub fn is_passed(&self) -> bool {
        self.tx.is_empty()
    }

    /// Returns the bytes that were received and not yet consumed. While there are any, the responder is
    /// held off.
    pub fn received(&self) -> &[u8] {
        // Until the responder has taken `ack` down, the exchange may still fail; the payload is then
        // forgotten, since the server sends it again.
        match self.state {
            State::Step(Step::RecvPayload(_), _) => &[],
            _ => self.rx.as_slice(),
        }
    }

    /// Drops the first `n` received bytes.
    pub fn consume(&mut self, n: usize) {
        self.rx.consume(n);
    }

    /// Sets whether lines may come at any time. False after each reset: the ESP8266 has no server yet.
    pub fn expect_lines(&mut self, lines: bool) {
        self.pace.expect(lines);
    }

    /// Sets whether an answer is due soon: pauses are as short as while payloads flow until it is not.
    pub(crate) fn await_answer(&mut self, now: Instant, due: bool) {
        if due && !self.awaits {
            self.hurry(now);
        }
        self.awaits = due;
    }

    /// Returns true if [`submit`](Self::submit) would take a payload that is then passed at once: the responder has said that it has room.
    pub(crate) fn is_free(&self) -> bool {
        self.can_submit() && self.peer_free
    }

    /// Returns true while an exchange is under way: the ESP8266 waits for the next step.
    pub(crate) fn is_exchanging(&self) -> bool {
        matches!(self.state, State::Step(..))
    }

    /// Takes the report that a line has come, of which others may follow: pauses are short again.
    pub fn on_line(&mut self, now: Instant) {
        self.pace.active(now);
        if self.timing.adaptive {
            self.hurry(now);
        }
    }

    /// Takes a change of `ack` to `level`. The owner reports every edge, in order, also those of a pulse
    /// that is over by now.
    pub fn on_ack(&mut self, now: Instant, level: bool) {
        self.ack = level;
        match self.state {
            // It was low only because nobody drove it: the ESP8266 is still booting.
            State::Settling(_) if level => self.await_boot(now),
            // It has forgotten its configuration, and would swallow lines.
            State::Idle(_) if level => self.fail(Failure::Restarted, now),
            _ => self.advance(now),
        }
    }

    /// Takes the report that the master has read all armed bytes.
    pub fn on_sent(&mut self, now: Instant) {
        self.transferred = true;
        self.advance(now);
    }

    /// Takes the bytes that the master has written: as many as were armed, or it is an error.
    pub fn on_received(&mut self, now: Instant, bytes: &[u8]) {
        match self.state {
            State::Step(Step::RecvHeader, _) if bytes.len() == 2 => {
                self.header_in.copy_from_slice(bytes);
            }
            State::Step(Step::RecvPayload(n), _) if bytes.len() == n => {
                self.rx.set(bytes);
            }
            State::Step(..) => return self.fail(Failure::Bus, now),
            _ => return,
        }
        self.transferred = true;
        self.advance(now);
    }

    /// Takes an error of the I2C peripheral.
    pub fn on_bus_error(&mut self, now: Instant) {
        if matches!(self.state, State::Step(..)) {
            self.fail(Failure::Bus, now);
        }
    }

    /// Does everything that is due at `now`.
    pub fn poll(&mut self, now: Instant) {
        match self.state {
            State::Closed => {}
            State::Reset(end) if now >= end => {
                self.act(InitiatorAction::Reset(false));
                self.act(InitiatorAction::Syn(false));
                self.await_boot(now);
            }
            State::Booting(_, limit) if now >= limit => self.fail(Failure::NoBoot, now),
            State::Booting(next, limit) if now >= next => {
                self.state = if self.ack {
                    State::Booting(now + self.timing.boot_poll, limit)
                } else {
                    State::Settling(now + self.timing.settle)
                };
            }
            State::Settling(end) if now >= end => {
                self.events.push_newest(InitiatorEvent::Synchronised);
                self.ended = now;
                self.state = State::Idle(now);
            }
            State::Idle(at) if now >= at => {
                // Before the header is fixed, the owner gets one chance to submit (the configuration,
                // after Synchronised): it does so between two polls.
                self.begin(now);
            }
            State::Step(step, limit) if now >= limit => {
                if step == Step::SendHeader {
                    self.pace.missed(now);
                }
                self.fail(Failure::NoAnswer, now);
            }
            _ => {}
        }
    }

    /// Returns the time of the next poll, if nothing happens before: `now` at the earliest.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        let at = match self.state {
            State::Closed => return None,
            State::Reset(at) | State::Settling(at) | State::Idle(at) | State::Step(_, at) => at,
            State::Booting(next, limit) => next.min(limit),
        };
        Some(at.max(now))
    }

    fn await_boot(&mut self, now: Instant) {
        // Long before 20 doublings it is the longest; the shift must not overflow.
        let limit = self.timing.boot_limit.times(1 << self.no_boots.min(20));
        let limit = limit.min(self.timing.boot_limit_most);
        self.state = State::Booting(now + self.timing.boot_poll, now + limit);
    }

    fn act(&mut self, action: InitiatorAction) {
        let fits = self.actions.push(action);
        debug_assert!(fits, "the owner does not carry out the actions");
    }

    /// Brings the next exchange forward, since there is something to pass.
    fn hurry(&mut self, now: Instant) {
        if let State::Idle(at) = self.state {
            let pause = self.pace.pause(&self.timing, self.ended, true);
            self.state = State::Idle(at.min((self.ended + pause).max(now)));
        }
    }

    fn begin(&mut self, now: Instant) {
        self.sending = self.peer_free && !self.tx.is_empty();
        let len = if self.sending { self.tx.as_slice().len() as u16 } else { 0 };
        self.header = Header { len, hold_off: !self.rx.is_empty() }.encode();
        self.busy = false;
        self.pace.begin(now);
        self.arm(Step::SendHeader, InitiatorAction::ArmTx, now);
    }

    fn arm(&mut self, step: Step, action: InitiatorAction, now: Instant) {
        self.transferred = false;
        self.enter(step, now);
        self.act(action);
        self.act(InitiatorAction::Syn(true));
    }

    fn enter(&mut self, step: Step, now: Instant) {
        self.state = State::Step(step, now + WAIT);
    }

    /// Continues as far as the level of `ack` and the transfers allow.
    fn advance(&mut self, now: Instant) {
        while let State::Step(step, _) = self.state {
            match (step, self.ack) {
                (Step::SendHeader, true) if self.transferred => {
                    self.act(InitiatorAction::Syn(false));
                    self.enter(Step::HeaderTaken, now);
                }
                (Step::HeaderTaken, false) if self.sending => {
                    self.arm(Step::SendPayload, InitiatorAction::ArmTx, now);
                }
                (Step::SendPayload, true) if self.transferred => {
                    self.tx.clear();
                    self.sending = false;
                    self.busy = true;
                    self.act(InitiatorAction::Syn(false));
                    self.enter(Step::PayloadTaken, now);
                }
                (Step::HeaderTaken | Step::PayloadTaken, false) => {
                    self.enter(Step::AwaitRequest, now);
                }
                (Step::AwaitRequest, true) => {
                    self.arm(Step::RecvHeader, InitiatorAction::ArmRx(2), now);
                }
                (Step::RecvHeader, false) if self.transferred => {
                    self.act(InitiatorAction::Syn(false));
                    let Some(header) = Header::decode(self.header_in) else {
                        return self.fail(Failure::BadHeader, now);
                    };
                    self.peer_free = !header.hold_off;
                    match usize::from(header.len) {
                        0 => self.end(now),
                        // The header has announced that there is no room, and it sends all the same.
                        _ if !self.rx.is_empty() => return self.fail(Failure::BadHeader, now),
                        len => self.enter(Step::AwaitPayload(len), now),
                    }
                }
                (Step::AwaitPayload(len), true) => {
                    self.arm(Step::RecvPayload(len), InitiatorAction::ArmRx(len), now);
                }
                (Step::RecvPayload(_), false) if self.transferred => {
                    self.busy = true;
                    self.act(InitiatorAction::Syn(false));
                    self.end(now);
                }
                _ => return,
            }
        }
    }

    fn end(&mut self, now: Instant) {
        self.exchanges = self.exchanges.wrapping_add(1);
        self.no_boots = 0;
        self.ended = now;
        self.pace.end(now, !self.busy);
        let busy = self.busy || self.awaits || (self.peer_free && !self.tx.is_empty());
        self.state = State::Idle(now + self.pace.pause(&self.timing, now, busy));
    }

    fn fail(&mut self, failure: Failure, now: Instant) {
        // Room is always made for the newest: an owner that does not look loses the oldest.
        self.events.push_newest(InitiatorEvent::Failed(failure));
        if failure == Failure::NoBoot {
            self.no_boots = self.no_boots.saturating_add(1);
        }
        self.restart(now);
    }
}

const _: () = assert!(MAX_PAYLOAD < 0x7fff);
