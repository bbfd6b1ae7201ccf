//! Gateways that pass connections on: each takes boards and questions to the control API, whichever leads.
//!
//! A gateway that stands by listens where it would if it led, at a [`Door`]. What comes there goes on to the gateway that leads, which
//! takes it at its [`Entrance`] as if it had come to itself: a board with its own address, a question with the rights that the
//! token *of the gateway that was asked* gives. One hop, and never two: a gateway that does not lead has no open entrance.
//!
//! The leader tells the others its [`Way`](crate::log::store::Way) through the store: an address, and a key that is new each time it begins to lead. The
//! first two messages of a passed connection are a handshake of Noise with that key
//! (`NNpsk0_25519_ChaChaPoly_SHA256`), so that nobody else can speak for a board's address or ask with a gateway's rights.
//! Behind it the bytes of boards go as they came, since the secure link protects its own, and those of the control API are encrypted.

mod channel;
mod door;
mod entrance;

pub use door::Door;
pub use entrance::{Entrance, OpenEntrance};

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::control::{Access, Token};

/// Pause after the system has no descriptor left.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits for the next connection. An error is one connection's, or the system's, which has more later.
async fn next(socket: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match socket.accept().await {
            Ok(accepted) => return accepted,
            Err(error) => {
                tracing::debug!("no connection between gateways: {error}");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Bytes of the key of an entrance.
const KEY: usize = 32;

/// The first message of a passed connection: who it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Introduction {
    /// Name of the gateway that passes it on.
    gateway: String,
    /// Address that it has come from.
    peer: SocketAddr,
    to: To,
}

/// The goal of a passed connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum To {
    /// The server of boards.
    Boards,
    /// The control API, with the rights that it has at the gateway that was asked.
    Control(Rights),
}

/// [`Access`] of another gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Rights {
    token: Option<Word>,
    token_file: Option<PathBuf>,
    hosts: Vec<String>,
    /// Its API listens on that machine only.
    loopback: bool,
}

/// A token on its way between gateways. It is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Word(String);

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Word")
    }
}

impl Rights {
    fn of(access: &Access, loopback: bool) -> Self {
        Self {
            token: access.token.as_ref().map(|token| Word(token.expose().to_owned())),
            token_file: access.token_file.clone(),
            hosts: access.hosts.clone(),
            loopback,
        }
    }

    /// Returns the access and whether it is one of that machine only.
    fn access(&self) -> (Access, bool) {
        let token = self.token.as_ref().and_then(|Word(word)| Token::parse(word).ok());
        let access =
            Access { token, token_file: self.token_file.clone(), hosts: self.hosts.clone() };
        (access, self.loopback)
    }
}
