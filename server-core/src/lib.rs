//! Server library for boards that are linked by pblink or micropython-iot.
//!
//! Each client (a board behind an ESP8266, or a board with WiFi) has a *link*: lines go both ways,
//! exactly once, through outages of WiFi, of the board and of the server. The application reads and
//! writes lines; it need not know when the connection was gone.
//!
//! ```
//! use std::time::Duration;
//! use pblink_server::{Delivery, Server};
//! # use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder()
//!     .port(0) // boards expect 8123, the default
//!     .timeout(Duration::from_secs(2))
//!     .expected(["1", "2"])
//!     .bind()
//!     .await?;
//! # // A board, by hand: its id, and a message with number 00.
//! # let mut board = tokio::net::TcpStream::connect(("127.0.0.1", server.local_addr().port())).await?;
//! # board.write_all(b"1\n00[\"moisture\", 17]\n").await?;
//! # let board = tokio::spawn(async move {
//! #     let (read, mut write) = board.split();
//! #     let mut lines = BufReader::new(read).lines();
//! #     while let Some(line) = lines.next_line().await? {
//! #         if line.len() > 2 { write.write_all(format!("{}\n", &line[..2]).as_bytes()).await?; break }
//! #     }
//! #     std::io::Result::Ok(())
//! # });
//!
//! let board = server.client("1").await;
//! let line = board.read_line().await?;
//! assert_eq!(line, r#"["moisture", 17]"#);
//! // Returns when the board has acknowledged the line.
//! board.write(r#"{"valve": "open"}"#, Delivery::ORDERED).await?;
//! server.shutdown().await;
//! # Ok(())
//! # }
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(example()).unwrap();
//! ```
//!
//! # How it works
//!
//! All rules of the wire are in [`pblink_protocol::tcp::endpoint`]; this crate adds sockets, sessions and
//! events. Each connection has a task of its own, which waits for its socket, its timer, and its
//! session; nothing polls. What a client sends, or fails to send, concerns only its own task.
//!
//! Work for each client starts from [`Server::next_client`], which misses none; [`Server::events`] are
//! for eyes and logs.
//!
//! **Acknowledgements are the credit.** A line is acknowledged when the application has accepted it:
//! [`Connection::read_line`] takes and accepts a line, [`Connection::recv`] lends it until
//! [`Received::accept`], [`Connection::take_batch`] lends all that wait. A client sends only a few
//! lines ahead (ours 64, at most 127), so a slow application slows its clients down, and none of their
//! lines is refused or comes out of order. What was not accepted when this program dies comes again. The
//! socket is always read: acknowledgements for the application's own lines, keepalives and the end of a
//! connection are seen at once, however many lines wait.
//!
//! Everything is bounded: hellos (64 bytes, one time-out or 5 s), lines, lines that are not accepted (255 and
//! 256 KiB for each client, 64 MiB for all), lines in flight (64), clients, connections (also for each address), events (1024). A
//! line that finds the queue full is not acknowledged, so the client repeats it and nothing is lost. A
//! client that does not read is cut.
//!
//! A client that comes back while its old connection is half open takes over when the old one has been
//! silent for half a time-out and it has itself waited a quarter of one. If the old one speaks, the new
//! one is refused. The rule is in [`pblink_protocol::tcp::lobby`]. After a stall of the process, sockets
//! are read before timers count: what has arrived meanwhile is life.
//!
//! # For users of micropython-iot's `server.py`
//!
//! | there | here |
//! |---|---|
//! | `server.run(expected, verbose, port, timeout)` | [`Server::builder`], [`Builder::expected`], [`Builder::port`], [`Builder::timeout`], [`Builder::bind`]; for `verbose` see [`Server::events`] |
//! | `await Connection.client_conn(id)` | [`Server::client`]; [`Server::next_client`] for whoever connects |
//! | `Connection._conns[id]` | [`Server::link`] |
//! | `await Connection.wait_all()` | [`Server::wait_expected`] |
//! | `await Connection.wait_all(peers=…)` | [`Server::wait_all`] |
//! | `Connection.close_all()` | [`Server::shutdown`]; [`Server::close_all`] only cuts the connections |
//! | `await conn` | [`Connection::wait_up`] |
//! | `conn.status()`, `conn()` | [`Connection::is_up`], and in detail [`Connection::status`] |
//! | `conn.nconns` | [`Connection::connects`] |
//! | `await conn.readline()` | [`Connection::read_line`] (without the newline). The client gets its acknowledgement only now: read from every client that sends, or it waits |
//! | `await conn.write(line, qos=True, wait=True)` | [`Connection::write`] with [`Delivery::ORDERED`] |
//! | `await conn.write(line, qos=True, wait=False)` | [`Connection::write`] with [`Delivery::UNORDERED`] |
//! | `await conn.write(line, qos=False)` | [`Connection::write`] with [`Delivery::BestEffort`] |

#![forbid(unsafe_code)]

mod accept;
mod batch;
mod budget;
mod buffers;
mod builder;
mod bus;
mod connection;
mod error;
pub mod event;
mod gate;
mod keys;
mod origin;
mod queue;
mod received;
mod refusals;
mod registry;
mod server;
mod session;
mod socket;
mod sources;
mod standing;
mod state;
mod status;
mod world;

pub use batch::{Batch, BatchLine};
pub use builder::Builder;
pub use bus::{Events, Notice};
pub use connection::Connection;
pub use error::{BindError, Closed, WriteError};
pub use event::{Cause, Event, EventKind, Refusal};
pub use keys::Keys;
pub use origin::Origin;
pub use pblink_protocol::app::happening::RestartCause;
pub use pblink_protocol::delivery::Delivery;
pub use pblink_protocol::layer::Layer;
pub use pblink_protocol::report::Report;
pub use pblink_protocol::tcp::line::{BadId, BadText};
pub use received::Received;
pub use registry::SavedSessions;
pub use server::Server;
pub use socket::open_socket;
pub use state::{BadState, SessionState};
pub use status::{LinkState, LinkStatus};
#[cfg(feature = "simulated")]
pub use world::simulated;

/// The examples of the README, as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
