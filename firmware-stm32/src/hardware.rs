//! The link's requirements on a chip. Port it to another by implementing two traits.

use core::task::{Poll, Waker};

use pblink_protocol::time::Duration;

use crate::restart::RestartCause;
use crate::secure::Vault;

/// An event of the armed transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusEvent {
    /// The master has read all armed bytes.
    Sent,
    /// The master has written as many bytes as were armed: [`SlaveBus::received`].
    Received,
    /// Anything else: too few or too many bytes, the wrong direction, a misplaced start or stop. The
    /// peripheral may hold SCL low until [`SlaveBus::reset`].
    Error,
}

/// The I2C peripheral, as slave with the address `0x12` of [`pblink_protocol::i2c::ADDRESS`].
///
/// It takes part in one transfer at a time, the one that is armed. While none is, it must not
/// acknowledge its address: the ESP8266 then tries again 1 ms later and nothing is lost.
pub trait SlaveBus {
    /// Be ready to be read: copies `bytes` (1 to 200). Ready when it returns.
    fn arm_tx(&mut self, bytes: &[u8]);

    /// Be ready to be written to: exactly `len` bytes, 1 to 200. Ready when it returns.
    fn arm_rx(&mut self, len: usize);

    /// Gives up what is armed, releases both lines, and brings the peripheral back to the state that
    /// it has after power-on, whatever state it is in. Events that wait are forgotten.
    fn reset(&mut self);

    /// Returns the bytes of the last [`BusEvent::Received`], until the next transfer is armed.
    fn received(&self) -> &[u8];

    /// Returns the next event; wakes `waker` when there is one.
    fn poll_event(&mut self, waker: &Waker) -> Poll<BusEvent>;
}

/// The three wires besides the bus.
pub trait Wires {
    /// Drives `syn`: high or low.
    fn set_syn(&mut self, high: bool);

    /// Makes the reset wire active or not. Which level that is, the implementation knows.
    fn set_reset(&mut self, active: bool);

    /// Returns the level that `ack` had when the driver began to watch it. Edges are counted from there.
    fn initial_ack(&self) -> bool;

    /// Returns the next edge of `ack`: the level after it. It must not miss any edge, not even both of a
    /// pulse that is over by the time of the interrupt. `waker` is woken at the next one.
    fn poll_ack(&mut self, waker: &Waker) -> Poll<bool>;
}

/// A watchdog that resets the chip unless it is fed. The runner feeds it at least every
/// [`FEED`] ms; it does not while another task keeps the executor busy.
pub trait Watchdog {
    /// Starts the time anew.
    fn feed(&mut self);
}

/// No watchdog.
impl Watchdog for () {
    fn feed(&mut self) {}
}

/// The longest time between two feedings of the watchdog by the runner, in ms. Give the watchdog at least
/// four times that.
pub const FEED: u64 = 1000;

/// The hardware of a link.
#[derive(Debug)]
pub struct Hardware<B, W> {
    /// The I2C peripheral. The bus cannot be shared with other chips.
    pub bus: B,
    /// `syn`, `ack` and reset.
    pub wires: W,
    /// The time that the reset wire is active. 200 ms in the published code.
    pub reset_pulse: Duration,
    /// Keys, and what a secure link needs beside them. `None`: the link is not secure.
    pub vault: Option<Vault>,
    /// The reason for which the chip has started, which the server is told over a secure link.
    pub restart: RestartCause,
}
