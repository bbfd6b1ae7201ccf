//! A log that is opened, and what is in it.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use pblink_server::SessionState;
use tokio::sync::{mpsc, watch};

use super::calls::Keep;
use super::clock::{Clock, System};
use super::engine::{Engine, EngineError};
use super::failing::Failing;
use super::model::Past;
use super::ring::Ring;
use super::stalled::Stalled;
use super::steps::{Marks, Steps};
use super::writer::Writer;
use super::{Log, REQUESTS, Shared};

/// A log that was opened, and the sessions in it.
#[derive(Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// The sessions, for [`Builder::restore_states`](pblink_server::Builder::restore_states).
    pub sessions: Vec<(String, SessionState)>,
    /// Marks that the last server has left, for [`Hub::resume`](crate::hub::Hub::resume).
    pub past: Past,
}

impl Log {
    /// Opens the log in `engine`, and starts its writer on a thread of its own. The log lives until its last clone is
    /// dropped, and outlives the runtime in which it was opened.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open(engine: impl Engine, keep: Keep) -> Result<Opened, EngineError> {
        Self::open_with(engine, keep, Arc::new(System))
    }

    /// Opens the log in `engine` with these clocks, for tests: see [`open`](Self::open).
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn open_with(
        engine: impl Engine,
        keep: Keep,
        clock: Arc<dyn Clock>,
    ) -> Result<Opened, EngineError> {
        let mut engine: Box<dyn Engine> = Box::new(engine);
        let mut loaded = engine.load()?;
        let mut damaged = Vec::new();
        for (client, row) in &mut loaded.sessions {
            if let Some(Err(why)) = row.state.as_deref().map(SessionState::decode) {
                tracing::error!(
                    "the session of \"{}\" in the log is damaged ({why}): its link begins anew, and lines \
                     that were under way may come twice; all others go on. `pblink state check` says whether \
                     there is more",
                    client.escape_debug()
                );
                row.state = None;
                damaged.push((client.to_string(), why.to_string()));
            }
        }
        let head = loaded.next - 1;
        let shared = Arc::new(Shared {
            name: loaded.name.clone(),
            durable: engine.is_durable(),
            confirms: engine.is_shared(),
            first: AtomicU64::new(loaded.first),
            head: watch::Sender::new(head),
            ring: Mutex::new(Ring::new(head)),
            reader: engine.reader(),
            status: watch::Sender::default(),
            clients: Mutex::default(),
            failing: Failing::default(),
            stalled: Stalled::default(),
            failed: watch::Sender::new(None),
            events: Mutex::default(),
            steps: Steps::default(),
        });
        super::lock(&shared.clients).open(&loaded.sessions);
        let (requests, receiver) = mpsc::channel(REQUESTS);
        let past = Past {
            alive_ms: loaded.alive_ms,
            last_event: loaded.next_event.saturating_sub(1),
            damaged,
        };
        // The newest line always stays, so it is there if there ever was one.
        let newest = shared.reader.lines(head.saturating_sub(1), 1, 1, None)?.0;
        let newest_ms = newest.first().map_or(0, |line| line.at_ms);
        let (alive_ms, hold_ms) = (loaded.alive_ms, loaded.hold_ms);
        let marks = Marks { alive_ms, newest_ms, hold_ms };
        let mut writer =
            Writer::new(engine, loaded, (keep, clock, marks), Arc::clone(&shared), receiver);
        writer.renew(past.damaged.iter().map(|(client, _)| &**client));
        let sessions = writer.sessions();
        let no_thread = |error: std::io::Error| EngineError::Io {
            path: "the log's thread".into(),
            why: error.to_string(),
        };
        // Timers of its own: those of the program's runtime panic once that ends, which may be before the log does.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(no_thread)?;
        let spawned =
            std::thread::Builder::new().name("log".into()).spawn(move || writer.run(&runtime));
        spawned.map_err(no_thread)?;
        Ok(Opened { log: Self { shared, requests }, sessions, past })
    }
}
