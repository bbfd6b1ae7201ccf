//! Finding the board, and waiting for it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Target;
use crate::{Error, Kind, Progress, Result, Step};

/// A way to an STM32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// A debug probe.
    Probe,
    /// The chip's own USB bootloader.
    Dfu,
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe => "probe",
            Self::Dfu => "DFU",
        })
    }
}

/// A device on the USB through which an STM32 could be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The kind of device.
    pub via: Via,
    /// The name that it gives itself.
    pub name: String,
    /// USB vendor.
    pub vendor: u16,
    /// USB product.
    pub product: u16,
    /// Serial number, if it has one.
    pub serial: Option<String>,
}

impl Found {
    /// Returns the value of `--probe` that selects this one.
    pub fn selector(&self) -> Selector {
        Selector { vendor: self.vendor, product: self.product, serial: self.serial.clone() }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.via, self.selector(), self.name)
    }
}

/// Selects a device: `VID:PID` or `VID:PID:SERIAL`, the numbers in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// USB vendor.
    pub vendor: u16,
    /// USB product.
    pub product: u16,
    /// Serial number; none means any.
    pub serial: Option<String>,
}

impl Selector {
    /// Returns true if it selects this device.
    pub fn matches(&self, found: &Found) -> bool {
        (self.vendor, self.product) == (found.vendor, found.product)
            && (self.serial.is_none() || self.serial == found.serial)
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.product)?;
        self.serial.iter().try_for_each(|serial| write!(f, ":{serial}"))
    }
}

impl FromStr for Selector {
    type Err = String;

    /// ```
    /// use pblink_flash::stm32::Selector;
    ///
    /// let selector: Selector = "0483:374b:066CFF".parse()?;
    /// assert_eq!((selector.vendor, selector.product), (0x483, 0x374b));
    /// assert_eq!(selector.to_string(), "0483:374b:066CFF");
    /// # Ok::<(), String>(())
    /// ```
    fn from_str(text: &str) -> Result<Self, String> {
        // A serial number may have colons itself.
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|part| u16::from_str_radix(part, 16).ok());
        let (Some(vendor), Some(product)) = (number(), number()) else {
            return Err("it must be VID:PID or VID:PID:SERIAL, as in 0483:374b".to_owned());
        };
        let serial = parts.next().filter(|serial| !serial.is_empty()).map(str::to_owned);
        Ok(Self { vendor, product, serial })
    }
}

/// The place to look for devices: the USB, or in tests something else.
pub trait Bus {
    /// Lists the devices that are there now.
    ///
    /// # Errors
    /// They cannot be listed.
    fn list(&mut self) -> Result<Vec<Found>>;

    /// Opens one of them. `chip` is what a probe is to look for, such as `STM32F405RGTx`.
    ///
    /// # Errors
    /// [`Kind::Permission`], [`Kind::Busy`], [`Kind::Vanished`], [`Kind::WrongChip`], [`Kind::NoAnswer`].
    fn open(&mut self, found: &Found, chip: &str) -> Result<Box<dyn Target>>;

    /// Lets time pass.
    fn pause(&mut self, time: Duration);
}

/// The user's choice of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// By which way; none: by any.
    pub via: Option<Via>,
    /// Through which device; none: the only one.
    pub selector: Option<Selector>,
    /// The chip that a probe is to look for.
    pub chip: String,
    /// Longest wait for the device.
    pub wait: Duration,
}

impl Wanted {
    /// Returns true if this device is one that is meant.
    pub fn matches(&self, found: &Found) -> bool {
        self.via.is_none_or(|via| via == found.via)
            && self.selector.as_ref().is_none_or(|selector| selector.matches(found))
    }

    /// Describes the device that is waited for.
    fn what(&self) -> String {
        let what = match self.via {
            Some(Via::Probe) => "a debug probe",
            Some(Via::Dfu) => "an STM32 in its USB bootloader",
            None => "a debug probe or an STM32 in its USB bootloader",
        };
        match &self.selector {
            Some(selector) => format!("{what}, {selector}"),
            None => what.to_owned(),
        }
    }

    /// Returns the steps that bring the device to where it is found, in words.
    pub fn how(&self) -> &'static str {
        match self.via {
            Some(Via::Probe) => HOW_PROBE,
            _ if self.chip.starts_with("STM32F411") => HOW_BLACK_PILL,
            _ if self.chip.starts_with("STM32F446") => HOW_NUCLEO,
            _ => HOW_DFU,
        }
    }
}

/// Steps that bring a Pyboard into its bootloader.
const HOW_DFU: &str = "to write over USB, connect the Pyboard's pin P1/DFU to the 3V3 beside it and press \
                       RST (or call pyb.bootloader() while MicroPython is on it), with its USB plugged in";
const HOW_BLACK_PILL: &str = "to write over USB, hold the Black Pill's BOOT0, press NRST and let go of both, with its USB \
                              plugged in";
const HOW_NUCLEO: &str = "plug in the USB of the Nucleo, which is that of the debug probe on it";
const HOW_PROBE: &str = if cfg!(feature = "probe") {
    "plug in the debug probe, or write over USB with --via dfu"
} else {
    "this pblink was built without probes: write over USB with --via dfu, or build it with `--features probe`"
};

/// Time between two looks for a device while waiting.
const LOOK: Duration = Duration::from_millis(500);

/// Finds the one device that the user means, waits for it if need be, and opens it.
///
/// # Errors
/// [`Kind::NotFound`] if none came in time, or several could be meant: it lists what is there.
/// [`Kind::Cancelled`]; those of [`Bus`].
pub fn connect(
    bus: &mut dyn Bus,
    wanted: &Wanted,
    progress: &mut dyn Progress,
) -> Result<(Found, Box<dyn Target>)> {
    let mut all = bus.list()?;
    let mut waited = Duration::ZERO;
    let mut waiting = false;
    while !all.iter().any(|found| wanted.matches(found)) {
        if waited >= wanted.wait {
            return Err(none(&all, wanted));
        }
        if !waiting {
            progress.note(wanted.how());
            progress.begin(Step::Wait, &wanted.what(), wanted.wait.as_secs());
            waiting = true;
        }
        if progress.cancelled() {
            return Err(Error::new(Kind::Cancelled, "stopped by you", "nothing was changed"));
        }
        bus.pause(LOOK);
        waited += LOOK;
        progress.advance(waited.as_secs());
        all = bus.list()?;
    }
    if waiting {
        progress.end();
    }
    let mut candidates = all.iter().filter(|found| wanted.matches(found));
    match (candidates.next(), candidates.next()) {
        (Some(found), None) => {
            let target = bus.open(found, &wanted.chip)?;
            Ok((found.clone(), target))
        }
        _ => Err(several(&all, wanted)),
    }
}

fn listed<'a>(found: impl Iterator<Item = &'a Found>) -> String {
    found.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn none(all: &[Found], wanted: &Wanted) -> Error {
    let there = match all.is_empty() {
        true => String::new(),
        false => format!("; there is {}", listed(all.iter())),
    };
    Error::new(Kind::NotFound, format!("there is no {}{there}", bare(&wanted.what())), wanted.how())
}

/// Returns the noun without its article.
fn bare(what: &str) -> &str {
    what.split_once(' ').map_or(what, |(_, rest)| rest)
}

fn several(all: &[Found], wanted: &Wanted) -> Error {
    let candidates: Vec<_> = all.iter().filter(|found| wanted.matches(found)).collect();
    let cause =
        format!("there are {} devices: {}", candidates.len(), listed(candidates.iter().copied()));
    let vias = candidates.iter().any(|found| found.via != candidates[0].via);
    let remedy = match vias {
        true => "say which one with --via or --probe VID:PID:SERIAL",
        false => "say which one with --probe VID:PID:SERIAL, or unplug the others",
    };
    Error::new(Kind::NotFound, cause, remedy)
}

/// Returns the error of a user who may not open a device.
pub(super) fn not_allowed(device: &str) -> Error {
    let remedy = if cfg!(target_os = "linux") {
        "allow it with pblink's udev rules: copy 69-pblink.rules (in `templates/` of pblink's sources) to \
         /etc/udev/rules.d/, run `sudo udevadm control --reload`, and plug the device in again"
    } else {
        "close other programs that use it, and run the command as a user who may use USB devices"
    };
    Error::new(Kind::Permission, format!("you may not open {device}"), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn who_may_not_open_a_device_is_reported_of_a_file_that_exists() {
        let error = not_allowed("DFU 0483:df11");
        assert_eq!(error.kind(), Kind::Permission);
        let name = error.remedy().split_whitespace().find(|word| word.ends_with(".rules"));
        let templates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates");
        let rules = std::fs::read_to_string(templates.join(name.expect("it names the file")));
        let rules = rules.expect("it is among the templates");
        assert!(rules.contains(r#"ATTR{idVendor}=="0483", ATTR{idProduct}=="df11""#));
    }
}
