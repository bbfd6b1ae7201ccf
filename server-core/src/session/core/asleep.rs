//! The session of a client that is away, without the memory that only traffic needs.

use pblink_protocol::tcp::endpoint::{Rest, Stats};
use pblink_protocol::tcp::window::Window;

use super::{Core, End};
use crate::session::Limits;

/// An endpoint that rests. A server may know ten thousand clients that are away, and an [`End`] needs six kilobytes.
#[derive(Debug)]
pub(crate) struct Packed {
    rest: Rest,
    /// `None` if nothing was received, or what was is settled.
    window: Option<Box<Window>>,
}

/// Numbers that are known of an endpoint, whether it rests or not.
pub(crate) trait Numbers {
    fn stats(&self) -> &Stats;
    /// Returns the number of lines that are waiting or unacknowledged.
    fn unacked(&self) -> usize;
}

impl Numbers for End {
    fn stats(&self) -> &Stats {
        self.stats()
    }

    fn unacked(&self) -> usize {
        self.unacked()
    }
}

impl Numbers for Packed {
    fn stats(&self) -> &Stats {
        self.rest.stats()
    }

    fn unacked(&self) -> usize {
        0
    }
}

impl Core {
    /// Returns this session asleep, if its client is away and nothing is under way in it. It takes over all that
    /// there is: what stays behind is to be dropped.
    pub(crate) fn asleep(&mut self) -> Option<Core<Packed>> {
        if self.transport.is_some() || self.side.is_in_use() {
            return None;
        }
        let rest = self.endpoint.rest()?;
        let window = self.endpoint.window();
        let window = (!window.is_empty()).then(|| Box::new(window.clone()));
        let mut core = self.with_endpoint(Packed { rest, window });
        core.side.give_memory_back();
        Some(core)
    }
}

impl Core<Packed> {
    /// Returns this session awake, in the same way.
    pub(crate) fn awake(&mut self, limits: &Limits) -> Core {
        let mut endpoint = Core::endpoint(limits);
        let Packed { rest, window } = &mut self.endpoint;
        endpoint.resume(*rest, window.take().map(|window| *window).unwrap_or_default());
        self.with_endpoint(endpoint)
    }
}

impl<E> Core<E> {
    /// Moves all but the endpoint.
    fn with_endpoint<F>(&mut self, endpoint: F) -> Core<F> {
        Core {
            endpoint,
            side: std::mem::take(&mut self.side),
            transport: self.transport.take(),
            held: self.held,
            told_acks: self.told_acks,
            closing: self.closing,
            rivals: self.rivals,
            draining: self.draining,
            link: self.link,
            since: self.since,
            peer: self.peer,
            connects: self.connects,
            announced: self.announced,
            restored: self.restored,
            commits: self.commits,
            queued: self.queued,
            settled: self.settled,
            outages: self.outages,
        }
    }
}
