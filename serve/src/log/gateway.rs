//! Servers that share a log, as they are shown.

use serde::{Deserialize, Serialize};

/// A server among those that share a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayInfo {
    /// Its name.
    pub name: String,
    /// It leads: all boards are served by it.
    pub leads: bool,
    /// Messages of the store that its copy had not read when it was heard last.
    pub behind: u64,
    /// Time since it was heard last, in milliseconds; 0 for the one that leads.
    pub heard_ms: u64,
    /// It has other keys of boards than the one that leads: boards of which it has none are refused once it leads.
    #[serde(default)]
    pub other_keys: bool,
}
