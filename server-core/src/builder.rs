//! The settings of a server.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use pblink_protocol::config::DEFAULT_PORT;
use pblink_protocol::tcp::endpoint::Timing;
use pblink_protocol::tcp::line::check_id;
use pblink_protocol::{MAX_TEXT, time};
use tokio::net::TcpListener;

use crate::error::BindError;
use crate::gate::Gate;
use crate::keys::Keys;
use crate::registry::{Guests, SavedSessions, Setup};
use crate::server::Server;
use crate::session::Limits;
use crate::socket::{NO_IPV6, adopt, listen};
use crate::state::SessionState;

/// Sets up a server: see [`Server::builder`].
#[derive(Debug)]
#[must_use = "nothing listens before bind()"]
pub struct Builder {
    address: Option<SocketAddr>,
    port: u16,
    listener: Option<std::net::TcpListener>,
    timeout: Duration,
    expected: Option<BTreeSet<String>>,
    allow_unknown: bool,
    max_line: usize,
    max_written_line: usize,
    queue: (usize, usize),
    queue_total: usize,
    hold_reports: bool,
    commits: bool,
    max_clients: usize,
    max_connections: usize,
    max_pending: usize,
    max_per_address: usize,
    keys: Option<Keys>,
    gate: Option<Gate>,
    restore: SavedSessions,
    states: Vec<(String, SessionState)>,
}

impl Server {
    /// Starts to set up a server.
    pub fn builder() -> Builder {
        Builder::new()
    }
}

impl Builder {
    fn new() -> Self {
        Self {
            address: None,
            port: DEFAULT_PORT,
            listener: None,
            timeout: Duration::from_millis(2000),
            expected: None,
            allow_unknown: false,
            max_line: 64 * 1024,
            max_written_line: MAX_TEXT,
            queue: (255, 256 * 1024),
            queue_total: 64 * 1024 * 1024,
            hold_reports: false,
            commits: false,
            max_clients: 32 * 1024,
            max_connections: 32 * 1024,
            max_pending: 1024,
            max_per_address: 16 * 1024,
            keys: None,
            gate: None,
            restore: SavedSessions::default(),
            states: Vec::new(),
        }
    }

    /// Listens on this address only. Default: all addresses of this machine, IPv6 and IPv4. An
    /// unspecified IPv6 address (`[::]`) takes IPv4 as well.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Listens on this port of all addresses. Default 8123; 0 lets the system choose.
    pub fn port(mut self, port: u16) -> Self {
        self.address = None;
        self.port = port;
        self
    }

    /// Listens on this socket, whatever address was given: one that is bound and listens already, such as one that a service
    /// manager has opened. Clients that connect while the server starts anew wait in it.
    pub fn listener(mut self, listener: std::net::TcpListener) -> Self {
        self.listener = Some(listener);
        self
    }

    /// Sets the time without data after which a link counts as down. Must be the same at the
    /// boards. Default 2 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the ids of the clients. Others are refused, unless
    /// [`allow_unknown`](Self::allow_unknown) says otherwise. Default: any client may connect.
    pub fn expected<I>(mut self, ids: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        (self.expected.get_or_insert_default()).extend(ids.into_iter().map(Into::into));
        self
    }

    /// Lets clients connect that are not [`expected`](Self::expected).
    pub fn allow_unknown(mut self, allow: bool) -> Self {
        self.allow_unknown = allow;
        self
    }

    /// Sets the longest line that a client may send, in bytes with its two digits. Longer: the
    /// connection is cut. Default 64 KiB.
    pub fn max_line(mut self, bytes: usize) -> Self {
        self.max_line = bytes;
        self
    }

    /// Sets the longest line that [`Connection::write`](crate::Connection::write) takes, in bytes.
    /// Default 1024, which is what a board behind an ESP8266 takes.
    pub fn max_written_line(mut self, bytes: usize) -> Self {
        self.max_written_line = bytes;
        self
    }

    /// Sets the lines that the server keeps for each client until they are accepted: how many, and
    /// how many bytes of memory (each line counts for 32 bytes beside its text). Default 255 lines,
    /// 256 KiB: more than a client may send before it is acknowledged, if its lines are no longer
    /// than 1 KiB.
    ///
    /// A line beyond that is dropped without an acknowledgement, so that the client repeats it. A queue
    /// that is empty takes a line of any length.
    pub fn queue(mut self, lines: usize, bytes: usize) -> Self {
        self.queue = (lines, bytes);
        self
    }

    /// Sets the bytes of memory that the [queues](Self::queue) of all clients may need together.
    /// Beyond that only empty queues take a line. Default 64 MiB.
    pub fn queue_total(mut self, bytes: usize) -> Self {
        self.queue_total = bytes;
        self
    }

    /// Hands reports of ESP8266s out like lines, in their order, and acknowledges them when they are
    /// accepted: for owners that store which messages they have received. Default false: reports are
    /// taken out of the stream, become [events](crate::EventKind::Report), and are acknowledged at once.
    /// [`Connection::read_line`](crate::Connection::read_line) passes over them in any case.
    pub fn hold_reports(mut self, hold: bool) -> Self {
        self.hold_reports = hold;
        self
    }

    /// Makes the application an owner that commits: it keeps lines from and to its clients in a store, and
    /// takes what is to be stored from [`Server::next_batch`]. Default false.
    ///
    /// Reports are [held](Self::hold_reports) then. A line to a client stays in its session, unacknowledged in
    /// every respect, until the owner has committed that it is [done](crate::Batch::done); lines are written by
    /// [`Connection::post`](crate::Connection::post), in the order of the store. Best-effort lines are
    /// repeated like others, since a store cannot know that one was sent. A shutdown waits for no
    /// acknowledgement of a client. After it, or a crash, the next server is built from the store by
    /// [`restore_states`](Self::restore_states), and not by [`restore`](Self::restore).
    pub fn commits(mut self, commits: bool) -> Self {
        self.commits = commits;
        self
    }

    /// Sets a question that is asked for each connection once its client has said who it is. Nothing is said to the client before
    /// the answer, and where that is false, the connection is closed. For servers that share their clients with others: one
    /// that does not know yet that another has taken its place knows old sessions, by which it would acknowledge new lines.
    /// Default: none.
    pub fn gate<F>(mut self, ask: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = bool> + Send + 'static,
    {
        self.gate = Some(Gate::new(ask));
        self
    }

    /// Sets the number of clients that the server knows at a time. When a new one comes and there is no room, those are
    /// forgotten that are neither [expected](Self::expected) nor asked for by the application, are not
    /// connected, and of which all lines were read; those that went first, first. Their links are
    /// [`Closed`](crate::Closed) then. If there are none, the new one is refused. Default 32 768.
    pub fn max_clients(mut self, n: usize) -> Self {
        self.max_clients = n;
        self
    }

    /// Sets the number of connections at a time, those without a hello included. Default 32 768.
    pub fn max_connections(mut self, n: usize) -> Self {
        self.max_connections = n;
        self
    }

    /// Sets the number of connections of one address that may be without a session at a time: before their hello, or
    /// waiting for an older connection with their id. Default 1024.
    ///
    /// An address is an IPv4 address, or the first 64 bits of an IPv6 address.
    pub fn max_pending(mut self, n: usize) -> Self {
        self.max_pending = n;
        self
    }

    /// Sets the number of connections that one address may have at a time, in all. Default 16 384. Boards behind a
    /// router that translates addresses have one together.
    pub fn max_per_address(mut self, n: usize) -> Self {
        self.max_per_address = n;
        self
    }

    /// Sets the keys of boards: from here on each id needs one, or has to be [listed](Keys::classic) as one that may do without.
    /// Default: there are no keys, and anyone who knows an id is its board.
    ///
    /// Lines of a board with keys have an [origin](crate::BatchLine::origin). A line to it is acknowledged by its
    /// program, not by its ESP8266.
    pub fn keys(mut self, keys: Keys) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Continues the sessions of a server that was shut down in this process: nothing is lost or
    /// duplicated. The time-out and `max_line` must be as they were.
    pub fn restore(mut self, saved: SavedSessions) -> Self {
        self.restore = saved;
        self
    }

    /// Goes on with sessions from a store: see [`Batch::state`](crate::Batch::state). Their clients are
    /// handed out by [`Server::next_client`] at once. Lines to them that were not done have to be
    /// [in them](SessionState::owe); what follows those has to be written again, in its order, before anything else is.
    /// A session that is also [restored](Self::restore) is taken from there.
    pub fn restore_states<I>(mut self, states: I) -> Self
    where
        I: IntoIterator<Item = (String, SessionState)>,
    {
        self.states.extend(states);
        self
    }

    /// Starts the server. Must be called within a tokio runtime, on which the server then runs.
    ///
    /// # Errors
    /// If a value is out of range, or the address cannot be listened on.
    pub async fn bind(mut self) -> Result<Server, BindError> {
        let setup = self.check()?;
        let listener = match self.listener.take() {
            Some(listener) => adopt(listener)?,
            None => self.open()?,
        };
        Ok(Server::start(listener, setup, self.restore, self.states))
    }

    fn check(&self) -> Result<Setup, BindError> {
        let restored = self.states.iter().map(|(id, _)| id);
        let keyed = self.keys.iter().flat_map(Keys::ids);
        for id in self.expected.iter().flatten().chain(restored).chain(keyed) {
            check_id(id).map_err(|why| BindError::BadId { id: id.clone(), why })?;
        }
        if !(Duration::from_millis(50)..=Duration::from_secs(3600)).contains(&self.timeout) {
            return Err(BindError::Timeout(self.timeout));
        }
        for (value, name) in [
            (self.max_line, "max_line"),
            (self.max_written_line, "max_written_line"),
            (self.queue.0, "the number of queued lines"),
            (self.queue.1, "the number of queued bytes"),
            (self.queue_total >> 12, "a 4096th of queue_total"),
            (self.max_clients, "max_clients"),
            (self.max_connections, "max_connections"),
            (self.max_pending, "max_pending"),
            (self.max_per_address, "max_per_address"),
        ] {
            if !(1..=1 << 24).contains(&value) {
                return Err(BindError::Limit(name));
            }
        }
        let timeout = time::Duration::from_micros(self.timeout.as_micros() as u64);
        let limits = Limits {
            timing: Timing::new(timeout),
            max_line: self.max_line,
            max_written: self.max_written_line,
            queue_lines: self.queue.0,
            queue_bytes: self.queue.1,
            queue_total: self.queue_total,
            hold_reports: self.hold_reports || self.commits,
            commits: self.commits,
            max_clients: self.max_clients,
        };
        if self.commits && !self.restore.is_empty() || !self.restore.fits(&limits) {
            return Err(BindError::Restore);
        }
        Ok(Setup {
            limits,
            guests: Guests {
                expected: self.expected.clone().unwrap_or_default(),
                allow_unknown: self.allow_unknown || self.expected.is_none(),
            },
            keys: self.keys.clone(),
            gate: self.gate.clone(),
            max_connections: self.max_connections,
            max_pending: self.max_pending,
            max_per_address: self.max_per_address,
        })
    }

    fn open(&self) -> Result<TcpListener, BindError> {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, self.port));
        let address = self.address.unwrap_or(any);
        let result = listen(address).or_else(|error| match error.kind() {
            // A machine without IPv6. Any other error (the port is taken) would be the same again.
            io::ErrorKind::Unsupported | io::ErrorKind::AddrNotAvailable
                if self.address.is_none() =>
            {
                listen((Ipv4Addr::UNSPECIFIED, self.port).into())
            }
            _ if self.address.is_none() && error.raw_os_error() == Some(NO_IPV6) => {
                listen((Ipv4Addr::UNSPECIFIED, self.port).into())
            }
            _ => Err(error),
        });
        result.map_err(|source| BindError::Listen { address, source })
    }
}
