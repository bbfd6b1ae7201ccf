//! Subscribers of a broker that acknowledge whatever comes, and one publisher for all of them: what lines to clients are there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, copy, sink};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

use super::send::until_one_ends;
use super::{Shape, address_of, ready};
use crate::mqtt::{Packets, acknowledge, publish, subscribe};
use crate::pump::Totals;
use crate::wire::{TEXT, Wire};

/// Bytes of a SUBACK.
const SUBACK: usize = 5;

/// Bytes of a PUBACK.
const PUBACK: usize = 4;

/// Words of subscribers that are taken at a time.
const WORDS: usize = 256;

/// Lines that a client has acknowledged, for each of which the publisher sends it another: its number, and how many.
type Credit = (usize, usize);

/// Runs subscribers and the publisher, which is client `clients`. A broker acknowledges what it has put into its queues; so that these do not
/// overflow, the publisher waits for its subscribers and not for the broker.
pub(super) async fn run(
    addresses: &[SocketAddr],
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let Shape { clients, in_flight, .. } = shape;
    let (credit, credits) = unbounded_channel();
    let mut tasks = JoinSet::new();
    for n in 0..clients {
        let mut stream = connect(addresses, n).await?;
        stream.write_all(&subscribe(&topic(n))).await?;
        stream.read_exact(&mut [0; SUBACK]).await?;
        tasks.spawn(answer(stream, n, credit.clone(), Arc::clone(&totals)));
        // An error is impossible: the receiver is here.
        let _ = credit.send((n, in_flight));
    }
    let (mut acks, stream) = connect(addresses, clients).await?.into_split();
    tasks.spawn(async move { copy(&mut acks, &mut sink()).await.map(drop) });
    tasks.spawn(send(stream, clients, credits));
    ready();
    until_one_ends(tasks).await
}

/// Returns the topic of a client. All are of one length.
fn topic(n: usize) -> String {
    format!("down/{n:05}")
}

async fn connect(addresses: &[SocketAddr], n: usize) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address_of(addresses, n)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&Wire::Mqtt.hello(n)).await?;
    // CONNACK.
    stream.read_u32().await?;
    Ok(stream)
}

async fn answer(
    mut stream: TcpStream,
    n: usize,
    credit: UnboundedSender<Credit>,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let mut packets = Packets::new();
    let mut acks = Vec::new();
    while packets.read(&mut stream, |first, body| acknowledge(first, body, &mut acks)).await? {
        if !acks.is_empty() {
            stream.write_all(&acks).await?;
            let lines = acks.len() / PUBACK;
            totals.add(lines);
            // An error: the publisher has ended, and all of this with it.
            let _ = credit.send((n, lines));
            acks.clear();
        }
    }
    Ok(())
}

/// Publishes lines as there is credit for them.
async fn send(
    mut stream: impl AsyncWrite + Unpin,
    clients: usize,
    mut credits: UnboundedReceiver<Credit>,
) -> io::Result<()> {
    let lines: Vec<_> = (0..clients).map(|n| publish(&topic(n), 0, TEXT)).collect();
    // The number of a packet is between its topic and its text.
    let behind = lines.first().map_or(0, Vec::len) - TEXT.len();
    let (mut words, mut out, mut id) = (Vec::new(), Vec::new(), 0u16);
    while credits.recv_many(&mut words, WORDS).await > 0 {
        for (n, count) in words.drain(..) {
            for _ in 0..count {
                id = id.checked_add(1).unwrap_or(1);
                let at = out.len() + behind;
                out.extend(&lines[n]);
                out[at - 2..at].copy_from_slice(&id.to_be_bytes());
            }
        }
        stream.write_all(&out).await?;
        out.clear();
    }
    Ok(())
}
