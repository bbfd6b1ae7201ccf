//! Descriptors: as many as the system gives, and some of them kept from boards.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors that are not for boards: the control API's connections, the log's files, what programs that the server
/// starts need, and a reserve.
const RESERVED: u64 = 192;

/// The least that is left for boards, whatever the limit is.
const LEAST: u64 = 16;

/// Returns the number of descriptors that this process, and what it starts, may have; `None`: no limit.
pub(crate) fn soft() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Raises the number of descriptors that this process may have to the highest that it may give itself, and returns
/// it.
pub(crate) fn raise() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let now = limit.current.unwrap_or(u64::MAX);
    // On macOS "no limit" is refused, and this is the most.
    let wanted = match limit.maximum {
        None if cfg!(target_os = "macos") => Some(10_240),
        maximum => maximum,
    };
    if wanted.is_some_and(|wanted| wanted <= now) {
        return now;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum: limit.maximum }) {
        Ok(()) => wanted.unwrap_or(u64::MAX),
        Err(error) => {
            tracing::debug!("the limit of descriptors stays at {now}: {error}");
            now
        }
    }
}

/// Returns how many connections boards may have with this limit of descriptors.
pub(crate) fn for_boards(limit: u64) -> usize {
    let free = limit.saturating_sub(RESERVED).max(LEAST);
    usize::try_from(free).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_leave_a_reserve() {
        assert_eq!(for_boards(1024), 832);
        assert_eq!(for_boards(100), 16);
        assert!(for_boards(u64::MAX) > 1 << 40);
    }
}
