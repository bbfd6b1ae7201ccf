//! Remarks on settings that are allowed but probably not meant.

use std::net::IpAddr;

use super::{Board, Settings};

impl Settings {
    /// Returns notes on what is allowed but probably not meant; `password` says whether there is
    /// one.
    pub(crate) fn notes(&self, password: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.wifi.ssid.is_empty() && !password {
            notes.push(
                "`wifi.ssid` has no password: right only for an open network; `pblink config set \
                 wifi.password` adds one"
                    .to_owned(),
            );
        }
        let listed = |board: &&Board| {
            self.server.clients.is_empty() || self.server.clients.contains(&board.id)
        };
        for board in self.all_boards().iter().filter(|board| !listed(board)) {
            let whose = if self.boards.is_empty() { "this board's id" } else { "the board" };
            notes.push(format!(
                "`server.clients` does not list {whose} {:?}: the server will refuse it",
                board.id
            ));
        }
        match self.server.host.parse::<IpAddr>() {
            Ok(ip) if ip.is_loopback() => notes.push(
                "`server.host` is this machine itself: simulated boards reach it, real ones do not"
                    .to_owned(),
            ),
            Ok(IpAddr::V6(_)) => notes.push(
                "`server.host` is an IPv6 address: simulated boards reach it, but the ESP8266 \
                 speaks only IPv4"
                    .to_owned(),
            ),
            _ => {}
        }
        if let Some(control) = self.server.control
            && !control.ip().is_loopback()
        {
            notes.push(format!(
                "`server.control` = {control} can be reached by others: they need the token of `pblink serve`, \
                 which goes over the network unencrypted"
            ));
        }
        notes
    }
}
