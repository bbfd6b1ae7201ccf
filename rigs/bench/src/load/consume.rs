//! Consumers of a JetStream stream, each over a connection of its own, and one publisher for all of them: what lines to clients
//! are there.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use pblink_soak::jetstream::{Failure, Jetstream, Messages};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Shape, first_failure, ready, urls};
use crate::pump::Totals;
use crate::wire::TEXT;

/// Runs a consumer for each client, and the publisher, which has `in_flight` lines on the way to each.
pub(super) async fn run(
    addresses: &[SocketAddr],
    stream: &str,
    shape: Shape,
    totals: Arc<Totals>,
) -> io::Result<()> {
    let failed = io::Error::other::<Failure>;
    let Shape { clients, in_flight, .. } = shape;
    let urls = urls(addresses);
    let publisher = Jetstream::connect(&urls).await.map_err(failed)?;
    let mut tasks = JoinSet::new();
    for n in 0..clients {
        let subject = format!("{stream}.{n}");
        let nats = Jetstream::connect(&urls).await.map_err(failed)?;
        let messages = nats.consume(stream, subject.clone(), in_flight).await.map_err(failed)?;
        let credit = Arc::new(Semaphore::new(in_flight));
        tasks.spawn(answer(messages, Arc::clone(&credit), Arc::clone(&totals)));
        tasks.spawn(send(publisher.clone(), subject, credit));
    }
    ready();
    first_failure(tasks).await
}

/// Acknowledges what comes. Each line makes room for another.
async fn answer(
    mut messages: Messages,
    credit: Arc<Semaphore>,
    totals: Arc<Totals>,
) -> Result<Infallible, Failure> {
    loop {
        messages.take().await?;
        totals.add(1);
        credit.add_permits(1);
    }
}

/// Publishes as there is credit, and waits until NATS has what it has sent.
async fn send(
    nats: Jetstream,
    subject: String,
    credit: Arc<Semaphore>,
) -> Result<Infallible, Failure> {
    loop {
        credit.acquire().await?.forget();
        let more = credit.forget_permits(usize::MAX);
        nats.pipeline(std::iter::repeat_n(subject.clone(), 1 + more), TEXT).await?;
    }
}
