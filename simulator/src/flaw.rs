//! Planted faults of the system itself, which the accounts have to find.

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
    /// No line gets through any more, either way, from the first fault of a scene on.
    Silent,
}
