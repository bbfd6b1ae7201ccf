//! Contents of the next commit, and who is concerned.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use pblink_protocol::MAX_TEXT;
use pblink_protocol::tcp::line::check_text;
use pblink_server::{Batch, Delivery};
use tokio::sync::oneshot;

use super::Writer;
use super::places::Before;
use crate::log::model::{Commit, KeyRow, Kind, Line, OutboxRow};
use crate::log::outbox::Outbox;
use crate::log::{ConsumerError, Outgoing, Progress, SendError, Sent};

/// Requests with a key that are remembered.
const MAX_KEYS: usize = 100_000;

/// The answer to whoever has undetermined lines sent or dropped: their number.
pub(super) type Answer = oneshot::Sender<Result<usize, SendError>>;

/// Whom to answer when the commit is durable.
pub(super) enum Reply {
    Sent {
        client: Arc<str>,
        row: u64,
        repeated: bool,
        to: oneshot::Sender<Result<Sent, SendError>>,
    },
    /// A step with lines, and the consumer's place before it.
    Step {
        consumer: Arc<str>,
        before: Before,
        to: oneshot::Sender<Result<(), SendError>>,
    },
    Progress(oneshot::Sender<Result<(), SendError>>),
    /// A consumer that goes, or has another name.
    Consumer(oneshot::Sender<Result<(), ConsumerError>>),
    /// Lines that were undetermined.
    Released {
        rows: Vec<OutboxRow>,
        to: Answer,
    },
}

/// Contents of the next commit, and who is concerned.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) commit: Commit,
    pub(super) batches: Vec<Batch>,
    pub(super) bytes: usize,
    /// Clients of which rows are added, with their number and bytes.
    pub(super) added: HashMap<Arc<str>, (usize, usize)>,
    pub(super) replies: Vec<Reply>,
    /// Consumers whose places have moved, with the clients whose places did.
    pub(super) moved: BTreeMap<Arc<str>, BTreeSet<Arc<str>>>,
    /// Those who ask whether this server serves its clients still.
    pub(super) confirms: Vec<oneshot::Sender<bool>>,
    /// A cursor or an event waits since then.
    pub(super) since: Option<Instant>,
    /// Someone waits for it.
    pub(super) urgent: bool,
    /// An attempt to commit it has failed, and it may be in the store all the same: nothing of it may be taken out or
    /// changed, since another commit in its place would cover a part of it only.
    pub(super) in_doubt: bool,
}

impl Writer {
    /// Adds a client's lines and session to the commit.
    pub(super) fn add_batch(&mut self, batch: Batch) {
        let at_ms = self.clock.wall_ms();
        let id: Arc<str> = match self.clients.get_key_value(batch.client()) {
            Some((id, _)) => Arc::clone(id),
            None => batch.client().into(),
        };
        let client = self.clients.entry(Arc::clone(&id)).or_default();
        let mut session = client.session.clone();
        let secure = batch.state().is_secure();
        for line in batch.lines() {
            let epoch = client.base.max(1) + u64::from(line.restarts);
            if epoch != session.epoch {
                (session.epoch, session.seq) = (epoch, 0);
            }
            // A secure link has numbers of its own, and lines without one.
            let seq = match (secure, line.origin) {
                (true, None) => 0,
                (true, Some(origin)) => origin.seq,
                (false, _) => session.seq + 1,
            };
            session.seq = session.seq.max(seq);
            let offset = self.next + self.pending.commit.lines.len() as u64;
            if !line.report {
                (session.last_line, session.last_line_ms) = (offset, at_ms);
            }
            self.pending.commit.lines.push(Line {
                offset,
                client: Arc::clone(&id),
                epoch,
                seq,
                at_ms,
                kind: if line.report { Kind::Report } else { Kind::Line },
                written_ms: line.origin.map(|origin| origin.written_ms),
                text: line.text.into(),
            });
        }
        session.state = Some(batch.state().encode());
        if let Some(row) = client.outbox.last_of(batch.done()) {
            self.pending.commit.done.push((Arc::clone(&id), row));
        }
        if let Some(up_to) = batch.undetermined() {
            self.pending.commit.undetermined.push((Arc::clone(&id), up_to));
        }
        self.pending.commit.sessions.push((id, session));
        self.pending.bytes += batch.bytes();
        self.pending.batches.push(batch);
    }

    pub(super) fn on_send(
        &mut self,
        lines: Vec<Outgoing>,
        key: Option<Arc<str>>,
        to: oneshot::Sender<Result<Sent, SendError>>,
    ) {
        let Some(client) = lines.first().map(|line| Arc::clone(&line.client)) else {
            return;
        };
        let digest = digest(&lines);
        if let Some(key) = &key
            && let Some(known) = self.keys.get(&(Arc::clone(&client), Arc::clone(key)))
        {
            if known.digest != 0 && known.digest != digest {
                let (client, key) = (client.to_string(), key.to_string());
                return drop(to.send(Err(SendError::KeyReused { client, key })));
            }
            // Durable, or in the commit that comes next: the answer is given behind it.
            let row = known.row;
            self.pending.replies.push(Reply::Sent { client, row, repeated: true, to });
            self.pending.urgent = true;
            return;
        }
        match self.add_lines(&lines) {
            Ok(row) => {
                if let Some(key) = key
                    && self.keys.len() < MAX_KEYS
                {
                    let known = KeyRow {
                        client: Arc::clone(&client),
                        key,
                        row,
                        at_ms: self.clock.wall_ms(),
                        digest,
                    };
                    self.pending.commit.keys.push(known.clone());
                    self.keys.insert((Arc::clone(&client), Arc::clone(&known.key)), known);
                }
                self.pending.replies.push(Reply::Sent { client, row, repeated: false, to });
                self.pending.urgent = true;
            }
            Err(error) => drop(to.send(Err(error))),
        }
    }

    /// Adds lines to clients to the commit: all, or none. Returns the row of the last.
    pub(super) fn add_lines(&mut self, lines: &[Outgoing]) -> Result<u64, SendError> {
        if self.is_stuck() && !lines.is_empty() {
            return Err(if self.unavailable {
                SendError::Unavailable
            } else {
                SendError::DiskFull
            });
        }
        let mut added: HashMap<Arc<str>, (usize, usize)> = HashMap::new();
        for line in lines {
            check_text(&line.text)?;
            if line.text.len() > MAX_TEXT {
                return Err(SendError::TooLong { len: line.text.len(), max: MAX_TEXT });
            }
            let (count, bytes) = added.entry(Arc::clone(&line.client)).or_default();
            (*count, *bytes) = (*count + 1, *bytes + line.text.len());
        }
        for (id, &(count, bytes)) in &added {
            let (waiting, more) = self.pending.added.get(id).copied().unwrap_or_default();
            let outbox = self.clients.get(id).map(|client| &client.outbox);
            if !outbox.is_none_or(|outbox| outbox.fits(count + waiting, bytes + more)) {
                let waiting = waiting + outbox.map_or(0, Outbox::len);
                return Err(SendError::OutboxFull { client: id.to_string(), waiting });
            }
        }
        let at_ms = self.clock.wall_ms();
        let mut last = 0;
        for line in lines {
            let client = self.clients.entry(Arc::clone(&line.client)).or_default();
            client.session.last_row += 1;
            last = client.session.last_row;
            self.pending.commit.outbox.push(OutboxRow {
                client: Arc::clone(&line.client),
                row: last,
                at_ms,
                text: Arc::clone(&line.text),
                delivery: line.delivery,
            });
        }
        for (id, (count, bytes)) in added {
            let sum = self.pending.added.entry(id).or_default();
            (sum.0, sum.1) = (sum.0 + count, sum.1 + bytes);
        }
        Ok(last)
    }

    pub(super) fn on_progress(
        &mut self,
        progress: Progress,
        reply: Option<oneshot::Sender<Result<(), SendError>>>,
    ) {
        let Progress { consumer: name, offset, clients, outgoing } = progress;
        if let Err(error) = self.add_lines(&outgoing) {
            if let Some(reply) = reply {
                drop(reply.send(Err(error)));
            }
            return;
        }
        let Some(consumer) = self.consumers.get_mut(&name) else { return };
        let moved = self.pending.moved.entry(Arc::clone(&name)).or_default();
        moved.extend(clients.iter().map(|(client, _)| Arc::clone(client)));
        let before = consumer.places.step(offset, clients);
        if let Some(to) = reply {
            self.pending.replies.push(match outgoing.is_empty() {
                true => Reply::Progress(to),
                false => Reply::Step { consumer: name, before, to },
            });
        }
        self.pending.since.get_or_insert_with(Instant::now);
        self.pending.urgent |= !outgoing.is_empty();
        self.accept_consumed();
    }
}

/// Returns a digest of lines and their promises: FNV-1a, 64 bits. Never 0. It is stored: it stays as it is.
fn digest(lines: &[Outgoing]) -> i64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut add = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    };
    for Outgoing { text, delivery, .. } in lines {
        add(&[match delivery {
            Delivery::Guaranteed { ordered: true } => 0,
            Delivery::Guaranteed { ordered: false } => 1,
            Delivery::BestEffort => 2,
        }]);
        add(&(text.len() as u64).to_le_bytes());
        add(text.as_bytes());
    }
    // 0 says that there is none.
    (hash | 1) as i64
}
