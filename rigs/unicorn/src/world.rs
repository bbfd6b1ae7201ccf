//! Everything around the core: the chip's peripherals, the ESP8266 and the server.

use crate::chip::{Chip, MHZ};
use crate::esp::{Esp, Traffic};
use crate::esp_chip::EspChip;
use crate::server::Server;
use crate::stops::Stops;

/// All but the core.
#[derive(Default)]
pub struct World {
    /// The chip's peripherals.
    pub chip: Chip,
    /// The ESP8266 as a model.
    pub esp: Esp,
    /// The ESP8266 as its own machine code, in the model's place.
    pub esp_chip: Option<Box<EspChip>>,
    /// The server.
    pub server: Server,
    /// Interrupts are taken this many µs late, as if the program had masked them.
    pub late: u64,
    /// Stretches of at least [`LONG`] µs for which the core did not rest: the time at which each ended, and its length, in µs.
    pub busy: Vec<(u64, u64)>,
    pub(crate) busy_since: u64,
    pub(crate) stops: Stops,
}

/// A stretch that is worth a note, in µs.
pub const LONG: u64 = 5_000;

impl World {
    /// Returns the time in µs.
    pub fn now(&self) -> u64 {
        self.chip.cycles / MHZ
    }

    /// The program has nothing to do for now.
    pub(crate) fn rest(&mut self) {
        let (now, since) = (self.chip.cycles, self.busy_since);
        self.busy_since = now;
        let length = (now - since) / MHZ;
        if length >= LONG {
            self.busy.push((now / MHZ, length));
        }
    }

    /// Has the core stop at what the chip does not allow.
    pub(crate) fn look_for_faults(&mut self) {
        if let Some(fault) = self.chip.clock.fault.take() {
            self.stops.fault = Some(fault);
            self.stops.now = true;
        }
    }

    /// Carries levels and bytes over the wires until they rest.
    pub(crate) fn settle(&mut self) {
        let now = self.now();
        let Self { chip, esp, esp_chip, server, .. } = self;
        let touched = std::mem::take(&mut chip.outputs_touched);
        if let Some(other) = esp_chip {
            if touched {
                other.outputs(chip);
            }
            other.settle(chip, server);
            return;
        }
        if touched {
            esp.reset(chip.resets_esp(), server, now);
            esp.syn(chip.syn(), now);
        }
        esp.run(&mut chip.i2c, server, now);
        for level in esp.take_ack_edges() {
            chip.set_ack(level);
        }
    }

    /// Returns the time at which something happens next, in cycles. If the core sleeps until `asleep` at the
    /// latest, the ESP8266 may run ahead to it.
    pub(crate) fn next_at(&mut self, asleep: Option<u64>) -> Option<u64> {
        let own = self.chip.next_at();
        if let Some(other) = &mut self.esp_chip {
            let limit = asleep.map(|until| own.map_or(until, |own| own.min(until)));
            let other = other.next_at(&self.server, limit);
            return Some(own.map_or(other, |own| own.min(other)));
        }
        let esp = self.esp.next_at(&self.server, self.now()).map(|us| us * MHZ);
        [esp, own].into_iter().flatten().min()
    }

    /// Returns the traffic on the wires.
    pub fn traffic(&self) -> Traffic {
        self.esp_chip.as_ref().map_or(self.esp.traffic, |other| other.traffic)
    }

    /// Returns what was printed on the console.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&self.chip.console).into_owned()
    }
}
