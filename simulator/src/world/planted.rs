//! Lines at the server, and faults that are planted between it and the accounts.

use pblink_protocol::inband::Message;
use pblink_protocol::time::Duration;

use super::World;
use super::remote::Received;
use crate::fault::{Fault, Wire};
use crate::flaw::Flaw;
use crate::program::{number_of_board, sequence_of};

impl World {
    /// Plants a fault in the system itself, for tests that must find it.
    pub fn plant(&mut self, flaw: Flaw) {
        self.flaw = Some(flaw);
        match flaw {
            Flaw::Forgets
            | Flaw::AcknowledgesFirst
            | Flaw::FreesFirst
            | Flaw::TimersFirst
            | Flaw::NumbersAnew => self.server.plant(flaw),
            Flaw::LosesMemory | Flaw::ConfirmsUnsure => {
                self.boards.iter_mut().for_each(|board| board.pair.plant(flaw));
            }
            Flaw::NoReset => {
                let for_ever = Duration::from_secs(365 * 86_400);
                for board in 0..self.boards.len() {
                    self.inject(board, Fault::Stuck(Wire::Reset, false, for_ever));
                }
            }
            _ => {}
        }
    }

    /// Accounts for a line that has come to the server.
    pub(super) fn server_received(&mut self, line: Received) {
        let number = sequence_of(&line.text);
        let third = number.is_some_and(|number| number % 3 == 0);
        let odd = number.is_some_and(|number| number % 2 == 1);
        match self.flaw {
            Some(Flaw::Silent) => return,
            Some(Flaw::Loses) if odd => return,
            Some(Flaw::Repeats) if third => self.account_for(&line),
            Some(Flaw::Garbles) if third => {
                return self.account_for(&Received { text: "garbled".to_owned(), ..line });
            }
            Some(Flaw::Swaps) if third && self.kept_back.is_none() => {
                self.kept_back = Some(line);
                return;
            }
            _ => {}
        }
        self.account_for(&line);
        if let Some(late) = self.kept_back.take() {
            self.account_for(&late);
        }
    }

    fn account_for(&mut self, line: &Received) {
        let (now, account) = (self.now, &mut self.boards[line.board].outward);
        match number_of_board(&line.text, self.options.pair.program.padding) {
            Some(number) => account.got(number, now),
            None if Message::parse(&line.text).is_some() => {}
            None => account.got_unknown(&line.text, now),
        }
    }
}
