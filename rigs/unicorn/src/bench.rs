//! The chip, the ESP8266 and the server, together.

use std::path::PathBuf;

use pblink_stm32::settings::{MAX_SIZE, Settings};

use crate::board::{Board, PYBOARD};
use crate::clock::Cause;
use crate::cpu::Cpu;
use crate::esp_chip::{self, EspChip};
use crate::rom::Left;
use crate::session::Pair;
pub use crate::world::World;

/// The bench.
pub struct Bench {
    cpu: Cpu,
}

/// Returns the release image of this name (`demo`, `echo`) for a board.
///
/// # Panics
/// If it has not been built; the message says how.
pub fn image(board: &Board, name: &str) -> Vec<u8> {
    let kind = board.map.board;
    // The Pyboard's are not in a folder of their own.
    let place = if kind == PYBOARD.map.board { "" } else { kind };
    let file = match std::env::var_os("PBLINK_STM32_IMAGES") {
        Some(folder) => PathBuf::from(folder).join(place).join(name),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../firmware-stm32/target")
            .join(place)
            .join("thumbv7em-none-eabihf/release")
            .join(name),
    };
    std::fs::read(&file).unwrap_or_else(|why| {
        panic!("{}: {why}; build it with firmware-stm32/build.sh release {kind}", file.display())
    })
}

impl Bench {
    /// Makes a Pyboard with this image, and settings in its flash, if any.
    pub fn new(name: &str, settings: Option<&Settings>) -> Self {
        Self::on(&PYBOARD, name, settings)
    }

    /// Makes a board of this kind with this image, and settings in its flash, if any.
    pub fn on(board: &'static Board, name: &str, settings: Option<&Settings>) -> Self {
        let mut bytes = [0; MAX_SIZE];
        let len = settings.map_or(0, |s| s.write(&mut bytes).expect("good settings"));
        Self { cpu: Cpu::new(board, &image(board, name), &bytes[..len], &[]) }
    }

    /// Makes a board of this kind with this image, settings, and keys in their sector; the server has the others.
    pub fn with_keys(board: &'static Board, name: &str, settings: &Settings, keys: Pair) -> Self {
        let mut bytes = [0; MAX_SIZE];
        let len = settings.write(&mut bytes).expect("good settings");
        let image = image(board, name);
        let mut bench = Self { cpu: Cpu::new(board, &image, &bytes[..len], &keys.record) };
        bench.world().server.secure(keys.server);
        bench
    }

    /// Resets the STM32 as its watchdog does.
    pub fn reset(&mut self) {
        self.cpu.reset(Cause::Watchdog);
    }

    /// Takes the power of the board away and gives it back. `seed`: of the pattern with which its RAM comes up.
    pub fn lose_power(&mut self, seed: u64) {
        self.cpu.lose_power(seed);
    }

    /// Makes a Pyboard with any bytes at the beginning of the settings' sector.
    pub fn with_sector(name: &str, sector: &[u8]) -> Self {
        Self { cpu: Cpu::new(&PYBOARD, &image(&PYBOARD, name), sector, &[]) }
    }

    /// Makes a board of this kind with this image, wired to an ESP8266 that runs its own machine code.
    pub fn with_esp_chip(board: &'static Board, name: &str, settings: &Settings) -> Self {
        let mut bench = Self::on(board, name, Some(settings));
        bench.world().esp_chip = Some(Box::new(EspChip::new(esp_chip::image())));
        bench
    }

    /// Starts the program anew, as the boot loader in ROM does after flashing over USB.
    pub fn start_from_rom(&mut self, left: Left) {
        self.cpu.start_from_rom(left);
    }

    /// Holds the core: time passes without it, as if it ran in a loop.
    pub fn freeze(&mut self, frozen: bool) {
        self.cpu.freeze(frozen);
    }

    /// Everything but the core.
    pub fn world(&mut self) -> &mut World {
        self.cpu.world()
    }

    /// Bytes of stack that were used at most.
    pub fn stack_used(&self) -> u64 {
        self.cpu.stack_used()
    }

    /// Runs for this many ms of virtual time.
    pub fn run_ms(&mut self, ms: u64) {
        let until = self.world().now() + ms * 1000;
        self.cpu.run(until);
    }

    /// Runs for this many µs of virtual time.
    pub fn run_us(&mut self, us: u64) {
        let until = self.world().now() + us;
        self.cpu.run(until);
    }

    /// Runs until `done`, which must be the case within `limit_ms` of virtual time.
    ///
    /// # Panics
    /// If it is not.
    pub fn until(&mut self, what: &str, limit_ms: u64, mut done: impl FnMut(&mut World) -> bool) {
        let limit = self.world().now() + limit_ms * 1000;
        while !done(self.world()) {
            let world = self.world();
            let now = world.now();
            assert!(
                now < limit,
                "not within {limit_ms} ms: {what}; {:?}; console:\n{}",
                world.traffic(),
                world.console()
            );
            self.cpu.run(now + 1000);
        }
    }
}
