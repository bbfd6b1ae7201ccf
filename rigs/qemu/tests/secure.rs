//! The machine code of both boards with keys, against a server with keys: nothing is lost or duplicated, however often the
//! ESP8266 dies in the middle of a transfer.
//!
//! The STM32 sends numbered lines, the server returns each, and the ledger compares what came back with what was sent. On the
//! classic link each death may lose two lines and duplicate one.
#![cfg(unix)]

use std::time::{Duration, Instant};

use pblink_emulation::image;
use pblink_emulation::ledger::{Account, account};
use pblink_emulation::rig::{Command, Hook, Rig, Seen};
use pblink_image::keys::Fields;
use pblink_protocol::config::Config;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{Id, Secret};
use pblink_secure_suite::random::Os;
use pblink_server::{Connection, Delivery, Keys, Server};

/// Lines each way.
const LINES: u32 = 200;

/// The board's id.
const ID: &str = "bench";

/// Returns new keys for the board, and the record of its flash.
fn keys() -> (Issued, Vec<u8>) {
    let id = Id::new(ID).expect("an id");
    let issued = issue(&id, 1, &Secret::draw(&mut Os), &mut Os);
    let record = Fields {
        id: ID,
        generation: 1,
        private: issued.board.private.expose(),
        server: &issued.board.server.0,
        shared: issued.board.shared.expose(),
        seed: issued.seed.expose(),
        confirmed: true,
    };
    let record = record.write().expect("an id").to_vec();
    (issued, record)
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
    async fn start() -> Option<Self> {
        let images = image::firmwares()?;
        let (issued, record) = keys();
        let server = Server::builder()
            .listen(([127, 0, 0, 1], 0).into())
            .timeout(Duration::from_secs(1))
            .keys(Keys::new().board(issued.server))
            .bind()
            .await
            .expect("it listens");
        let config = Config {
            id: ID.try_into().expect("short"),
            port: server.local_addr().port(),
            server: "127.0.0.1".try_into().expect("short"),
            timeout_ms: 1000,
            report_s: 1,
            ssid: "network".try_into().expect("short"),
            password: "password".try_into().expect("short"),
        };
        let rig = Rig::start_with_keys(images, &config, &record);
        tokio::spawn(echo(server.client(ID).await));
        Some(Self { rig, server })
    }

    /// Waits until this many lines have come back.
    async fn returned(&self, count: usize) {
        self.rig.wait("lines that come back", |seen| seen.read.len() >= count, |_| ()).await;
    }

    /// Lets the STM32 write all lines, waits for the last to come back, and compares. Returns how often the STM32 has reset
    /// the ESP8266.
    async fn finish_exactly_once(self) -> usize {
        self.rig.command(Command::Write(LINES));
        let last = pblink_emulated_board::numbered::line(LINES - 1);
        let ended = |seen: &Seen| seen.read.last().is_some_and(|line| line == last.as_str());
        self.rig.wait("the last line", ended, |_| ()).await;
        let resets = self.rig.look(|seen| {
            for line in &seen.log {
                println!("    {line}");
            }
            println!("{} resets, boots {:?}", seen.resets(), seen.boots);
            assert_eq!(account(LINES, &seen.read), Account::default());
            assert!(!seen.hooks.iter().any(|hook| matches!(hook, Hook::Dropped(_))));
            seen.resets()
        });
        self.server.shutdown().await;
        resets
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_pass_once_and_in_order_without_a_reset() {
    let Some(link) = Link::start().await else { return };
    link.rig.command(Command::Write(LINES));
    let since = Instant::now();
    link.returned(LINES as usize).await;
    println!("{LINES} lines there and back after {:.1?}", since.elapsed());
    assert_eq!(link.finish_exactly_once().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_esp8266_dies_in_transfers_and_hangs_and_no_line_is_lost_or_comes_twice() {
    let Some(link) = Link::start().await else { return };
    link.rig.command(Command::Write(LINES));
    for round in 1..=5 {
        link.returned(30 * round).await;
        let since = Instant::now();
        // Of the five, one is a program that hangs.
        link.rig.command(if round == 3 { Command::Hang } else { Command::KillInPayload });
        link.rig.wait("the fault", |seen| seen.faults == round, |_| ()).await;
        link.returned(link.rig.look(|seen| seen.read.len()) + 1).await;
        println!("ESP8266 died: a line there and back again after {:.1?}", since.elapsed());
    }
    assert!(link.finish_exactly_once().await >= 5);
}
