//! The serial port: what the loader needs of it, and the real one.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use serialport::{ClearBuffer, ErrorKind, SerialPort};

use crate::{Error, Kind, Result};

/// A serial line with the two wires that reset the chip. A test's board is one, too.
pub trait Port {
    /// Reads what is there, at least one byte. 0 means that nothing came within `timeout`.
    ///
    /// # Errors
    /// The device is gone.
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize>;
    /// Writes all of it, and waits no longer than some seconds for a line that does not take it.
    ///
    /// # Errors
    /// The device is gone, or takes nothing.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Sets the speed of the line, in bits per second.
    ///
    /// # Errors
    /// The device cannot do it, or is gone.
    fn set_baud(&mut self, baud: u32) -> io::Result<()>;
    /// Pulls the wires: DTR holds GPIO0 low (the chip starts its loader), RTS holds it in reset.
    ///
    /// # Errors
    /// The port has no such wires, or is gone.
    fn set_lines(&mut self, dtr: bool, rts: bool) -> io::Result<()>;
    /// Throws away what has come in.
    ///
    /// # Errors
    /// The device is gone.
    fn drain(&mut self) -> io::Result<()>;
    /// Lets time pass while the wires are pulled.
    fn wait(&mut self, time: Duration);
}

/// A serial port as the system has it.
#[cfg(unix)]
pub(crate) type Native = serialport::TTYPort;
/// A serial port as the system has it.
#[cfg(windows)]
pub(crate) type Native = serialport::COMPort;

/// A serial port of this machine.
#[derive(Debug)]
pub struct Serial {
    pub(crate) port: Native,
}

/// Time-out of a write: 16 KB at 9600 baud would be 17 s, but no command is that long.
const WRITE: Duration = Duration::from_secs(10);

impl Serial {
    /// Opens a port for this program alone.
    ///
    /// # Errors
    /// [`Kind::NotFound`], [`Kind::Busy`] and [`Kind::Permission`], each with what to do.
    pub fn open(path: &str) -> Result<Self> {
        match serialport::new(path, 115_200).timeout(WRITE).open_native() {
            Ok(port) => Ok(Self { port }),
            Err(error) => Err(open_error(path, error)),
        }
    }
}

/// Returns the error of a user who may not open a port.
pub(super) fn not_allowed(path: &str) -> Error {
    Error::new(
        Kind::Permission,
        format!("you may not open {path}"),
        "add yourself to the port's group with `sudo usermod -aG dialout $USER`, and log in again (on Arch \
         Linux the group is uucp)",
    )
}

/// Returns the error of a port that is not there.
pub(super) fn missing(path: &str) -> Error {
    Error::new(
        Kind::NotFound,
        format!("there is no port {path}"),
        "check the cable, or name another port with --serial",
    )
}

fn open_error(path: &str, error: serialport::Error) -> Error {
    let (kind, cause, remedy) = match error.kind() {
        ErrorKind::Io(io::ErrorKind::NotFound) => return missing(path).from_source(error),
        ErrorKind::Io(io::ErrorKind::PermissionDenied) => {
            return not_allowed(path).from_source(error);
        }
        // The library's word for a lock that another program holds.
        ErrorKind::NoDevice => (
            Kind::Busy,
            format!("{path} is used by another program"),
            "close the terminal program or monitor that has it open, and try again".to_owned(),
        ),
        _ if error.description == NO_TERMINAL || is_other_file(path) => (
            Kind::Other,
            format!("{path} is not a serial port"),
            "name the board's serial port with --serial, such as /dev/ttyUSB0".to_owned(),
        ),
        _ => (
            Kind::Other,
            format!("{path} cannot be opened as a serial port: {error}"),
            "check the path and the cable, or name another port with --serial".to_owned(),
        ),
    };
    Error::new(kind, cause, remedy).from_source(error)
}

/// The library's words for a device that has no speed, such as /dev/null.
const NO_TERMINAL: &str = "Not a typewriter";

/// Returns true for a file that is not a device: a regular one, a folder, a pipe.
fn is_other_file(path: &str) -> bool {
    #[cfg(unix)]
    let is_device = std::os::unix::fs::FileTypeExt::is_char_device;
    #[cfg(not(unix))]
    let is_device = |_: &std::fs::FileType| true;
    std::fs::metadata(path).is_ok_and(|file| !is_device(&file.file_type()))
}

impl Port for Serial {
    fn read(&mut self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        let deadline = Instant::now() + timeout;
        loop {
            self.port.set_timeout(deadline.saturating_duration_since(Instant::now()))?;
            match self.port.read(buffer) {
                // Readable without a byte: the other end has hung up.
                Ok(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(count) => return Ok(count),
                Err(e) if e.kind() == io::ErrorKind::TimedOut => return Ok(0),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.port.set_timeout(WRITE)?;
        self.port.write_all(bytes)
    }

    fn set_baud(&mut self, baud: u32) -> io::Result<()> {
        Ok(self.port.set_baud_rate(baud)?)
    }

    fn set_lines(&mut self, dtr: bool, rts: bool) -> io::Result<()> {
        self.port.write_data_terminal_ready(dtr)?;
        self.port.write_request_to_send(rts)?;
        // Drivers of Windows send a change of RTS only together with DTR.
        Ok(self.port.write_data_terminal_ready(dtr)?)
    }

    fn drain(&mut self) -> io::Result<()> {
        Ok(self.port.clear(ClearBuffer::Input)?)
    }

    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_port_closed_is_told_apart() {
        let cases = [
            (ErrorKind::Io(io::ErrorKind::NotFound), Kind::NotFound, "--serial"),
            (
                ErrorKind::Io(io::ErrorKind::PermissionDenied),
                Kind::Permission,
                "usermod -aG dialout",
            ),
            (ErrorKind::NoDevice, Kind::Busy, "close"),
            (ErrorKind::Unknown, Kind::Other, "--serial"),
        ];
        for (kind, expected, remedy) in cases {
            let error = open_error("/dev/ttyUSB7", serialport::Error::new(kind, "no"));
            assert_eq!(error.kind(), expected);
            assert!(error.cause().contains("/dev/ttyUSB7"), "{error}");
            assert!(error.remedy().contains(remedy), "{error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_a_serial_port_is_called_so() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("code.bin");
        std::fs::write(&file, "").unwrap();
        for path in ["/dev/null", folder.path().to_str().unwrap(), file.to_str().unwrap()] {
            let error = Serial::open(path).unwrap_err();
            assert_eq!(error.cause(), format!("{path} is not a serial port"));
            assert!(std::error::Error::source(&error).is_some(), "for -v");
        }
    }
}
