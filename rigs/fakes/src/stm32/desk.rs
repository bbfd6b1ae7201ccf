//! A USB with devices that come and go.

use std::time::Duration;

use pblink_flash::stm32::{Bus, Dfu, Found, Probe, Target, Via};
use pblink_flash::{Error, Kind, Result};

use super::{Bootloader, Debugger};

/// The result of opening a device.
#[derive(Debug, Clone)]
pub enum Opens {
    /// A chip in its bootloader.
    Bootloader(Bootloader),
    /// A chip on a probe.
    Debugger(Debugger),
    /// Nothing: opening fails with this.
    Fails(Kind),
}

/// A USB.
#[derive(Debug, Default)]
pub struct Desk {
    devices: Vec<(Found, Opens, Duration)>,
    now: Duration,
}

impl Desk {
    /// Plugs a device in. Its serial number distinguishes it from others of its kind.
    #[must_use]
    pub fn with(self, serial: &str, opens: Opens) -> Self {
        self.with_later(serial, opens, Duration::ZERO)
    }

    /// Plugs a device in after this time.
    #[must_use]
    pub fn with_later(mut self, serial: &str, opens: Opens, at: Duration) -> Self {
        let (via, product, name) = match opens {
            Opens::Debugger(_) => (Via::Probe, 0x374b, "STLink V2-1"),
            _ => (Via::Dfu, 0xdf11, "STM32 BOOTLOADER"),
        };
        let serial = Some(serial.to_owned());
        let found = Found { via, name: name.to_owned(), vendor: 0x0483, product, serial };
        self.devices.push((found, opens, at));
        self
    }

    /// Returns the time that was let pass.
    pub fn time(&self) -> Duration {
        self.now
    }
}

impl Bus for Desk {
    fn list(&mut self) -> Result<Vec<Found>> {
        let there = self.devices.iter().filter(|(_, _, at)| *at <= self.now);
        Ok(there.map(|(found, _, _)| found.clone()).collect())
    }

    fn open(&mut self, found: &Found, chip: &str) -> Result<Box<dyn Target>> {
        let device = self.devices.iter().find(|(device, _, _)| device == found);
        match device.map(|(_, opens, _)| opens.clone()) {
            Some(Opens::Bootloader(bootloader)) => Ok(Box::new(Dfu::new(bootloader)?)),
            Some(Opens::Debugger(debugger)) => Ok(Box::new(Probe::new(debugger, chip)?)),
            Some(Opens::Fails(kind)) => {
                Err(Error::new(kind, format!("{found} cannot be opened"), "do something about it"))
            }
            None => Err(Error::new(Kind::Vanished, "it is gone", "plug it in")),
        }
    }

    fn pause(&mut self, time: Duration) {
        self.now += time;
    }
}
