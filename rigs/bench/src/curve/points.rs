//! The figures of a curve.

use serde::{Deserialize, Serialize};

/// All figures of one run.
#[derive(Debug, Serialize, Deserialize)]
pub struct Curve {
    pub version: String,
    pub system: String,
    pub processors: usize,
    /// Load of the machine in the minute before, from other work.
    pub load_before: f64,
    /// Each point was measured for so long.
    pub seconds: f64,
    pub points: Vec<Point>,
}

/// The way by which boards come to the gateway that leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// They are connected to it.
    Direct,
    /// They are connected to another gateway, which passes them on.
    PassedOn,
}

/// The figures of one number of clients.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    pub way: Way,
    pub timeout_s: f64,
    pub clients: usize,
    /// Processor time of the gateway that leads, as part of a core.
    pub leader_cores: f64,
    /// Resident memory of it for each client.
    pub leader_bytes_each: f64,
    /// The same of the gateway that passes them on, if there is one.
    pub passing_cores: Option<f64>,
    pub passing_bytes_each: Option<f64>,
    /// All NATS servers together.
    pub nats_cores: f64,
    /// The clients.
    pub load_cores: f64,
    pub lines_per_s: f64,
    pub commits_per_s: f64,
    /// From writing a line to its acknowledgement.
    pub p50_ms: f64,
    pub p99_ms: f64,
    /// Connections that the server has closed.
    pub gone: u64,
}
