//! The USB: what is plugged in, and transfers with a bootloader.

use std::path::Path;
use std::time::{Duration, Instant};

use nusb::transfer::{ControlIn, ControlOut, ControlType, Recipient, TransferError};
use nusb::{DeviceInfo, ErrorKind, Interface, MaybeFuture};

use super::find::not_allowed;
use super::{Alternate, Bus, Dfu, DfuIo, Found, IoError, Target, Via};
use crate::access::may_use;
use crate::{Error, Kind, Result};

/// The bootloader of all STM32 (AN2606), and MicroPython's own.
const BOOTLOADER: (u16, u16) = (0x0483, 0xdf11);

/// Application specific, device firmware upgrade, DFU mode (DFU 1.1, table 4.4).
const DFU_CLASS: (u8, u8, u8) = (0xfe, 0x01, 0x02);
/// Type of the functional descriptor (DFU 1.1, table 4.2).
const FUNCTIONAL: u8 = 0x21;
/// English, the only language that the bootloader has.
const ENGLISH: u16 = 0x0409;
/// For one transfer. The chip mostly answers at once, but not while it erases: the code of the bootloader is
/// in flash, too.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The USB of this computer.
#[derive(Debug, Default)]
pub struct UsbBus;

impl Bus for UsbBus {
    fn list(&mut self) -> Result<Vec<Found>> {
        #[cfg_attr(not(feature = "probe"), allow(unused_mut, reason = "probes are added to it"))]
        let mut found: Vec<Found> = devices()?.map(|device| describe(&device)).collect();
        #[cfg(feature = "probe")]
        found.extend(super::swd::list());
        Ok(found)
    }

    fn open(&mut self, found: &Found, chip: &str) -> Result<Box<dyn Target>> {
        match found.via {
            Via::Dfu => {
                let device = devices()?.find(|device| describe(device) == *found);
                let device = device.ok_or_else(|| gone(found))?;
                Ok(Box::new(Dfu::new(UsbDfu::open(device, found)?)?))
            }
            #[cfg(feature = "probe")]
            Via::Probe => {
                let link = super::swd::Swd::open(found, chip)?;
                Ok(Box::new(super::Probe::new(link, chip)?))
            }
            #[cfg(not(feature = "probe"))]
            Via::Probe => {
                let cause = format!("this pblink was built without support for probes ({chip})");
                Err(Error::new(
                    Kind::Other,
                    cause,
                    "use --via dfu, or build it with `--features probe`",
                ))
            }
        }
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

impl UsbBus {
    /// Returns true if this user may open a device. It is not opened.
    ///
    /// # Errors
    /// [`Kind::Permission`] if not.
    pub fn may_open(&self, found: &Found) -> Result<()> {
        if !cfg!(target_os = "linux") {
            // What to look at is known only there.
            return Ok(());
        }
        let same = |device: &DeviceInfo| {
            (device.vendor_id(), device.product_id()) == (found.vendor, found.product)
                && device.serial_number() == found.serial.as_deref()
        };
        let path = |device: DeviceInfo| {
            format!(
                "/dev/bus/usb/{:03}/{:03}",
                device.bus_id().parse().unwrap_or(0),
                device.device_address()
            )
        };
        let all = nusb::list_devices().wait().into_iter().flatten();
        match all.filter(same).map(path).find(|path| !may_use(Path::new(path))) {
            Some(path) => Err(not_allowed(&path)),
            None => Ok(()),
        }
    }
}

fn devices() -> Result<impl Iterator<Item = DeviceInfo>> {
    let devices = nusb::list_devices().wait().map_err(|error| {
        let cause = format!("the USB devices of this computer cannot be listed: {error}");
        Error::new(
            Kind::Other,
            cause,
            "check that it has USB; in a container, pass /dev/bus/usb on",
        )
        .from_source(error)
    })?;
    Ok(devices.filter(|device| (device.vendor_id(), device.product_id()) == BOOTLOADER))
}

fn describe(device: &DeviceInfo) -> Found {
    let name = device.product_string().unwrap_or("STM32 bootloader");
    Found {
        via: Via::Dfu,
        // ST's has two spaces in a row.
        name: name.split_whitespace().collect::<Vec<_>>().join(" "),
        vendor: device.vendor_id(),
        product: device.product_id(),
        serial: device.serial_number().map(str::to_owned),
    }
}

fn gone(found: &Found) -> Error {
    let remedy = "check the cable, put the board into its bootloader again and repeat the command";
    Error::new(Kind::Vanished, format!("{found} vanished before it could be opened"), remedy)
}

/// A bootloader on the USB.
struct UsbDfu {
    name: String,
    device: DeviceInfo,
    interface: Interface,
    alternates: Vec<Alternate>,
    transfer_size: usize,
    opened: Instant,
}

impl UsbDfu {
    fn open(info: DeviceInfo, found: &Found) -> Result<Self> {
        let failed = |error: nusb::Error| match error.kind() {
            ErrorKind::PermissionDenied => not_allowed(&found.to_string()).from_source(error),
            ErrorKind::Disconnected => gone(found),
            ErrorKind::Busy => {
                let cause = format!("another program uses {found}");
                let remedy = "close it (dfu-util, STM32CubeProgrammer), and repeat the command";
                Error::new(Kind::Busy, cause, remedy).from_source(error)
            }
            _ => {
                let cause = format!("{found} cannot be opened: {error}");
                let remedy = if cfg!(windows) {
                    "give it the driver WinUSB, for example with Zadig, and repeat the command"
                } else {
                    "plug it in again, and repeat the command"
                };
                Error::new(Kind::Other, cause, remedy).from_source(error)
            }
        };
        let device = info.open().wait().map_err(failed)?;
        let configuration = device.active_configuration().map_err(|e| failed(e.into()))?;
        let mut number = None;
        let mut alternates = Vec::new();
        let mut transfer_size = None;
        for setting in configuration.interface_alt_settings() {
            if (setting.class(), setting.subclass(), setting.protocol()) != DFU_CLASS
                || number.is_some_and(|number| number != setting.interface_number())
            {
                continue;
            }
            number = Some(setting.interface_number());
            let functional = setting.descriptors().find(|d| d.descriptor_type() == FUNCTIONAL);
            if let Some(&[_, _, _, _, _, low, high, ..]) = functional.as_ref().map(|d| d.as_bytes())
            {
                transfer_size = Some(usize::from(u16::from_le_bytes([low, high])));
            }
            let name = setting
                .string_index()
                .and_then(|index| device.get_string_descriptor(index, ENGLISH, TIMEOUT).wait().ok())
                .unwrap_or_default();
            alternates.push(Alternate { number: setting.alternate_setting(), name });
        }
        let Some(number) = number else {
            let cause = format!("{found} has no interface for device firmware upgrade");
            let remedy = "put the board into its bootloader and repeat the command";
            return Err(Error::new(Kind::WrongChip, cause, remedy));
        };
        let interface = device.claim_interface(number).wait().map_err(failed)?;
        // AN3156 allows 2048; what does not say takes the least that DFU 1.1 allows.
        let transfer_size = transfer_size.unwrap_or(64);
        let opened = Instant::now();
        Ok(Self {
            name: found.to_string(),
            device: info,
            interface,
            alternates,
            transfer_size,
            opened,
        })
    }

    fn failed(&self, error: TransferError) -> IoError {
        match error {
            TransferError::Disconnected => IoError::Gone,
            TransferError::Stall => IoError::Stall,
            TransferError::Cancelled => IoError::Timeout,
            error => match self.there() {
                // While it is unplugged, transfers fail in many ways.
                false => IoError::Gone,
                true => IoError::Other(error.to_string()),
            },
        }
    }

    fn there(&self) -> bool {
        devices().is_ok_and(|mut devices| devices.any(|device| device.id() == self.device.id()))
    }
}

impl DfuIo for UsbDfu {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn alternates(&self) -> &[Alternate] {
        &self.alternates
    }

    fn transfer_size(&self) -> usize {
        self.transfer_size
    }

    fn select(&mut self, alternate: u8) -> Result<(), IoError> {
        self.interface.set_alt_setting(alternate).wait().map_err(|error| match error.kind() {
            ErrorKind::Disconnected => IoError::Gone,
            _ => IoError::Other(error.to_string()),
        })
    }

    fn control_out(&mut self, request: u8, value: u16, data: &[u8]) -> Result<(), IoError> {
        let out = ControlOut {
            control_type: ControlType::Class,
            recipient: Recipient::Interface,
            request,
            value,
            index: self.interface.interface_number().into(),
            data,
        };
        self.interface.control_out(out, TIMEOUT).wait().map_err(|error| self.failed(error))
    }

    fn control_in(&mut self, request: u8, value: u16, out: &mut [u8]) -> Result<usize, IoError> {
        let length = u16::try_from(out.len()).unwrap_or(u16::MAX);
        let question = ControlIn {
            control_type: ControlType::Class,
            recipient: Recipient::Interface,
            request,
            value,
            index: self.interface.interface_number().into(),
            length,
        };
        let answer = self.interface.control_in(question, TIMEOUT).wait();
        let answer = answer.map_err(|error| self.failed(error))?;
        let n = answer.len().min(out.len());
        out[..n].copy_from_slice(&answer[..n]);
        Ok(n)
    }

    fn pause(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn now(&self) -> Duration {
        self.opened.elapsed()
    }
}
