//! The status of a link.
//!
//! These types are also the JSON of `pblink serve`'s control API, so their field names are public.

use pblink_protocol::layer::Layer;
use serde::{Deserialize, Serialize};

use crate::event::Cause;

/// The state of a link: up, or the layer that is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum LinkState {
    /// Expected, but never seen yet.
    Waiting,
    /// Lines flow.
    Up,
    /// Down; lines wait.
    Down {
        /// The layer that is most likely down.
        layer: Layer,
        /// Why the server thinks so.
        cause: Cause,
    },
}

/// All that the server knows of one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The client's id.
    pub id: String,
    /// Up, or the layer that is down.
    #[serde(flatten)]
    pub state: LinkState,
    /// Milliseconds for which it has been in this state.
    pub since_ms: u64,
    /// Address of the last connection, if there was one.
    pub peer: Option<String>,
    /// Connections of the client so far.
    pub connects: u64,
    /// Outages that have begun.
    pub outages: u64,
    /// Lines received from the client (duplicates not counted).
    pub lines_in: u64,
    /// Lines sent to the client (repetitions not counted).
    pub lines_out: u64,
    /// Lines sent again because no acknowledgement came.
    pub retransmissions: u64,
    /// Lines received again, acknowledged and dropped.
    pub duplicates: u64,
    /// Lines that are not a valid message, acknowledgement or keepalive.
    pub invalid_lines: u64,
    /// Received lines that the application has not accepted yet.
    pub unread: u64,
    /// Lines written that are not acknowledged yet.
    pub unacked: u64,
    /// Time from write to acknowledgement of the last line, in microseconds.
    pub write_ack_us: Option<u64>,
    /// Free memory of the ESP8266 in bytes, from its last report.
    pub mem_free: Option<u64>,
    /// Number of the last report since the ESP8266 booted.
    pub report_number: Option<u64>,
    /// Connections of the ESP8266 since it booted, from its last report.
    pub board_connects: Option<u64>,
    /// The fingerprint of the board's public key; `None`: it speaks the classic link.
    #[serde(default)]
    pub key: Option<String>,
}

impl LinkStatus {
    /// Returns the status of a link of which no more is known than its state.
    pub fn new(id: impl Into<String>, state: LinkState) -> Self {
        Self {
            id: id.into(),
            state,
            since_ms: 0,
            peer: None,
            connects: 0,
            outages: 0,
            lines_in: 0,
            lines_out: 0,
            retransmissions: 0,
            duplicates: 0,
            invalid_lines: 0,
            unread: 0,
            unacked: 0,
            write_ack_us: None,
            mem_free: None,
            report_number: None,
            board_connects: None,
            key: None,
        }
    }
}
