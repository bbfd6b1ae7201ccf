//! Clients whose server is killed and started again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};

use super::client::{Client, Says};
use super::{Shape, address_of, next_of_each, ready, say_times};
use crate::pump::Totals;

/// Time between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(100);

/// Clients that connect at a time, at first.
const AT_ONCE: usize = 64;

/// Connects clients, and has a line of each acknowledged; says for each, when its next line is acknowledged after the connection
/// has ended, the time since the last mark.
pub(super) async fn run(
    addresses: &[SocketAddr],
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let (says, mut heard) = Says::new();
    for n in 0..shape.clients {
        let (places, totals) = (Arc::clone(&places), Arc::clone(&totals));
        let (says, to) = (says.clone(), address_of(addresses, n));
        tokio::spawn(async move {
            if let Err(error) = client(n, to, shape, &places, &totals, &says).await {
                says.failed(error);
            }
        });
    }
    next_of_each(shape.clients, &mut heard.connected).await?;
    ready();
    let took = next_of_each(shape.clients, &mut heard.back).await?;
    say_times(&took);
    std::future::pending().await
}

async fn client(
    n: usize,
    to: SocketAddr,
    shape: Shape,
    places: &Semaphore,
    totals: &Totals,
    says: &Says<Duration>,
) -> io::Result<()> {
    let connect = || Client::connect(to, shape.wire, n, shape.keepalive);
    let place = places.acquire().await.map_err(io::Error::other)?;
    let mut client = connect().await?;
    client.send(0).await?;
    drop(place);
    says.connected();
    // Until its end, which is an error.
    let Err(ended) = client.keep_alive(std::future::pending()).await else { return Ok(()) };
    let killed = totals.marked.borrow().ok_or(ended)?;
    let mut client = loop {
        let next = Instant::now() + PAUSE;
        let again = async {
            let mut client = connect().await?;
            client.send(1).await?;
            io::Result::Ok(client)
        };
        match again.await {
            Ok(client) => break client,
            Err(_) => sleep_until(next).await,
        }
    };
    says.back(killed.elapsed());
    client.keep_alive(std::future::pending()).await
}
