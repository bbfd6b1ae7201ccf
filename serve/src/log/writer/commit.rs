//! A commit, and what follows once it is durable.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use pblink_server::{Batch, Connection};
use tokio::sync::oneshot;

use super::pending::{Pending, Reply};
use super::{CONFIRM, RETRY, Writer};
use crate::log::engine::EngineError;
use crate::log::model::{Commit, Kind};
use crate::log::outbox::Outbox;
use crate::log::{ConsumerError, ConsumerStatus, SendError, Sent, lock};

impl Writer {
    /// Makes durable what is pending, and lets all know who wait for it.
    pub(super) fn commit(&mut self) -> Result<(), EngineError> {
        self.committed_at = Some(Instant::now());
        let sessions = std::mem::take(&mut self.pending.commit.sessions);
        // A client's last row belongs to the session as it is after this commit, too.
        let there: HashSet<&Arc<str>> = sessions.iter().map(|(id, _)| id).collect();
        let rows = self.pending.added.keys().filter(|id| !there.contains(id));
        let rows: Vec<_> =
            rows.map(|id| (Arc::clone(id), self.clients[id].session.clone())).collect();
        self.pending.commit.sessions = (sessions.into_iter())
            .map(|(id, mut session)| {
                session.last_row = self.clients[&id].session.last_row;
                (id, session)
            })
            .chain(rows)
            .collect();
        self.note_places();
        let mut pending = std::mem::take(&mut self.pending);
        let confirms = std::mem::take(&mut pending.confirms);
        if !confirms.is_empty() {
            self.confirm_at = Instant::now() + CONFIRM;
        }
        match self.store(&mut pending, !confirms.is_empty()) {
            Ok(()) => {
                for confirm in confirms {
                    // Whoever asked may have gone away.
                    let _ = confirm.send(true);
                }
                self.committed(pending);
            }
            Err(error @ (EngineError::Full | EngineError::Unavailable { .. })) => {
                let until = Instant::now() + RETRY;
                self.held = Some(until);
                self.room_at = until;
                self.unavailable = !matches!(error, EngineError::Full);
                let why = match &error {
                    EngineError::Full => {
                        "the log's disk is full: lines wait at their boards until there is room"
                            .to_owned()
                    }
                    other => format!("{other}; lines wait at their boards until it does"),
                };
                // The reason may change each second while a store comes back.
                if !self.unavailable || self.status.held.is_none() {
                    tracing::error!("{why}");
                }
                self.status.held = Some(why);
                if !pending.in_doubt {
                    self.give_back(&mut pending);
                }
                // Cursors and events can wait.
                pending.since = Some(Instant::now());
                self.pending = pending;
                self.publish();
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn store(&mut self, pending: &mut Pending, confirms: bool) -> Result<(), EngineError> {
        if pending.commit.is_empty() {
            return if confirms { self.engine.confirm() } else { Ok(()) };
        }
        match self.engine.commit(&pending.commit) {
            Ok(()) => Ok(()),
            Err(EngineError::Full) => Err(EngineError::Full),
            Err(error @ EngineError::Unavailable { .. }) => {
                pending.in_doubt = true;
                Err(error)
            }
            // Nothing that this server writes counts any more.
            Err(error @ (EngineError::Replaced { .. } | EngineError::CutOff { .. })) => Err(error),
            Err(error) => {
                // Once may be chance. What was acknowledged is looked for before anything else is.
                tracing::error!("the log was not written: {error}; opening it anew");
                pending.in_doubt = true;
                self.engine.reopen()?;
                self.engine.commit(&pending.commit)
            }
        }
    }

    /// Takes lines out of a commit that had no room: they wait at their boards, and what was to be sent is
    /// refused. The steps of consumers with such lines are undone.
    pub(super) fn give_back(&mut self, pending: &mut Pending) {
        let commit = &mut pending.commit;
        commit.lines.clear();
        commit.sessions.clear();
        commit.done.clear();
        commit.undetermined.clear();
        pending.batches.clear();
        pending.bytes = 0;
        for row in commit.outbox.drain(..) {
            if let Some(client) = self.clients.get_mut(&row.client) {
                client.session.last_row = client.session.last_row.min(row.row - 1);
            }
        }
        pending.added.clear();
        for key in commit.keys.drain(..) {
            self.keys.remove(&(key.client, key.key));
        }
        pending.urgent = false;
        let mut replies = std::mem::take(&mut pending.replies);
        // The newest first, so that the oldest place is the one that stays.
        for reply in replies.iter_mut().rev() {
            if let Reply::Step { consumer, before, .. } = reply
                && let Some(consumer) = self.consumers.get_mut(consumer)
            {
                consumer.places.restore(std::mem::take(before));
            }
        }
        // Whoever gets an answer and looks sees that the disk is full, and that nothing was done.
        self.publish();
        for reply in replies.into_iter().rev() {
            match reply {
                Reply::Released { rows, to } => {
                    self.hold_again(pending, rows);
                    drop(to.send(Err(SendError::DiskFull)));
                }
                Reply::Sent { to, .. } => drop(to.send(Err(SendError::DiskFull))),
                Reply::Progress(to) => drop(to.send(Err(SendError::DiskFull))),
                // It stays in the commit: a cursor needs little room.
                Reply::Consumer(to) => drop(to.send(Err(ConsumerError::DiskFull))),
                Reply::Step { to, .. } => drop(to.send(Err(SendError::DiskFull))),
            }
        }
    }

    /// Lets the commit count: everything below happens after it is durable.
    pub(super) fn committed(&mut self, pending: Pending) {
        let Pending { commit, batches, replies, .. } = pending;
        for name in pending.moved.keys() {
            if let Some(consumer) = self.consumers.get_mut(name) {
                consumer.places.prune();
            }
        }
        // Reports are nobody's work.
        let ends = if self.engine.is_durable() { HashMap::new() } else { last_lines(&commit) };
        self.status.commits += 1;
        self.status.lines += commit.lines.len() as u64;
        self.grown += pending.bytes as u64;
        for id in commit.forgotten {
            self.clients.remove(&id);
            lock(&self.shared.clients).forget(&id);
        }
        for (id, session) in commit.sessions {
            let client = self.clients.entry(id).or_default();
            client.session = session;
        }
        if let Some(last) = commit.lines.last() {
            let head = last.offset;
            self.next = head + 1;
            lock(&self.shared.clients).note_lines(&commit.lines);
            let mut ring = lock(&self.shared.ring);
            for line in commit.lines {
                ring.push(line);
            }
            drop(ring);
            self.shared.head.send_replace(head);
        }
        self.status.waiting += commit.outbox.len() as u64;
        for row in &commit.outbox {
            self.clients.entry(Arc::clone(&row.client)).or_default().outbox.push(row);
        }
        let mut hungry: Vec<Arc<str>> = pending.added.into_keys().collect();
        for batch in &batches {
            if let Some((id, _)) = self.clients.get_key_value(batch.client())
                && batch.done() > 0
            {
                hungry.push(Arc::clone(id));
            }
        }
        // Rows that are done leave the session by `accept` below, whenever that is.
        for batch in &batches {
            if let Some(client) = self.clients.get_mut(batch.client()) {
                client.outbox.done(batch.done());
                self.status.waiting = self.status.waiting.saturating_sub(batch.done() as u64);
            }
        }
        for (id, up_to) in commit.undetermined {
            let Some(client) = self.clients.get_mut(&id) else { continue };
            let mut gone = client.outbox.give_up(up_to, &id);
            self.status.waiting = self.status.waiting.saturating_sub(gone.len() as u64);
            self.undetermined.append(&mut gone);
            hungry.push(id);
        }
        {
            let mut known = lock(&self.shared.clients);
            for id in &hungry {
                known.note_waiting(id, self.clients.get(id).map_or(0, |c| c.outbox.len()));
            }
        }
        // Whoever gets an answer and looks sees what it is about.
        self.publish();
        for reply in replies {
            match reply {
                Reply::Released { rows, to } => drop(to.send(Ok(rows.len()))),
                Reply::Progress(to) | Reply::Step { to, .. } => drop(to.send(Ok(()))),
                Reply::Consumer(to) => drop(to.send(Ok(()))),
                Reply::Sent { client, row, repeated, to } => {
                    let (done, waiting) = oneshot::channel();
                    self.clients.entry(client).or_default().outbox.wait(row, done);
                    drop(to.send(Ok(Sent { row, repeated, done: waiting })));
                }
            }
        }
        if self.engine.is_durable() {
            accept(batches);
        } else {
            self.unconsumed.extend(batches.into_iter().map(|batch| {
                let end = ends.get(batch.client()).copied().unwrap_or(0);
                (end, batch)
            }));
            self.accept_consumed();
        }
        for id in hungry {
            self.feed(&id);
        }
    }

    /// Accepts what each required consumer has, if the engine does not keep it.
    pub(super) fn accept_consumed(&mut self) {
        let consumers = &self.consumers;
        let is_consumed = |end: u64, client: &str| {
            let mut required = consumers.values().filter(|consumer| consumer.required);
            required.all(|consumer| consumer.has(client, end))
        };
        let batches: Vec<Batch> = (self.unconsumed)
            .extract_if(.., |(end, batch)| is_consumed(*end, batch.client()))
            .map(|(_, batch)| batch)
            .collect();
        let ids: Vec<_> = batches.iter().map(|batch| batch.client().to_owned()).collect();
        accept(batches);
        for id in ids {
            self.feed(&id);
        }
    }

    /// Gives the session of a client what waits for it.
    pub(super) fn feed(&mut self, id: &str) {
        if let Some(client) = self.clients.get_mut(id)
            && let Some(link) = self.server.as_ref().and_then(|server| server.link(id))
        {
            feed(&mut client.outbox, &link);
        }
    }

    /// Shows the state to others.
    pub(super) fn publish(&mut self) {
        let head = self.next - 1;
        self.status.consumers = (self.consumers.iter())
            .map(|(name, consumer)| ConsumerStatus {
                name: Arc::clone(name),
                required: consumer.required,
                running: consumer.running,
                offset: consumer.places.whole(),
                lag: head.saturating_sub(consumer.places.whole()),
                failing: Vec::new(),
                failing_clients: 0,
                stalled: None,
            })
            .collect();
        self.shared.status.send_modify(|status| status.clone_from(&self.status));
    }
}

/// Returns the offset of each client's last line, reports apart.
fn last_lines(commit: &Commit) -> HashMap<Arc<str>, u64> {
    // The lines of a client stand together: one look at the table for each batch, and not for each line.
    let runs = commit.lines.chunk_by(|a, b| Arc::ptr_eq(&a.client, &b.client));
    let last = runs.filter_map(|run| run.iter().rfind(|line| line.kind == Kind::Line));
    last.map(|line| (Arc::clone(&line.client), line.offset)).collect()
}

fn accept(batches: Vec<Batch>) {
    for batch in batches {
        // A server that stops meanwhile acknowledges nothing: what is committed is known when it comes again.
        let _ = batch.accept();
    }
}

pub(super) fn feed(outbox: &mut Outbox, link: &Connection) {
    if let Err(error) = outbox.feed(link) {
        tracing::error!(id = link.id(), "a line of the log cannot be sent: {error}");
    }
}
