//! Planted faults of the system itself, which the accounts have to find.

use std::str::FromStr;

/// A fault of the system under test, not of its surroundings. Tests plant one to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Every second line to the server is lost after it was acknowledged.
    Loses,
    /// Every third line to the server, and to the boards, is delivered twice.
    Repeats,
    /// Every third line to the server is delivered behind the next one.
    Swaps,
    /// Every third line to the server has another text.
    Garbles,
    /// A server without keys forgets the numbers of a link when its connection ends.
    Forgets,
    /// A server without keys acknowledges what it has not committed.
    AcknowledgesFirst,
    /// The ESP8266 is not reset, whatever the STM32 does.
    NoReset,
    /// A server without keys frees the numbers of lines that were acknowledged before that is committed.
    FreesFirst,
    /// A server without keys calls a connection silent without reading what waits in its socket.
    TimersFirst,
    /// A server with keys gives lines that waited when it was killed new numbers, as if they had none.
    NumbersAnew,
    /// What waits in an STM32 with keys does not outlive a restart of its program.
    LosesMemory,
    /// The ESP8266 confirms what it has written, although it does not know whether it has come.
    ConfirmsUnsure,
    /// No line gets through any more, either way, from the first fault of a scene on.
    Silent,
}

impl Flaw {
    /// All of them, by the names that command lines have for them.
    pub const ALL: &[(&str, Self)] = &[
        ("loses", Self::Loses),
        ("repeats", Self::Repeats),
        ("swaps", Self::Swaps),
        ("garbles", Self::Garbles),
        ("forgets", Self::Forgets),
        ("acknowledges-first", Self::AcknowledgesFirst),
        ("no-reset", Self::NoReset),
        ("frees-first", Self::FreesFirst),
        ("timers-first", Self::TimersFirst),
        ("numbers-anew", Self::NumbersAnew),
        ("loses-memory", Self::LosesMemory),
        ("confirms-unsure", Self::ConfirmsUnsure),
        ("silent", Self::Silent),
    ];
}

impl FromStr for Flaw {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, flaw)| *flaw).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|(name, _)| *name).collect();
            format!("it must be one of {}", names.join(", "))
        })
    }
}
