//! The wall clock, and random bytes: what a server takes from the system beside sockets and time.

use pblink_secure_suite::random::{Os, Random};

/// Returns the wall clock's time, in milliseconds since the Unix epoch.
pub(crate) fn wall_ms() -> u64 {
    #[cfg(feature = "simulated")]
    if let Some(now) = simulated::wall_ms() {
        return now;
    }
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

/// The source of random bytes: the operating system's.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Chance;

impl Random for Chance {
    fn fill(&mut self, out: &mut [u8]) {
        #[cfg(feature = "simulated")]
        if simulated::fill(out) {
            return;
        }
        Os.fill(out);
    }
}

/// A wall clock and random bytes of a simulation's own. Only with the feature `simulated`, for tests that want the same run twice:
/// keys that are drawn from a source that can be repeated are secret from nobody.
#[cfg(feature = "simulated")]
pub mod simulated {
    use std::cell::RefCell;

    type Fill = Box<dyn FnMut(&mut [u8])>;

    struct World {
        wall_ms: Box<dyn Fn() -> u64>,
        fill: Fill,
    }

    thread_local! {
        static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
    }

    /// The time for which a simulation's clock and random bytes are those of all servers of its thread.
    #[derive(Debug)]
    pub struct Guard(());

    impl Drop for Guard {
        fn drop(&mut self) {
            WORLD.set(None);
        }
    }

    /// Gives servers of this thread another wall clock (in milliseconds since the Unix epoch) and another source of random bytes.
    #[must_use = "they are the system's again when this is dropped"]
    pub fn enter(
        wall_ms: impl Fn() -> u64 + 'static,
        fill: impl FnMut(&mut [u8]) + 'static,
    ) -> Guard {
        WORLD.set(Some(World { wall_ms: Box::new(wall_ms), fill: Box::new(fill) }));
        Guard(())
    }

    pub(super) fn wall_ms() -> Option<u64> {
        WORLD.with_borrow(|world| world.as_ref().map(|world| (world.wall_ms)()))
    }

    /// Fills `out`, if a simulation runs in this thread.
    pub(super) fn fill(out: &mut [u8]) -> bool {
        WORLD.with_borrow_mut(|world| {
            let fill = world.as_mut().map(|world| (world.fill)(out));
            fill.is_some()
        })
    }
}
