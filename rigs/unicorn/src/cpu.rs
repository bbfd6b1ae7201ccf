//! The core: Unicorn runs the instructions; exceptions, sleep and time are made by hand.
//!
//! Differences from a Cortex-M4: every instruction takes one cycle; all interrupts have one priority
//! and do not nest; handlers run on the main stack without a handler mode (nothing in the image asks).

use pblink_image::map::Area;
use unicorn_engine::{Arch, ArmCpuModel, Mode, Prot, RegisterARM as Reg, Unicorn};

use crate::board::Board;
use crate::chip::{Chip, FLASH, MHZ};
use crate::clock::Cause;
use crate::elf;
use crate::rom::{self, Left, ROM};
use crate::stops::Stops;
use crate::world::World;

const PERIPHERALS: u64 = 0x4000_0000;
const SYSTEM: u64 = 0xe000_0000;
/// Registers of the random number generator (RM0090 §2.3).
const RNG: u64 = 0x5006_0000;
/// Bytes of CCM, of the chip that has it.
const CCM: u64 = 64 << 10;
/// Address to which handlers return: one where the chip has no memory.
const RETURN: u64 = 0x1ffe_0000;

/// Unused stack holds this.
const PAINT: u8 = 0xa5;

/// Marks in the table of instructions that need care.
const WFE: u8 = 0x80;
const SEV: u8 = 0x40;

/// The core with its memory.
pub struct Cpu {
    uc: Unicorn<'static, World>,
    in_handler: bool,
    sleeping: bool,
    frozen: bool,
    /// Since when an interrupt waits.
    waiting_since: Option<u64>,
    stack_bottom: u64,
}

impl Cpu {
    /// Loads an image into the chip of a board. `settings` are the first bytes of its last flash sector, `keys` those of the one
    /// below it.
    ///
    /// # Panics
    /// If the image is not one for this chip.
    pub fn new(board: &'static Board, image: &[u8], settings: &[u8], keys: &[u8]) -> Self {
        let (flash_size, ram, kept) =
            (u64::from(board.map.flash().size), board.map.ram, board.map.kept);
        let world = World { chip: Chip::of(board), ..World::default() };
        let mode = Mode::THUMB | Mode::MCLASS;
        let mut uc = Unicorn::new_with_data(Arch::ARM, mode, world).expect("Unicorn");
        uc.ctl_set_cpu_model(ArmCpuModel::CORTEX_M4 as i32).expect("Unicorn knows the Cortex-M4");
        let keys_at = board.map.keys();
        let behind = keys_at.end();
        let program = u64::from(keys_at.start) - FLASH;
        uc.mem_map(FLASH, program, Prot::READ | Prot::EXEC).expect("flash");
        let rest = FLASH + flash_size - u64::from(behind);
        uc.mem_map(behind.into(), rest, Prot::READ | Prot::EXEC).expect("flash");
        uc.mem_map(ram.start.into(), ram.size.into(), Prot::READ | Prot::WRITE).expect("RAM");
        uc.mem_map(RETURN, 0x1000, Prot::READ | Prot::EXEC).expect("return page");
        uc.mem_write(RETURN, &[0x00, 0xbf].repeat(0x800)).expect("it is mapped");
        uc.mem_map(ROM, rom::SIZE, Prot::READ | Prot::EXEC).expect("ROM");
        uc.mem_write(ROM, &rom::image()).expect("it is mapped");
        let mut flash = vec![0xff; flash_size as usize];
        for segment in elf::segments(image).expect("a 32-bit ARM executable") {
            let at = (u64::from(segment.address) - FLASH) as usize;
            flash[at..at + segment.bytes.len()].copy_from_slice(&segment.bytes);
        }
        let at = (u64::from(board.map.settings().start) - FLASH) as usize;
        flash[at..at + settings.len()].copy_from_slice(settings);
        uc.mem_write(FLASH, &flash[..program as usize]).expect("it fits");
        let behind_at = (u64::from(behind) - FLASH) as usize;
        uc.mem_write(behind.into(), &flash[behind_at..]).expect("it fits");
        map_keys(&mut uc, keys_at, keys);
        uc.mem_write(ram.start.into(), &vec![PAINT; ram.size as usize]).expect("it is mapped");
        if kept.start < ram.start {
            uc.mem_map(kept.start.into(), CCM, Prot::READ | Prot::WRITE).expect("CCM");
        }
        map_registers(&mut uc, RNG, 0x1000);
        map_registers(&mut uc, PERIPHERALS, 0x8_0000);
        map_registers(&mut uc, SYSTEM, 0x10_0000);
        hook_instructions(&mut uc, &flash);
        uc.add_intr_hook(|uc, number| {
            let stops = &mut uc.get_data_mut().stops;
            stops.fault = Some(format!("exception {number}"));
            let _ = uc.emu_stop();
        })
        .expect("hook");
        let mut cpu = Self {
            uc,
            in_handler: false,
            sleeping: false,
            frozen: false,
            waiting_since: None,
            stack_bottom: 0,
        };
        cpu.lose_power(1);
        cpu
    }

    /// Takes the power away and gives it back: cells of the RAM that is kept come up as they like, each time some of them
    /// differently. `seed`: of their pattern.
    pub fn lose_power(&mut self, seed: u64) {
        let kept = self.world().chip.board.map.kept;
        let mut state = seed;
        let noise: Vec<u8> = (0..kept.size)
            .map(|_| {
                // Any sequence will do, the same in every run.
                state =
                    state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                (state >> 56) as u8
            })
            .collect();
        self.uc.mem_write(kept.start.into(), &noise).expect("it is mapped");
        self.reset(Cause::Power);
    }

    /// Returns the world around the core.
    pub fn world(&mut self) -> &mut World {
        self.uc.get_data_mut()
    }

    /// Bytes of stack that were used at most, since the image was loaded.
    pub fn stack_used(&self) -> u64 {
        let map = self.uc.get_data().chip.board.map.data();
        let ram =
            self.uc.mem_read_as_vec(map.start.into(), map.size as usize).expect("it is mapped");
        // The stack grows down from the end of RAM: the longest run of paint is what it left.
        let (mut best, mut run, mut end) = (0, 0, 0);
        for (at, &byte) in ram.iter().enumerate() {
            run = if byte == PAINT { run + 1 } else { 0 };
            if run > best {
                (best, end) = (run, at + 1);
            }
        }
        self.stack_bottom - u64::from(map.start) - end as u64
    }

    pub(crate) fn freeze(&mut self, frozen: bool) {
        self.frozen = frozen;
    }

    fn word(&self, address: u64) -> u64 {
        let mut bytes = [0; 4];
        self.uc.mem_read(address, &mut bytes).expect("mapped memory");
        u64::from(u32::from_le_bytes(bytes))
    }

    fn get(&self, register: Reg) -> u64 {
        self.uc.reg_read(register).expect("a register")
    }

    fn set(&mut self, register: Reg, value: u64) {
        self.uc.reg_write(register, value).expect("a register");
    }

    /// Resets the core as power-on, the watchdog and the button do: ARMv7-M B1.5.5. All RAM stays.
    pub fn reset(&mut self, cause: Cause) {
        let (stack, entry) = (self.word(FLASH), self.word(FLASH + 4));
        self.stack_bottom = stack;
        self.set(Reg::SP, stack);
        self.set(Reg::PRIMASK, 0);
        self.set(Reg::PC, entry);
        self.in_handler = false;
        self.sleeping = false;
        let world = self.world();
        world.stops = Stops { at: entry & !1, ..Stops::default() };
        world.chip.reset(cause);
    }

    /// Starts the program as the boot loader in ROM does, after flashing over USB.
    pub fn start_from_rom(&mut self, left: Left) {
        // A button, with BOOT0.
        self.reset(Cause::Pin);
        self.set(Reg::PRIMASK, left.masked.into());
        self.world().chip.leave_rom(left);
    }

    /// Runs until the time `until` (µs).
    ///
    /// # Panics
    /// If the core cannot go on: a fault, or an instruction that it does not know.
    pub fn run(&mut self, until: u64) {
        while self.world().now() < until {
            let world = self.world();
            world.settle();
            if world.chip.bitten() || world.chip.system.reset_asked {
                let cause = if world.chip.bitten() {
                    world.chip.watchdog_resets += 1;
                    Cause::Watchdog
                } else {
                    world.chip.own_resets += 1;
                    Cause::Software
                };
                self.reset(cause);
                continue;
            }
            let exception = world.chip.exception();
            let (cycles, late) = (world.chip.cycles, world.late * MHZ);
            self.waiting_since = exception.and(self.waiting_since.or(Some(cycles)));
            let due = self.waiting_since.map(|since| since + late).filter(|&at| at > cycles);
            let masked = self.get(Reg::PRIMASK) & 1 != 0 || due.is_some();
            if let Some(number) = exception
                && !(self.frozen || self.in_handler || masked)
            {
                self.sleeping = false;
                self.waiting_since = None;
                self.enter(number);
                continue;
            }
            let sleeping = self.sleeping || self.frozen;
            let world = self.world();
            let asleep = sleeping.then_some(until * MHZ);
            let next = world.next_at(asleep).unwrap_or(u64::MAX).min(until * MHZ);
            let next = due.map_or(next, |due| next.min(due));
            let core = world.chip.clock.core;
            let cycles = &mut world.chip.cycles;
            if sleeping {
                *cycles = next.max(*cycles + core);
                world.busy_since = world.chip.cycles;
                continue;
            }
            // What waits is looked at again when the core may have opened the door.
            let deadline = if exception.is_some() { next.min(*cycles + 20 * core) } else { next };
            let deadline = deadline.max(*cycles + 4 * core);
            self.go(deadline);
        }
    }

    /// Runs instructions.
    fn go(&mut self, deadline: u64) {
        let stops = &mut self.world().stops;
        (stops.deadline, stops.now, stops.wfe, stops.returned) = (deadline, false, false, false);
        let at = stops.at;
        let result = self.uc.emu_start(at | 1, 0, 0, 0);
        let registers = (self.get(Reg::PC), self.get(Reg::LR), self.get(Reg::SP));
        let world = self.uc.get_data_mut();
        if let Some(fault) = world.stops.fault.take().or(result.err().map(|e| format!("{e:?}"))) {
            panic!(
                "{fault} at {:#x} (pc {:#x}, lr {:#x}, sp {:#x}), {} µs; console: {}",
                world.stops.at,
                registers.0,
                registers.1,
                registers.2,
                world.now(),
                String::from_utf8_lossy(&world.chip.console)
            );
        }
        if world.stops.wfe {
            world.rest();
            // WFE: continues at once if there was an event, else sleeps.
            world.stops.at += 2;
            self.sleeping = !std::mem::take(&mut world.stops.event);
        }
        if world.stops.returned {
            self.leave();
        }
    }

    /// Exception entry: ARMv7-M B1.5.6.
    fn enter(&mut self, number: u32) {
        let frame = (self.get(Reg::SP) - 32) & !7;
        let old = self.get(Reg::SP);
        let xpsr = self.get(Reg::XPSR);
        let registers = [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R12, Reg::LR];
        let mut words: Vec<u64> = registers.iter().map(|&r| self.get(r)).collect();
        words.push(self.world().stops.at);
        // Bit 9: the stack was moved to a multiple of 8.
        words.push(xpsr & !(1 << 9) | u64::from(old - 32 != frame) << 9);
        for (n, word) in words.into_iter().enumerate() {
            let bytes = (word as u32).to_le_bytes();
            self.uc.mem_write(frame + 4 * n as u64, &bytes).expect("the stack is in RAM");
        }
        self.set(Reg::SP, frame);
        self.set(Reg::LR, RETURN | 1);
        let vector = self.world().chip.vector_table() + u64::from(number) * 4;
        let handler = self.word(vector);
        self.in_handler = true;
        let world = self.world();
        world.chip.system.taken(number);
        world.stops.at = handler & !1;
    }

    /// Exception return: ARMv7-M B1.5.8.
    fn leave(&mut self) {
        let frame = self.get(Reg::SP);
        let words: Vec<u64> = (0..8).map(|n| self.word(frame + 4 * n)).collect();
        let registers = [Reg::R0, Reg::R1, Reg::R2, Reg::R3, Reg::R12, Reg::LR];
        for (register, &word) in registers.into_iter().zip(&words) {
            self.set(register, word);
        }
        self.set(Reg::SP, frame + 32 + (words[7] >> 9 & 1) * 4);
        self.set(Reg::XPSR, words[7] & !(1 << 9));
        self.in_handler = false;
        let stops = &mut self.world().stops;
        stops.at = words[6] & !1;
        stops.event = true;
    }
}

fn map_registers(uc: &mut Unicorn<'static, World>, base: u64, size: u64) {
    uc.mmio_map(
        base,
        size,
        Some(move |uc: &mut Unicorn<'_, World>, offset: u64, size: usize| {
            let address = base + offset;
            let world = uc.get_data_mut();
            let word = world.chip.read(address & !3);
            world.look_for_faults();
            let word = u64::from(word) >> (8 * (address & 3));
            word & (u64::MAX >> (64 - 8 * size.min(4)))
        }),
        Some(move |uc: &mut Unicorn<'_, World>, offset: u64, _: usize, value: u64| {
            let world = uc.get_data_mut();
            world.chip.write(base + offset, value as u32);
            world.look_for_faults();
            // What follows from it is looked at before the next instruction.
            world.stops.now = true;
        }),
    )
    .expect("registers");
}

/// Maps the sector of the keys, which a running program may program.
fn map_keys(uc: &mut Unicorn<'static, World>, area: Area, keys: &[u8]) {
    let mut sector = keys.to_vec();
    sector.resize(area.size as usize, 0xff);
    uc.get_data_mut().chip.flash.sector = sector;
    uc.mmio_map(
        area.start.into(),
        area.size.into(),
        Some(move |uc: &mut Unicorn<'_, World>, offset: u64, size: usize| {
            let at = offset as usize;
            let mut word = [0; 8];
            word[..size].copy_from_slice(&uc.get_data().chip.flash.sector[at..at + size]);
            u64::from_le_bytes(word)
        }),
        Some(move |uc: &mut Unicorn<'_, World>, offset: u64, size: usize, value: u64| {
            uc.get_data_mut().chip.flash.program(offset as usize, size, value);
        }),
    )
    .expect("the keys");
}

/// Marks IT (its length), WFE and SEV.
fn marks(flash: &[u8]) -> Vec<u8> {
    let mark = |half: u16| match half {
        0xbf20 => WFE,
        0xbf40 => SEV,
        0xbf01..=0xbfff if half & 0xf != 0 => 4 - (half & 0xf).trailing_zeros() as u8,
        _ => 0,
    };
    flash.chunks_exact(2).map(|half| mark(u16::from_le_bytes([half[0], half[1]]))).collect()
}

fn hook_instructions(uc: &mut Unicorn<'static, World>, flash: &[u8]) {
    let marks = marks(flash);
    uc.add_code_hook(1, 0, move |uc, address, _| {
        let world = uc.get_data_mut();
        world.chip.cycles += world.chip.clock.core;
        let stops = &mut world.stops;
        if stops.in_it > 0 {
            stops.in_it -= 1;
            return;
        }
        let mark = address.checked_sub(FLASH).and_then(|at| marks.get(at as usize / 2)).copied();
        stops.wfe = mark == Some(WFE);
        stops.returned = mark.is_none();
        if stops.returned
            && let Some(number) = rom::handler(address)
        {
            stops.fault = Some(format!("the boot loader's handler of exception {number} runs"));
        }
        if stops.wfe || stops.returned || stops.now || world.chip.cycles >= stops.deadline {
            stops.at = address;
            let _ = uc.emu_stop();
            return;
        }
        match mark {
            Some(SEV) => stops.event = true,
            Some(length @ 1..=4) => stops.in_it = length,
            _ => {}
        }
    })
    .expect("hook");
}
