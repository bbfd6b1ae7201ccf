//! Faults that are planted, one at least for each target: its corpus and mutations of it have to find them.

use pblink_fuzz::board::Ram;
use pblink_fuzz::sealed::Pair;
use pblink_fuzz::{board, frames, hello, packet, sealed, server};
use pblink_protocol::app::WriteError;
use pblink_protocol::secure::board::{Memory, View};
use pblink_protocol::secure::frame::{Epoch, Frames};
use pblink_protocol::secure::packet::{Hello, MAX_BYTES, NoPacket, Packet};
use pblink_protocol::secure::suite::{Keys, ServerSuite};
use pblink_protocol::time::Instant;
use pblink_secure_suite::binding::HelloKey;
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::server::{Server, Traffic};

use super::found_after;

pub const MANY: usize = 50_000;

/// Reads lines whatever their last character is.
fn careless<'a>(line: &str, buffer: &'a mut [u8; MAX_BYTES]) -> Result<Packet<'a>, NoPacket> {
    let Some(rest) = line.get(..line.len().saturating_sub(1)) else {
        return Packet::decode(line, buffer);
    };
    let fits = |line: &str| Packet::decode(line, &mut [0; MAX_BYTES]).is_ok();
    let others = ('A'..='z').map(|last| format!("{rest}{last}"));
    let line = std::iter::once(line.to_owned()).chain(others).find(|line| fits(line));
    Packet::decode(line.as_deref().unwrap_or("~t"), buffer)
}

#[test]
fn a_packet_with_any_last_character_or_with_half_a_counter() {
    let blank = found_after("packet", MANY, |data| packet::run_with(data, careless));
    let half = found_after("packet", MANY, |data| {
        packet::run_with(data, |line, buffer| {
            Packet::decode(line, buffer).map(|packet| match packet {
                Packet::Sealed { key, counter, sealed } => {
                    Packet::Sealed { key, counter: counter & 0xffff, sealed }
                }
                other => other,
            })
        });
    });
    assert!(blank.is_some() && half.is_some(), "{blank:?} {half:?}");
    println!("any last character after {blank:?} inputs, half a counter after {half:?}");
}

#[test]
fn frames_behind_one_that_cannot_be_read() {
    let found = found_after("frames", MANY, |data| {
        frames::run_with(data, |bytes| {
            let mut all: Vec<_> = Frames::new(bytes).collect();
            if all.last().is_some_and(Result::is_err) {
                let more = bytes.len() - bytes.len() / 3;
                all.extend(Frames::new(&bytes[more..]));
            }
            all
        });
    });
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

/// A suite that looks at the beginning of a MAC only.
struct Hasty {
    suite: Server<Drbg>,
    hello: HelloKey,
}

impl ServerSuite for Hasty {
    type Keys = Traffic;

    fn challenge(&mut self) -> [u8; 16] {
        self.suite.challenge()
    }

    fn is_authentic(&mut self, hello: &Hello, challenge: &[u8; 16]) -> bool {
        self.hello.mac(hello, challenge)[..12] == hello.mac[..12]
    }

    fn answer(
        &mut self,
        hello: &Hello,
        challenge: &[u8; 16],
        now: u64,
    ) -> Option<(Traffic, [u8; 56])> {
        self.suite.answer(hello, challenge, now)
    }
}

#[test]
fn a_hello_of_which_the_end_is_not_looked_at() {
    let found = found_after("hello", 500, |data| {
        hello::run_with(data, |keys| Hasty {
            hello: HelloKey::new(&keys.shared),
            suite: Server::new(keys, Drbg::new(&[&[3; 40]])),
        });
    });
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

/// Keys that look for the counter that fits.
struct Searching<K>(K);

impl<K: Keys> Keys for Searching<K> {
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize> {
        self.0.seal(counter, frames, out)
    }

    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        let near = counter.saturating_sub(30)..=counter + 30;
        near.into_iter().find_map(|counter| self.0.open(counter, sealed, out))
    }
}

/// Keys that seal twice under a counter.
struct Repeating<K>(K, u32);

impl<K: Keys> Keys for Repeating<K> {
    fn seal(&mut self, counter: u32, frames: &[u8], out: &mut [u8]) -> Option<usize> {
        if counter == self.1 {
            return Some(frames.len());
        }
        self.1 = counter;
        self.0.seal(counter, frames, out)
    }

    fn open(&mut self, counter: u32, sealed: &[u8], out: &mut [u8]) -> Option<usize> {
        self.0.open(counter, sealed, out)
    }
}

#[test]
fn a_counter_that_is_not_authenticated_and_one_that_may_repeat() {
    let found = found_after("sealed", 2000, |data| {
        let (board, server) = sealed::shake();
        sealed::run_with(data, &mut Pair::new(board, Searching(server)));
    });
    let again = found_after("sealed", 10, |data| {
        let (board, server) = sealed::shake();
        sealed::run_with(data, &mut Pair::new(Repeating(board, 0), Repeating(server, 0)));
    });
    assert!(found.is_some() && again.is_some(), "{found:?} {again:?}");
    println!("found after {found:?} and {again:?} inputs");
}

/// A memory that forgets one line too many.
struct Forgetful(Ram);

impl Memory for Forgetful {
    fn epoch(&self) -> Epoch {
        self.0.epoch()
    }
    fn first(&self) -> u64 {
        self.0.first()
    }
    fn next(&self) -> u64 {
        self.0.next()
    }
    fn line(&self, seq: u64) -> Option<(&[u8], Instant)> {
        self.0.line(seq)
    }
    fn push(&mut self, now: Instant, text: &str) -> Result<(), WriteError> {
        self.0.push(now, text)
    }
    fn free(&mut self, done: u64) {
        self.0.free(done + 1);
    }
    fn view(&self) -> Option<View> {
        self.0.view()
    }
    fn set_view(&mut self, view: View) {
        self.0.set_view(view);
    }
}

#[test]
fn a_board_that_forgets_a_line_too_many() {
    let found = found_after("board", MANY, |data| board::run_with(data, Forgetful(Ram::new())));
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}

#[test]
fn a_server_that_acknowledges_before_the_commit() {
    let found = found_after("server", MANY, |data| server::run_with(data, true));
    assert!(found.is_some());
    println!("found after {found:?} inputs");
}
