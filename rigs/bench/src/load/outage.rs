//! Clients that fall silent without closing their connections, as if a cable was pulled, and come back when the server has seen it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::client::{Client, Says};
use super::{Shape, address_of, next_of_each, ready, say_times};
use crate::pump::Totals;

/// Connects clients, which keep alive until the first mark, and says two times of each: from its last byte until the server has
/// closed its connection, and from the beginning of a new one to the acknowledgement of its next line.
pub(super) async fn run(
    addresses: &[SocketAddr],
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let (says, mut heard) = Says::new();
    for n in 0..shape.clients {
        let totals = Arc::clone(&totals);
        let (says, to) = (says.clone(), address_of(addresses, n));
        tokio::spawn(async move {
            if let Err(error) = client(n, to, shape, &totals, &says).await {
                says.failed(error);
            }
        });
    }
    next_of_each(shape.clients, &mut heard.connected).await?;
    ready();
    let (seen, back): (Vec<_>, Vec<_>) =
        next_of_each(shape.clients, &mut heard.back).await?.into_iter().unzip();
    say_times(&seen);
    say_times(&back);
    std::future::pending().await
}

async fn client(
    n: usize,
    to: SocketAddr,
    shape: Shape,
    totals: &Totals,
    says: &Says<(Duration, Duration)>,
) -> io::Result<()> {
    let connect = || Client::connect(to, shape.wire, n, shape.keepalive);
    let mut marks = totals.marked.subscribe();
    let mut client = connect().await?;
    client.send(0).await?;
    says.connected();
    // An error is impossible: `totals` holds the sender.
    client.keep_alive(async { drop(marks.wait_for(Option::is_some).await) }).await?;
    client.hear_end().await;
    let (seen, began) = (client.spoke.elapsed(), Instant::now());
    let mut client = connect().await?;
    client.send(1).await?;
    says.back((seen, began.elapsed()));
    client.keep_alive(std::future::pending()).await
}
