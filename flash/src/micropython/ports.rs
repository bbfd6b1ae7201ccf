//! Finds the board with MicroPython.

use crate::serial::ports::{self, Adapter};
use crate::{Error, Kind, Result};

/// Maker of the Pyboards, and of MicroPython's builds for other boards with an STM32.
const VENDOR: u16 = 0xf055;

/// Returns the ports of this machine that are boards with MicroPython by their USB ids. Opens none.
///
/// # Errors
/// The system does not list its ports.
pub fn boards() -> Result<Vec<Adapter>> {
    ports::list(known)
}

fn known(vendor: u16, _product: u16) -> Option<&'static str> {
    (vendor == VENDOR).then_some("MicroPython")
}

/// Returns the only board.
///
/// # Errors
/// [`Kind::NotFound`] if there is none, or more than one: then they are listed.
pub fn only_board(boards: &[Adapter]) -> Result<&Adapter> {
    match boards {
        [board] => Ok(board),
        [] => Err(Error::new(
            Kind::NotFound,
            "no board with MicroPython is plugged in",
            "plug the Pyboard in with a cable that carries data, or name its port with --serial, such as /dev/ttyACM0",
        )),
        several => {
            let list: Vec<_> = several.iter().map(|found| found.path.as_str()).collect();
            Err(Error::new(
                Kind::NotFound,
                format!("there are {} boards with MicroPython: {}", list.len(), list.join(", ")),
                format!("name the one to use, for example with --serial {}", several[0].path),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_board_is_taken_and_several_are_listed() {
        let board =
            |path: &str| Adapter { path: path.into(), name: "MicroPython", serial_number: None };
        assert_eq!(known(0xf055, 0x9800), Some("MicroPython"));
        assert_eq!(known(0x1a86, 0x7523), None, "an ESP8266");
        assert_eq!(only_board(&[board("/dev/ttyACM0")]).unwrap().path, "/dev/ttyACM0");
        assert!(only_board(&[]).unwrap_err().remedy().contains("--serial"));
        let two = only_board(&[board("/dev/ttyACM0"), board("/dev/ttyACM1")]).unwrap_err();
        assert_eq!(two.cause(), "there are 2 boards with MicroPython: /dev/ttyACM0, /dev/ttyACM1");
        boards().unwrap();
    }
}
