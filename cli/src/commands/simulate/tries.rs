//! Tries of a board to reach its server: each reason is said, and how often it came.

use std::time::Duration;

use pblink_simulator::live::Failure;
use tokio::time::Instant;

use crate::address::zone;
use crate::output::events::id;

/// Time between two reports of the same reason.
const EVERY: Duration = Duration::from_secs(10);

/// The tries since the server was reached last.
#[derive(Debug)]
pub(super) struct Tries {
    server: String,
    client: String,
    /// The reason of the last one, how often it came in a row, and when that was said.
    last: Option<(Failure, u64, Instant)>,
}

impl Tries {
    pub(super) fn new(server: &str, client: &str) -> Self {
        Self { server: server.to_owned(), client: client.to_owned(), last: None }
    }

    /// Takes in a try that has failed. Returns what is to be said about it, if anything is.
    pub(super) fn on_failure(&mut self, now: Instant, failure: Failure) -> Option<String> {
        let times = match &mut self.last {
            Some((last, times, said)) if *last == failure => {
                *times += 1;
                if now < *said + EVERY {
                    return None;
                }
                *said = now;
                *times
            }
            last => {
                *last = Some((failure.clone(), 1, now));
                1
            }
        };
        let often = if times == 1 { String::new() } else { format!(", {times} times so far") };
        Some(format!("{}; retrying{often}", self.describe(&failure)))
    }

    /// Takes in that the server is reached.
    pub(super) fn on_success(&mut self) {
        self.last = None;
    }

    fn describe(&self, failure: &Failure) -> String {
        let Self { server, client, .. } = self;
        let why = match failure {
            Failure::UnknownName => match zone(server) {
                Some(zone) => &format!("this machine has no interface {}", id(zone)),
                None => "no such name",
            },
            Failure::ClosedPort => "connection refused: nobody listens at this port",
            Failure::NoRoute => "there is no way to that address",
            Failure::NoAnswer => "no answer",
            Failure::Dismissed => {
                return format!(
                    "the server at {server} closes the connection at once: it refuses the id \"{}\" (not in its list of \
                     clients, or connected already)",
                    id(client)
                );
            }
            Failure::Other(why) => why,
        };
        format!("cannot reach the server at {server} ({why})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_said_at_once_and_then_counted() {
        let mut tries = Tries::new("pi:1", "a");
        let start = Instant::now();
        let mut failed =
            |s, failure: Failure| tries.on_failure(start + Duration::from_secs(s), failure);
        let closed = "cannot reach the server at pi:1 (connection refused: nobody listens at this port); retrying";
        assert_eq!(failed(0, Failure::ClosedPort).as_deref(), Some(closed));
        for s in 1..10 {
            assert_eq!(failed(s, Failure::ClosedPort), None);
        }
        let counted = format!("{closed}, 11 times so far");
        assert_eq!(failed(10, Failure::ClosedPort), Some(counted));
        assert_eq!(failed(11, Failure::ClosedPort), None);
        let name = failed(12, Failure::UnknownName).unwrap();
        assert_eq!(name, "cannot reach the server at pi:1 (no such name); retrying");
        assert!(failed(13, Failure::Dismissed).unwrap().contains("it refuses the id \"a\""));
        tries.on_success();
        let of_zone = Tries::new("[fe80::1%eth9]:1", "a").on_failure(start, Failure::UnknownName);
        assert!(of_zone.unwrap().contains("(this machine has no interface eth9)"));
        let again = tries.on_failure(start + Duration::from_secs(14), Failure::Dismissed);
        assert!(again.unwrap().ends_with("; retrying"));
    }
}
