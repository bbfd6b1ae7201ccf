//! A passed connection's own protocol: a handshake, and encrypted bytes.
//!
//! Each message is its length in two bytes, big-endian, and as many bytes. The two of the handshake are those of Noise, the first with
//! the [`Introduction`] in it. A message without a text ends a direction, so that an end that someone else makes is seen.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use snow::params::NoiseParams;
use snow::{Builder, HandshakeState, StatelessTransportState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf, split};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Introduction, KEY};

const PATTERN: &str = "Noise_NNpsk0_25519_ChaChaPoly_SHA256";

/// Bound into the handshake: both sides mean this version of the protocol.
const PROLOGUE: &[u8] = b"pblink gateway 1";

/// Limit for each message of the handshake.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes of a message.
const MESSAGE: usize = 64 * 1024 - 1;

/// Bytes of the tag in it.
const TAG: usize = 16;

/// Bytes of a text: small enough that both directions of all questions need little.
const TEXT: usize = 16 * 1024;

/// A connection of which the other end has the key.
#[derive(Debug)]
pub(super) struct Channel {
    stream: TcpStream,
    state: StatelessTransportState,
}

/// Begins a channel to a gateway that leads.
///
/// # Errors
/// If the other end has another key or goes away, or says nothing for five seconds.
pub(super) async fn offer(
    mut stream: TcpStream,
    key: &[u8; KEY],
    introduction: &Introduction,
) -> io::Result<Channel> {
    let mut handshake = builder(key)?.build_initiator().map_err(broken)?;
    let text = serde_json::to_vec(introduction)?;
    let mut message = vec![0; MESSAGE];
    let len = handshake.write_message(&text, &mut message).map_err(broken)?;
    let answer = async {
        send(&mut stream, &message[..len]).await?;
        receive(&mut stream).await
    };
    let answer = timeout(PATIENCE, answer).await??;
    handshake.read_message(&answer, &mut message).map_err(broken)?;
    ready(stream, handshake)
}

/// Takes a channel of a gateway that stands by, and returns it with what that says.
///
/// # Errors
/// If the other end has another key or goes away, or says nothing for five seconds.
pub(super) async fn accept(
    mut stream: TcpStream,
    key: &[u8; KEY],
) -> io::Result<(Channel, Introduction)> {
    let mut handshake = builder(key)?.build_responder().map_err(broken)?;
    let first = timeout(PATIENCE, receive(&mut stream)).await??;
    let mut text = vec![0; MESSAGE];
    let len = handshake.read_message(&first, &mut text).map_err(broken)?;
    let introduction = serde_json::from_slice(&text[..len])?;
    let len = handshake.write_message(&[], &mut text).map_err(broken)?;
    timeout(PATIENCE, send(&mut stream, &text[..len])).await??;
    Ok((ready(stream, handshake)?, introduction))
}

fn builder(key: &[u8; KEY]) -> io::Result<Builder<'_>> {
    let params: NoiseParams = PATTERN.parse().map_err(broken)?;
    Builder::new(params).prologue(PROLOGUE).and_then(|builder| builder.psk(0, key)).map_err(broken)
}

fn ready(stream: TcpStream, handshake: HandshakeState) -> io::Result<Channel> {
    let state = handshake.into_stateless_transport_mode().map_err(broken)?;
    Ok(Channel { stream, state })
}

impl Channel {
    /// Returns the connection: what follows on it goes in clear.
    pub(super) fn into_plain(self) -> TcpStream {
        self.stream
    }

    /// Passes bytes on between `inner` and the other end, until both directions have ended.
    ///
    /// # Errors
    /// If one breaks.
    pub(super) async fn pass(self, inner: impl AsyncRead + AsyncWrite) -> io::Result<()> {
        let state = Arc::new(self.state);
        let (from, to) = split(self.stream);
        let (inside, back) = split(inner);
        tokio::try_join!(encrypt(inside, to, &state), decrypt(from, back, &state)).map(drop)
    }
}

async fn encrypt(
    mut from: ReadHalf<impl AsyncRead>,
    mut to: WriteHalf<TcpStream>,
    state: &StatelessTransportState,
) -> io::Result<()> {
    let (mut text, mut message) = (vec![0; TEXT], vec![0; TEXT + TAG]);
    for nonce in 0.. {
        let read = from.read(&mut text).await?;
        let len = state.write_message(nonce, &text[..read], &mut message).map_err(broken)?;
        send(&mut to, &message[..len]).await?;
        if read == 0 {
            break;
        }
    }
    to.shutdown().await
}

async fn decrypt(
    mut from: ReadHalf<TcpStream>,
    mut to: WriteHalf<impl AsyncWrite>,
    state: &StatelessTransportState,
) -> io::Result<()> {
    let mut text = vec![0; MESSAGE];
    for nonce in 0.. {
        let message = receive(&mut from).await?;
        let len = state.read_message(nonce, &message, &mut text).map_err(broken)?;
        if len == 0 {
            break;
        }
        to.write_all(&text[..len]).await?;
        to.flush().await?;
    }
    to.shutdown().await
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), message: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(2 + message.len());
    bytes.extend(u16::try_from(message.len()).map_err(io::Error::other)?.to_be_bytes());
    bytes.extend(message);
    stream.write_all(&bytes).await
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut message = vec![0; stream.read_u16().await?.into()];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

fn broken(why: snow::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_string())
}
