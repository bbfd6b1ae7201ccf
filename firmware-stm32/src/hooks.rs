//! Events of the link that an application may want to know.

use core::fmt;

use pblink_protocol::app::{DropCause, ResetCause};
use pblink_protocol::report::Report;
use pblink_protocol::secure::frame::KeyOutcome;

/// Calls for the events of a link. Every method has a default that does nothing: override what you need.
///
/// The runner calls them between two steps of the link, one after the other. They may use a
/// [`Handle`](crate::Handle), but must not wait for anything: 1 s is all that the ESP8266 is given for
/// a step of an exchange, and the runner takes part in it.
pub trait Hooks {
    /// Called when the ESP8266 could not join the network within 20 s: the credentials may be wrong. It
    /// keeps trying. A published ESP8266 halts; the link then resets it.
    fn bad_wifi(&mut self) {}

    /// Called when the server refused the first connection, or did not answer. The ESP8266 keeps
    /// retrying. A published one halts; the link then resets it.
    fn bad_server(&mut self) {}

    /// Called when the ESP8266 reports how often it has connected, the number of the report, and its
    /// free memory in bytes.
    fn report(&mut self, report: Report) {
        let _ = report;
    }

    /// Called when the ESP8266 has reached the server, or has lost it; on a secure link, when lines flow, or no longer do.
    fn server_ok(&mut self, up: bool) {
        let _ = up;
    }

    /// Called when the ESP8266 is reset. Lines are kept, and sent again where they were not passed.
    fn reset(&mut self, cause: ResetCause) {
        let _ = cause;
    }

    /// Called when a line from the ESP8266 was dropped. Only a foreign one, or a garbled bus, sends
    /// such lines.
    fn dropped(&mut self, cause: DropCause) {
        let _ = cause;
    }

    /// Called once, when a secure link begins after a loss of power, which has taken the lines that were written before and that the
    /// server did not have. It has no numbers of them, and none that says if there were any: these were in the RAM that is lost, with
    /// what the server had acknowledged. It is also called at the very first start. A reset of the chip, by its watchdog, by a panic
    /// or by its button, takes no lines.
    fn undetermined(&mut self) {}

    /// Called when there is a server that does not answer a secure link: it may have none, or not know this board. The link keeps
    /// trying.
    fn no_answer(&mut self) {}

    /// Called when the server has closed a secure link, for a minute. The reason is for people.
    fn closed(&mut self, reason: u8) {
        let _ = reason;
    }

    /// Called when a secure link has got new keys, with the server's time in ms since the Unix epoch:
    /// [`Handle::now`](crate::Handle::now) counts from there.
    fn time(&mut self, ms: u64) {
        let _ = ms;
    }

    /// Called when the server has sent a line that cannot be one, over a secure link: its program is wrong. It is passed over.
    fn invalid(&mut self) {}

    /// Called when the server has given the board a new key over its link, with its generation and what became of it.
    fn new_key(&mut self, generation: u32, outcome: KeyOutcome) {
        let _ = (generation, outcome);
    }

    /// Called with a message for people, if [`Options::verbose`](crate::Options::verbose) is set.
    fn log(&mut self, message: fmt::Arguments<'_>) {
        let _ = message;
    }
}

/// Hooks that do nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Hooks for Silent {}
