//! Finds the port that the board is on.

use std::path::Path;

use serialport::SerialPortType;

use crate::access::may_use;
use crate::{Chip, Error, Kind, Result};

/// A serial port with a known USB adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adapter {
    /// The path to open.
    pub path: String,
    /// The chip of the adapter.
    pub name: &'static str,
    /// Tells adapters of one kind apart, if it has one.
    pub serial_number: Option<String>,
}

impl Adapter {
    /// Checks that this user may open the port. It is not opened, which would reset the board on it.
    ///
    /// # Errors
    /// [`Kind::Permission`] if not.
    pub fn may_open(&self) -> Result<()> {
        match may_use(Path::new(&self.path)) {
            true => Ok(()),
            false => Err(super::port::not_allowed(&self.path)),
        }
    }
}

/// Returns the ports of this machine with an adapter as boards with this chip have it. Opens none.
///
/// # Errors
/// The system does not list its ports.
pub fn adapters(chip: Chip) -> Result<Vec<Adapter>> {
    list(|vendor, product| chip.adapter(vendor, product))
}

/// Returns the ports of this machine whose USB ids `known` has a name for. Opens none.
///
/// # Errors
/// The system does not list its ports.
pub fn list(known: impl Fn(u16, u16) -> Option<&'static str>) -> Result<Vec<Adapter>> {
    // The library panics where this is missing, as in some containers.
    if cfg!(target_os = "linux") && !std::path::Path::new("/sys/class/tty").exists() {
        return Ok(Vec::new());
    }
    let ports = serialport::available_ports().map_err(|error| {
        Error::new(
            Kind::Other,
            format!("the system does not list its serial ports: {error}"),
            "name the port with --serial",
        )
        .from_source(error)
    })?;
    let mut found: Vec<_> = ports
        .into_iter()
        // On macOS each port is there twice; the tty ones wait for a carrier.
        .filter(|port| !port.port_name.starts_with("/dev/tty."))
        .filter_map(|port| match port.port_type {
            SerialPortType::UsbPort(usb) => Some(Adapter {
                path: port.port_name,
                name: known(usb.vid, usb.pid)?,
                serial_number: usb.serial_number,
            }),
            _ => None,
        })
        .collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Returns the only adapter.
///
/// # Errors
/// [`Kind::NotFound`] if there is none, or more than one: then they are listed.
pub fn only(adapters: &[Adapter]) -> Result<&Adapter> {
    match adapters {
        [adapter] => Ok(adapter),
        [] => Err(none_known()),
        several => {
            let list: Vec<_> =
                several.iter().map(|found| format!("{} ({})", found.path, found.name)).collect();
            Err(Error::new(
                Kind::NotFound,
                format!("there are {} serial adapters: {}", list.len(), list.join(", ")),
                format!("name the one to use, for example with --serial {}", several[0].path),
            ))
        }
    }
}

/// Returns the error of a machine without an adapter.
pub(super) fn none_known() -> Error {
    Error::new(
        Kind::NotFound,
        "no USB serial adapter of a known kind is plugged in",
        "plug the board in with a cable that carries data, or name its port with --serial",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(path: &str) -> Adapter {
        Adapter { path: path.to_owned(), name: "CH340", serial_number: None }
    }

    #[test]
    fn one_adapter_is_taken_and_several_are_listed() {
        assert_eq!(only(&[adapter("/dev/ttyUSB0")]).unwrap().path, "/dev/ttyUSB0");
        let none = only(&[]).unwrap_err();
        assert_eq!(none.kind(), Kind::NotFound);
        let two = only(&[adapter("/dev/ttyUSB0"), adapter("/dev/ttyUSB1")]).unwrap_err();
        assert_eq!(two.kind(), Kind::NotFound);
        assert_eq!(
            two.cause(),
            "there are 2 serial adapters: /dev/ttyUSB0 (CH340), /dev/ttyUSB1 (CH340)"
        );
        assert!(two.remedy().contains("--serial /dev/ttyUSB0"));
    }

    #[test]
    fn listing_the_ports_of_this_machine_works() {
        adapters(Chip::Esp8266).unwrap();
    }
}
