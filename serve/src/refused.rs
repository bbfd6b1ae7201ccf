//! The last connection of each link's client that was refused, for as long as none was admitted since.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pblink_server::EventKind;

use crate::control::RefusedConnection;

/// See the module's text. Only clients that have a link are in it: their number is bounded, that of strangers is not.
#[derive(Debug, Default)]
pub(crate) struct LastRefused(Mutex<HashMap<String, RefusedConnection>>);

impl LastRefused {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, RefusedConnection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in an event. `is_link`: the server has a link of this client.
    pub(crate) fn on_event(&self, at_ms: u64, event: &EventKind, is_link: impl Fn(&str) -> bool) {
        match event {
            EventKind::Refused { id: Some(id), peer, reason, .. } if is_link(id) => {
                let refused = RefusedConnection::new(*reason, peer.clone(), at_ms);
                self.lock().insert(id.clone(), refused);
            }
            EventKind::Connected { id, .. } | EventKind::OutageEnded { id, .. } => {
                self.lock().remove(id);
            }
            EventKind::Forgotten { .. } => self.lock().retain(|id, _| is_link(id)),
            _ => {}
        }
    }

    /// Returns the last refusal of a client since it was last connected.
    pub(crate) fn get(&self, id: &str) -> Option<RefusedConnection> {
        self.lock().get(id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use pblink_server::Refusal;

    use super::*;

    #[test]
    fn a_refusal_counts_until_the_client_is_admitted_and_strangers_are_not_kept() {
        let refused = LastRefused::default();
        let refuse = |at_ms, id: &str, reason| {
            let (id, peer) = (Some(id.to_owned()), "10.0.0.7:9".to_owned());
            let event = EventKind::Refused { id, peer, reason, times: 1 };
            refused.on_event(at_ms, &event, |id| id != "stranger");
        };
        refuse(1, "a", Refusal::Duplicate);
        refuse(2, "a", Refusal::UnknownId);
        refuse(3, "b", Refusal::UnknownId);
        refuse(4, "stranger", Refusal::UnknownId);
        let last = |id: &str| refused.get(id).map(|last| (last.reason, last.at_ms));
        assert_eq!(last("a"), Some((Refusal::UnknownId, 2)));
        assert_eq!(refused.lock().len(), 2);
        let connected = EventKind::Connected { id: "a".into(), peer: "10.0.0.7:9".into() };
        refused.on_event(5, &connected, |_| true);
        assert_eq!((last("a"), last("b")), (None, Some((Refusal::UnknownId, 3))));
        refused.on_event(6, &EventKind::Forgotten { clients: 1 }, |id| id != "b");
        assert_eq!(refused.lock().len(), 0);
    }
}
