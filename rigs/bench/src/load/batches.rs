//! No clients at all: the same lines, published to JetStream in atomic batches by one program, as fast as it can.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use pblink_soak::jetstream::{BATCH, Failure, Jetstream};
use tokio::task::JoinSet;

use super::{Shape, first_failure, ready, urls};
use crate::pump::Totals;
use crate::wire::TEXT;

/// Publishes with as many lines under way as the clients of another server have in flight: so many batches at a time.
pub(super) async fn run(
    addresses: &[SocketAddr],
    stream: &str,
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let Shape { clients, in_flight, .. } = shape;
    let nats = Jetstream::connect(&urls(addresses)).await.map_err(io::Error::other)?;
    let at_once = (clients * in_flight / BATCH as usize).max(1);
    let mut tasks = JoinSet::new();
    for _ in 0..at_once {
        let (nats, totals, stream) = (nats.clone(), Arc::clone(&totals), stream.to_owned());
        tasks.spawn(publish(nats, stream, clients, totals));
    }
    ready();
    first_failure(tasks).await
}

async fn publish(
    nats: Jetstream,
    stream: String,
    clients: usize,
    totals: Arc<Totals>,
) -> Result<Infallible, Failure> {
    loop {
        let subjects = (0..BATCH as usize).map(|n| format!("{stream}.{}", n % clients));
        let began = Instant::now();
        nats.batch(subjects, TEXT).await?;
        totals.add(BATCH as usize);
        totals.took(began, BATCH as usize);
    }
}
