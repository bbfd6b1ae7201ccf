//! Everything around the core: the chip's peripherals, the ESP8266 and the server.

use crate::chip::{Chip, MHZ};
use crate::esp::Esp;
use crate::server::Server;
use crate::stops::Stops;

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

    /// Returns the time at which something happens next, in cycles.
    pub(crate) fn next_at(&self) -> Option<u64> {
        let esp = self.esp.next_at(&self.server, self.now()).map(|us| us * MHZ);
        [esp, self.chip.next_at()].into_iter().flatten().min()
    }

    /// Returns what was printed on the console.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.chip.console).into_owned()
    }
}
