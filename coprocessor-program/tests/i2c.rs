//! The software master against a slave that is modelled by the bus's rules.

use pblink_coprocessor_program::i2c::{Lines, Master, STRETCH};
use pblink_protocol::i2c::BusFault;

const ADDRESS: u8 = 0x12;

/// The state of a slave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// Receives the bits of a byte: how many so far. The first byte is the address.
    Byte(u8, bool),
    /// Holds data low for the ninth clock; whether the byte was the address.
    Ack(bool),
    /// Sends the bits of a byte.
    Send(u8),
    /// Looks at the master's ninth bit.
    MasterAck,
    /// Not meant.
    Deaf,
}

/// A slave and two wires.
struct Slave {
    /// The lines as the master drives them: true where it releases them.
    scl: bool,
    sda: bool,
    /// True while the slave pulls the data line down.
    holds_sda: bool,
    holds_scl_until: u64,
    /// The level of the clock that it last saw.
    clock: bool,
    now: u64,
    state: State,
    shift: u8,
    reads: bool,
    to_send: Vec<u8>,
    received: Vec<u8>,
    /// It stretches the clock for this long after each byte, in µs.
    stretch: u64,
    /// It does not acknowledge the byte with this index.
    refuse: Option<usize>,
    present: bool,
    /// It holds data until it has had this many clocks.
    stuck: u8,
    starts: u32,
    stops: u32,
}

impl Slave {
    fn new() -> Self {
        Self {
            scl: true,
            sda: true,
            holds_sda: false,
            holds_scl_until: 0,
            clock: true,
            now: 0,
            state: State::Idle,
            shift: 0,
            reads: false,
            to_send: Vec::new(),
            received: Vec::new(),
            stretch: 0,
            refuse: None,
            present: true,
            stuck: 0,
            starts: 0,
            stops: 0,
        }
    }

    fn sda_level(&self) -> bool {
        self.sda && !self.holds_sda && self.stuck == 0
    }

    fn scl_level(&self) -> bool {
        self.scl && self.now >= self.holds_scl_until
    }

    /// Reacts to a possible change of the clock.
    fn look(&mut self) {
        let before =
            std::mem::replace(&mut self.clock, self.scl && self.now >= self.holds_scl_until);
        match (before, self.clock) {
            (false, true) => self.rising(),
            (true, false) => self.falling(),
            _ => {}
        }
    }

    fn rising(&mut self) {
        let bit = self.sda_level();
        match self.state {
            State::Byte(n, first) => {
                self.shift = self.shift << 1 | u8::from(bit);
                self.state = State::Byte(n + 1, first);
            }
            State::MasterAck if bit => self.state = State::Deaf,
            _ => {}
        }
    }

    fn falling(&mut self) {
        self.stuck = self.stuck.saturating_sub(1);
        match self.state {
            State::Byte(8, true) => {
                self.reads = self.shift & 1 == 1;
                self.acknowledge(self.present && self.shift >> 1 == ADDRESS, true);
            }
            State::Byte(8, false) => {
                let taken = self.refuse != Some(self.received.len());
                self.received.push(self.shift);
                self.acknowledge(taken, false);
            }
            State::Ack(first) => {
                self.holds_sda = false;
                if first && self.reads { self.send() } else { self.state = State::Byte(0, false) }
            }
            State::Send(7) => {
                self.holds_sda = false;
                self.state = State::MasterAck;
            }
            State::Send(n) => self.put(n + 1),
            State::MasterAck => self.send(),
            _ => {}
        }
    }

    fn acknowledge(&mut self, yes: bool, first: bool) {
        self.holds_sda = yes;
        self.holds_scl_until = self.now + if yes { self.stretch } else { 0 };
        self.state = if yes { State::Ack(first) } else { State::Deaf };
    }

    fn send(&mut self) {
        self.shift = if self.to_send.is_empty() { 0xff } else { self.to_send.remove(0) };
        self.holds_scl_until = self.now + self.stretch;
        self.put(0);
    }

    fn put(&mut self, n: u8) {
        self.holds_sda = self.shift >> (7 - n) & 1 == 0;
        self.state = State::Send(n);
    }
}

impl Lines for Slave {
    fn set_scl(&mut self, level: bool) {
        self.scl = level;
        self.look();
    }

    fn set_sda(&mut self, level: bool) {
        let before = self.sda_level();
        self.sda = level;
        let after = self.sda_level();
        if self.clock && before != after {
            if after {
                self.stops += 1;
                self.state = State::Idle;
            } else {
                self.starts += 1;
                self.shift = 0;
                self.state = State::Byte(0, true);
            }
        }
    }

    fn scl(&mut self) -> bool {
        self.scl_level()
    }

    fn sda(&mut self) -> bool {
        self.sda_level()
    }

    fn half_clock(&mut self) {
        self.now += 5;
        self.look();
    }

    fn micros(&mut self) -> u32 {
        self.now += 1;
        self.look();
        // Begins shortly before it wraps.
        (self.now as u32).wrapping_sub(3000)
    }
}

fn master(change: impl FnOnce(&mut Slave)) -> Master<Slave> {
    let mut slave = Slave::new();
    change(&mut slave);
    Master::new(slave)
}

fn payload() -> Vec<u8> {
    (0..200_u8).map(|n| n.wrapping_mul(73)).collect()
}

fn assert_free(master: &mut Master<Slave>) {
    let slave = master.lines();
    assert!(slave.sda_level() && slave.scl_level());
    assert!(slave.stops >= slave.starts);
}

#[test]
fn bytes_pass_both_ways() {
    let mut master = master(|slave| slave.to_send = payload());
    let mut read = [0; 200];
    master.read(ADDRESS, &mut read).expect("a slave");
    assert_eq!(read[..], payload()[..]);
    master.write(ADDRESS, &payload()).expect("a slave");
    assert_eq!(master.lines().received, payload());
    assert_eq!((master.lines().starts, master.lines().stops), (2, 2));
    assert_free(&mut master);
}

#[test]
fn a_slave_may_stretch_the_clock() {
    let mut master = master(|slave| {
        slave.to_send = payload();
        slave.stretch = 100;
    });
    let mut read = [0; 200];
    master.read(ADDRESS, &mut read).expect("a slow slave");
    assert_eq!(read[..], payload()[..]);
    master.write(ADDRESS, &payload()).expect("a slow slave");
    assert_eq!(master.lines().received, payload());
}

#[test]
fn a_clock_that_is_held_is_given_up() {
    let mut master = master(|slave| slave.stretch = 10 * u64::from(STRETCH));
    let began = master.lines().now;
    assert_eq!(master.write(ADDRESS, b"hello"), Err(BusFault::Other));
    assert!(master.lines().now - began < 2 * u64::from(STRETCH), "the limit holds in all");
    // It lets go: the next transfer works.
    master.lines().now += 10 * u64::from(STRETCH);
    master.lines().stretch = 0;
    master.lines().received.clear();
    master.write(ADDRESS, b"hello").expect("it works again");
    assert!(master.lines().received.ends_with(b"hello"));
    assert_free(&mut master);
}

#[test]
fn the_limit_is_for_the_whole_transfer() {
    let mut master = master(|slave| slave.stretch = u64::from(STRETCH) / 20);
    let began = master.lines().now;
    assert_eq!(master.write(ADDRESS, &payload()), Err(BusFault::Other));
    assert!(master.lines().now - began < 2 * u64::from(STRETCH));
}

#[test]
fn nobody_and_a_refusal_are_told_apart() {
    let mut absent = master(|slave| slave.present = false);
    assert_eq!(absent.write(ADDRESS, b"hello"), Err(BusFault::NoAddress));
    assert_eq!(absent.read(ADDRESS, &mut [0; 2]), Err(BusFault::NoAddress));
    assert_free(&mut absent);
    let mut other = master(|_| {});
    assert_eq!(other.write(ADDRESS + 1, b"hello"), Err(BusFault::NoAddress));
    let mut refusing = master(|slave| slave.refuse = Some(3));
    assert_eq!(refusing.write(ADDRESS, b"hello"), Err(BusFault::Other));
    assert_free(&mut refusing);
}

#[test]
fn data_that_is_stuck_is_clocked_free() {
    let mut stuck = master(|slave| slave.stuck = 7);
    stuck.write(ADDRESS, b"hello").expect("it is free after seven clocks");
    assert_eq!(stuck.lines().received, b"hello");
    let mut broken = master(|slave| slave.stuck = 255);
    assert_eq!(broken.write(ADDRESS, b"hello"), Err(BusFault::Other));
    broken.lines().stuck = 0;
    broken.write(ADDRESS, b"hello").expect("it works again");
}
