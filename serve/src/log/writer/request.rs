//! Requests of the log's handles to the writer.

use std::sync::Arc;

use pblink_server::{Server, SessionState};
use tokio::sync::oneshot;

use super::Writer;
use crate::log::engine::EngineError;
use crate::log::model::OutboxRow;
use crate::log::{ConsumerError, From, Outgoing, Place, Progress, Role, SendError, Sent};

/// Request to the writer.
#[derive(Debug)]
pub(in crate::log) enum Request {
    Attach(Server),
    Sessions(oneshot::Sender<Vec<(String, SessionState)>>),
    Send {
        lines: Vec<Outgoing>,
        key: Option<Arc<str>>,
        reply: oneshot::Sender<Result<Sent, SendError>>,
    },
    Register {
        consumer: Arc<str>,
        role: Role,
        from: From,
        reply: oneshot::Sender<Place>,
    },
    Unregister {
        consumer: Arc<str>,
        reply: oneshot::Sender<Result<(), ConsumerError>>,
    },
    Rename {
        consumer: Arc<str>,
        to: Arc<str>,
        reply: oneshot::Sender<Result<(), ConsumerError>>,
    },
    Progress {
        progress: Progress,
        reply: Option<oneshot::Sender<Result<(), SendError>>>,
    },
    /// There are events to take.
    Events,
    Purge {
        client: Arc<str>,
        reply: oneshot::Sender<Result<(), EngineError>>,
    },
    Undetermined(oneshot::Sender<Vec<OutboxRow>>),
    /// The lines that wait for a client.
    Waiting {
        client: Arc<str>,
        reply: oneshot::Sender<Vec<OutboxRow>>,
    },
    Release {
        client: Option<Arc<str>>,
        send: bool,
        reply: oneshot::Sender<Result<usize, SendError>>,
    },
    Backup {
        path: std::path::PathBuf,
        reply: oneshot::Sender<Result<(), EngineError>>,
    },
    Retain(oneshot::Sender<()>),
    /// Does this server serve its clients still?
    Confirm(oneshot::Sender<bool>),
    Stop(oneshot::Sender<()>),
}

impl Writer {
    pub(super) fn on_request(&mut self, request: Request) -> Result<(), EngineError> {
        // Whoever asked may have gone away: no answer is looked after.
        match request {
            Request::Attach(server) => self.attach(server),
            Request::Sessions(reply) => drop(reply.send(self.sessions())),
            Request::Send { lines, key, reply } => self.on_send(lines, key, reply),
            Request::Register { consumer, role, from, reply } => {
                let place = self.register(consumer, role, from);
                self.publish();
                drop(reply.send(place));
            }
            Request::Unregister { consumer, reply } => self.unregister(consumer, reply),
            Request::Rename { consumer, to, reply } => self.rename(consumer, to, reply),
            Request::Progress { progress, reply } => self.on_progress(progress, reply),
            // Taken with what else is there.
            Request::Events => {}
            Request::Purge { client, reply } => drop(reply.send(self.purge(&client))),
            Request::Undetermined(reply) => drop(reply.send(self.undetermined.clone())),
            Request::Waiting { client, reply } => {
                let known = self.clients.get(&client);
                drop(reply.send(known.map_or_else(Vec::new, |known| known.outbox.rows(&client))));
            }
            Request::Release { client, send, reply } => {
                self.release(client.as_deref(), send, reply)
            }
            Request::Backup { path, reply } => {
                self.pending.urgent = true;
                let done = self.commit().and_then(|()| self.engine.backup(&path));
                drop(reply.send(done));
            }
            Request::Retain(reply) => {
                self.retain()?;
                let _ = reply.send(());
            }
            // While nobody says whether the last commit is stored, nobody says this.
            Request::Confirm(reply) if self.is_stuck() => drop(reply.send(false)),
            Request::Confirm(reply) => {
                self.pending.confirms.push(reply);
            }
            Request::Stop(reply) => {
                self.stopping.push(reply);
                self.over = true;
            }
        }
        Ok(())
    }
}
