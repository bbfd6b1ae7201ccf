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

/// Lines, each as a list: there are so many of them that names would be most of it.
pub(super) mod lines {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::log::model::{Kind, Line};

    #[derive(Serialize, Deserialize)]
    struct Listed(u64, Arc<str>, u64, u64, u64, Kind, Option<u64>, Arc<str>);

    pub(in crate::log) fn serialize<S: Serializer>(
        lines: &[Line],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(lines.iter().map(|line| {
            let (client, text) = (Arc::clone(&line.client), Arc::clone(&line.text));
            let Line { offset, epoch, seq, at_ms, kind, written_ms, .. } = *line;
            Listed(offset, client, epoch, seq, at_ms, kind, written_ms, text)
        }))
    }

    pub(in crate::log) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<Line>, D::Error> {
        let lines = Vec::<Listed>::deserialize(from)?.into_iter();
        let line = |Listed(offset, client, epoch, seq, at_ms, kind, written_ms, text)| Line {
            offset,
            client,
            epoch,
            seq,
            at_ms,
            kind,
            written_ms,
            text,
        };
        Ok(lines.map(line).collect())
    }
}
