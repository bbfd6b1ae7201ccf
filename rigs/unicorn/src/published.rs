//! The published Pyboard: micropython-iot's initiator, which polls, in the STM32's place.
//!
//! Its steps are those of the published `asi2c_i.py` and of MicroPython's I2C slave (which polls too, and
//! acknowledges its address only while it sends or receives), on the registers of the emulated chip: no core runs. It
//! passes whole lines and holds the other side off until its program has taken the last one.

use std::collections::VecDeque;

use pblink_protocol::i2c::frame::{CoprocessorFrame, HostFrame};
use pblink_protocol::i2c::{Header, MAX_PAYLOAD};

use crate::chip::MHZ;
use crate::esp_chip::{self, EspChip};
use crate::world::World;

/// Registers (RM0090): ports A, B and C, I2C1, the clocks of all, EXTI's choice of a port.
const GPIOB_IDR: u64 = 0x4002_0410;
const GPIOC_MODER: u64 = 0x4002_0800;
const GPIOC_BSRR: u64 = 0x4002_0818;
const AHB1ENR: u64 = 0x4002_3830;
const APB1ENR: u64 = 0x4002_3840;
const I2C: u64 = 0x4000_5400;
const CR1: u64 = I2C;
const CR2: u64 = I2C + 0x04;
const OAR1: u64 = I2C + 0x08;
const DR: u64 = I2C + 0x10;
const SR1: u64 = I2C + 0x14;
const SR2: u64 = I2C + 0x18;
const PE: u32 = 1;
const ACKNOWLEDGE: u32 = 1 << 10;
const ADDR: u32 = 1 << 1;
const BTF: u32 = 1 << 2;
const STOPF: u32 = 1 << 4;
const RXNE: u32 = 1 << 6;
const TXE: u32 = 1 << 7;
const AF: u32 = 1 << 10;

/// Pins of port C and B.
const SYN: u32 = 4;
const RESET: u32 = 5;
const ACK: u32 = 15;

/// A wait within an exchange fails after this, in µs.
const WAIT: u64 = 1_000_000;
/// Pause between two exchanges, in µs.
const POLL: u64 = 100_000;

/// The exchange has failed: the published program resets the ESP8266.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// The step.
    pub step: &'static str,
    /// The time, in µs.
    pub at: u64,
}

/// The time that the program takes, in µs.
#[derive(Debug, Clone)]
pub struct Pace {
    /// From one look at `ack` to the next.
    pub look: u64,
    /// From `syn` 1 until the I2C slave is armed, one after the other, again and again.
    pub arm: Vec<u64>,
    /// From the sight of a level to the next change of `syn`, likewise.
    pub react: Vec<u64>,
}

/// The board, its ESP8266, and the server.
pub struct Published {
    world: World,
    pace: Pace,
    arms: usize,
    reactions: usize,
    waiting: VecDeque<Vec<u8>>,
    can_send: bool,
    /// The payload that its program has not taken.
    payload: Vec<u8>,
    /// Lines from the ESP8266, in their order, headers and signals too.
    pub lines: Vec<String>,
    partial: Vec<u8>,
    /// Exchanges that were completed.
    pub exchanges: usize,
}

impl Published {
    /// Makes a board that is wired to an ESP8266 which runs its own machine code.
    pub fn new(pace: Pace) -> Self {
        let esp_chip = Some(Box::new(EspChip::new(esp_chip::image())));
        let world = World { esp_chip, ..World::default() };
        Self {
            world,
            pace,
            arms: 0,
            reactions: 0,
            waiting: VecDeque::new(),
            can_send: true,
            payload: Vec::new(),
            lines: Vec::new(),
            partial: Vec::new(),
            exchanges: 0,
        }
    }

    /// Returns what is around it.
    pub fn world(&mut self) -> &mut World {
        &mut self.world
    }

    /// Returns the ESP8266.
    pub fn esp(&mut self) -> &mut EspChip {
        self.world.esp_chip.as_mut().expect("it was put there")
    }

    /// Has a line sent. The published board passes no line in pieces: at most 200 bytes with header and newline.
    pub fn write(&mut self, frame: &HostFrame<'_>) {
        let mut line = vec![0; frame.buffer_len()];
        frame.emit(&mut line);
        assert!(line.len() <= MAX_PAYLOAD, "the published board has no room for it");
        self.waiting.push_back(line);
    }

    /// Number of lines that were not passed yet.
    pub fn unsent(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the lines of the server.
    pub fn from_server(&self) -> Vec<&str> {
        let frames = self.lines.iter().map(|line| CoprocessorFrame::parse(line.as_bytes()));
        frames
            .filter_map(|frame| match frame {
                Ok(CoprocessorFrame::Line(text)) => Some(text),
                _ => None,
            })
            .collect()
    }

    /// Resets the ESP8266, and waits until it shows itself and is ready.
    ///
    /// # Errors
    /// It does not show itself within 10 s.
    pub fn start(&mut self) -> Result<(), Failed> {
        let chip = &mut self.world.chip;
        chip.write(AHB1ENR, 7);
        chip.write(APB1ENR, 1 << 21 | 1 << 28);
        // Both wires are outputs, high; then reset is low for 200 ms.
        chip.write(GPIOC_BSRR, 1 << SYN | 1 << RESET);
        chip.write(GPIOC_MODER, 1 << (2 * SYN) | 1 << (2 * RESET));
        self.pass(1_000);
        self.set(RESET, false);
        self.pass(200_000);
        self.set(RESET, true);
        self.set(SYN, false);
        for _ in 0..100 {
            self.pass(100_000);
            if !self.ack() {
                self.pass(1_000_000);
                return Ok(());
            }
        }
        Err(self.failed("start"))
    }

    /// Lets exchanges take place until `done`.
    ///
    /// # Errors
    /// One has failed.
    pub fn run(&mut self, mut done: impl FnMut(&mut Self) -> bool) -> Result<(), Failed> {
        while !done(self) {
            // Its program has taken what came, but for the first of two looks: so the other side is held off at times.
            if self.exchanges % 3 != 1 {
                self.take();
            }
            self.exchange()?;
            self.exchanges += 1;
            self.idle(POLL);
        }
        Ok(())
    }

    fn take(&mut self) {
        for byte in std::mem::take(&mut self.payload) {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.partial);
                    self.lines.push(String::from_utf8(line).expect("UTF-8"));
                }
                byte => self.partial.push(byte),
            }
        }
    }

    /// The published `_sendrx`, line by line.
    fn exchange(&mut self) -> Result<(), Failed> {
        let payload = self.waiting.front().filter(|_| self.can_send).cloned();
        let len = payload.as_ref().map_or(0, Vec::len) as u16;
        let hold_off = !self.payload.is_empty();
        self.set(SYN, true);
        self.send(&Header { len, hold_off }.encode())?;
        self.wait_for(true, "header taken")?;
        self.answer(false);
        self.wait_for(false, "pulse after the header")?;
        if let Some(payload) = payload {
            self.answer(true);
            self.send(&payload)?;
            self.wait_for(true, "payload taken")?;
            self.answer(false);
            self.wait_for(false, "pulse after the payload")?;
            self.waiting.pop_front();
        }
        self.wait_for(true, "request to send")?;
        self.answer(true);
        let header = self.receive(2)?;
        self.wait_for(false, "header sent")?;
        self.answer(false);
        let header = Header::decode([header[0], header[1]]).ok_or(self.failed("header"))?;
        self.can_send = !header.hold_off;
        if header.len > 0 {
            self.wait_for(true, "request to send the payload")?;
            self.answer(true);
            let payload = self.receive(usize::from(header.len))?;
            assert!(self.payload.is_empty(), "it was held off");
            self.payload = payload;
            self.wait_for(false, "payload sent")?;
            self.answer(false);
        }
        Ok(())
    }

    /// Changes `syn` after the time that the program takes.
    fn answer(&mut self, level: bool) {
        let time = self.pace.react[self.reactions % self.pace.react.len()];
        self.reactions += 1;
        self.pass(time);
        self.set(SYN, level);
    }

    /// `waitfor`: looks at `ack` again and again, and sees nothing in between.
    fn wait_for(&mut self, level: bool, step: &'static str) -> Result<(), Failed> {
        let limit = self.world.now() + WAIT;
        loop {
            self.pass(self.pace.look);
            if self.ack() == level {
                return Ok(());
            }
            if self.world.now() >= limit {
                return Err(self.failed(step));
            }
        }
    }

    /// MicroPython's `I2C.send` as slave.
    fn send(&mut self, bytes: &[u8]) -> Result<(), Failed> {
        self.arm("address, to send")?;
        for &byte in bytes {
            self.flag(TXE, "room for a byte")?;
            self.world.chip.write(DR, byte.into());
        }
        self.flag(AF, "end of what it sends")?;
        self.world.chip.write(SR1, !AF);
        self.disarm();
        Ok(())
    }

    /// MicroPython's `I2C.recv` as slave.
    fn receive(&mut self, len: usize) -> Result<Vec<u8>, Failed> {
        self.arm("address, to receive")?;
        let mut bytes = Vec::new();
        while bytes.len() < len {
            self.flag(RXNE, "a byte")?;
            bytes.push(self.world.chip.read(DR) as u8);
            if bytes.len() < len && self.world.chip.read(SR1) & BTF != 0 {
                bytes.push(self.world.chip.read(DR) as u8);
            }
        }
        self.flag(STOPF, "end of what it receives")?;
        // A read of SR1, which was made, and a write of CR1.
        self.disarm();
        Ok(bytes)
    }

    fn arm(&mut self, step: &'static str) -> Result<(), Failed> {
        let time = self.pace.arm[self.arms % self.pace.arm.len()];
        self.arms += 1;
        self.pass(time);
        let chip = &mut self.world.chip;
        chip.write(CR2, 16);
        chip.write(OAR1, 0x4000 | u32::from(pblink_protocol::i2c::ADDRESS) << 1);
        chip.write(CR1, PE);
        chip.write(CR1, PE | ACKNOWLEDGE);
        self.flag(ADDR, step)?;
        // SR1 was read; reading SR2 lets the clock go.
        self.world.chip.read(SR2);
        Ok(())
    }

    fn disarm(&mut self) {
        self.world.chip.write(CR1, PE);
    }

    /// Polls a flag of SR1.
    fn flag(&mut self, flag: u32, step: &'static str) -> Result<(), Failed> {
        let limit = self.world.now() + WAIT;
        while self.world.chip.read(SR1) & flag == 0 {
            self.pass(1);
            if self.world.now() >= limit {
                return Err(self.failed(step));
            }
        }
        Ok(())
    }

    fn failed(&self, step: &'static str) -> Failed {
        Failed { step, at: self.world.now() }
    }

    fn ack(&mut self) -> bool {
        self.world.chip.read(GPIOB_IDR) >> ACK & 1 != 0
    }

    fn set(&mut self, pin: u32, level: bool) {
        let bit = if level { 1 << pin } else { 1 << (pin + 16) };
        self.world.chip.write(GPIOC_BSRR, bit);
        self.world.settle();
    }

    /// Time passes, µs by µs: the bus may have something for the peripheral.
    fn pass(&mut self, us: u64) {
        for _ in 0..us {
            self.world.chip.cycles += MHZ;
            self.world.settle();
        }
    }

    /// The same while nothing is armed and nobody looks.
    fn idle(&mut self, us: u64) {
        self.world.chip.cycles += us * MHZ;
        self.world.settle();
    }
}
