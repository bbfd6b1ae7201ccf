//! The recordings of the published micropython-iot code in `tests/vectors/`.

use std::path::Path;

use pblink_protocol::time::Instant;
use serde_json::Value;

/// One line of a recording.
#[derive(Debug, Clone)]
pub struct Entry {
    pub at: Instant,
    pub json: Value,
}

impl Entry {
    pub fn str(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or("")
    }

    pub fn num(&self, key: &str) -> i64 {
        self.json[key].as_i64().unwrap_or(-1)
    }

    pub fn bytes(&self) -> Vec<u8> {
        unhex(self.str("hex"))
    }

    /// This event of this source; the recording of the I2C link's TCP side has no source.
    pub fn is(&self, src: &str, ev: &str) -> bool {
        self.str("src") == src && self.str("ev") == ev
    }

    /// Bytes on the wire in this direction that reached the other end.
    pub fn is_data(&self, dir: &str) -> bool {
        self.str("dir") == dir && self.str("act") != "dropped"
    }
}

fn unhex(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&hex[i..i + 2], 16).expect("hex"))
        .collect()
}

/// Returns all lines, in the order of time.
pub fn load(name: &str) -> Vec<Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/vectors")
        .join(name)
        .with_extension("jsonl");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
    let mut entries: Vec<Entry> = text
        .lines()
        .map(|line| {
            let json: Value = serde_json::from_str(line).expect("JSON");
            // Some begin before the recorder's zero point.
            let ms = json["t"].as_f64().expect("a time") + 10_000.0;
            Entry { at: Instant::from_micros((ms * 1000.0) as u64), json }
        })
        .collect();
    // The recorder wrote what it heard when it heard it: nearly sorted.
    entries.sort_by_key(|e| e.at);
    entries
}
