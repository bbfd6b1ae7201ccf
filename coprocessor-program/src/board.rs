//! The program's requirements on a board.

use core::fmt;

use pblink_protocol::i2c::BusFault;

/// Pins, I2C master, WiFi and TCP of one board.
///
/// None of these waits for the other side, the I2C transfers excepted: they take the time that the bus
/// takes (20 ms for the longest) and have a limit of their own.
pub trait Board {
    /// Returns the count of microseconds, which wraps at 2³².
    fn micros(&mut self) -> u32;

    /// Returns the level of `syn`, and whether it has moved since the last call. An edge need only lead to a call
    /// of [`Program::run`](crate::Program::run): two edges follow each other without an answer in between only
    /// where one exchange ends and the next begins.
    fn syn(&mut self) -> Syn;

    /// Sets `ack`.
    fn set_ack(&mut self, level: bool);

    /// Reads from the slave.
    ///
    /// # Errors
    /// [`BusFault::NoAddress`] only if the slave did not acknowledge its address.
    fn i2c_read(&mut self, address: u8, bytes: &mut [u8]) -> Result<(), BusFault>;

    /// Writes to the slave.
    ///
    /// # Errors
    /// [`BusFault::NoAddress`] only if the slave did not acknowledge its address.
    fn i2c_write(&mut self, address: u8, bytes: &[u8]) -> Result<(), BusFault>;

    /// Sets the name with which the chip asks DHCP servers for an address from now on: a host name of at most
    /// [`MAX_HOST_NAME`](pblink_protocol::coprocessor::MAX_HOST_NAME) bytes.
    fn set_host_name(&mut self, name: &str);

    /// Begins to join the network that the chip remembers.
    fn join_remembered(&mut self);

    /// Begins to join this network, and remembers it. The password may be empty.
    fn join(&mut self, ssid: &str, password: &str);

    /// Leaves the network, if the chip is in one: the next attempt to join begins from the start.
    fn leave(&mut self);

    /// Sends the first `len` bytes of the [buffer](Self::send_buffer), which is free again then, to the group of
    /// multicast DNS ([`mdns::GROUP`](pblink_protocol::mdns::GROUP)) in one datagram, from a port that is not the
    /// group's. What comes to that port is an [`Event::Answer`]. A datagram that cannot be sent is lost.
    fn ask(&mut self, len: usize);

    /// Begins to open a TCP connection. `server` is an address, or a name for the network's name server. The answer
    /// is [`Event::Connected`] or [`Event::ConnectFailed`].
    fn connect(&mut self, server: &str, port: u16);

    /// Closes the TCP connection, or gives up opening it. No event of it may follow.
    fn disconnect(&mut self);

    /// Returns the buffer for bytes that are to be sent. It belongs to the board from [`send`](Self::send) to
    /// [`Event::Sent`], or to the end of the connection.
    fn send_buffer(&mut self) -> &mut [u8; SEND];

    /// Sends the first `len` bytes of the buffer. The answer is [`Event::Sent`]; until then this is
    /// not called again.
    fn send(&mut self, len: usize);

    /// Free memory in bytes, for the reports.
    fn mem_free(&mut self) -> u32;

    /// Writes a line to the console. It is given no password.
    fn log(&mut self, line: fmt::Arguments<'_>);
}

/// The wire `syn`, as a board has seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syn {
    /// Its level.
    pub level: bool,
    /// It has moved since it was last looked at: there and back, if the level is the same.
    pub moved: bool,
}

/// The most bytes that are sent at once: less than a TCP segment of any network.
pub const SEND: usize = 512;

/// An event of WiFi or TCP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The chip is in a network and has an address, or no longer.
    Wifi(bool),
    /// The connection is open.
    Connected,
    /// It could not be opened.
    ConnectFailed,
    /// It was closed by the other end, or by an error.
    Closed,
    /// The bytes of [`Board::send`] were taken: the next may come.
    Sent,
    /// Bytes arrived.
    Received(&'a [u8]),
    /// A datagram came to the port from which [`Board::ask`] sends; from anyone.
    Answer(&'a [u8]),
}
