//! The machine code of both boards with keys, against a server with keys: nothing is lost or duplicated, however often the
//! coprocessor dies in the middle of a transfer.
//!
//! The STM32 sends numbered lines, the server returns each, and the ledger compares what came back with what was sent. On the
//! classic link each death may lose two lines and duplicate one.
//!
//! The keys are rotated against a `pblink serve` process, with `pblink keys rotate`.

use std::path::PathBuf;
use std::process;
use std::time::{Duration, Instant};

use pblink_emulation::image::{self, CoprocessorKind};
use pblink_emulation::ledger::{Account, account};
use pblink_emulation::rig::{Command, Flash, Hook, Rig, Seen, config};
use pblink_emulation::server::Serve;
use pblink_image::keys::Fields;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{BoardKeys, Id, Secret};
use pblink_secure_suite::random::Os;
use pblink_server::{Connection, Delivery, Keys, Server};

/// Lines each way.
const LINES: u32 = 200;

/// The board's id.
const ID: &str = "bench";

/// Returns new keys for the board.
fn keys() -> Issued {
    issue(&Id::new(ID).expect("an id"), 1, &Secret::draw(&mut Os), &mut Os)
}

/// Returns the record of keys in a board's flash.
fn record(keys: &BoardKeys, seed: &Secret) -> Vec<u8> {
    let fields = Fields {
        id: keys.id.as_str(),
        generation: keys.generation,
        private: keys.private.expose(),
        server: &keys.server.0,
        shared: keys.shared.expose(),
        seed: seed.expose(),
        confirmed: true,
    };
    fields.write().expect("an id").to_vec()
}

/// Waits until this many lines have come back.
async fn returned(rig: &Rig, count: usize) {
    rig.wait("lines that come back", |seen| seen.read.len() >= count, |_| ()).await;
}

/// Lets the STM32 write all lines, waits for the last to come back, and compares. Returns how often the STM32 has reset
/// the coprocessor.
async fn finish_exactly_once(rig: &Rig) -> usize {
    rig.command(Command::Write(LINES));
    let last = pblink_emulated_board::numbered::line(LINES - 1);
    let ended = |seen: &Seen| seen.read.last().is_some_and(|line| line == last.as_str());
    rig.wait("the last line", ended, |_| ()).await;
    rig.look(|seen| {
        for line in &seen.log {
            println!("    {line}");
        }
        println!("{} resets, boots {:?}", seen.resets(), seen.boots);
        assert_eq!(account(LINES, &seen.read), Account::default());
        assert!(!seen.hooks.iter().any(|hook| matches!(hook, Hook::Dropped(_))));
        seen.resets()
    })
}

/// Returns every line to its board, in order.
async fn echo(board: Connection) {
    while let Ok(line) = board.read_line().await {
        if board.post(&line, Delivery::ORDERED).is_err() {
            // No room for another one that nobody waits for.
            let _ = board.write(&line, Delivery::ORDERED).await;
        }
    }
}

/// Both boards, and the server.
struct Link {
    rig: Rig,
    server: Server,
}

impl Link {
    /// Starts everything. `None` if the test cannot run here.
    async fn start(coprocessor: CoprocessorKind) -> Option<Self> {
        let images = image::firmwares(coprocessor)?;
        let Issued { board, seed, server } = keys();
        let server = Server::builder()
            .listen(([127, 0, 0, 1], 0).into())
            .timeout(Duration::from_secs(1))
            .keys(Keys::new().board(server))
            .bind()
            .await
            .expect("it listens");
        let config = config(ID, server.local_addr().port());
        let rig = Rig::start_with_keys(images, &config, &record(&board, &seed));
        tokio::spawn(echo(server.client(ID).await));
        Some(Self { rig, server })
    }

    /// Ends it: see the function of this name.
    async fn finish_exactly_once(self) -> usize {
        let resets = finish_exactly_once(&self.rig).await;
        self.server.shutdown().await;
        resets
    }
}

async fn lines_pass_once_and_in_order_without_a_reset(coprocessor: CoprocessorKind) {
    let Some(link) = Link::start(coprocessor).await else { return };
    link.rig.command(Command::Write(LINES));
    let since = Instant::now();
    returned(&link.rig, LINES as usize).await;
    println!("{LINES} lines there and back after {:.1?}", since.elapsed());
    assert_eq!(link.finish_exactly_once().await, 0);
}

async fn the_coprocessor_dies_in_transfers_and_hangs_and_no_line_is_lost_or_comes_twice(
    coprocessor: CoprocessorKind,
) {
    let Some(link) = Link::start(coprocessor).await else { return };
    link.rig.command(Command::Write(LINES));
    for round in 1..=5 {
        returned(&link.rig, 30 * round).await;
        let since = Instant::now();
        // Of the five, one is a program that hangs.
        link.rig.command(if round == 3 { Command::Hang } else { Command::KillInPayload });
        link.rig.wait("the fault", |seen| seen.faults == round, |_| ()).await;
        returned(&link.rig, link.rig.look(|seen| seen.read.len()) + 1).await;
        println!("coprocessor died: a line there and back again after {:.1?}", since.elapsed());
    }
    assert!(link.finish_exactly_once().await >= 5);
}

/// Both boards, and a `pblink serve` process with a file of keys.
struct Served {
    rig: Rig,
    /// `None` while it is down.
    server: Option<Serve>,
    port: u16,
    folder: tempfile::TempDir,
    /// The board's shared key at first.
    old: Secret,
}

impl Served {
    /// Makes the keys, and starts everything. `None` if the test cannot run here.
    async fn start(coprocessor: CoprocessorKind) -> Option<Self> {
        let images = image::firmwares(coprocessor)?;
        let folder = tempfile::tempdir().expect("a folder");
        let board = folder.path().join("board.toml");
        keys_verb(&folder, &["issue", ID, "--to", board.to_str().expect("UTF-8")]);
        let given = pblink_cli::keys::BoardFile::at(board).read().expect("a file of ours");
        let given = given.expect("it was written");
        let server = serve(&folder, 0).await;
        let port = server.port();
        let record = record(&given.keys, &given.seed);
        let rig = Rig::start_with_keys(images, &config(ID, port), &record);
        Some(Self { rig, server: Some(server), port, folder, old: given.keys.shared })
    }

    /// Asks for a new key of the board.
    fn rotate(&self) {
        keys_verb(&self.folder, &["rotate", ID]);
    }

    /// Waits until the board has the new key and no other, and checks that so has the server.
    async fn rotated(&self) {
        let flash = |seen: &Seen| seen.keys.clone().expect("it has keys");
        let only = |seen: &Seen| {
            let wiped = flash(seen).keys().spent().next().is_none();
            wiped && generations(&flash(seen)) == (2, true, None)
        };
        let flash = self.rig.wait("the new key, and no other", only, flash).await;
        let bytes = flash.bytes();
        assert!(!bytes.windows(32).any(|bytes| bytes == self.old.expose()), "the old key");
        let shown = keys_verb(&self.folder, &["show", ID, "--json"]);
        let shown: serde_json::Value = serde_json::from_slice(&shown).expect("JSON");
        assert_eq!(shown["current"]["generation"], 2);
        assert!(shown["next"].is_null(), "{shown}");
    }

    /// Kills the server and starts it again, with what is in its file.
    async fn restart(&mut self) {
        self.server.take().expect("it runs").kill();
        self.server = Some(serve(&self.folder, self.port).await);
    }
}

/// Returns the generation of the board's keys, whether they are settled, and the generation that it may go back to.
fn generations(flash: &Flash) -> (u32, bool, Option<u32>) {
    let keys = flash.keys();
    let last = keys.record().expect("there is one at any time");
    (last.generation(), last.confirmed(), keys.fallback().map(|old| old.generation()))
}

fn file_of_keys(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("server.toml")
}

/// Runs `pblink keys`, and returns what it prints.
fn keys_verb(folder: &tempfile::TempDir, args: &[&str]) -> Vec<u8> {
    let program = tokio::task::block_in_place(pblink_soak::process::program);
    let mut command = process::Command::new(program);
    command.arg("keys").args(args).arg("--keys").arg(file_of_keys(folder));
    let said = command.current_dir(folder).output().expect("it starts");
    assert!(said.status.success(), "{args:?}: {}", String::from_utf8_lossy(&said.stderr));
    said.stdout
}

/// Starts a server with the file of keys.
async fn serve(folder: &tempfile::TempDir, port: u16) -> Serve {
    let config = folder.path().join("pblink.toml");
    std::fs::write(&config, "link.keys = \"server.toml\"\n").expect("a file");
    let state = folder.path().join("log");
    Serve::start_with(ID, port, &state, |command| command.arg("--config").arg(config)).await
}

async fn a_key_that_is_rotated_is_the_only_one_and_lines_pass_meanwhile_once(
    coprocessor: CoprocessorKind,
) {
    let Some(mut link) = Served::start(coprocessor).await else { return };
    link.rig.command(Command::Write(120));
    returned(&link.rig, 20).await;
    link.rotate();
    link.rotated().await;
    // Neither has another one to come back with.
    link.restart().await;
    link.rig.command(Command::Write(160));
    returned(&link.rig, 130).await;
    link.rig.command(Command::KillInPayload);
    link.rig.wait("the fault", |seen| seen.faults == 1, |_| ()).await;
    finish_exactly_once(&link.rig).await;
}

/// Once with the new record just written, once while the old one is overwritten.
async fn a_board_that_loses_its_power_while_its_key_is_rotated_is_not_locked_out(
    coprocessor: CoprocessorKind,
) {
    // A record with an id of up to 8 bytes; the mark of the new one, and then the old one.
    const WORDS: [usize; 2] = [38, 1 + 20];
    let Some(link) = Served::start(coprocessor).await else { return };
    link.rig.command(Command::Write(40));
    returned(&link.rig, 40).await;
    for words in WORDS {
        link.rig.command(Command::PowerCycleInFlash(words));
    }
    link.rotate();
    let cut = link.rig.wait("both", |seen| seen.cut.len() == 2, |seen| seen.cut.clone()).await;
    assert_eq!(generations(&cut[0]), (2, false, Some(1)));
    assert_eq!(generations(&cut[1]), (2, true, None));
    assert!(cut[1].keys().spent().next().is_some(), "the rest of the old key");
    link.rotated().await;
    finish_exactly_once(&link.rig).await;
}

with_either! {
    lines_pass_once_and_in_order_without_a_reset,
    the_coprocessor_dies_in_transfers_and_hangs_and_no_line_is_lost_or_comes_twice,
    a_key_that_is_rotated_is_the_only_one_and_lines_pass_meanwhile_once,
    a_board_that_loses_its_power_while_its_key_is_rotated_is_not_locked_out,
}
