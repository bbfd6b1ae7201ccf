//! Handshakes, proofs of life and packets: the state table of a board.

use super::super::packet::Hello;
use super::super::suite::Keys;
use super::*;

/// Times without a valid packet after which the ESP8266 is reset: the next one each time, until there is one.
const WATCHDOG: [Duration; 4] = [
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];
/// Connections in a row over which nothing valid came, after which their time counts as one.
const FRUITLESS: u8 = 3;

/// The part of a board's state that is about the way to the server.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Link<K, H> {
    pub(super) state: BoardState,
    /// The ESP8266 has a server.
    pub(super) carrier: bool,
    pub(super) closed_until: Instant,
    /// Keys that the server has proven to have.
    pub(super) current: Option<Key<K>>,
    /// Keys that it has not, yet.
    pub(super) next: Option<Key<K>>,
    /// Number of the last handshake's key.
    number: u8,
    pub(super) handshake: Option<Handshake<H>>,
    /// A hello to be sent.
    hello: Option<Hello>,
    /// The newest challenge.
    pub(super) challenge: Option<[u8; 16]>,
    /// A reply that nobody has looked at.
    pub(super) reply: Option<[u8; 56]>,
    /// No handshake begins before that.
    pause_until: Instant,
    pause: Duration,
    /// Challenges that were asked for, and hellos that were sent, in vain since the link was up.
    pub(super) asks: u32,
    /// Proofs that were asked for in vain.
    tries: u8,
    /// Begin of the state or of the proof of new keys, or the last repetition in it.
    since: Instant,
    /// Packets to be sent next.
    ask: bool,
    prove: bool,
    ping: bool,
    pub(super) pong: bool,
    /// The last valid packet, or the carrier's coming up.
    pub(super) heard: Instant,
    /// Begin of the first connection without a valid packet since the last one, or that packet, if its connection has been silent
    /// for long.
    pub(super) vain_since: Option<Instant>,
    /// Connections that have ended in vain since then, at most [`FRUITLESS`].
    pub(super) vain: u8,
    /// The last packet that the server answers with where it stands: a PING or a RESUME.
    asked: Instant,
    /// Resets of the ESP8266 since something valid has come.
    pub(super) watchdog: usize,
    /// A challenge for a key that takes the place of a worn one is asked for then.
    renew_at: Instant,
    /// The next shared key, which has come and is not kept yet.
    pub(super) offered: Option<(u32, [u8; 32])>,
    /// A generation before which there is none any more, which is not noted yet.
    pub(super) settled: Option<u32>,
    /// The server does not know what became of a key.
    keyed: Option<Keyed>,
}

/// A handshake that waits for its reply.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Handshake<H> {
    pub(super) key: u8,
    generation: u32,
    state: H,
    since: Instant,
}

impl<K: Keys, H> Link<K, H> {
    pub(super) const fn new() -> Self {
        Self {
            state: BoardState::Down,
            carrier: false,
            closed_until: Instant::ZERO,
            current: None,
            next: None,
            number: 0,
            handshake: None,
            hello: None,
            challenge: None,
            reply: None,
            pause_until: Instant::ZERO,
            pause: FIRST_PAUSE,
            asks: 0,
            tries: 0,
            since: Instant::ZERO,
            ask: false,
            prove: false,
            ping: false,
            pong: false,
            heard: Instant::ZERO,
            vain_since: None,
            vain: 0,
            asked: Instant::ZERO,
            watchdog: 0,
            renew_at: Instant::ZERO,
            offered: None,
            settled: None,
            keyed: None,
        }
    }

    /// Notes that a connection has ended: in vain, if its last valid packet was long ago, or there was none.
    pub(super) fn end(&mut self, now: Instant) {
        if self.vain_since.is_none() && now >= self.heard + SILENCE {
            self.vain_since = Some(self.heard);
        }
        if self.vain_since.is_some() {
            self.vain = (self.vain + 1).min(FRUITLESS);
        }
    }

    fn ask_again(&self) -> Duration {
        if self.asks < ASKS { ASK_AGAIN } else { ASK_SLOWLY }
    }

    fn is_worn(&self, now: Instant, frames: u32, age: Duration) -> bool {
        self.current.as_ref().is_some_and(|key| key.is_worn(now, frames, age))
    }

    /// Returns true while lines wait for the proof of new keys. The ones before serve until then: the link is up.
    pub(super) fn is_renewing(&self) -> bool {
        self.state == BoardState::Up && self.next.is_some()
    }

    /// Returns true while the server is to prove that it lives, or that it has new keys.
    fn is_proving(&self) -> bool {
        self.state == BoardState::Prove || self.is_renewing()
    }

    /// Asks for a proof of life, or of new keys.
    fn ask_for_proof(&mut self, now: Instant) {
        self.since = now;
        self.tries = 0;
        self.prove = true;
    }

    /// Asks for it again, if that has been tried less often than it may be.
    fn ask_for_proof_again(&mut self, now: Instant) -> bool {
        self.tries += 1;
        if self.tries < PROOFS {
            self.since = now;
            self.prove = true;
        }
        self.tries < PROOFS
    }

    fn forget_handshake(&mut self) {
        self.handshake = None;
        self.hello = None;
        self.reply = None;
    }

    fn may_begin(&self, now: Instant) -> bool {
        self.challenge.is_some()
            && self.handshake.is_none()
            && now >= self.pause_until
            && matches!(self.state, BoardState::Greet | BoardState::Prove | BoardState::Up)
    }
}

impl<S: BoardSuite, M: Memory> Board<S, M> {
    /// Goes on with the keys that are there, or begins without.
    pub(super) fn open(&mut self, now: Instant) {
        if now < self.link.closed_until {
            return;
        }
        // Nothing was to come until then.
        let begin = |at: Instant| at.max(self.link.closed_until);
        self.link.vain_since = self.link.vain_since.map(begin);
        self.link.heard = begin(self.link.heard);
        if self.link.current.is_some() || self.link.next.is_some() {
            self.prove(now);
        } else {
            self.greet(now);
        }
    }

    fn greet(&mut self, now: Instant) {
        self.leave_up();
        self.link.forget_handshake();
        self.link.state = BoardState::Greet;
        self.link.since = now;
        self.link.ask = true;
    }

    /// Asks again. Connections count for nothing in that: a server closes those of a board that it does not know.
    fn unanswered(&mut self, now: Instant) {
        self.link.asks = self.link.asks.saturating_add(1);
        if self.link.asks == ASKS {
            self.events.push_newest(BoardEvent::NoAnswer);
        }
        self.greet(now);
    }

    fn prove(&mut self, now: Instant) {
        self.leave_up();
        self.link.state = BoardState::Prove;
        self.link.ask_for_proof(now);
    }

    fn leave_up(&mut self) {
        if self.link.state == BoardState::Up {
            self.datagrams.0.on_down();
            self.events.push_newest(BoardEvent::Down);
        }
    }

    /// Returns true if there is arithmetic on the curve to do, or a key to be kept: some tens of milliseconds on a chip, for
    /// which nobody should wait on the wires.
    pub fn wants_compute(&self, now: Instant) -> bool {
        let link = &self.link;
        let keys = link.offered.is_some() || link.settled.is_some();
        keys || link.reply.is_some() || link.may_begin(now)
    }

    /// Does one half of a handshake's arithmetic, or keeps a key, if there is one to do.
    pub fn compute(&mut self, now: Instant) {
        // Late by then, it would be a reply to what is forgotten.
        self.poll(now);
        if let (Some(reply), Some(handshake)) = (self.link.reply.take(), &self.link.handshake) {
            let finished =
                self.suite.as_mut().and_then(|suite| suite.finish(&handshake.state, &reply));
            let Some((keys, time)) = finished else {
                self.stats.bad_replies = self.stats.bad_replies.wrapping_add(1);
                return;
            };
            let id = (handshake.key, handshake.generation);
            self.link.next = Some(Key::new(id, keys, now));
            self.link.forget_handshake();
            // One that has come meanwhile would only have it all done again.
            self.link.challenge = None;
            self.link.pause = FIRST_PAUSE;
            self.events.push_newest(BoardEvent::Time(time));
            match self.link.state {
                // The keys before serve on, so that nobody need know.
                BoardState::Up => self.link.ask_for_proof(now),
                _ => self.prove(now),
            }
        } else if self.link.offered.is_some() || self.link.settled.is_some() {
            self.keep_keys();
        } else if self.link.may_begin(now)
            && let Some(challenge) = self.link.challenge.take()
            && let Some(suite) = &mut self.suite
        {
            self.link.number = self.link.number.wrapping_add(1);
            let (hello, state) = suite.hello(self.link.number, &challenge);
            self.link.hello = Some(hello);
            let (key, generation) = (self.link.number, hello.generation);
            self.link.handshake = Some(Handshake { key, generation, state, since: now });
            self.link.pause_until = now + self.link.pause;
            self.link.pause = self.link.pause.times(2).min(MAX_PAUSE);
            if self.link.state == BoardState::Greet {
                self.link.state = BoardState::Shake;
            }
        }
    }

    /// Keeps a key that has come, and asks for a handshake with it; notes that one is settled.
    fn keep_keys(&mut self) {
        let Some(suite) = &mut self.suite else { return };
        // First: it is of the key before one that is taken.
        if let Some(generation) = self.link.settled.take() {
            suite.settle(generation);
        }
        if let Some((generation, mut shared)) = self.link.offered.take() {
            let outcome = suite.take_key(generation, &shared);
            shared.fill(0);
            let keyed = Keyed { generation, outcome };
            self.link.keyed = Some(keyed);
            self.link.ask |= outcome == KeyOutcome::Taken;
            self.events.push_newest(BoardEvent::Keyed(keyed));
        }
    }

    /// Does everything that is due at `now`.
    pub fn poll(&mut self, now: Instant) {
        if !self.link.carrier {
            return;
        }
        if self.link.state == BoardState::Down {
            return self.open(now);
        }
        if now >= self.watchdog_at() {
            self.link.watchdog = (self.link.watchdog + 1).min(WATCHDOG.len() - 1);
            self.events.push_newest(BoardEvent::ResetWanted);
            self.on_server(now, false);
            (self.link.vain_since, self.link.vain) = (None, 0);
            return;
        }
        if self.handshake_until().is_some_and(|at| now >= at) {
            self.link.forget_handshake();
            if self.link.state == BoardState::Shake {
                self.unanswered(now);
            }
        }
        if self.link.is_worn(now, STOP_FRAMES, STOP_AFTER) {
            (self.link.current, self.link.next) = (None, None);
            return self.greet(now);
        }
        match self.link.state {
            BoardState::Greet if now >= self.link.since + self.link.ask_again() => {
                self.unanswered(now);
            }
            BoardState::Prove if now >= self.link.since + PROVE_AGAIN => {
                if !self.link.ask_for_proof_again(now) {
                    if self.link.current.is_some() {
                        self.link.next = None;
                    }
                    self.greet(now);
                }
            }
            BoardState::Up if now >= self.link.heard + SILENCE => self.prove(now),
            BoardState::Up if self.link.is_renewing() => {
                if now >= self.link.since + PROVE_AGAIN && !self.link.ask_for_proof_again(now) {
                    self.link.next = None;
                }
            }
            BoardState::Up => {
                self.sender.poll(now);
                self.link.ping |= now >= self.link.asked + ASK_STATE;
                if now >= self.link.renew_at && self.link.is_worn(now, REKEY_FRAMES, REKEY_AFTER) {
                    self.link.ask = true;
                    self.link.renew_at = now + ASK_SLOWLY;
                }
            }
            BoardState::Down | BoardState::Greet | BoardState::Shake | BoardState::Prove => {}
        }
    }

    /// Returns the time of the next poll, if nothing happens before. `None`: never by itself.
    pub fn poll_at(&self, now: Instant) -> Option<Instant> {
        let link = &self.link;
        if !link.carrier {
            return None;
        }
        let of_state = match link.state {
            BoardState::Down => return Some(link.closed_until.max(now)),
            BoardState::Greet => Some(link.since + link.ask_again()),
            BoardState::Shake => None,
            BoardState::Prove => Some(link.since + PROVE_AGAIN),
            BoardState::Up if link.is_renewing() => {
                Some((link.heard + SILENCE).min(link.since + PROVE_AGAIN))
            }
            BoardState::Up => {
                // A ping that waits for the wires is no reason to look again.
                let ask = (!link.ping).then_some(link.asked + ASK_STATE);
                earliest(earliest(Some(link.heard + SILENCE), ask), self.sender.timeout_at())
            }
        };
        // A challenge waits for the end of the pause; a worn key is noticed with the next ping.
        let compute = (link.challenge.is_some() && link.handshake.is_none())
            .then_some(link.pause_until)
            .filter(|&at| at > now);
        let at = earliest(earliest(of_state, compute), self.handshake_until());
        earliest(at, Some(self.watchdog_at())).map(|at| at.max(now))
    }

    /// An ESP8266 that takes nothing from its server may lose each connection in a moment: their time is too short to count
    /// alone, and that between them may be one without a network.
    fn watchdog_at(&self) -> Instant {
        let link = &self.link;
        let since = link.vain_since.filter(|_| link.vain >= FRUITLESS).unwrap_or(link.heard);
        since + WATCHDOG[link.watchdog]
    }

    fn handshake_until(&self) -> Option<Instant> {
        self.link.handshake.as_ref().map(|handshake| handshake.since + REPLY_TIME)
    }

    /// Returns the next line for the carrier, without `\n`, in `out`: [`MAX_UP`] characters are enough. The owner asks when
    /// the wires can take one, until there is none.
    pub fn transmit<'o>(&mut self, now: Instant, out: &'o mut [u8]) -> Option<&'o str> {
        self.poll(now);
        if let Some(hello) = self.link.hello.take() {
            return Packet::Hello(hello).encode(out);
        }
        if core::mem::take(&mut self.link.ask) && self.link.state != BoardState::Down {
            return Packet::Ask(self.suite.as_mut()?.random()).encode(out);
        }
        let mut frames = [0; MAX_FRAMES];
        match self.link.state {
            // Lines wait: under the old keys they would come behind what makes the server drop these.
            _ if self.link.is_proving() => {
                if !core::mem::take(&mut self.link.prove) {
                    return None;
                }
                let frame = match self.link.next {
                    Some(_) => Frame::Resume(self.resume()),
                    None => Frame::Ping(self.state_of_lines()),
                };
                let len = frame.encode(&mut frames)?;
                let key = self.link.next.as_mut().or(self.link.current.as_mut())?;
                self.link.asked = now;
                key.seal(&frames[..len], out)
            }
            BoardState::Up => {
                let room = room(out.len().min(MAX_UP));
                let len = self.fill(now, frames.get_mut(..room)?);
                if len == 0 {
                    return None;
                }
                self.link.current.as_mut()?.seal(&frames[..len], out)
            }
            _ => None,
        }
    }

    /// Fills a packet with all that is to be said, and returns its length.
    fn fill(&mut self, now: Instant, out: &mut [u8]) -> usize {
        let lines = self.state_of_lines();
        let first = match (&mut self.link.pong, &mut self.link.ping) {
            (pong @ true, _) => {
                *pong = false;
                Some(Frame::Pong(lines))
            }
            (_, ping @ true) => {
                *ping = false;
                self.link.asked = now;
                Some(Frame::Ping(lines))
            }
            _ => self.unsaid.then_some(Frame::Progress(lines)),
        };
        let mut len = first.and_then(|frame| frame.encode(out)).unwrap_or(0);
        self.unsaid &= len == 0;
        if let Some(keyed) = self.link.keyed
            && let Some(more) = Frame::Keyed(keyed).encode(&mut out[len..])
        {
            len += more;
            self.link.keyed = None;
        }
        while let Some(more) = self.happened.frame(&mut out[len..]) {
            len += more;
        }
        while let Some(more) = self.datagrams.0.frame(&mut out[len..]) {
            len += more;
        }
        while let Some((more, _)) =
            self.sender.frame(now, self.window, &Kept(&self.memory), &mut out[len..])
        {
            len += more;
        }
        len
    }
}
