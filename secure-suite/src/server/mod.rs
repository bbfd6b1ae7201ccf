//! The server's half, with snow.

use core::fmt;

use pblink_protocol::secure::packet::{Hello, MAX_COUNTER, TAG, VERSION};
use pblink_protocol::secure::suite::{Keys, ServerSuite};
use snow::{Builder, HandshakeState, StatelessTransportState};
use std::boxed::Box;

use self::primitives::Primitives;
use crate::SUITE;
use crate::binding::{HelloKey, prologue};
use crate::keys::{Id, PublicKey, Secret, ServerKeys};
use crate::random::{Os, Random};

mod generations;
mod primitives;
#[cfg(test)]
mod vectors;

pub use generations::Generations;
pub use primitives::public_key;

/// The server's half of the suite, for one id.
#[derive(Debug)]
pub struct Server<R = Os> {
    keys: ServerKeys,
    hello: HelloKey,
    random: R,
}

impl<R: Random> Server<R> {
    /// Takes the keys of an id.
    pub fn new(keys: ServerKeys, random: R) -> Self {
        Self { hello: HelloKey::new(&keys.shared), keys, random }
    }

    /// Makes one for an id that has no keys, or has them no more: no hello is [authentic](ServerSuite::is_authentic) to it,
    /// and it does the same work as any other to find that out.
    pub fn stranger(id: Id, mut random: R) -> Self {
        let mut draw = || Secret::draw(&mut random);
        let (private, board, shared) = (draw(), PublicKey(*draw().expose()), draw());
        Self::new(ServerKeys { id, generation: 0, private, board, shared }, random)
    }
}

impl<R: Random> ServerSuite for Server<R> {
    type Keys = Traffic;

    fn challenge(&mut self) -> [u8; 16] {
        let mut out = [0; 16];
        self.random.fill(&mut out);
        out
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        // All of it each time: it tells nobody which part was wrong.
        let right = self.hello.is_right(hello, challenge);
        right & (hello.version == VERSION) & (hello.generation == self.keys.generation)
    }

    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now_ms: u64,
    ) -> Option<(Traffic, [u8; 56])> {
        if hello.version != VERSION || hello.generation != self.keys.generation {
            return None;
        }
        let prologue = prologue(VERSION, self.keys.generation, hello.key, &self.keys.id, challenge);
        let ephemeral = Secret::draw(&mut self.random);
        let mut noise = begin(&self.keys, &prologue, ephemeral);
        noise.read_message(&hello.message, &mut []).ok()?;
        let mut reply = [0; 56];
        noise.write_message(&now_ms.to_be_bytes(), &mut reply).ok()?;
        Some((Traffic::new(noise)?, reply))
    }
}

/// Begins the other end of a handshake. The ephemeral key is drawn by the caller.
fn begin(keys: &ServerKeys, prologue: &[u8], ephemeral: Secret) -> HandshakeState {
    let begin = || {
        let suite = SUITE.parse()?;
        Builder::with_resolver(suite, Box::new(Primitives::new(ephemeral)))
            .prologue(prologue)?
            .local_private_key(keys.private.expose())?
            .remote_public_key(&keys.board.0)?
            .psk(0, keys.shared.expose())?
            .build_responder()
    };
    begin().expect("the pattern has all its keys")
}

/// The keys that a handshake has made.
pub struct Traffic {
    both: StatelessTransportState,
    /// The least counter that was not used yet.
    next: u32,
}

impl Traffic {
    fn new(noise: HandshakeState) -> Option<Self> {
        Some(Self { both: noise.into_stateless_transport_mode().ok()?, next: 0 })
    }
}

impl Keys for Traffic {
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize> {
        let fresh = (self.next..=MAX_COUNTER).contains(&counter);
        let out = out.get_mut(..frames.len().checked_add(TAG)?).filter(|_| fresh)?;
        self.next = counter + 1;
        self.both.write_message(counter.into(), frames, out).ok()
    }

    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let out = out.get_mut(..sealed.len().checked_sub(TAG)?)?;
        if counter > MAX_COUNTER {
            return None;
        }
        self.both.read_message(counter.into(), sealed, out).ok()
    }
}

impl fmt::Debug for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traffic").field("next", &self.next).finish_non_exhaustive()
    }
}
