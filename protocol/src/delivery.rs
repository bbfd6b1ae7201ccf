//! The promise with which a line is sent.

use core::fmt;

/// The promise of a sender for a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// The line is repeated until the other side has acknowledged it: exactly once, whatever happens to
    /// the link. The reference's `qos=True`.
    Guaranteed {
        /// It is sent only when all earlier guaranteed lines are acknowledged, so that lines arrive
        /// in the order in which they were written. The reference's `wait`.
        ordered: bool,
    },
    /// The line is sent once, and lost if the link fails just then. The reference's `qos=False`.
    BestEffort,
}

impl Delivery {
    /// Exactly once and in order: what the reference does by default.
    pub const ORDERED: Self = Self::Guaranteed { ordered: true };
    /// Exactly once; lines that are written at the same time may overtake each other.
    pub const UNORDERED: Self = Self::Guaranteed { ordered: false };

    /// Returns true for a line that is repeated until it is acknowledged.
    pub const fn is_guaranteed(self) -> bool {
        matches!(self, Self::Guaranteed { .. })
    }

    /// Returns true for a line that waits for the acknowledgement of all guaranteed lines before it.
    pub const fn is_ordered(self) -> bool {
        matches!(self, Self::Guaranteed { ordered: true })
    }

    /// Returns the two bits that the classic wire has for it between STM32 and ESP8266:
    /// `qos << 1 | wait`.
    pub const fn to_bits(self) -> u8 {
        match self {
            Self::Guaranteed { ordered } => 2 | ordered as u8,
            Self::BestEffort => 0,
        }
    }

    /// Reads these bits; only the lowest two count. `wait` without `qos` means nothing, as in the
    /// reference.
    pub const fn from_bits(bits: u8) -> Self {
        match bits & 3 {
            2 => Self::UNORDERED,
            3 => Self::ORDERED,
            _ => Self::BestEffort,
        }
    }
}

impl Default for Delivery {
    /// [`ORDERED`](Self::ORDERED), as in the reference.
    fn default() -> Self {
        Self::ORDERED
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Guaranteed { ordered: true } => "guaranteed, in order",
            Self::Guaranteed { ordered: false } => "guaranteed",
            Self::BestEffort => "best effort",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bits_of_the_wire_are_those_of_the_reference() {
        for (delivery, bits) in
            [(Delivery::ORDERED, 3), (Delivery::UNORDERED, 2), (Delivery::BestEffort, 0)]
        {
            assert_eq!(delivery.to_bits(), bits);
            assert_eq!(Delivery::from_bits(bits), delivery);
            assert_eq!(Delivery::from_bits(b'0' + bits), delivery);
        }
        assert_eq!(Delivery::from_bits(1), Delivery::BestEffort);
    }
}
