//! The session of a client that is away, without the memory that only traffic needs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pblink_protocol::tcp::endpoint::{Rest, Stats};
use pblink_protocol::tcp::window::Window;
use pblink_protocol::time::Instant;

use super::{Core, End};
use crate::session::Limits;

/// Memory of sessions that fell asleep, for the next ones that wake up: to make and to free it for each connection
/// costs more than all else that a session does about one.
#[derive(Debug, Default)]
pub(crate) struct Spare(Mutex<Vec<Box<Core>>>);

/// The most of it: 400 KB.
const MAX_SPARE: usize = 64;

impl Spare {
    /// Takes the memory of a session whose [`asleep`](Core::asleep) was taken out.
    pub(crate) fn put(&self, core: Box<Core>) {
        let mut spare = self.lock();
        if spare.len() < MAX_SPARE {
            spare.push(core);
        }
    }

    fn take(&self) -> Option<Box<Core>> {
        self.lock().pop()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Box<Core>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    /// there is: only its memory stays behind.
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
    /// Returns the session of a client that nothing is known of.
    pub(crate) fn unknown(limits: &Limits, now: Instant) -> Self {
        Self::with(Packed { rest: Rest::NEW, window: None }, limits, now)
    }

    /// Returns this session awake, in the same way.
    pub(crate) fn awake(&mut self, limits: &Limits, spare: &Spare) -> Box<Core> {
        let mut core = spare.take().unwrap_or_else(|| Box::new(Core::new(limits, Instant::ZERO)));
        let Packed { rest, window } = &self.endpoint;
        core.endpoint.resume(*rest, window.as_deref());
        // All but the endpoint, which is where it is to be.
        let Core { endpoint: (), side, transport, held, told_acks, rivals, settled, record } =
            self.with_endpoint(());
        core.side = side;
        core.transport = transport;
        core.held = held;
        core.told_acks = told_acks;
        core.rivals = rivals;
        core.settled = settled;
        core.record = record;
        core
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
            rivals: self.rivals,
            settled: self.settled,
            record: self.record,
        }
    }
}
