//! The accounts of the demo: every line of every board, both ways.

use std::collections::BTreeMap;
use std::io::{Write, stdout};

use pblink_simulator::{Ledger, Totals, sequence_of};

use crate::output::envelope;

/// The accounts of one board.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// Lines of the board's program.
    pub(super) to_server: Ledger,
    /// Lines of the server's program.
    pub(super) to_board: Ledger,
}

/// The accounts of all boards, by id in the order of their numbers.
#[derive(Debug, Clone, Default)]
pub(super) struct Ledgers(pub(super) BTreeMap<u16, Account>);

impl Ledgers {
    pub(super) fn account(&mut self, board: u16) -> &mut Account {
        self.0.entry(board).or_default()
    }

    fn totals(&self) -> (Totals, Totals) {
        self.0.values().fold((Totals::default(), Totals::default()), |(out, back), account| {
            (out.plus(&account.to_server.totals()), back.plus(&account.to_board.totals()))
        })
    }

    pub(super) fn is_clean(&self) -> bool {
        let (to_server, to_board) = self.totals();
        to_server.is_clean() && to_board.is_clean()
    }

    pub(super) fn missing(&self) -> u64 {
        let (to_server, to_board) = self.totals();
        to_server.missing + to_board.missing
    }

    /// Prints the sums, and each board whose accounts are not clean (all, if there are few).
    /// With `seq` as JSON, of that number.
    pub(super) fn print(&self, seq: Option<u64>) {
        let (to_server, to_board) = self.totals();
        let mut out = stdout().lock();
        // Whoever does not want to read the ledger need not.
        let _ = if let Some(seq) = seq {
            let ledger = serde_json::json!({
                "seq": seq, "boards": self.0.len(), "clean": self.is_clean(),
                "to_server": to_server, "to_boards": to_board,
            });
            envelope::fields(&ledger)
                .and_then(|ledger| envelope::wrap("ledger", envelope::now_ms(), None, ledger))
                .map_err(Into::into)
                .and_then(|ledger| writeln!(out, "{ledger}"))
        } else {
            self.write_table(&mut out, &to_server, &to_board)
        };
        let _ = out.flush();
    }

    fn write_table(
        &self,
        out: &mut impl Write,
        to_server: &Totals,
        to_board: &Totals,
    ) -> std::io::Result<()> {
        writeln!(
            out,
            "{:<22}{:>9}{:>9}{:>9}{:>12}{:>14}",
            "ledger", "written", "arrived", "missing", "duplicates", "out of order"
        )?;
        let few = self.0.len() <= 5;
        for (board, account) in &self.0 {
            let (there, back) = (account.to_server.totals(), account.to_board.totals());
            if few || !there.is_clean() || !back.is_clean() {
                row(out, &format!("board {board} → server"), &there)?;
                row(out, &format!("server → board {board}"), &back)?;
            }
        }
        if !few {
            row(out, "all boards → server", to_server)?;
            row(out, "server → all boards", to_board)?;
        }
        let verdict = if self.is_clean() {
            "every line arrived once and in order"
        } else {
            "NOT clean; a crashed ESP8266 may lose the two lines that it holds"
        };
        writeln!(out, "{verdict}")
    }
}

fn row(out: &mut impl Write, name: &str, totals: &Totals) -> std::io::Result<()> {
    writeln!(
        out,
        "{name:<22}{:>9}{:>9}{:>9}{:>12}{:>14}",
        totals.written, totals.arrived, totals.missing, totals.duplicated, totals.reordered
    )
}

/// Enters a line that arrived. Lines without a number are none of the demo's.
pub(super) fn got(ledger: &mut Ledger, line: &str) {
    match sequence_of(line) {
        Some(number) => ledger.got(number),
        None => ledger.got_unknown(),
    }
}
