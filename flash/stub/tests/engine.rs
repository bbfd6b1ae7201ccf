//! The commands on the host.

#[macro_use]
mod common;

use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};

use common::flash::{End, FIFO, Shared};
use common::host::Host;
use miniz_oxide::inflate::core::DecompressorOxide;
use pblink_flash_stub::chip::{Chip, FlashFault};
use pblink_flash_stub::engine::{Memory, Stub};

struct FakeChip {
    from_host: Receiver<Vec<u8>>,
    to_host: Sender<Vec<u8>>,
    waiting: VecDeque<u8>,
    board: Shared,
    memory: HashMap<u32, u32>,
    divider: u32,
}

/// The test has ended, and this thread with it.
struct Gone;

fn result(done: bool) -> Result<(), FlashFault> {
    done.then_some(()).ok_or(FlashFault)
}

impl FakeChip {
    /// Makes the chip busy: of what comes, only what fits into the UART is kept.
    fn busy(&mut self) {
        self.waiting.extend(self.from_host.try_iter().flatten());
        let lost = self.waiting.len().saturating_sub(FIFO);
        self.waiting.truncate(FIFO);
        self.board.with(|board| board.lost += lost);
    }
}

impl Chip for FakeChip {
    fn receive(&mut self) -> u8 {
        loop {
            if let Some(byte) = self.waiting.pop_front() {
                return byte;
            }
            match self.from_host.recv() {
                Ok(bytes) => self.waiting.extend(bytes),
                Err(_) => std::panic::resume_unwind(Box::new(Gone)),
            }
        }
    }

    fn send(&mut self, byte: u8) {
        let _ = self.to_host.send(vec![byte]);
    }

    fn flush(&mut self) {}

    fn divider(&mut self) -> u32 {
        self.divider
    }

    fn set_divider(&mut self, divider: u32) {
        self.divider = divider;
        self.board.with(|board| board.dividers.push(divider));
    }

    fn attach(&mut self) {
        self.board.with(|board| board.attached += 2);
    }

    fn set_parameters(&mut self, parameters: [u32; 6]) -> Result<(), FlashFault> {
        self.board.with(|board| board.parameters = parameters);
        Ok(())
    }

    fn unlock(&mut self) -> Result<(), FlashFault> {
        result(self.board.with(|board| board.unlock()))
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashFault> {
        let len = bytes.len() as u32;
        bytes
            .copy_from_slice(&self.board.with(|board| board.read(address, len)).ok_or(FlashFault)?);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashFault> {
        assert!(bytes.as_ptr().addr().is_multiple_of(4));
        self.busy();
        result(self.board.with(|board| board.write(address, bytes)))
    }

    fn erase_sector(&mut self, number: u32) -> Result<(), FlashFault> {
        self.busy();
        result(self.board.with(|board| board.erase(number * 0x1000, 0x1000)))
    }

    fn erase_block(&mut self, number: u32) -> Result<(), FlashFault> {
        self.busy();
        result(self.board.with(|board| board.erase(number * 0x1_0000, 0x1_0000)))
    }

    fn erase_chip(&mut self) -> Result<(), FlashFault> {
        self.busy();
        result(self.board.with(|board| board.erase_chip()))
    }

    fn peek(&mut self, address: u32) -> u32 {
        self.memory.get(&address).copied().unwrap_or(0)
    }

    fn poke(&mut self, address: u32, value: u32) {
        self.memory.insert(address, value);
    }

    fn delay(&mut self, _micros: u32) {}

    fn reset(&mut self) {
        self.board.with(|board| board.end = Some(End::Reset));
        std::panic::resume_unwind(Box::new(Gone));
    }
}

fn run(scenario: fn(&mut Host)) {
    let (to_stub, from_host) = channel();
    let (to_host, from_stub) = channel();
    let board = Shared::default();
    let chip = FakeChip {
        from_host,
        to_host,
        waiting: VecDeque::new(),
        board: board.clone(),
        memory: HashMap::from([(0x4000_1000, 0xfff0_c101)]),
        divider: 52_000_000 / 115_200,
    };
    let shared = board.clone();
    let stub = std::thread::spawn(move || {
        let (mut memory, mut decompressor) = (Box::new(Memory::new()), DecompressorOxide::new());
        Stub::new(chip, &mut memory, &mut decompressor).run();
        shared.with(|board| board.end = Some(End::UserCode));
    });
    let mut host = Host::new(to_stub, from_stub, board);
    scenario(&mut host);
    drop(host);
    if let Err(panic) = stub.join()
        && !panic.is::<Gone>()
    {
        std::panic::resume_unwind(panic);
    }
}

scenarios!(run);
