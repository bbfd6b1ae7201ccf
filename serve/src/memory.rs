//! Memory goes back to the system when many clients are gone.
//!
//! The memory of a connection is free then, but the C library keeps it for the next ones: ten thousand boards that were
//! there once would cost 90 MB for as long as the server runs.

use std::time::Duration;

/// Time between two looks.
const PACE: Duration = Duration::from_secs(1);

/// Connections that have to be gone at least: about 2 MB.
const WORTH_IT: usize = 256;

/// Gives memory back whenever many connections are gone, until `connections` (the number of those that are there)
/// returns `None`.
pub async fn follow(connections: impl Fn() -> Option<usize>) {
    let mut tide = Tide::default();
    loop {
        tokio::time::sleep(PACE).await;
        let Some(level) = connections() else { return };
        if tide.has_fallen(level) {
            // It takes some milliseconds for each 100 MB.
            let _ = tokio::task::spawn_blocking(give_back).await;
        }
    }
}

/// The most connections since memory was given back.
#[derive(Debug, Default)]
struct Tide {
    high: usize,
}

impl Tide {
    /// Looks at the number of connections. Returns true if so many fewer are there than were that what they needed is
    /// worth giving back; then it begins anew.
    fn has_fallen(&mut self, level: usize) -> bool {
        let fallen = level + WORTH_IT.max(self.high / 4) <= self.high;
        self.high = if fallen { level } else { self.high.max(level) };
        fallen
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "no crate offers the C library's function")]
fn give_back() {
    // SAFETY: this is its declaration in malloc.h. It may be called at any time from any thread (MT-Safe), and
    // touches free memory only.
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> std::ffi::c_int;
    }
    malloc_trim(0);
}

/// Other C libraries give back by themselves, or not at all.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_connections_that_are_gone_are_worth_it() {
        let mut tide = Tide::default();
        let looks = [
            // Few that come and go.
            (10, false),
            (0, false),
            (255, false),
            (0, false),
            // Many come, and some of them go.
            (10_000, false),
            (7_501, false),
            (7_500, true),
            // All go, at two looks.
            (300, true),
            (0, true),
            (0, false),
        ];
        for (level, fallen) in looks {
            assert_eq!(tide.has_fallen(level), fallen, "{level}");
        }
        give_back();
    }
}
