//! Where a board and its server stand: what a store keeps of a secure link, beside lines.

use pblink_protocol::secure::frame::{Epoch, Resume};
use pblink_protocol::secure::server::{Book, Known, Resolution};

/// Epochs of this server's processes that a board may come with: it has the newest one that it was told. It was told none of
/// those in between if they ended before it heard their answer.
const EPOCHS: usize = 64;

/// Bytes of an encoded epoch: itself, what is known of it, a number.
const EPOCH: usize = 17;
const HEAD: usize = 16;

/// See the module's text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    /// The board's epoch; `None`: it has never been here.
    pub(crate) board: Option<Epoch>,
    /// The last line of that epoch that is kept.
    pub(crate) received: u64,
    /// The greatest number that a line to the board was ever given. It is not part of the bytes: the owner has it.
    pub(crate) highest: u64,
    /// The epochs that the board was told, the newest last.
    epochs: Vec<(Epoch, Known)>,
}

impl Standing {
    /// Returns what [`resolve`](pblink_protocol::secure::server::resolve()) wants to know.
    pub(crate) fn book(
        &self,
        resume: &Resume,
        own: Epoch,
        (highest_at_start, mark): (u64, u64),
    ) -> Book {
        let view =
            resume.peer.and_then(|view| self.epochs.iter().find(|(known, _)| *known == view));
        Book {
            own,
            board: self.board,
            last_received: self.received,
            view: view.map_or(Known::Never, |(_, known)| *known),
            highest: self.highest,
            highest_at_start,
            mark,
        }
    }

    /// Takes over what was resolved for a board that came with this view.
    pub(crate) fn resolve(&mut self, view: Option<Epoch>, own: Epoch, resolution: &Resolution) {
        // The commit may have lasted, and lines of the same board may have come meanwhile under keys of before.
        let known = if self.board == Some(resolution.board) { self.received } else { 0 };
        self.board = Some(resolution.board);
        self.received = known.max(resolution.received);
        // It will not come with an older one again.
        if let Some(at) = self.epochs.iter().position(|(known, _)| Some(*known) == view) {
            self.epochs.drain(..at);
        }
        if let Some((foreign, cut)) = resolution.foreign {
            self.epochs.retain(|(known, _)| *known != foreign);
            self.epochs.insert(0, (foreign, Known::Foreign(cut)));
        }
        if !self.epochs.iter().any(|(known, _)| *known == own) {
            self.epochs.push((own, Known::Open));
        }
        let excess = self.epochs.len().saturating_sub(EPOCHS);
        self.epochs.drain(..excess);
    }

    /// Closes the epochs of processes that have ended, before any line gets another number.
    pub(crate) fn close(&mut self) {
        for (_, known) in &mut self.epochs {
            if *known == Known::Open {
                *known = Known::Closed(self.highest);
            }
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.board.map_or(0, Epoch::get).to_le_bytes());
        out.extend(self.received.to_le_bytes());
        for (epoch, known) in &self.epochs {
            let (kind, number) = match known {
                Known::Never => continue,
                Known::Open => (0, 0),
                Known::Closed(number) => (1, *number),
                Known::Foreign(number) => (2, *number),
            };
            out.extend(epoch.get().to_le_bytes());
            out.push(kind);
            out.extend(number.to_le_bytes());
        }
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let number = |bytes: &[u8]| Some(u64::from_le_bytes(*bytes.first_chunk()?));
        let (head, epochs) = bytes.split_at_checked(HEAD)?;
        if epochs.len() % EPOCH != 0 || epochs.len() > EPOCHS * EPOCH {
            return None;
        }
        let epochs = epochs.chunks_exact(EPOCH).map(|bytes| {
            let limit = number(&bytes[9..])?;
            let known = match bytes[8] {
                0 if limit == 0 => Known::Open,
                1 => Known::Closed(limit),
                2 => Known::Foreign(limit),
                _ => return None,
            };
            Some((Epoch::new(number(bytes)?)?, known))
        });
        Some(Self {
            board: Epoch::new(number(head)?),
            received: number(&head[8..])?,
            highest: 0,
            epochs: epochs.collect::<Option<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use pblink_protocol::secure::server::resolve;

    use super::*;

    fn epoch(n: u64) -> Epoch {
        Epoch::new(n).expect("not 0")
    }

    fn came(standing: &mut Standing, own: u64, view: Option<u64>, received: u64) -> Resolution {
        let peer = view.map(epoch);
        let resume =
            Resume { epoch: epoch(77), first: 1, peer, received, done: received, fresh: false };
        let resolution =
            resolve(&resume, &standing.book(&resume, epoch(own), (standing.highest, 0)));
        standing.resolve(peer, epoch(own), &resolution);
        resolution
    }

    #[test]
    fn epochs_that_the_board_was_told_are_known_until_it_has_a_newer_one() {
        let mut standing = Standing::default();
        came(&mut standing, 1, None, 0);
        let mut view = Some(1);
        for own in 2..100 {
            // Each process but every tenth ends before the board hears its answer.
            standing.highest = own * 10;
            standing.close();
            let received = view.map_or(0, |view| view * 10);
            let resolution = came(&mut standing, own, view, received);
            assert!(!resolution.answer.fresh, "{own}");
            let mut bytes = Vec::new();
            standing.encode(&mut bytes);
            let restored =
                Standing { highest: standing.highest, ..Standing::decode(&bytes).unwrap() };
            assert_eq!(restored, standing);
            assert!(standing.epochs.len() <= 12, "{own}");
            view = if own % 10 == 0 { Some(own) } else { view };
        }
        standing.close();
        // One that has more than was ever given under this epoch, or comes with one that nobody was told.
        assert!(came(&mut standing, 100, view, 10_000).answer.fresh);
        assert!(came(&mut standing, 100, Some(5555), 0).answer.fresh);
        assert!(came(&mut standing, 100, Some(5555), 0).answer.fresh, "the same question");
        assert!(!came(&mut standing, 100, Some(100), 0).answer.fresh);
        assert_eq!(standing.epochs, [(epoch(100), Known::Open)]);
    }

    #[test]
    fn bytes_that_are_never_written_are_not_read() {
        let bytes = |epochs: u64, kind: u8, limit: u64| {
            let known = (1..=epochs).flat_map(|epoch| {
                let (epoch, limit) = (epoch.to_le_bytes(), limit.to_le_bytes());
                epoch.into_iter().chain([kind]).chain(limit)
            });
            [0; HEAD].into_iter().chain(known).collect::<Vec<_>>()
        };
        for (kind, limit) in [(0, 0), (1, 0), (1, 5), (2, 5)] {
            let mut again = Vec::new();
            Standing::decode(&bytes(64, kind, limit)).unwrap().encode(&mut again);
            assert_eq!(again, bytes(64, kind, limit));
            assert_eq!(Standing::decode(&bytes(65, kind, limit)), None, "more than it keeps");
        }
        assert_eq!(Standing::decode(&bytes(1, 0, 5)), None, "an open epoch has no number");
        assert_eq!(Standing::decode(&bytes(1, 3, 0)), None);
    }

    #[test]
    fn a_question_that_is_resolved_late_takes_back_no_line_of_the_same_board() {
        let mut standing = Standing::default();
        came(&mut standing, 1, None, 0);
        standing.received = 16;
        let peer = Some(epoch(1));
        let resume = |board| Resume {
            epoch: epoch(board),
            first: 17,
            peer,
            received: 0,
            done: 0,
            fresh: false,
        };
        let book = standing.book(&resume(77), epoch(1), (0, 0));
        let resolution = resolve(&resume(77), &book);
        // While that is committed, a line comes.
        standing.received = 17;
        standing.resolve(peer, epoch(1), &resolution);
        assert_eq!(standing.received, 17);
        // Another board begins with its own.
        let resolution = resolve(&resume(78), &standing.book(&resume(78), epoch(1), (0, 0)));
        standing.resolve(peer, epoch(1), &resolution);
        assert_eq!((standing.board, standing.received), (Some(epoch(78)), 16));
    }

    #[test]
    fn damage_is_seen() {
        let mut standing = Standing::default();
        came(&mut standing, 1, None, 0);
        let mut bytes = Vec::new();
        standing.encode(&mut bytes);
        assert_eq!(Standing::decode(&bytes), Some(standing));
        assert_eq!(Standing::decode(&bytes[..20]), None);
        bytes[24] = 9;
        assert_eq!(Standing::decode(&bytes), None);
    }
}
