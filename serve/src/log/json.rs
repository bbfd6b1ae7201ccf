//! Values of the log in JSON, where what `serde` would make of them is too long or is not known to it.

/// Bytes as hex digits.
pub(super) mod hex {
    use std::fmt::Write;

    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(in crate::log) fn serialize<S: Serializer>(
        bytes: &Option<Vec<u8>>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let Some(bytes) = bytes else { return to.serialize_none() };
        let mut text = String::with_capacity(2 * bytes.len());
        for byte in bytes {
            // A `String` takes everything.
            let _ = write!(text, "{byte:02x}");
        }
        to.serialize_some(&text)
    }

    pub(in crate::log) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let digit = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
        let byte = |pair: &[u8]| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        };
        let bytes = text.as_bytes().chunks(2).map(byte).collect::<Option<_>>();
        bytes.map(Some).ok_or_else(|| de::Error::custom("no pairs of hex digits"))
    }
}

/// The promise of a line to a board.
pub(super) mod promise {
    use pblink_server::Delivery;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Promise {
        Ordered,
        Unordered,
        BestEffort,
    }

    pub(in crate::log) fn serialize<S: Serializer>(
        delivery: &Delivery,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let promise = match delivery {
            Delivery::Guaranteed { ordered: true } => Promise::Ordered,
            Delivery::Guaranteed { ordered: false } => Promise::Unordered,
            Delivery::BestEffort => Promise::BestEffort,
        };
        promise.serialize(to)
    }

    pub(in crate::log) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Delivery, D::Error> {
        Ok(match Promise::deserialize(from)? {
            Promise::Ordered => Delivery::ORDERED,
            Promise::Unordered => Delivery::UNORDERED,
            Promise::BestEffort => Delivery::BestEffort,
        })
    }
}
