//! The chip with Espressif's SDK, as far as the firmware uses them: its program runs from the file that is linked for the
//! chip, in virtual time.
//!
//! ```text
//!  program (ELF) on [core](crate::core)
//!    registers: [pins] GPIO, IO_MUX, the console's divisor
//!    calls: [sdk] tasks, timers, console; [wifi]; [tcp] espconn and names; [udp]; [rom] memory and division
//! ```
//!
//! Each call of the SDK is recognised by its address and made here; one that is not known is an error. The SDK calls back
//! only from its own loop, between two runs of what the program has given it. The interrupt of the pins comes between any two
//! instructions.
//!
//! Time is in cycles of 80 MHz, one for each instruction.

pub mod pins;
mod rom;
mod sdk;
pub mod tcp;
pub mod udp;
pub mod wifi;

use std::collections::{BTreeMap, HashMap};

use crate::Fault;
use crate::core::{Core, Step};
use crate::elf::Elf;
use crate::memory::{Kind, Memory};
use pins::Pins;
use sdk::Sdk;
use tcp::Tcp;
use udp::Udp;
use wifi::Wifi;

/// Cycles a µs.
pub const MHZ: u64 = 80;
/// Where functions return to that the SDK has called: in ROM, where zeros are.
const RETURN: u32 = 0x4000_fff0;
/// The stack that the SDK calls the program on (`include/eagle_soc.h`, and the linker scripts: the end of DRAM).
const STACK: u32 = 0x4000_0000;
/// Bytes of it that the SDK has used by then; an estimate.
const SDK_STACK: u32 = 512;
/// Below this is no stack.
const STACK_END: u32 = 0x3fff_f000;
/// Memory of the SDK: what it hands out pointers to.
const SDK_MEMORY: u32 = 0x3fff_c000;
/// Bytes that an interrupt puts onto the stack.
const FRAME: u32 = 256;

/// Result of a call of the SDK.
pub(crate) enum Done {
    /// This, at once.
    Value(u32),
    /// Nothing.
    Nothing,
    /// Nothing, after this time. Interrupts come meanwhile.
    Busy(u64),
    /// Nothing, after this time, in which the flash is being written.
    Writing(u64),
}

type Function = fn(&mut Esp8266) -> Result<Done, Fault>;

/// Work of the SDK's loop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Work {
    /// Calls `user_init`'s successor: the SDK is set up.
    Ready,
    /// Gives a task its oldest event.
    Task(u8),
    /// A timer, by its address.
    Timer(u32),
    Wifi(wifi::Due),
    Tcp(tcp::Due),
    Udp(udp::Due),
}

/// Where the core is.
enum Doing {
    /// In the SDK's loop.
    Idle,
    /// In a function of the program, or of the SDK on its behalf.
    Running,
    /// In the interrupt; what it has interrupted is here.
    Interrupt(Box<Saved>),
}

struct Saved {
    a: [u32; 16],
    pc: u32,
    sar: u32,
    ps: u32,
    running: bool,
}

/// The chip and its program.
pub struct Esp8266 {
    pub(crate) core: Core,
    /// The pins.
    pub pins: Pins,
    /// The radio and what it finds.
    pub wifi: Wifi,
    /// Connections and names.
    pub tcp: Tcp,
    /// Datagrams.
    pub udp: Udp,
    pub(crate) sdk: Sdk,
    /// The time.
    pub cycles: u64,
    functions: HashMap<u32, (&'static str, Function)>,
    symbols: HashMap<String, u32>,
    agenda: BTreeMap<(u64, u64), Work>,
    sequence: u64,
    doing: Doing,
    /// The SDK works on a call until then.
    busy: Option<u64>,
    /// The SDK works for itself until then: interrupts are served, the program is not called.
    occupied: u64,
    /// Cycles in which the program worked: its functions, the interrupt, and the SDK's on its behalf.
    pub worked: u64,
    /// Free memory as the SDK reports it, in bytes.
    pub heap: u32,
    /// Interrupts that came while the flash was being written.
    pub interrupts_without_flash: u32,
    elf: Elf,
}

impl Esp8266 {
    /// Loads the program of a chip that is held in reset: [`reset`](Self::reset) starts it.
    ///
    /// # Panics
    /// If the image is not one for this chip.
    pub fn new(elf: Elf) -> Self {
        let mut chip = Self {
            core: Core::new(Memory::default(), 0),
            pins: Pins::new(u32::MAX),
            wifi: Wifi::default(),
            tcp: Tcp::default(),
            udp: Udp::default(),
            sdk: Sdk::default(),
            cycles: 0,
            functions: HashMap::new(),
            symbols: elf.symbols.clone(),
            agenda: BTreeMap::new(),
            sequence: 0,
            doing: Doing::Idle,
            busy: None,
            occupied: 0,
            worked: 0,
            heap: 26_000,
            interrupts_without_flash: 0,
            elf,
        };
        for list in [
            &rom::FUNCTIONS[..],
            &sdk::FUNCTIONS,
            &wifi::FUNCTIONS,
            &tcp::FUNCTIONS,
            &udp::FUNCTIONS,
        ] {
            for (name, function) in list {
                if let Some(&at) = chip.symbols.get(*name) {
                    chip.functions.insert(at, (name, *function));
                }
            }
        }
        chip
    }

    /// Holds the chip in reset: its pins are free, its connections silent.
    pub fn hold(&mut self) {
        self.agenda.clear();
        self.doing = Doing::Idle;
        self.busy = None;
        let outside = (0..16).fold(0, |bits, pin| bits | u32::from(self.pins.outside(pin)) << pin);
        self.pins = Pins::new(outside);
        self.pins.touched = true;
        self.sdk = Sdk { console: std::mem::take(&mut self.sdk.console), ..Sdk::default() };
        self.wifi.reset();
        self.tcp.reset();
        self.udp.reset();
    }

    /// Starts the program, `cause` being the SDK's reason of the reset (0 power, 6 the pin).
    ///
    /// # Errors
    /// See [`run`](Self::run).
    ///
    /// # Panics
    /// If the image is not one for this chip.
    pub fn reset(&mut self, cause: u32) -> Result<(), Fault> {
        self.hold();
        let mut memory = Memory::default();
        memory.add(0x3ffe_8000, 0x1_4000, Kind::Data);
        memory.add(SDK_MEMORY, 0x4000, Kind::Data);
        memory.add(0x4000_0000, 0x1_0000, Kind::Rom);
        memory.add(0x4010_0000, 0x8000, Kind::Code);
        memory.add(0x4020_0000, 0x10_0000, Kind::Flash);
        for segment in &self.elf.segments {
            assert!(memory.load(segment.address, &segment.bytes), "{:#x}", segment.address);
        }
        for &at in self.functions.keys() {
            assert!(memory.load(at, &[0; 3]), "{at:#x}");
        }
        let mut info = [0; 28];
        info[0] = cause as u8;
        assert!(memory.load(sdk::RESET_INFO, &info));
        self.core = Core::new(memory, 0);
        self.core.ps = 0;
        // The boot loader and the SDK's own start.
        self.cycles += 60_000 * MHZ;
        for name in ["user_pre_init", "user_init"] {
            let at = self.symbol(name);
            self.call(at, &[]);
            self.finish()?;
        }
        self.later(20_000 * MHZ, Work::Ready);
        Ok(())
    }

    pub(crate) fn symbol(&self, name: &str) -> u32 {
        *self.symbols.get(name).unwrap_or_else(|| panic!("the image has no {name}"))
    }

    /// Returns an argument of the call that is being made.
    pub(crate) fn argument(&self, n: usize) -> u32 {
        self.core.a[2 + n]
    }

    pub(crate) fn fault(&self, what: impl Into<String>) -> Fault {
        // The caller's place is more use than the function's.
        Fault::Other { pc: self.core.a[0], what: what.into() }
    }

    /// Has work done after some cycles.
    pub(crate) fn later(&mut self, cycles: u64, work: Work) {
        self.sequence += 1;
        self.agenda.insert((self.cycles + cycles, self.sequence), work);
    }

    /// Takes work back.
    pub(crate) fn forget(&mut self, mut which: impl FnMut(&Work) -> bool) {
        self.agenda.retain(|_, work| !which(work));
    }

    /// Lets the program's function run next.
    pub(crate) fn call(&mut self, at: u32, arguments: &[u32]) {
        self.core.a[0] = RETURN;
        self.core.a[1] = STACK - SDK_STACK;
        self.core.a[2..2 + arguments.len()].copy_from_slice(arguments);
        self.core.pc = at;
        self.doing = Doing::Running;
    }

    /// Runs to the end of what was called.
    fn finish(&mut self) -> Result<(), Fault> {
        while !matches!(self.doing, Doing::Idle) {
            self.turn(self.cycles + 1_000_000 * MHZ)?;
        }
        Ok(())
    }

    /// Returns the time at which it has something to do, if the pins stay as they are.
    pub fn next_at(&self) -> Option<u64> {
        let interrupt = self.interrupt_is_due();
        match (&self.doing, self.busy) {
            _ if interrupt => Some(self.cycles),
            (Doing::Running, Some(until)) => Some(until),
            (Doing::Running | Doing::Interrupt(_), _) => Some(self.cycles),
            (Doing::Idle, _) => {
                self.agenda.keys().next().map(|key| key.0.max(self.cycles).max(self.occupied))
            }
        }
    }

    /// Returns true while it runs instructions.
    pub fn is_running(&self) -> bool {
        !matches!(self.doing, Doing::Idle) && self.busy.is_none()
    }

    /// Runs until this time, or until a pin was touched.
    ///
    /// # Errors
    /// Anything that the chip does not do, or the SDK does not allow.
    pub fn run(&mut self, until: u64) -> Result<(), Fault> {
        while self.cycles < until && !self.pins.touched {
            let works = !matches!(self.doing, Doing::Idle) || self.interrupt_is_due();
            let before = self.cycles;
            self.turn(until)?;
            if works {
                self.worked += self.cycles - before;
            }
        }
        Ok(())
    }

    /// Has the SDK work for itself for this many µs, from when the program's function returns at the latest.
    pub fn occupy(&mut self, us: u64) {
        self.occupied = self.cycles + us * MHZ;
    }

    fn interrupt_is_due(&self) -> bool {
        self.sdk.isr.is_some()
            && !matches!(self.doing, Doing::Interrupt(_))
            && self.pins.interrupts()
            && self.core.ps & 0xf == 0
    }

    /// One instruction, one call, or a stretch of waiting.
    fn turn(&mut self, until: u64) -> Result<(), Fault> {
        if self.interrupt_is_due() {
            return self.interrupt();
        }
        let waits = match (&self.doing, self.busy) {
            (Doing::Running, Some(end)) => Some(end),
            (Doing::Idle, _) if self.occupied > self.cycles => Some(self.occupied),
            (Doing::Idle, _) => match self.agenda.first_key_value() {
                Some((&(at, _), _)) if at <= self.cycles => return self.work(),
                Some((&(at, _), _)) => Some(at),
                None => Some(until),
            },
            _ => None,
        };
        let Some(end) = waits else { return self.instruction() };
        self.cycles = end.min(until).max(self.cycles);
        if self.busy == Some(self.cycles) {
            self.busy = None;
            self.core.memory.flash_on(true);
        }
        Ok(())
    }

    fn instruction(&mut self) -> Result<(), Fault> {
        self.cycles += 1;
        match self.core.step(&mut self.pins)? {
            Step::Next => {}
            Step::Ill if self.core.pc == RETURN => self.returned(),
            Step::Ill => return self.make_call(),
            Step::Wait(_) | Step::Simcall => return Err(self.fault("waiti, or simcall")),
        }
        if self.core.a[1] < STACK_END && !matches!(self.doing, Doing::Idle) {
            return Err(self.fault("the stack is used up"));
        }
        Ok(())
    }

    /// Makes the call of the SDK that the program is in.
    fn make_call(&mut self) -> Result<(), Fault> {
        let pc = self.core.pc;
        let Some(&(name, function)) = self.functions.get(&pc) else {
            return Err(Fault::Other {
                pc: self.core.a[0],
                what: format!("calls {pc:#x}, which is not known"),
            });
        };
        if matches!(self.doing, Doing::Interrupt(_)) && name != sdk::POST {
            return Err(self.fault(format!("{name} in an interrupt")));
        }
        let back = self.core.a[0];
        let done = function(self)?;
        self.core.pc = back;
        match done {
            Done::Value(value) => self.core.a[2] = value,
            Done::Nothing => {}
            Done::Busy(cycles) => self.busy = Some(self.cycles + cycles),
            Done::Writing(cycles) => {
                self.busy = Some(self.cycles + cycles);
                self.core.memory.flash_on(false);
            }
        }
        Ok(())
    }

    fn interrupt(&mut self) -> Result<(), Fault> {
        let Some((handler, argument)) = self.sdk.isr else { return Ok(()) };
        self.interrupts_without_flash += u32::from(!self.core.memory.flash_is_on());
        let core = &mut self.core;
        let running = matches!(self.doing, Doing::Running);
        let saved = Saved { a: core.a, pc: core.pc, sar: core.sar, ps: core.ps, running };
        core.a[1] = if running { core.a[1] } else { STACK - SDK_STACK } - FRAME;
        core.a[0] = RETURN;
        core.a[2] = argument;
        core.pc = handler;
        self.doing = Doing::Interrupt(Box::new(saved));
        // Saving registers, and finding the handler.
        self.cycles += 100;
        Ok(())
    }

    /// The program's function has returned.
    fn returned(&mut self) {
        self.doing = match std::mem::replace(&mut self.doing, Doing::Idle) {
            Doing::Interrupt(saved) => {
                let core = &mut self.core;
                (core.a, core.pc, core.sar, core.ps) = (saved.a, saved.pc, saved.sar, saved.ps);
                self.cycles += 50;
                if saved.running { Doing::Running } else { Doing::Idle }
            }
            _ => Doing::Idle,
        };
    }

    /// Does the first of what is due.
    fn work(&mut self) -> Result<(), Fault> {
        let Some((_, work)) = self.agenda.pop_first() else { return Ok(()) };
        match work {
            Work::Ready => {
                let Some(ready) = self.sdk.ready else {
                    return Err(self.fault("no call of system_init_done_cb"));
                };
                self.call(ready, &[]);
            }
            Work::Task(priority) => self.run_task(priority)?,
            Work::Timer(timer) => self.run_timer(timer)?,
            Work::Wifi(due) => self.wifi_due(due)?,
            Work::Tcp(due) => self.tcp_due(due)?,
            Work::Udp(due) => self.udp_due(due)?,
        }
        Ok(())
    }

    /// Returns true while the flash is being erased or written.
    pub fn is_writing(&self) -> bool {
        !self.core.memory.flash_is_on()
    }

    /// Returns what was printed on the console.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.sdk.console).into_owned()
    }

    /// Bytes of stack that the program has used at most, of what the SDK leaves it.
    pub fn stack_used(&self) -> u32 {
        (STACK - SDK_STACK).saturating_sub(self.core.lowest_stack)
    }
}
