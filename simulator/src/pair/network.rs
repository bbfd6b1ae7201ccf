//! The network, as the owner of a pair and its ESP8266 see it.

use pblink_protocol::coprocessor::Command;
use pblink_protocol::time::Instant;

use super::{Esp, NetCommand, Pair, Radio};

impl Pair {
    /// Returns the next thing to do with the socket.
    pub fn next_net_command(&mut self) -> Option<NetCommand> {
        self.net_commands.pop_front()
    }

    /// Returns true if bytes pass between ESP8266 and network at this time. While they do not, the owner
    /// keeps what arrives, as if it were lost in the air and repeated by TCP.
    pub fn is_on_air(&self) -> bool {
        self.passes() && matches!(self.esp, Esp::Running(_))
    }

    /// The chip is in no network, and looks for none.
    pub(super) fn leave(&mut self) {
        self.radio = Radio::Idle;
        self.looks = false;
    }

    /// Returns true if there is a network, and it passes what the chip sends.
    pub(super) fn passes(&self) -> bool {
        self.network_back_at.is_none() && !self.forgotten
    }

    /// Bytes that the ESP8266 wants to send; the owner removes those that it sends.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Notes that the connection is open.
    pub fn net_connected(&mut self, now: Instant) {
        self.with_esp(now, |esp| esp.on_connected(now));
    }

    /// Notes that the connection was refused or could not be opened.
    pub fn net_failed(&mut self, now: Instant) {
        self.socket = false;
        self.with_esp(now, |esp| esp.on_connect_failed(now));
    }

    /// Notes that the other end has closed the connection.
    pub fn net_closed(&mut self, now: Instant) {
        self.socket = false;
        self.out.clear();
        self.with_esp(now, |esp| esp.on_closed(now));
    }

    /// Bytes arrived.
    pub fn net_received(&mut self, bytes: &[u8], now: Instant) {
        if self.takes_nothing {
            return;
        }
        self.with_esp(now, |esp| esp.on_bytes(now, bytes));
    }

    pub(super) fn command(&mut self, command: Command, now: Instant) {
        match command {
            Command::JoinRemembered | Command::Join => {
                self.looks = true;
                if self.radio == Radio::Idle {
                    self.radio = Radio::Joining(now + self.joining_time());
                }
            }
            Command::Leave => self.leave(),
            Command::Connect => {
                self.socket = true;
                self.out.clear();
                self.net_commands.push_back(NetCommand::Connect);
            }
            Command::Disconnect => {
                self.out.clear();
                if std::mem::take(&mut self.socket) {
                    let heard = self.passes();
                    self.net_commands.push_back(NetCommand::Close { heard });
                }
            }
        }
    }
}
