//! The reports of a link, as the API shows them.

use pblink_server::Report;
use serde::{Deserialize, Serialize};

use crate::times::Rfc3339;

/// One report of an ESP8266.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Sample {
    /// Wall clock of its arrival, milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// The report.
    pub report: Report,
}

/// Reports of one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkReports {
    /// The client's id.
    pub client: String,
    /// Number of times that the numbers began again as far back as the server knows: the ESP8266 had booted.
    pub boots: u64,
    /// The reports, oldest first.
    pub samples: Vec<Sample>,
}

/// Reports, as `/api/v1/reports` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportList {
    /// Number of the server's last change of outages or reports: `after=` it gives new ones.
    pub revision: u64,
    /// The reports, by client.
    pub reports: Vec<LinkReports>,
}

/// The JSON.
#[derive(Serialize, Deserialize)]
struct Wire {
    at: String,
    at_ms: u64,
    #[serde(flatten)]
    report: Report,
}

impl From<Sample> for Wire {
    fn from(Sample { at_ms, report }: Sample) -> Self {
        Self { at: Rfc3339(at_ms).to_string(), at_ms, report }
    }
}

impl From<Wire> for Sample {
    fn from(Wire { at_ms, report, .. }: Wire) -> Self {
        Self { at_ms, report }
    }
}
