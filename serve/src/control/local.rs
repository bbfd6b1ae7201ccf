//! Following a server in the same process, as `pblink demo` does.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use pblink_server::LinkStatus;

use super::answers::{LastLine, LinkInfo};
use super::{ConsumerInfo, Filter, Notice, POLL, POLL_SOON, QUEUE, Source, Update, changes_state};
use crate::times::now_ms;

/// Follows `source` until the receiver is dropped: the same updates as a [`super::Client`] gives,
/// without HTTP in between. Must be called within a tokio runtime.
pub fn follow_source(source: Arc<dyn Source>) -> mpsc::Receiver<Update> {
    let (updates, receiver) = mpsc::channel(QUEUE);
    tokio::spawn(async move {
        // An error means that the receiver is gone, which is how this ends.
        let _ = follow(&*source, &updates).await;
    });
    receiver
}

async fn follow(
    source: &dyn Source,
    updates: &mpsc::Sender<Update>,
) -> Result<(), mpsc::error::SendError<Update>> {
    let history = source.history();
    let mut events = history.subscribe();
    let (mut outages, mut reports) = (0, 0);
    let mut poll_at = Instant::now();
    loop {
        tokio::select! {
            () = updates.closed() => return Ok(()),
            () = tokio::time::sleep_until(poll_at) => {
                updates.send(Update::Server(source.info())).await?;
                let links = source.links();
                let last = last_lines(source, &links);
                let ways = links.iter().filter_map(|link| {
                    Some((link.id.clone(), source.gateway_of(link)?))
                });
                let ways = ways.collect();
                updates.send(Update::Links(links)).await?;
                updates.send(Update::Gateways(ways)).await?;
                updates.send(Update::LastLines(last)).await?;
                let consumers = source.log().map(|log| log.status().consumers).unwrap_or_default();
                let consumers = consumers.iter().map(ConsumerInfo::of).collect();
                updates.send(Update::Consumers(consumers)).await?;
                let new = history.outages(Filter { after: outages, ..Filter::default() });
                outages = new.revision;
                if !new.outages.is_empty() {
                    updates.send(Update::Outages(new.outages)).await?;
                }
                let new = history.reports(Filter { after: reports, ..Filter::default() });
                reports = new.revision;
                if !new.reports.is_empty() {
                    updates.send(Update::Reports(new.reports)).await?;
                }
                poll_at = Instant::now() + POLL;
            }
            notice = events.next() => match notice {
                Some(Notice::Event(event)) => {
                    if changes_state(&event.kind) {
                        poll_at = poll_at.min(Instant::now() + POLL_SOON);
                    }
                    updates.send(Update::Event(event)).await?;
                }
                Some(Notice::Lagged(missed)) => updates.send(Update::Missed(missed)).await?,
                None => return Ok(()),
            }
        }
    }
}

fn last_lines(source: &dyn Source, links: &[LinkStatus]) -> Vec<(String, LastLine)> {
    let now_ms = now_ms();
    let of = |link: &LinkStatus| {
        Some((link.id.clone(), LinkInfo::of(link.clone(), source, now_ms).last_line?))
    };
    links.iter().filter_map(of).collect()
}
