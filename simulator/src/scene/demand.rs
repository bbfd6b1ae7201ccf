//! Demands of a scene.

use serde::Serialize;

/// A demand of a scene. Two cases that do not meet the same one fail in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// New lines pass both ways.
    LinesPass,
    /// Lines to the server arrive.
    ToServerMissing,
    /// They arrive once.
    ToServerDuplicated,
    /// They arrive in order.
    ToServerReordered,
    /// They arrive as they were written.
    ToServerUnknown,
    /// Lines from the server arrive.
    FromServerMissing,
    /// They arrive once.
    FromServerDuplicated,
    /// They arrive in order.
    FromServerReordered,
    /// They arrive as they were written.
    FromServerUnknown,
    /// The server knows the fate of its lines.
    Undetermined,
    /// As many resets of an ESP8266 as the scene allows.
    Resets,
    /// As many connections as the scene allows.
    Connects,
    /// As many outages for a board's program as the scene allows.
    Outages,
    /// Boards without a fault of their own do not notice those of others.
    Undisturbed,
    /// No more cases than a scene may have.
    Cases,
    /// No panic.
    Panic,
}

/// A demand that is not met, and the message about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unmet {
    pub(super) demand: Demand,
    pub(super) what: String,
}

impl Unmet {
    pub(super) fn new(demand: Demand, what: impl Into<String>) -> Self {
        Self { demand, what: what.into() }
    }

    /// Returns the same, with the board in front of its message.
    pub(super) fn of_board(self, board: usize) -> Self {
        Self { what: format!("board {}: {}", board + 1, self.what), ..self }
    }
}
