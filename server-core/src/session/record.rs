//! The part of a session that is the same for both kinds of links: whether it is up, and what the application wants of it.

use std::net::SocketAddr;

use pblink_protocol::layer::Layer;
use pblink_protocol::report::Report;
use pblink_protocol::time::Instant;

use super::{Limits, Shared};
use crate::event::{Cause, EventKind};
use crate::status::{LinkState, LinkStatus};

/// See the module's text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(super) link: LinkState,
    pub(super) since: Instant,
    pub(super) peer: Option<SocketAddr>,
    pub(crate) connects: u64,
    pub(super) outages: u64,
    /// It is, or was, among the newcomers.
    pub(crate) announced: bool,
    /// It is from a store.
    pub(super) restored: bool,
    /// The owner of the server commits: see [`Builder::commits`](crate::Builder::commits).
    pub(super) commits: bool,
    /// It is among the sessions that have something to commit.
    pub(crate) queued: bool,
    /// The server is about to stop: no line is handed out any more.
    pub(crate) closing: bool,
    /// Someone wants to know when nothing is left to send.
    pub(crate) draining: bool,
    /// The link went up or down since someone asked.
    changed: bool,
}

impl Record {
    /// Returns the record of a client that nothing is known of.
    pub(super) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            link: LinkState::Waiting,
            since: now,
            peer: None,
            connects: 0,
            outages: 0,
            announced: false,
            restored: false,
            commits: limits.commits,
            queued: false,
            closing: false,
            draining: false,
            changed: false,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.link == LinkState::Up
    }

    pub(crate) fn down_cause(&self) -> Option<Cause> {
        match self.link {
            LinkState::Down { cause, .. } => Some(cause),
            LinkState::Waiting | LinkState::Up => None,
        }
    }

    /// Returns true if the link went up or down since the last call.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Returns true if the client was here, and is not now.
    pub(super) fn is_absent(&self) -> bool {
        match self.link {
            LinkState::Down { .. } => true,
            // Known from a store, and not seen since.
            LinkState::Waiting => self.restored,
            LinkState::Up => false,
        }
    }

    /// Notes that the link is up.
    pub(super) fn on_up(&mut self, peer: SocketAddr, now: Instant, id: &str, shared: &Shared) {
        self.connects += 1;
        let (id, address) = (id.to_owned(), shown(peer));
        shared.bus.publish(match self.link {
            LinkState::Down { .. } => EventKind::OutageEnded {
                id,
                peer: address,
                lasted_ms: now.since(self.since).as_millis(),
                connects: self.connects,
            },
            LinkState::Waiting | LinkState::Up => EventKind::Connected { id, peer: address },
        });
        self.peer = Some(peer);
        self.link = LinkState::Up;
        self.since = now;
        self.changed = true;
    }

    /// Notes that the link is down.
    pub(super) fn on_down(&mut self, cause: Cause, now: Instant, id: &str, shared: &Shared) {
        self.outages += 1;
        let layer = layer_of(cause);
        self.link = LinkState::Down { layer, cause };
        self.since = now;
        self.changed = true;
        shared.bus.publish(EventKind::OutageBegan { id: id.to_owned(), cause, layer });
    }

    /// Returns what it knows of the link.
    pub(super) fn status(&self, id: &str, now: Instant, report: Option<Report>) -> LinkStatus {
        LinkStatus {
            since_ms: now.since(self.since).as_millis(),
            peer: self.peer.map(|peer| peer.to_string()),
            connects: self.connects,
            outages: self.outages,
            mem_free: report.map(|report| report.mem_free.into()),
            report_number: report.map(|report| report.number.into()),
            board_connects: report.map(|report| report.connects.into()),
            ..LinkStatus::new(id, self.link)
        }
    }

    /// Prepares it for another server.
    pub(super) fn park(&mut self) {
        self.closing = false;
        self.draining = false;
        self.announced = false;
        self.queued = false;
    }
}

/// Returns an address as text: what its `Display` gives, for IPv4 at a tenth of the price.
fn shown(address: SocketAddr) -> String {
    let SocketAddr::V4(v4) = address else { return address.to_string() };
    let mut text = String::with_capacity("255.255.255.255:65535".len());
    for (octet, end) in v4.ip().octets().into_iter().zip("...:".chars()) {
        push(&mut text, octet.into());
        text.push(end);
    }
    push(&mut text, v4.port());
    text
}

/// Puts a number behind a text.
fn push(text: &mut String, number: u16) {
    if number > 9 {
        push(text, number / 10);
    }
    text.push(char::from(b'0' + (number % 10) as u8));
}

/// Returns the layer that is most likely down.
fn layer_of(cause: Cause) -> Layer {
    match cause {
        Cause::Silent | Cause::TakenOver => Layer::Wifi,
        Cause::ClosedByPeer | Cause::Reset | Cause::SlowReader | Cause::LineTooLong => {
            Layer::Coprocessor
        }
        Cause::ClosedByApplication
        | Cause::NotExpected
        | Cause::KeysChanged
        | Cause::Shutdown
        | Cause::ServerDied => Layer::Server,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_everywhere() {
        for text in
            ["0.0.0.0:0", "127.0.0.1:8123", "255.255.255.255:65535", "10.9.100.99:10", "[::1]:80"]
        {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(shown(address), text);
        }
    }
}
