//! A board with keys that writes all the time, through any number of connections, and keeps account.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, io};

use pblink_protocol::secure::board::BoardEvent;
use pblink_secure_suite::drbg::Drbg;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{BoardKeys, Id, Secret};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::board::{AGAIN, Account, Manners, Passed, TIMEOUT};
use crate::client::SecureBoard;
use crate::pen::Pen;

/// Lines that wait for their acknowledgement, at most: a board's RAM.
const KEPT: usize = 64;

/// Limits of the log: none that removes a line before the ledger has seen it, whatever the clock says.
const KEEPS: &str = "[server]\nkeep_days = 3650\nkeep_mb = 1000000\n\n";

/// The time at which all keys were issued.
const ISSUED: &str = "2026-11-28T00:00:00Z";

/// Returns keys of this many boards, and of their server. Of one seed they are always the same: whoever knows it has them, and
/// nobody has to pass on a file.
///
/// # Panics
/// Never: the ids are such.
pub fn keys(boards: u64, seed: u64) -> Vec<Issued> {
    let mut random =
        Drbg::new(&[b"keys of boards in tests, that need not be secret", &seed.to_be_bytes()]);
    let server = Secret::draw(&mut random);
    (0..boards)
        .map(|n| issue(&Id::new(&format!("keyed-{n}")).expect("an id"), 1, &server, &mut random))
        .collect()
}

/// Puts keys into a folder as `pblink serve` reads them. Returns the settings beside which they are. `classic`: ids that need
/// none, which cannot have quotes.
///
/// # Errors
/// If they cannot be written.
pub fn write_keys(folder: &Path, keys: &[Issued], classic: &[String]) -> io::Result<PathBuf> {
    let settings = folder.join("pblink.toml");
    // The ids of our boards are written as Rust writes texts.
    fs::write(&settings, format!("{KEEPS}[link]\nclassic = {classic:?}\n"))?;
    let mut text = String::from("format = 1\n");
    if let Some(first) = keys.first() {
        text += &format!("\n[server]\nprivate = \"{}\"\n", base64(first.server.private.expose()));
    }
    for Issued { server, .. } in keys {
        text += &format!(
            "\n[[board]]\nid = \"{}\"\ngeneration = {}\npublic = \"{}\"\nshared = \"{}\"\nissued = \"{ISSUED}\"\n",
            server.id.as_str(),
            server.generation,
            base64(&server.board.0),
            base64(server.shared.expose()),
        );
    }
    let path = folder.join("pblink.keys.toml");
    fs::write(&path, text)?;
    // A server does not take keys that others could read.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(settings)
}

/// Returns base64url without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(padded);
        for digit in 0..=three.len() {
            text.push(char::from(DIGITS[(bits >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

/// See the module's text.
pub(crate) struct Keyed {
    board: SecureBoard,
    account: Account,
    pen: Pen,
    passed: Arc<Passed>,
    /// Time between two bursts of lines.
    pause: Duration,
    next: Instant,
    /// Number of the oldest line that was not acknowledged when it was looked at last.
    first: u64,
}

impl Keyed {
    /// Returns one that has written nothing yet. The seed decides what it writes; lines that pass are added to `passed`.
    pub(crate) fn new(
        server: SocketAddr,
        keys: &BoardKeys,
        pause: Duration,
        seed: u64,
        passed: Arc<Passed>,
    ) -> Self {
        let mut board = SecureBoard::new(keys, server, TIMEOUT);
        board.keeps = false;
        board.patience = board.patience.max(pause / 4);
        // Of its lines none has a fate of its own: no published client, and no number that is always new.
        let manners = Manners { ordered: true, published: false, echoed: true };
        let account = Account::new(keys.id.as_str().to_owned(), manners);
        let (pen, next) = (Pen::new(seed), Instant::now());
        Self { board, account, pen, passed, pause, next, first: 1 }
    }

    /// Writes until `writing` ends, and then waits until all is acknowledged and every echo is here, or for as long as nobody
    /// tells it to `give_up`.
    pub(crate) async fn run(
        mut self,
        writing: Arc<AtomicBool>,
        give_up: CancellationToken,
    ) -> Account {
        let ended = give_up.run_until_cancelled_owned(self.work(&writing)).await;
        self.account.finished = ended.is_some();
        self.account.unacked = self.board.link.memory().lines.len();
        self.account
    }

    async fn work(&mut self, writing: &AtomicBool) {
        while !self.is_done(writing) {
            if writing.load(Ordering::Relaxed) && Instant::now() >= self.next {
                self.next = Instant::now() + self.pause;
                self.write_some();
            }
            if self.board.try_step().await.is_err() {
                sleep(AGAIN).await;
            }
            self.look();
        }
    }

    fn is_done(&mut self, writing: &AtomicBool) -> bool {
        !writing.load(Ordering::Relaxed)
            && self.board.link.memory().lines.is_empty()
            && self.pen.has_heard_all(&self.account, 0)
    }

    fn write_some(&mut self) {
        if self.pen.is_far_behind(&self.account) {
            return;
        }
        for _ in 0..self.pen.burst() {
            if self.board.link.memory().lines.len() >= KEPT {
                return;
            }
            let line = self.pen.compose(false);
            match line.guaranteed {
                true => drop(self.board.write(&line.text)),
                // One is on its way: this one goes with the next.
                false if !self.board.link.send(&line.text) => return,
                false => {}
            }
            self.pen.wrote(&mut self.account, line);
        }
    }

    /// Notes what has come of its lines, and what has come to it.
    fn look(&mut self) {
        let mut reset = false;
        for event in self.board.events.drain(..) {
            self.account.connects += u32::from(event == BoardEvent::Up);
            reset |= event == BoardEvent::ResetWanted;
        }
        if reset {
            // Its ESP8266 connects anew.
            self.board.cut();
        }
        let memory = self.board.link.memory();
        let first = memory.next - memory.lines.len() as u64;
        let passed = first - self.first + self.board.got.len() as u64;
        self.first = first;
        self.account.received.append(&mut self.board.got);
        if passed > 0 {
            self.passed.add(passed);
        }
    }
}
