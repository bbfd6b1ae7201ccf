//! The serial line between a chip and the other end: its speed, its frames, and faults on the way.

use super::fault::{Fault, Faults};
use super::slip::{self, Slip};

/// The chip's end of the line.
#[derive(Debug)]
pub struct Uart {
    /// Bytes on their way to the other end.
    pub output: Vec<u8>,
    /// Set when the cable is pulled.
    pub gone: bool,
    /// Speed of the chip in baud; none: it will take that of the first byte.
    pub baud: Option<u32>,
    /// A new speed, from when the answer has left.
    pub next_baud: Option<u32>,
    /// The other end's speed in baud.
    pub host_baud: u32,
    /// Faults of the line, the chip and its flash.
    pub faults: Faults,
    slip: Slip,
    noise_sent: bool,
}

impl Uart {
    /// Makes a line with these faults.
    pub fn new(faults: Vec<Fault>) -> Self {
        Self {
            output: Vec::new(),
            gone: false,
            baud: None,
            next_baud: None,
            host_baud: 115_200,
            faults: Faults { list: faults, ..Faults::default() },
            slip: Slip::default(),
            noise_sent: false,
        }
    }

    /// Forgets the speed and all that has not arrived whole, as the chip does at a reset.
    pub fn reset(&mut self) {
        (self.baud, self.next_baud, self.noise_sent) = (None, None, false);
        self.slip.clear();
    }

    /// Sends bytes at a speed: at another speed they cannot be read, unless they may `wait` in the line until the
    /// other end has changed its speed.
    pub fn say(&mut self, bytes: &[u8], baud: u32, wait: bool) {
        if self.faults.has(&Fault::Silent) {
            return;
        }
        let readable = baud == self.host_baud || wait;
        for &byte in bytes {
            let byte = if readable { byte } else { garbled(byte) };
            let byte = self.faults.on_line(byte, baud);
            self.output.push(byte);
        }
    }

    /// Takes a byte that the other end sent at this speed, and returns the frame that ends with it.
    pub fn byte(&mut self, byte: u8, host_baud: u32) -> Option<Vec<u8>> {
        // A loader measures the speed of the first byte.
        let baud = *self.baud.get_or_insert(host_baud);
        let byte = if baud == host_baud { byte } else { garbled(byte) };
        let byte = self.faults.on_line(byte, baud);
        self.slip.byte(byte)
    }

    /// Sends a frame at the chip's speed.
    pub fn send(&mut self, bytes: &[u8], wait: bool) {
        let baud = self.baud.unwrap_or(self.host_baud);
        self.say(&slip::frame(bytes), baud, wait);
    }

    /// Sends the answer to a command this many times, as far as faults let it.
    pub fn answer(&mut self, mut packet: Vec<u8>, times: usize, wait: bool) {
        let to_sync = packet[1] == super::packet::SYNC;
        if to_sync && !std::mem::replace(&mut self.noise_sent, true) {
            for fault in &self.faults.list {
                if let Fault::Noise(bytes) = fault {
                    self.output.extend(bytes);
                }
            }
        }
        if !to_sync {
            self.faults.answers += 1;
            let count = self.faults.answers;
            if self.faults.has(&Fault::LoseAnswer(count)) {
                return;
            }
            if self.faults.has(&Fault::GarbleAnswer(count)) {
                packet[5] ^= 0x04;
                packet[3] ^= 0x01;
            }
            if self.faults.has(&Fault::DelayAnswer(count)) {
                self.faults.delayed = Some(packet);
                return;
            }
        }
        if let Some(late) = self.faults.delayed.take() {
            self.send(&late, wait);
        }
        for _ in 0..times {
            self.send(&packet, wait);
        }
    }
}

/// Returns a byte as an end with another speed reads it.
fn garbled(byte: u8) -> u8 {
    byte.rotate_left(3) ^ 0x5a
}
