//! Datagrams: `include/espconn.h` of ESP8266_NONOS_SDK 3.x. The rules were read from the machine code of `espconn.o` and
//! `espconn_udp.o` in its `liblwip.a`:
//!
//! - `espconn_create` takes the local port from the structure, and answers `ESPCONN_ISCONN` if another has it;
//! - `espconn_sendto` sends to the address that stands in the structure then, copies the bytes, and answers
//!   `ESPCONN_ARG` for a structure that was not created, `ESPCONN_RTE` without a network;
//! - when a datagram comes, its sender is written into the structure before the callback is made; one that finds no memory
//!   is gone.

use std::collections::VecDeque;

use super::tcp::{ARG, ISCONN, LOCAL_PORT, OK, RECEIVE_CALLBACK, REMOTE_IP, REMOTE_PORT, RTE};
use super::{Done, Esp8266, Function, SDK_MEMORY, Work};
use crate::Fault;

pub(super) const FUNCTIONS: [(&str, Function); 2] =
    [("espconn_create", create), ("espconn_sendto", send)];

/// `ESPCONN_UDP`
const UDP: u32 = 0x20;
/// Where a datagram is when the program is called.
const RECEIVED: u32 = SDK_MEMORY + 0x400;
/// The most bytes of a datagram in one piece.
const MTU: usize = 1472;

/// A datagram that the chip has sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// The port that it came from.
    pub from: u16,
    /// The address that it goes to.
    pub address: [u8; 4],
    /// The port that it goes to.
    pub port: u16,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A datagram that comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    to: u16,
    sender: ([u8; 4], u16),
    bytes: Vec<u8>,
}

/// Sockets. What is public is the test's to take.
#[derive(Default)]
pub struct Udp {
    /// Datagrams that the chip has sent, oldest first.
    pub sent: VecDeque<Datagram>,
    /// Structures, and the ports that they have.
    sockets: Vec<(u32, u16)>,
}

impl Udp {
    /// Everything but the network is as after a reset.
    pub(super) fn reset(&mut self) {
        self.sockets.clear();
    }
}

fn create(chip: &mut Esp8266) -> Result<Done, Fault> {
    let structure = chip.argument(0);
    if chip.word(structure)? != UDP {
        return Ok(Done::Value(ARG));
    }
    let port = chip.word(chip.proto(structure)? + LOCAL_PORT)? as u16;
    if chip.udp.sockets.iter().any(|socket| socket.1 == port) {
        return Ok(Done::Value(ISCONN));
    }
    chip.udp.sockets.push((structure, port));
    Ok(Done::Value(OK))
}

fn send(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [structure, at, len] = [0, 1, 2].map(|n| chip.argument(n));
    let len = len & 0xffff;
    let bytes = chip.core.memory.bytes(at, len).map(<[u8]>::to_vec);
    let bytes = bytes.ok_or_else(|| chip.fault("sends what is not there"))?;
    let socket = chip.udp.sockets.iter().find(|socket| socket.0 == structure);
    let Some(&(_, from)) = socket.filter(|_| len > 0) else {
        return Ok(Done::Value(ARG));
    };
    if !chip.wifi.is_up() {
        return Ok(Done::Value(RTE));
    }
    let proto = chip.proto(structure)?;
    let address = chip.word(proto + REMOTE_IP)?.to_le_bytes();
    let port = chip.word(proto + REMOTE_PORT)? as u16;
    chip.udp.sent.push_back(Datagram { from, address, port, bytes });
    chip.cycles += u64::from(len) * 4;
    Ok(Done::Value(OK))
}

impl Esp8266 {
    /// A datagram has come to this port.
    pub fn receive_datagram(&mut self, to: u16, sender: ([u8; 4], u16), bytes: &[u8]) {
        assert!(bytes.len() <= MTU);
        self.later(0, Work::Udp(Due { to, sender, bytes: bytes.to_vec() }));
    }

    pub(super) fn udp_due(&mut self, due: Due) -> Result<(), Fault> {
        let Due { to, sender: (address, port), bytes } = due;
        let Some(&(structure, _)) = self.udp.sockets.iter().find(|socket| socket.1 == to) else {
            return Ok(());
        };
        let proto = self.proto(structure)?;
        self.set_word(proto + REMOTE_IP, u32::from_le_bytes(address));
        self.set_word(proto + REMOTE_PORT, port.into());
        if (self.heap as usize) < bytes.len() + 1 {
            return Ok(());
        }
        self.core.memory.load(RECEIVED, &bytes);
        let arguments = [RECEIVED, bytes.len() as u32];
        self.call_back(structure, None, RECEIVE_CALLBACK, &arguments)
    }
}
