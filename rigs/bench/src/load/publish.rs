//! No clients at all: the same lines, published to JetStream one by one, each when the one before is stored.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use pblink_soak::jetstream::{Failure, Jetstream};
use tokio::task::JoinSet;

use super::{Shape, first_failure, ready, urls};
use crate::pump::Totals;
use crate::wire::TEXT;

/// Publishes with as many messages under way as the clients of another server have lines in flight, each to the subject of its
/// client.
pub(super) async fn run(
    addresses: &[SocketAddr],
    stream: &str,
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let Shape { clients, in_flight, .. } = shape;
    let nats = Jetstream::connect(&urls(addresses)).await.map_err(io::Error::other)?;
    let mut tasks = JoinSet::new();
    for n in 0..clients * in_flight {
        let subject = format!("{stream}.{}", n % clients);
        tasks.spawn(publish(nats.clone(), subject, Arc::clone(&totals)));
    }
    ready();
    first_failure(tasks).await
}

async fn publish(
    nats: Jetstream,
    subject: String,
    totals: Arc<Totals>,
) -> Result<Infallible, Failure> {
    loop {
        let began = Instant::now();
        nats.publish(subject.clone(), TEXT).await?;
        totals.add(1);
        totals.took(began, 1);
    }
}
