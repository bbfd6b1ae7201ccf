//! The chip, the ESP8266 and the server, together.

use std::path::PathBuf;

use pblink_stm32::settings::{MAX_SIZE, Settings};

use crate::chip::{Chip, MHZ};
use crate::cpu::{Cpu, Stops};
use crate::esp::Esp;
use crate::rom::Left;
use crate::server::Server;

/// All but the core.
#[derive(Default)]
pub struct World {
    /// The chip's peripherals.
    pub chip: Chip,
    /// The ESP8266.
    pub esp: Esp,
    /// The server.
    pub server: Server,
    /// Interrupts are taken this many µs late, as if the program had masked them.
    pub late: u64,
    pub(crate) stops: Stops,
}

impl World {
    /// Returns the time in µs.
    pub fn now(&self) -> u64 {
        self.chip.cycles / MHZ
    }

    /// Carries levels and bytes over the wires until they rest.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        let Self { chip, esp, server, .. } = self;
        if std::mem::take(&mut chip.outputs_touched) {
            esp.reset(chip.resets_esp(), server, now);
            esp.syn(chip.syn(), now);
        }
        esp.run(&mut chip.i2c, server, now);
        for level in esp.take_ack_edges() {
            chip.set_ack(level);
        }
    }

    /// When something happens next, in cycles.
    pub(crate) fn next_at(&self) -> Option<u64> {
        let esp = self.esp.next_at(&self.server, self.now()).map(|us| us * MHZ);
        [esp, self.chip.next_at()].into_iter().flatten().min()
    }

    /// Returns what was printed on the console.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.chip.console).into_owned()
    }
}

/// The bench.
pub struct Bench {
    cpu: Cpu,
}

/// Returns the release image of this name (`demo`, `echo`).
///
/// # Panics
/// If it has not been built; the message says how.
pub fn image(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("PBLINK_STM32_IMAGES").map_or_else(
        || {
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../firmware-stm32/target/thumbv7em-none-eabihf/release")
        },
        PathBuf::from,
    );
    let file = folder.join(name);
    std::fs::read(&file).unwrap_or_else(|why| {
        panic!("{}: {why}; build it with firmware-stm32/build.sh", file.display())
    })
}

impl Bench {
    /// Makes a board with this image, and settings in its flash, if any.
    pub fn new(name: &str, settings: Option<&Settings>) -> Self {
        let mut bytes = [0; MAX_SIZE];
        let len = settings.map_or(0, |s| s.write(&mut bytes).expect("good settings"));
        Self::with_sector(name, &bytes[..len])
    }

    /// Makes the same board with any bytes at the beginning of the settings' sector.
    pub fn with_sector(name: &str, sector: &[u8]) -> Self {
        Self { cpu: Cpu::new(&image(name), sector) }
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
                world.esp.traffic,
                world.console()
            );
            self.cpu.run(now + 1000);
        }
    }
}
