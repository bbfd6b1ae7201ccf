//! `board.pins`: the pins of a board with MicroPython.

use super::Value;

/// The pins of the Pyboard v1.x that a wire can be on, by the names on the board and on the chip.
const PYBOARD: [(&str, &str); 29] = [
    ("X1", "A0"),
    ("X2", "A1"),
    ("X3", "A2"),
    ("X4", "A3"),
    ("X5", "A4"),
    ("X6", "A5"),
    ("X7", "A6"),
    ("X8", "A7"),
    ("X9", "B6"),
    ("X10", "B7"),
    ("X11", "C4"),
    ("X12", "C5"),
    ("X18", "C13"),
    ("X19", "C0"),
    ("X20", "C1"),
    ("X21", "C2"),
    ("X22", "C3"),
    ("Y1", "C6"),
    ("Y2", "C7"),
    ("Y3", "B8"),
    ("Y4", "B9"),
    ("Y5", "B12"),
    ("Y6", "B13"),
    ("Y7", "B14"),
    ("Y8", "B15"),
    ("Y9", "B10"),
    ("Y10", "B11"),
    ("Y11", "B0"),
    ("Y12", "B1"),
];

/// The pins of the I2C peripherals that MicroPython has: number, scl, sda. In software it is no slave.
const BUSES: [(u8, &str, &str); 2] = [(1, "B6", "B7"), (2, "B10", "B11")];

/// The wires of a board with MicroPython, each as the name of its pin there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pins {
    /// Clock of I2C.
    pub scl: String,
    /// Data of I2C.
    pub sda: String,
    /// From the board to the ESP8266.
    pub syn: String,
    /// To the ESP8266's RST.
    pub reset: String,
    /// From the ESP8266 to the board.
    pub ack: String,
}

impl Default for Pins {
    fn default() -> Self {
        let [scl, sda, syn, reset, ack] = ["X9", "X10", "X11", "X12", "Y8"].map(str::to_owned);
        Self { scl, sda, syn, reset, ack }
    }
}

impl Pins {
    /// Returns the number of the I2C peripheral whose pins these are; 0 if there is none.
    pub fn bus(&self) -> u8 {
        let on = |pin: &str, bus: &str| chip_name(pin).as_deref() == Some(bus);
        (BUSES.into_iter().find(|(_, scl, sda)| on(&self.scl, scl) && on(&self.sda, sda)))
            .map_or(0, |(number, ..)| number)
    }

    /// Reads the list of the file: scl, sda, syn, reset, ack. `None` if the pins are not five different ones, or
    /// no I2C peripheral is on the first two.
    pub(super) fn read(value: &Value) -> Option<Self> {
        let Value::List(list) = value else { return None };
        let names: Vec<_> = list.iter().map(|pin| name(pin.text()?)).collect::<Option<_>>()?;
        let mut chip: Vec<_> = names.iter().filter_map(|pin| chip_name(pin)).collect();
        chip.sort();
        chip.dedup();
        let [scl, sda, syn, reset, ack] = <[String; 5]>::try_from(names).ok()?;
        let pins = Self { scl, sda, syn, reset, ack };
        (chip.len() == 5 && pins.bus() != 0).then_some(pins)
    }

    /// Returns the list of the file.
    pub(super) fn value(&self) -> Value {
        let all = [&self.scl, &self.sda, &self.syn, &self.reset, &self.ack];
        Value::List(all.map(|pin| pin.as_str().into()).to_vec())
    }
}

/// Returns the name that MicroPython has for a pin: `x9` is X9, `PB6` is B6.
fn name(given: &str) -> Option<String> {
    let upper = given.to_ascii_uppercase();
    let name = upper.strip_prefix('P').unwrap_or(&upper);
    let known = PYBOARD.iter().any(|(board, chip)| [*board, *chip].contains(&name));
    known.then(|| name.to_owned())
}

fn chip_name(pin: &str) -> Option<String> {
    let found = PYBOARD.iter().find(|(board, chip)| [*board, *chip].contains(&pin));
    found.map(|(_, chip)| (*chip).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pins: &[&str]) -> Option<Pins> {
        Pins::read(&Value::List(pins.iter().map(|pin| (*pin).into()).collect()))
    }

    #[test]
    fn names_are_those_of_the_board_or_of_the_chip() {
        let default = Pins::default();
        assert_eq!(read(&["X9", "X10", "X11", "X12", "Y8"]), Some(default.clone()));
        assert_eq!(Pins::read(&default.value()), Some(default.clone()));
        assert_eq!(default.bus(), 1);
        let other = read(&["y9", "PB11", "X1", "c0", "Y12"]).unwrap();
        assert_eq!((other.bus(), other.sda.as_str(), other.reset.as_str()), (2, "B11", "C0"));
    }

    #[test]
    fn what_the_hardware_cannot_do_is_refused() {
        for pins in [
            &["X9", "X10", "X11", "X12"] as &[&str],
            &["X9", "X10", "X11", "X12", "Y8", "Y7"],
            &["X9", "X10", "X11", "X12", "X13"],
            &["X9", "X10", "X11", "X12", "Y"],
            // No peripheral has these.
            &["X1", "X2", "X11", "X12", "Y8"],
            &["X10", "X9", "X11", "X12", "Y8"],
            &["X9", "Y10", "X11", "X12", "Y8"],
            // One pin twice, by two names.
            &["X9", "X10", "X11", "C4", "Y8"],
        ] {
            assert_eq!(read(pins), None, "{pins:?}");
        }
    }
}
