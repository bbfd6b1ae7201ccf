//! An outage of a link, as the API shows it.

use pblink_server::{Cause, Layer};
use serde::{Deserialize, Serialize};

use crate::times::Rfc3339;

/// One outage of one link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Outage {
    /// Counts up from 1 for as long as the server runs, beginning with those that it knows from its log.
    pub number: u64,
    /// The client's id.
    pub client: String,
    /// Wall clock of its begin, milliseconds since the Unix epoch.
    pub began_ms: u64,
    /// Its end.
    pub end: End,
    /// The layer that was most likely down when it began; `None` if the begin was not seen.
    pub layer: Option<Layer>,
    /// Why the server thought so; `None` if the begin was not seen.
    pub cause: Option<Cause>,
    /// Finding from the board's first report after the outage.
    pub finding: Option<Finding>,
}

/// Outages, as `/api/v1/outages` shows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutageList {
    /// Number of the server's last change of outages or reports: `after=` it gives those that began or
    /// changed since.
    pub revision: u64,
    /// The outages, in the order in which the server saw them.
    pub outages: Vec<Outage>,
}

/// End of an outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It lasts.
    Open,
    /// The client came back after this many milliseconds.
    Reconnected(u64),
    /// The server was started anew meanwhile, and does not know.
    ServerRestarted,
    /// Events were lost, the end among them.
    Unseen,
}

/// Proof of what was down, which came after the outage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// The numbers of its reports began again.
    #[serde(rename = "esp8266_restarted")]
    Esp8266Restarted,
    /// The numbers of its reports went on: WiFi, the network or the server was away.
    #[serde(rename = "esp8266_kept_running")]
    Esp8266KeptRunning,
}

impl Outage {
    /// Returns the wall clock of its end, milliseconds since the Unix epoch, if that is known.
    pub fn ended_ms(&self) -> Option<u64> {
        Some(self.began_ms.saturating_add(self.lasted_ms()?))
    }

    /// Returns its length in milliseconds, if it has ended and that is known.
    pub fn lasted_ms(&self) -> Option<u64> {
        match self.end {
            End::Reconnected(ms) => Some(ms),
            End::Open | End::ServerRestarted | End::Unseen => None,
        }
    }

    /// Returns the layer that was down, as far as is known by now.
    pub fn blamed(&self) -> Option<Layer> {
        match (self.finding, self.layer) {
            // That is certain, whatever happened to the board in the meantime.
            (_, Some(Layer::Server)) => self.layer,
            (Some(Finding::Esp8266Restarted), _) => Some(Layer::Coprocessor),
            (Some(Finding::Esp8266KeptRunning), Some(Layer::Coprocessor)) => Some(Layer::Wifi),
            (_, layer) => layer,
        }
    }

    /// Returns true if it lasted, or may have lasted, at or after `since_ms`.
    pub(super) fn reaches(&self, since_ms: u64) -> bool {
        match self.end {
            End::Open => true,
            _ => self.ended_ms().unwrap_or(self.began_ms) >= since_ms,
        }
    }
}

/// The JSON.
#[derive(Serialize, Deserialize)]
struct Wire {
    number: u64,
    client: String,
    began: String,
    began_ms: u64,
    ended: Option<String>,
    ended_ms: Option<u64>,
    lasted_ms: Option<u64>,
    end: Name,
    layer: Option<Layer>,
    cause: Option<Cause>,
    finding: Option<Finding>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Open,
    Reconnected,
    ServerRestarted,
    #[serde(other)]
    Unseen,
}

impl From<Outage> for Wire {
    fn from(outage: Outage) -> Self {
        let ended_ms = outage.ended_ms();
        Self {
            began: Rfc3339(outage.began_ms).to_string(),
            ended: ended_ms.map(|ms| Rfc3339(ms).to_string()),
            ended_ms,
            lasted_ms: outage.lasted_ms(),
            end: match outage.end {
                End::Open => Name::Open,
                End::Reconnected(_) => Name::Reconnected,
                End::ServerRestarted => Name::ServerRestarted,
                End::Unseen => Name::Unseen,
            },
            number: outage.number,
            client: outage.client,
            began_ms: outage.began_ms,
            layer: outage.layer,
            cause: outage.cause,
            finding: outage.finding,
        }
    }
}

impl From<Wire> for Outage {
    fn from(wire: Wire) -> Self {
        Self {
            number: wire.number,
            client: wire.client,
            began_ms: wire.began_ms,
            end: match (wire.end, wire.lasted_ms) {
                (Name::Open, _) => End::Open,
                (Name::Reconnected, Some(ms)) => End::Reconnected(ms),
                (Name::ServerRestarted, _) => End::ServerRestarted,
                (Name::Reconnected, None) | (Name::Unseen, _) => End::Unseen,
            },
            layer: wire.layer,
            cause: wire.cause,
            finding: wire.finding,
        }
    }
}
