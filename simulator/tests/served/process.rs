//! The server's process: from its start to its stop, its kill, or the end of the run.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use pblink_protocol::time::Duration;
use pblink_server::{Builder, EventKind, Events, Keys, Notice, SavedSessions, Server};
use tokio::task::JoinHandle;

use super::app;
use super::owner::{Owner, Store};
use super::stage::{Flaw, Stage};

/// Properties of all processes of a run.
pub struct Plan {
    pub timeout: Duration,
    /// The application commits.
    pub commits: bool,
    pub keys: Option<Keys>,
}

/// The sessions of a server that was stopped, once it was.
pub type Stopped = Arc<Mutex<Option<SavedSessions>>>;

/// See the module's text.
pub struct Process {
    pub server: Server,
    alive: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
}

impl Plan {
    fn builder(&self) -> Builder {
        let timeout = std::time::Duration::from_micros(self.timeout.as_micros());
        // The listener is for nobody: connections come from the network in memory.
        let builder = Server::builder().listen(([127, 0, 0, 1], 0).into()).timeout(timeout);
        match &self.keys {
            Some(keys) => builder.keys(keys.clone()),
            None => builder,
        }
    }

    /// Starts a process with what the one before has left.
    pub async fn start(
        &self,
        stage: &Arc<Stage>,
        store: &Arc<Store>,
        saved: SavedSessions,
    ) -> Process {
        let alive = Arc::new(AtomicBool::new(true));
        if !self.commits {
            let builder = match stage.flaw {
                Some(Flaw::DropsSessions) => self.builder(),
                _ => self.builder().restore(saved),
            };
            let server = builder.bind().await.expect("a free port");
            let tasks = vec![tokio::spawn(app::serve(server.clone(), Arc::clone(stage)))];
            tokio::spawn(watch(server.events(), Arc::clone(stage)));
            return Process { server, alive, tasks };
        }
        let (states, fed) = store.states(stage);
        let builder = self.builder().commits(true).restore_states(states);
        let server = builder.bind().await.expect("a free port");
        let owner = Arc::new(Owner {
            server: server.clone(),
            store: Arc::clone(store),
            stage: Arc::clone(stage),
            fed: Mutex::new(fed),
            alive: Arc::clone(&alive),
        });
        let tasks = vec![tokio::spawn(Arc::clone(&owner).commit()), tokio::spawn(owner.write())];
        // It reads on for some time when the server is over, and nobody waits for it.
        tokio::spawn(watch(server.events(), Arc::clone(stage)));
        Process { server, alive, tasks }
    }
}

impl Process {
    /// Kills it: nothing of it acts any more. The network has to break its connections first.
    pub fn kill(self) {
        self.alive.store(false, Ordering::Relaxed);
        self.tasks.iter().for_each(JoinHandle::abort);
    }

    /// Stops it in order. The sessions are in the result once that is done.
    pub fn stop(self, stage: &Arc<Stage>, timeout: Duration) -> Stopped {
        let (stopped, stage) = (Stopped::default(), Arc::clone(stage));
        let result = Arc::clone(&stopped);
        tokio::spawn(async move {
            let began = stage.net.server_time();
            let saved = self.server.shutdown().await;
            let took = stage.net.server_time().since(began);
            // A time-out for the application and the clients, another one for the connections' tasks.
            if took > timeout.times(2) + Duration::from_millis(10) {
                stage.fail(format!("a shutdown took {took}"));
            }
            if self.server.connections() > 0 {
                stage.fail("connections are left after a shutdown");
            }
            self.alive.store(false, Ordering::Relaxed);
            drop(self.server);
            for task in self.tasks {
                if task.await.is_err() {
                    stage.fail("a task has panicked");
                }
            }
            *result.lock().expect("no panic") = Some(saved);
            stage.net.changed.notify_one();
        });
        stopped
    }
}

/// Reads events, and rests now and then for so long that some are lost. Each is read, or counted as lost.
async fn watch(mut events: Events, stage: Arc<Stage>) {
    let mut last = 0;
    while let Some(notice) = events.recv().await {
        match notice {
            Notice::Event(event) => {
                last += 1;
                stage.lock().events.0 += 1;
                if event.seq != last {
                    stage.fail(format!("event {} behind {}", event.seq, last - 1));
                    last = event.seq;
                }
                // Its port is the system's choice.
                if !matches!(event.kind, EventKind::Listening { .. }) {
                    let shown = format!("{event:?}");
                    stage.net.note(stage.net.server_time(), shown.as_bytes());
                }
            }
            Notice::Lost(lost) => {
                last += lost;
                stage.lock().events.1 += lost;
            }
        }
        let rests = stage.lock().rng.u8(..) < 4;
        if rests {
            stage.linger(20_000_000).await;
        }
    }
}
