//! Connections and names: `include/espconn.h` of ESP8266_NONOS_SDK 3.x. The rules are those of its sources,
//! `third_party/lwip/app/espconn.c`, `espconn_tcp.c` and `core/dns.c`:
//!
//! - a connection that was aborted or closed stays until the SDK's own task has called `disconnect_callback`; until
//!   then `espconn_connect` with the same structure answers `ESPCONN_ISCONN`;
//! - callbacks are looked up in the structure when they are called, not when the connection began;
//! - each `espconn_gethostbyname` is a lookup of its own and calls back, whatever became of the connection;
//! - bytes that were received and find no memory are acknowledged all the same, and gone.

use std::collections::{HashMap, VecDeque};

use super::{Done, Esp8266, Function, MHZ, SDK_MEMORY, Work};
use crate::Fault;

pub(super) const FUNCTIONS: [(&str, Function); 11] = [
    ("espconn_connect", connect),
    ("espconn_abort", abort),
    ("espconn_send", send),
    ("espconn_set_opt", |_| Ok(Done::Value(OK))),
    ("espconn_port", |chip| {
        chip.tcp.port += 1;
        Ok(Done::Value(49_152 + chip.tcp.port % 16_384))
    }),
    ("espconn_regist_connectcb", |chip| register(chip, Some(CONNECT_CALLBACK), 0)),
    ("espconn_regist_reconcb", |chip| register(chip, Some(RECONNECT_CALLBACK), 0)),
    ("espconn_regist_disconcb", |chip| register(chip, Some(DISCONNECT_CALLBACK), 0)),
    ("espconn_regist_recvcb", |chip| register(chip, None, RECEIVE_CALLBACK)),
    ("espconn_regist_sentcb", |chip| register(chip, None, SENT_CALLBACK)),
    ("espconn_gethostbyname", lookup),
];

pub(super) const OK: u32 = 0;
const MEM: u32 = -1_i32 as u32;
pub(super) const RTE: u32 = -4_i32 as u32;
const IN_PROGRESS: u32 = -5_i32 as u32;
pub(super) const ARG: u32 = -12_i32 as u32;
pub(super) const ISCONN: u32 = -15_i32 as u32;
const MAXNUM: u32 = -7_i32 as u32;
/// `ESPCONN_RST`, `ESPCONN_CONN`
const RST: i8 = -9;

/// `struct espconn`: places.
const STATE: u32 = 4;
const PROTO: u32 = 8;
pub(super) const RECEIVE_CALLBACK: u32 = 12;
const SENT_CALLBACK: u32 = 16;
/// `esp_tcp`: places.
pub(super) const REMOTE_PORT: u32 = 0;
pub(super) const LOCAL_PORT: u32 = 4;
pub(super) const REMOTE_IP: u32 = 12;
const CONNECT_CALLBACK: u32 = 16;
const RECONNECT_CALLBACK: u32 = 20;
const DISCONNECT_CALLBACK: u32 = 24;

/// `enum espconn_state`
const STATE_WAIT: u32 = 1;
const STATE_CONNECT: u32 = 3;
const STATE_WRITE: u32 = 4;
const STATE_READ: u32 = 5;
const STATE_CLOSE: u32 = 6;

/// Connections at a time.
const MAX: usize = 5;
/// Lookups at a time: `DNS_TABLE_SIZE`.
const LOOKUPS: usize = 4;
/// Where received bytes are when the program is called.
const RECEIVED: u32 = SDK_MEMORY + 0x400;
/// The most bytes of a segment.
const SEGMENT: usize = 1460;
/// Where an address is that was looked up.
const FOUND: u32 = SDK_MEMORY + 0x80;

/// A connection as the SDK knows it.
#[derive(Debug)]
struct Node {
    id: u32,
    structure: u32,
    open: bool,
    closing: bool,
    /// Bytes on their way: their place, and their values when they were given.
    sending: Option<(u32, Vec<u8>)>,
}

/// Events that the SDK's loop calls back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    Connected(u32),
    Closed(u32),
    Failed(u32, i8),
    Sent(u32),
    Received(u32, Vec<u8>),
    Found { callback: u32, argument: u32, name: String },
}

/// Request of the chip to the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// A connection to this address.
    Connect {
        /// Number of the connection.
        id: u32,
        /// The address.
        address: [u8; 4],
        /// The port.
        port: u16,
    },
    /// Bytes to the other end. [`Esp8266::acknowledge`] answers.
    Bytes(u32, Vec<u8>),
    /// The connection is reset, or closed.
    Close(u32),
}

/// Connections and names. What is public is the test's to set and to take.
#[derive(Default)]
pub struct Tcp {
    /// Addresses by name, and the time until the answer comes, in µs. Other names do not exist.
    pub names: HashMap<String, (Option<[u8; 4]>, u64)>,
    /// Requests of the chip, oldest first.
    pub requests: VecDeque<Request>,
    /// Bytes that were acknowledged and dropped for want of memory.
    pub dropped: usize,
    /// Bytes that the program was given.
    pub received: usize,
    /// Lookups that were begun.
    pub lookups: u32,
    nodes: Vec<Node>,
    pending: usize,
    port: u32,
    next: u32,
}

impl Tcp {
    /// Everything but the network is as after a reset.
    pub(super) fn reset(&mut self) {
        for node in self.nodes.drain(..) {
            self.requests.push_back(Request::Close(node.id));
        }
        self.pending = 0;
    }

    /// Returns the numbers of the connections that exist, oldest first.
    pub fn connections(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    fn node(&mut self, id: u32) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.id == id)
    }

    fn of(&mut self, structure: u32) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.structure == structure)
    }
}

impl Esp8266 {
    pub(super) fn word(&self, at: u32) -> Result<u32, Fault> {
        let bytes = self.core.memory.bytes(at, 4).and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(u32::from_le_bytes)
            .ok_or_else(|| self.fault(format!("no structure is at {at:#x}")))
    }

    pub(super) fn set_word(&mut self, at: u32, value: u32) {
        self.core.memory.load(at, &value.to_le_bytes());
    }

    pub(super) fn proto(&self, structure: u32) -> Result<u32, Fault> {
        self.word(structure + PROTO)
    }

    /// The other end has accepted the connection.
    pub fn accept(&mut self, id: u32) {
        self.later(0, Work::Tcp(Due::Connected(id)));
    }

    /// The other end has refused the connection, or reset it.
    pub fn refuse(&mut self, id: u32) {
        self.later(0, Work::Tcp(Due::Failed(id, RST)));
    }

    /// The other end has closed the connection.
    pub fn close(&mut self, id: u32) {
        if let Some(node) = self.tcp.node(id)
            && !std::mem::replace(&mut node.closing, true)
        {
            let structure = node.structure;
            self.set_word(structure + STATE, STATE_CLOSE);
            self.later(0, Work::Tcp(Due::Closed(id)));
        }
    }

    /// The other end has acknowledged what was sent.
    pub fn acknowledge(&mut self, id: u32) {
        self.later(0, Work::Tcp(Due::Sent(id)));
    }

    /// The other end has sent bytes: at most a segment's.
    pub fn receive(&mut self, id: u32, bytes: &[u8]) {
        assert!(bytes.len() <= SEGMENT);
        self.later(0, Work::Tcp(Due::Received(id, bytes.to_vec())));
    }

    pub(super) fn tcp_due(&mut self, due: Due) -> Result<(), Fault> {
        match due {
            Due::Connected(id) => {
                let Some(node) = self.tcp.node(id).filter(|node| !node.closing) else {
                    return Ok(());
                };
                node.open = true;
                let structure = node.structure;
                self.set_word(structure + STATE, STATE_CONNECT);
                self.call_back(structure, Some(CONNECT_CALLBACK), 0, &[])
            }
            Due::Closed(id) => match self.gone(id) {
                Some(structure) => self.call_back(structure, Some(DISCONNECT_CALLBACK), 0, &[]),
                None => Ok(()),
            },
            Due::Failed(id, why) => match self.gone(id) {
                Some(structure) => {
                    self.set_word(structure + STATE, STATE_CLOSE);
                    let why = i32::from(why) as u32;
                    self.call_back(structure, Some(RECONNECT_CALLBACK), 0, &[why])
                }
                None => Ok(()),
            },
            Due::Sent(id) => {
                let Some(node) = self.tcp.node(id).filter(|node| !node.closing) else {
                    return Ok(());
                };
                let structure = node.structure;
                if let Some((at, bytes)) = node.sending.take()
                    && self.core.memory.bytes(at, bytes.len() as u32) != Some(&bytes)
                {
                    return Err(self.fault("a buffer was changed while it was being sent"));
                }
                self.set_word(structure + STATE, STATE_CONNECT);
                self.call_back(structure, None, SENT_CALLBACK, &[])
            }
            Due::Received(id, bytes) => {
                let Some(node) = self.tcp.node(id).filter(|node| !node.closing) else {
                    return Ok(());
                };
                let structure = node.structure;
                if (self.heap as usize) < bytes.len() + 1 {
                    self.tcp.dropped += bytes.len();
                    return Ok(());
                }
                self.tcp.received += bytes.len();
                self.set_word(structure + STATE, STATE_READ);
                self.core.memory.load(RECEIVED, &bytes);
                let arguments = [RECEIVED, bytes.len() as u32];
                self.call_back(structure, None, RECEIVE_CALLBACK, &arguments)
            }
            Due::Found { callback, argument, name } => {
                self.tcp.pending -= 1;
                let address = self.tcp.names.get(&name).and_then(|known| known.0);
                let pointer = match address {
                    Some(address) => {
                        self.core.memory.load(FOUND, &address);
                        FOUND
                    }
                    None => 0,
                };
                self.call(callback, &[0, pointer, argument]);
                Ok(())
            }
        }
    }

    /// Forgets a connection, and returns its structure.
    fn gone(&mut self, id: u32) -> Option<u32> {
        let at = self.tcp.nodes.iter().position(|node| node.id == id)?;
        Some(self.tcp.nodes.remove(at).structure)
    }

    /// Calls what stands in the structure now.
    pub(super) fn call_back(
        &mut self,
        structure: u32,
        in_proto: Option<u32>,
        place: u32,
        more: &[u32],
    ) -> Result<(), Fault> {
        let at = match in_proto {
            Some(place) => self.proto(structure)? + place,
            None => structure + place,
        };
        let function = self.word(at)?;
        if function != 0 {
            let mut arguments = vec![structure];
            arguments.extend_from_slice(more);
            self.call(function, &arguments);
        }
        Ok(())
    }
}

fn register(chip: &mut Esp8266, in_proto: Option<u32>, place: u32) -> Result<Done, Fault> {
    let [structure, function] = [0, 1].map(|n| chip.argument(n));
    let at = match in_proto {
        Some(place) => chip.proto(structure)? + place,
        None => structure + place,
    };
    chip.set_word(at, function);
    Ok(Done::Value(OK))
}

fn connect(chip: &mut Esp8266) -> Result<Done, Fault> {
    let structure = chip.argument(0);
    let proto = chip.proto(structure)?;
    if chip.word(structure)? != 0x10 {
        return Ok(Done::Value(ARG));
    }
    if chip.tcp.nodes.len() >= MAX {
        return Ok(Done::Value(ISCONN));
    }
    if !chip.wifi.is_up() {
        return Ok(Done::Value(RTE));
    }
    let port = chip.word(proto + LOCAL_PORT)?;
    for node in 0..chip.tcp.nodes.len() {
        let other = chip.proto(chip.tcp.nodes[node].structure)?;
        if chip.word(other + LOCAL_PORT)? == port {
            return Ok(Done::Value(ISCONN));
        }
    }
    let address = chip.word(proto + REMOTE_IP)?.to_le_bytes();
    let port = chip.word(proto + REMOTE_PORT)? as u16;
    chip.tcp.next += 1;
    let id = chip.tcp.next;
    chip.tcp.nodes.push(Node { id, structure, open: false, closing: false, sending: None });
    chip.tcp.requests.push_back(Request::Connect { id, address, port });
    chip.set_word(structure + STATE, STATE_WAIT);
    Ok(Done::Value(OK))
}

fn abort(chip: &mut Esp8266) -> Result<Done, Fault> {
    let structure = chip.argument(0);
    let state = chip.word(structure + STATE)?;
    let Some(node) = chip.tcp.of(structure) else { return Ok(Done::Value(ARG)) };
    if state == STATE_CLOSE {
        return Ok(Done::Value(IN_PROGRESS));
    }
    node.closing = true;
    let id = node.id;
    chip.tcp.requests.push_back(Request::Close(id));
    chip.set_word(structure + STATE, STATE_CLOSE);
    chip.later(20 * MHZ, Work::Tcp(Due::Closed(id)));
    Ok(Done::Value(OK))
}

fn send(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [structure, at, len] = [0, 1, 2].map(|n| chip.argument(n));
    let len = len & 0xffff;
    let bytes = chip.core.memory.bytes(at, len).map(<[u8]>::to_vec);
    let bytes = bytes.ok_or_else(|| chip.fault("sends what is not there"))?;
    let Some(node) = chip.tcp.of(structure).filter(|node| node.open && !node.closing) else {
        return Ok(Done::Value(ARG));
    };
    if len == 0 {
        return Ok(Done::Value(ARG));
    }
    if node.sending.is_some() {
        return Ok(Done::Value(MAXNUM));
    }
    node.sending = Some((at, bytes.clone()));
    let id = node.id;
    chip.tcp.requests.push_back(Request::Bytes(id, bytes));
    chip.set_word(structure + STATE, STATE_WRITE);
    // Copying it into segments.
    chip.cycles += u64::from(len) * 4;
    Ok(Done::Value(OK))
}

fn lookup(chip: &mut Esp8266) -> Result<Done, Fault> {
    let [argument, name, address, callback] = [0, 1, 2, 3].map(|n| chip.argument(n));
    let name = chip.core.memory.text(name).map(|text| String::from_utf8_lossy(text).into_owned());
    let name = name.ok_or_else(|| chip.fault("looks up what is not there"))?;
    if let Ok(known) = name.parse::<std::net::Ipv4Addr>() {
        chip.core.memory.load(address, &known.octets());
        return Ok(Done::Value(OK));
    }
    if chip.tcp.pending >= LOOKUPS {
        return Ok(Done::Value(MEM));
    }
    chip.tcp.pending += 1;
    chip.tcp.lookups += 1;
    let delay = chip.tcp.names.get(&name).map_or(0, |known| known.1);
    chip.later(delay * MHZ, Work::Tcp(Due::Found { callback, argument, name }));
    Ok(Done::Value(IN_PROGRESS))
}
