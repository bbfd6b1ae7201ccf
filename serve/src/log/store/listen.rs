//! Words of gateways, heard by one that is none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_nats::{Message, Subscriber};
use futures::StreamExt;
use tokio::time::timeout;

use super::StoreError;
use super::fellows::differ;
use super::record::{Beat, Presence};
use super::standby::PRESENCE;
use super::stream::{About, Stream};
use crate::log::GatewayInfo;

/// Added to the interval at which gateways say that they are there.
const LATE: Duration = Duration::from_secs(1);

/// See [`Store::gateways`](super::Store::gateways).
pub(super) async fn gateways(stream: &Stream) -> Result<Vec<GatewayInfo>, StoreError> {
    let mut leading = stream.hear(About::Leading).await?;
    let mut standing_by = stream.hear(About::StandingBy).await?;
    let mut heard = BTreeMap::new();
    // Two that say that they lead: one does not know yet that it was replaced.
    let mut leads = BTreeMap::new();
    let listening = async {
        loop {
            tokio::select! {
                message = next(&mut leading) => {
                    if let Ok(beat) = serde_json::from_slice::<Beat>(&message.payload) {
                        leads.insert(beat.gateway, (beat.keys, Instant::now()));
                    }
                }
                message = next(&mut standing_by) => {
                    if let Ok(presence) = serde_json::from_slice::<Presence>(&message.payload) {
                        let behind = stream.state().await?.last.saturating_sub(presence.read);
                        heard.insert(presence.gateway, (behind, presence.keys, Instant::now()));
                    }
                }
            }
        }
    };
    if let Ok(Err::<(), StoreError>(why)) = timeout(PRESENCE + LATE, listening).await {
        return Err(why);
    }
    let age = |at: Instant| at.elapsed().as_millis() as u64;
    let of_leader = leads.values().find_map(|(keys, _)| keys.clone());
    let leads = leads.into_iter().map(|(name, (_, at))| GatewayInfo {
        name,
        leads: true,
        behind: 0,
        heard_ms: age(at),
        other_keys: false,
    });
    let others = heard.into_iter().map(|(name, (behind, keys, at))| GatewayInfo {
        name,
        leads: false,
        behind,
        heard_ms: age(at),
        other_keys: differ(of_leader.as_deref(), keys.as_deref()),
    });
    Ok(leads.chain(others).collect())
}

async fn next(heard: &mut Subscriber) -> Message {
    match heard.next().await {
        Some(message) => message,
        // The state that is asked for says why.
        None => std::future::pending().await,
    }
}
