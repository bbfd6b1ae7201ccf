//! Clients that fall silent without closing their connections, as if a cable was pulled, and come back when the server has seen it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::client::Client;
use super::{Shape, address_of, next_of_each, ready, say_times};
use crate::pump::Totals;

/// Connects clients, which keep alive until the first mark, and says two times of each: from its last byte until the server has
/// closed its connection, and from the beginning of a new one to the acknowledgement of its next line.
pub(super) async fn run(
    addresses: &[SocketAddr],
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let (connected, mut all) = unbounded_channel();
    let (back, mut again) = unbounded_channel();
    for n in 0..shape.clients {
        let totals = Arc::clone(&totals);
        let (connected, back) = (connected.clone(), back.clone());
        let to = address_of(addresses, n);
        tokio::spawn(async move {
            if let Err(error) = client(n, to, shape, &totals, (&connected, &back)).await {
                // The receiver is gone once all are back, and the server ends.
                let _ = connected.send(Err(io::Error::other(error.to_string())));
                let _ = back.send(Err(error));
            }
        });
    }
    next_of_each(shape.clients, &mut all).await?;
    ready();
    let (seen, back): (Vec<_>, Vec<_>) =
        next_of_each(shape.clients, &mut again).await?.into_iter().unzip();
    say_times(&seen);
    say_times(&back);
    std::future::pending().await
}

type Says<T> = UnboundedSender<io::Result<T>>;

async fn client(
    n: usize,
    to: SocketAddr,
    shape: Shape,
    totals: &Totals,
    (connected, back): (&Says<()>, &Says<(Duration, Duration)>),
) -> io::Result<()> {
    let connect = || Client::connect(to, shape.wire, n, shape.keepalive);
    let mut marks = totals.marked.subscribe();
    let mut client = connect().await?;
    client.send(0).await?;
    let _ = connected.send(Ok(()));
    // An error is impossible: `totals` holds the sender.
    client.keep_alive(async { drop(marks.wait_for(Option::is_some).await) }).await?;
    client.hear_end().await;
    let (seen, began) = (client.spoke.elapsed(), Instant::now());
    let mut client = connect().await?;
    client.send(1).await?;
    let _ = back.send(Ok((seen, began.elapsed())));
    client.keep_alive(std::future::pending()).await
}
