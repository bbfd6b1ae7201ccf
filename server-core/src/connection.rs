//! A link in the hands of an application: a handle to read, write and look.

use std::pin::pin;
use std::sync::Arc;

use pblink_protocol::delivery::Delivery;
use pblink_protocol::tcp::line::check_text;
use tokio::sync::TryAcquireError;

use crate::batch::Batch;
use crate::error::{Closed, WriteError};
use crate::event::Cause;
use crate::received::Received;
use crate::session::{Record, Session, Written};
use crate::status::LinkStatus;

/// The link to one client. It outlives outages: reading and writing simply wait until the client is
/// back. Clones are handles to the same link.
#[derive(Debug, Clone)]
pub struct Connection(pub(crate) Arc<Session>);

impl Connection {
    /// Returns the client's id.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Waits for a line and lends it to the application: the client gets its acknowledgement only when
    /// it is [accepted](Received::accept), so that nothing is lost if this program dies before. During an
    /// outage it keeps waiting.
    ///
    /// Dropping the future loses no line. Several tasks may read; each line goes to one of them.
    ///
    /// # Errors
    /// [`Closed`] once the server is being shut down.
    pub async fn recv(&self) -> Result<Received, Closed> {
        let session = &self.0;
        let lent = self.next(|| session.try_lend()).await?;
        Ok(Received::new(Arc::clone(session), lent))
    }

    /// Lends all waiting lines at once: for an owner that stores many in one go. `None`: none is waiting,
    /// or the application has lines of this client that it has neither accepted nor given back.
    /// While a batch is out, [`recv`](Self::recv) and [`read_line`](Self::read_line) wait.
    ///
    /// # Errors
    /// [`Closed`] once the server is being shut down.
    pub fn take_batch(&self) -> Result<Option<Batch>, Closed> {
        let content = self.0.take_batch()?;
        Ok(content.map(|content| Batch::new(Arc::clone(&self.0), content)))
    }

    /// Waits until a batch can be taken, and [takes](Self::take_batch) it.
    ///
    /// # Errors
    /// [`Closed`] once the server is being shut down.
    pub async fn next_batch(&self) -> Result<Batch, Closed> {
        self.next(|| self.take_batch()).await
    }

    /// Waits until `take` gives something.
    async fn next<R>(
        &self,
        mut take: impl FnMut() -> Result<Option<R>, Closed>,
    ) -> Result<R, Closed> {
        let session = &*self.0;
        if let Some(taken) = take()? {
            return Ok(taken);
        }
        loop {
            let mut arrived = pin!(session.lines.notified());
            // The end wakes only those who are on the list.
            arrived.as_mut().enable();
            if let Some(taken) = take()? {
                // Several lines may have come with one call.
                session.pass_on();
                return Ok(taken);
            }
            arrived.await;
        }
    }

    /// Waits for a line, accepts it, and returns it without its newline: [`recv`](Self::recv) and
    /// [`accept`](Received::accept) in one. During an outage it keeps waiting.
    ///
    /// Dropping the future loses no line. Several tasks may read; each line goes to one of them.
    ///
    /// # Errors
    /// [`Closed`] once the server is being shut down.
    pub async fn read_line(&self) -> Result<String, Closed> {
        let mut line = String::new();
        self.read_line_into(&mut line).await?;
        Ok(line)
    }

    /// Reads like [`read_line`](Self::read_line), but into a string of the caller, whose contents
    /// are replaced. Nothing is allocated as long as its capacity suffices.
    ///
    /// # Errors
    /// [`Closed`] once the server is being shut down.
    pub async fn read_line_into(&self, line: &mut String) -> Result<(), Closed> {
        self.next(|| Ok(self.0.try_read(line)?.then_some(()))).await
    }

    /// Writes a line. It may end with a newline; the client gets it without.
    ///
    /// - [`Delivery::Guaranteed`]: returns when the client has acknowledged the line, however long
    ///   the outages until then.
    /// - [`Delivery::BestEffort`]: returns when the line was handed to the socket; during an outage
    ///   it waits for the end of it. The first line of a session is guaranteed whatever was asked for.
    ///
    /// At most 64 lines of a link are waiting or unacknowledged; further calls wait for their turn, in
    /// order.
    ///
    /// Dropping the future takes the line back if no byte of it was sent yet. Otherwise the line goes
    /// its way, since the client may have it already.
    ///
    /// # Errors
    /// If the text cannot be a line, is too long, or the server was shut down.
    pub async fn write(&self, line: &str, delivery: Delivery) -> Result<(), WriteError> {
        let session = &*self.0;
        let text = self.check(line)?;
        if delivery == Delivery::BestEffort && session.is_secure() {
            return self.write_once(text).await;
        }
        let place = session.room.acquire().await;
        // The session gives the place back when the line has left its queue.
        place.map_err(|_| WriteError::Closed)?.forget();
        let Some(ticket) = session.submit(text, delivery)? else {
            return Ok(());
        };
        let best_effort = delivery == Delivery::BestEffort;
        let mut pending = Pending { session, ticket, done: false };
        let result = std::future::poll_fn(|cx| session.poll_done(ticket, best_effort, cx)).await;
        pending.done = true;
        result
    }

    /// Writes a line that may be lost over a secure link.
    async fn write_once(&self, text: &str) -> Result<(), WriteError> {
        loop {
            let changed = self.0.changed.notified();
            if self.0.send_once(text)? {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Puts a line behind those to be sent, without waiting for anything: for an owner that has it in
    /// its store, and learns from [`Batch::done`] that the client has it.
    ///
    /// # Errors
    /// [`WriteError::Full`] if 64 lines of this link are waiting or unacknowledged (with
    /// [`Builder::commits`](crate::Builder::commits): or not committed as done); if the text cannot be a line
    /// or is too long; or if the server was shut down.
    pub fn post(&self, line: &str, delivery: Delivery) -> Result<(), WriteError> {
        self.put(None, line, delivery)
    }

    /// Does the same for a line that has this number in the owner's store: the secure link names it by that. Numbers grow, and none
    /// is given twice.
    ///
    /// # Errors
    /// See [`post`](Self::post).
    pub fn post_row(&self, row: u64, line: &str, delivery: Delivery) -> Result<(), WriteError> {
        self.put(Some(row), line, delivery)
    }

    fn put(&self, row: Option<u64>, line: &str, delivery: Delivery) -> Result<(), WriteError> {
        let session = &*self.0;
        let text = self.check(line)?;
        match session.room.try_acquire() {
            // The session gives the place back when the line has left its queue.
            Ok(place) => place.forget(),
            Err(TryAcquireError::NoPermits) => return Err(WriteError::Full),
            Err(TryAcquireError::Closed) => return Err(WriteError::Closed),
        }
        session.post(row, text, delivery)
    }

    /// Returns a number that tells this link from all others of the process, those that the same client had before
    /// included: for an owner that wants to know whether what it has posted went to this one.
    pub fn serial(&self) -> u64 {
        self.0.serial
    }

    /// Checks that a text can be sent as a line, and returns it without a newline at its end.
    fn check<'a>(&self, line: &'a str) -> Result<&'a str, WriteError> {
        let text = check_text(line)?;
        let (len, max) = (text.len(), self.0.shared.limits.max_written);
        if len > max { Err(WriteError::TooLong { len, max }) } else { Ok(text) }
    }

    /// Returns all that is known of the link at this moment.
    pub fn status(&self) -> LinkStatus {
        self.0.status()
    }

    /// Returns true if the client is connected, as far as the server knows.
    pub fn is_up(&self) -> bool {
        self.0.look(Record::is_up).unwrap_or(false)
    }

    /// Returns the number of connections of the client so far.
    pub fn connects(&self) -> u64 {
        self.status().connects
    }

    /// Waits until the client is connected; returns at once if it is.
    ///
    /// # Errors
    /// [`Closed`] once the server was shut down.
    pub async fn wait_up(&self) -> Result<(), Closed> {
        self.0.wait_until(Record::is_up).await
    }

    /// Waits until the present TCP connection is closed, whoever closes it, and returns why. Returns
    /// at once during an outage, and waits for the first connection to end if there was none yet.
    pub async fn closed(&self) -> Cause {
        let cause = std::sync::OnceLock::new();
        let closed = |record: &Record| {
            record.down_cause().is_some_and(|why| {
                cause.get_or_init(|| why);
                true
            })
        };
        match self.0.wait_until(closed).await {
            Ok(()) => cause.into_inner().unwrap_or(Cause::Shutdown),
            Err(Closed) => Cause::Shutdown,
        }
    }

    /// Closes the present TCP connection. The client may connect again, and then the link continues as
    /// after any outage: nothing is lost.
    pub fn close(&self) {
        self.0.end(Cause::ClosedByApplication);
    }
}

/// Takes a line back whose writer has gone away.
struct Pending<'a> {
    session: &'a Session,
    ticket: Written,
    done: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.done {
            self.session.cancel(self.ticket);
        }
    }
}
