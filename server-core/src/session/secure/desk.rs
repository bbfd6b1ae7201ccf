//! The session as its machine sees it.

use pblink_protocol::app::happening::Happening;
use pblink_protocol::layer::Layer;
use pblink_protocol::secure::frame::Resume;
use pblink_protocol::secure::server::{self, Desk, ServerEvent};

use super::super::side::Side;
use super::super::texts::Tag;
use super::{Call, Received, Wishes};
use crate::event::EventKind;
use crate::standing::Standing;
use crate::world::wall_ms;

/// Takes what the machine finds in packets, and notes what it wants.
pub(super) struct Counter<'a> {
    side: &'a mut Side<Received, u64>,
    standing: &'a mut Standing,
    wishes: &'a mut Wishes,
    lines_in: &'a mut u64,
    id: &'a str,
    shared: &'a super::Shared,
}

/// The parts of a session that it works on.
type Parts<'a> = (&'a mut Side<Received, u64>, &'a mut Standing, &'a mut Wishes, &'a mut u64);

impl<'a> Counter<'a> {
    pub(super) fn new((side, standing, wishes, lines_in): Parts<'a>, call: &Call<'a>) -> Self {
        Self { side, standing, wishes, lines_in, id: call.id, shared: call.shared }
    }

    fn push(&mut self, text: &str, from: Received) {
        let tag = Tag { report: false, restarts: self.side.restarts };
        self.side.busy = true;
        self.side.delivered = true;
        self.side.inbox.push(text, from, tag);
        *self.lines_in += 1;
    }
}

impl Desk for Counter<'_> {
    fn deliver(&mut self, line: server::Received<'_>) -> bool {
        let server::Received { epoch, seq, age_ms, text } = line;
        if !self.side.has_room(text, self.id, self.shared) {
            return false;
        }
        self.push(text, Received { epoch, seq, written_ms: wall_ms().saturating_sub(age_ms) });
        self.standing.received = seq;
        true
    }

    fn resolve(&mut self, resume: Resume) {
        self.wishes.resume = Some(resume);
    }

    fn done(&mut self, number: u64) {
        self.wishes.done = self.wishes.done.max(number);
    }

    fn datagram(&mut self, text: &str) {
        let Some(epoch) = self.standing.board else { return };
        // Nobody repeats it.
        if self.side.has_room(text, self.id, self.shared) {
            self.push(text, Received { epoch, seq: 0, written_ms: wall_ms() });
        }
    }

    fn board_event(&mut self, kind: u8, bytes: &[u8]) {
        match Happening::decode(kind, bytes) {
            Some(Happening::Report(report)) => {
                self.side.reported(report, self.id, self.shared);
            }
            Some(Happening::Reset(cause)) => self.shared.bus.publish(EventKind::Board {
                id: self.id.to_owned(),
                layer: Layer::Coprocessor,
                up: true,
                detail: format!("the board has reset its ESP8266: {cause}"),
            }),
            Some(Happening::Restart(cause)) => {
                let id = self.id.to_owned();
                self.shared.bus.publish(EventKind::BoardRestarted { id, cause });
            }
            // Of a newer board.
            None => {}
        }
    }

    fn event(&mut self, event: ServerEvent) {
        self.wishes.link.push(event);
    }
}
