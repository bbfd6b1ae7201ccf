//! Changes of a session's keys, and what its machine reports.

use pblink_protocol::secure::frame::{KeyOutcome, Keyed};
use pblink_protocol::secure::server::ServerEvent;
use pblink_protocol::time::Duration;

use super::carrier::Carrier;
use super::{Call, Secure};
use crate::event::{Cause, EventKind};
use crate::keys::Keys;

/// Pause between two events that say that two boards have the same keys.
const RIVAL: Duration = Duration::from_secs(60);

impl Secure {
    /// Takes other keys in place of the old ones. A session under keys that are the same goes on; else the client has to prove
    /// itself anew.
    pub(crate) fn set_keys(&mut self, (keys, old): (&Keys, &Keys), call: &mut Call<'_>) {
        let id = call.id;
        let stays = |generation| keys.has_same(old, id, generation);
        self.fingerprint = keys.fingerprint(id);
        self.proven_keys = self.proven_keys.filter(|&generation| stays(generation));
        let suite = keys.suite(id);
        self.cause = Some(Cause::KeysChanged);
        let goes_on =
            self.with_machine(call, |machine, counter| machine.set_suite(suite, stays, counter));
        self.cause = None;
        if goes_on {
            // The client is to hear of its next keys, or that it needs those before no more.
            self.carriers.iter().for_each(Carrier::look_again);
        } else {
            self.end(Cause::KeysChanged, call);
        }
    }

    /// Returns the generation of the keys that the client was the last to prove.
    pub(crate) const fn proven_keys(&self) -> Option<u32> {
        self.proven_keys
    }

    /// Begins a new epoch, since the machine that this process runs on was set back, and may have used this one already.
    pub(crate) fn renew(&mut self, call: &mut Call<'_>) {
        self.standing.close();
        self.highest_at_start = self.standing.highest;
        self.own = call.shared.epoch();
        self.cause = Some(Cause::KeysChanged);
        self.with_machine(call, |machine, counter| machine.drop_keys(counter));
        self.cause = None;
    }

    /// Takes an event of the machine.
    pub(super) fn on_link(&mut self, event: ServerEvent, call: &mut Call<'_>) {
        let Call { id, shared, now, .. } = *call;
        match event {
            ServerEvent::Up(number) => {
                self.cause = None;
                let carrier = self.carriers.iter_mut().find(|it| it.visitor.number() == number);
                // A proof that came with the end of its connection is none for long.
                let Some(carrier) = carrier else { return };
                carrier.prove();
                self.proven = Some(carrier.peer);
                self.record.on_up(carrier.peer, now, id, shared);
            }
            ServerEvent::Down if self.record.is_up() => {
                let cause = self.cause.take().unwrap_or(Cause::TakenOver);
                self.record.on_down(cause, now, id, shared);
            }
            ServerEvent::Down => {}
            // The other one asks each second.
            ServerEvent::TwoBoards if now < self.rival_until => {}
            ServerEvent::TwoBoards => {
                self.rival_until = now + RIVAL;
                shared.bus.publish(EventKind::TwoBoards { id: id.to_owned() });
            }
            ServerEvent::Proven(generation) => {
                let before = self.proven_keys.replace(generation);
                if before.is_some_and(|before| before != generation) {
                    let text = format!("has proven its keys of generation {generation}");
                    shared.bus.publish(EventKind::Note { id: Some(id.to_owned()), text });
                }
            }
            ServerEvent::Keyed(Keyed { outcome: KeyOutcome::Taken, .. }) => {}
            ServerEvent::Keyed(Keyed { generation, outcome }) => {
                let text = format!(
                    "keeps the keys that it has, and not those of generation {generation}: {outcome}; give it keys by its \
                     cable, with `pblink config push`"
                );
                shared.bus.publish(EventKind::Note { id: Some(id.to_owned()), text });
            }
            ServerEvent::Invalid => {
                let start = "a line of the secure link that cannot be one".to_owned();
                shared.bus.publish(EventKind::InvalidLine { id: id.to_owned(), start });
            }
        }
    }
}
