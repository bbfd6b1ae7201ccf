//! The machine code of both boards against a `pblink serve` process: nothing lost, nothing duplicated,
//! whatever fails.
//!
//! The server's application is `echo`: the STM32 sends 200 numbered lines, each comes back, and the
//! ledger compares what came back with what was sent. So each line has passed both ways. The exceptions
//! are those of docs/PROTOCOL.md, 1 to 3.

use std::time::Instant;

use pblink_emulation::image::{self, CoprocessorKind};
use pblink_emulation::ledger::{Account, account};
use pblink_emulation::rig::{Command, Hook, Rig, Seen, config};
use pblink_emulation::server::Serve;

/// Lines each way.
const LINES: u32 = 200;

/// The board's id.
const ID: &str = "bench";

/// Both boards, and the server.
struct Link {
    rig: Rig,
    /// `None` while it is down.
    server: Option<Serve>,
    port: u16,
    /// The server's log.
    state: tempfile::TempDir,
}

impl Link {
    /// Starts everything. `None` if the test cannot run here.
    async fn start(coprocessor: CoprocessorKind, forward_reports: bool) -> Option<Self> {
        let images = image::firmwares(coprocessor)?;
        let state = tempfile::tempdir().expect("a folder");
        let server = Serve::start(ID, 0, state.path()).await;
        let port = server.port();
        let config = config(ID, port);
        let rig = Rig::start(images, &config, forward_reports);
        Some(Self { rig, server: Some(server), port, state })
    }

    fn server(&self) -> &Serve {
        self.server.as_ref().expect("the server runs")
    }

    /// Starts the server again.
    async fn serve(&mut self) {
        self.server = Some(Serve::start(ID, self.port, self.state.path()).await);
    }

    /// Waits until this many lines have come back.
    async fn returned(&self, count: usize) {
        self.rig.wait("lines that come back", |seen| seen.read.len() >= count, |_| ()).await;
    }

    /// Prints how long it took from `since` until lines passed again.
    async fn recovered(&self, what: &str, since: Instant) {
        self.returned(self.rig.look(|seen| seen.read.len()) + 1).await;
        println!("{what}: a line there and back again after {:.1?}", since.elapsed());
    }

    /// Lets the STM32 write all lines, waits for the last to come back, and compares. Also returns how
    /// often the STM32 has reset the coprocessor.
    async fn finish(&self) -> (Account, usize) {
        self.rig.command(Command::Write(LINES));
        let last = pblink_emulated_board::numbered::line(LINES - 1);
        let ended = |seen: &Seen| seen.read.last().is_some_and(|line| line == last.as_str());
        self.rig.wait("the last line", ended, |_| ()).await;
        self.rig.look(|seen| {
            for line in &seen.log {
                println!("    {line}");
            }
            let (account, resets) = (account(LINES, &seen.read), seen.resets());
            println!("{account:?}, {resets} resets, boots {:?}", seen.boots);
            assert!(!seen.hooks.iter().any(|hook| matches!(hook, Hook::Dropped(_))));
            (account, resets)
        })
    }

    /// No crash: exactly once.
    async fn finish_exactly_once(&self) {
        assert_eq!(self.finish().await, (Account::default(), 0));
    }

    /// Crashes of the coprocessor: each may lose two lines for the server and duplicate one from it.
    async fn finish_but_for_crashes(&self, crashes: usize) {
        let (account, resets) = self.finish().await;
        assert!(resets >= crashes, "{resets} resets after {crashes} crashes");
        assert!(account.lost.len() <= 2 * resets, "{account:?}, {resets} resets");
        assert!(account.duplicates.len() <= resets, "{account:?}, {resets} resets");
        // What is missing has never reached the server, and what came twice was received once: nothing
        // was lost on the way back or duplicated on the way there.
        let received = self.server().received(ID);
        assert_eq!(received, u64::from(LINES) - account.lost.len() as u64, "{account:?}");
    }

    /// Returns the lines that were written and have not come back yet, as long as none was lost.
    fn under_way(&self) -> std::ops::Range<u32> {
        self.rig.look(|seen| seen.read.len() as u32..seen.written)
    }
}

async fn lines_pass_once_and_in_order(coprocessor: CoprocessorKind) {
    let Some(link) = Link::start(coprocessor, true).await else { return };
    link.rig.command(Command::Write(LINES));
    link.returned(1).await;
    let reported = |hook: &Hook| matches!(hook, Hook::Report(1, _, 1..));
    link.rig.wait("a report", |seen| seen.hooks.iter().any(reported), |_| ()).await;
    let report = link.server().wait("report").await;
    assert_eq!((&report["id"], &report["connects"]), (&ID.into(), &1.into()));
    link.finish_exactly_once().await;
}

async fn the_server_is_killed_while_nothing_is_under_way(coprocessor: CoprocessorKind) {
    let Some(mut link) = Link::start(coprocessor, false).await else { return };
    link.rig.command(Command::Write(40));
    link.returned(40).await;
    link.server.take().expect("it runs").kill();
    // The STM32's program keeps writing; the lines wait in the boards.
    link.rig.command(Command::Write(80));
    let reported = |seen: &Seen| seen.hooks.contains(&Hook::Server(false)) && seen.written > 40;
    link.rig.wait("the STM32 has the report", reported, |_| ()).await;
    let since = Instant::now();
    link.serve().await;
    link.recovered("server killed and started", since).await;
    link.finish_exactly_once().await;
}

async fn the_server_is_stopped_in_full_flow(coprocessor: CoprocessorKind) {
    let Some(mut link) = Link::start(coprocessor, false).await else { return };
    link.rig.command(Command::Write(LINES));
    for round in 1..=2 {
        link.returned(50 * round).await;
        link.server.take().expect("it runs").stop();
        let since = Instant::now();
        link.serve().await;
        link.recovered("server stopped and started", since).await;
    }
    link.finish_exactly_once().await;
}

/// Acknowledged lines are in the log, and so are the lines that follow from it.
async fn the_server_is_killed_in_full_flow(coprocessor: CoprocessorKind) {
    let Some(mut link) = Link::start(coprocessor, false).await else { return };
    link.rig.command(Command::Write(LINES));
    for round in 1..=3 {
        link.returned(40 * round).await;
        link.server.take().expect("it runs").kill();
        let since = Instant::now();
        link.serve().await;
        link.recovered("server killed and started", since).await;
    }
    link.finish_exactly_once().await;
}

async fn wifi_is_dropped(coprocessor: CoprocessorKind) {
    let Some(link) = Link::start(coprocessor, false).await else { return };
    link.rig.command(Command::Write(LINES));
    link.returned(30).await;
    link.rig.command(Command::Wifi(false));
    link.server().wait("outage_began").await;
    let reported = |seen: &Seen| seen.hooks.contains(&Hook::Server(false));
    link.rig.wait("the STM32 has the report", reported, |_| ()).await;
    let since = Instant::now();
    link.rig.command(Command::Wifi(true));
    link.recovered("WiFi back", since).await;
    link.finish_exactly_once().await;
}

async fn the_coprocessor_dies_in_the_middle_of_an_exchange(coprocessor: CoprocessorKind) {
    let Some(link) = Link::start(coprocessor, false).await else { return };
    link.rig.command(Command::Write(LINES));
    for round in 1..=3 {
        link.returned(40 * round).await;
        let since = Instant::now();
        link.rig.command(Command::KillInPayload);
        link.rig.wait("the fault", |seen| seen.faults == round, |_| ()).await;
        link.recovered("coprocessor died", since).await;
    }
    link.finish_but_for_crashes(3).await;
}

async fn the_coprocessor_hangs(coprocessor: CoprocessorKind) {
    let Some(link) = Link::start(coprocessor, false).await else { return };
    link.rig.command(Command::Write(LINES));
    link.returned(60).await;
    let since = Instant::now();
    link.rig.command(Command::Hang);
    link.rig.wait("the fault", |seen| seen.faults == 1, |_| ()).await;
    link.recovered("coprocessor hung", since).await;
    link.finish_but_for_crashes(1).await;
}

async fn the_stm32_loses_its_power(coprocessor: CoprocessorKind) {
    let Some(link) = Link::start(coprocessor, false).await else { return };
    link.rig.command(Command::Write(100));
    link.returned(60).await;
    let since = Instant::now();
    link.rig.command(Command::PowerCycle);
    // What is in the boards' memories is lost: lines that were written and had not come back.
    link.rig.wait("the fault", |seen| seen.faults == 1, |_| ()).await;
    let under_way = link.under_way();
    link.rig.command(Command::Write(120));
    link.recovered("STM32 without power", since).await;
    let (account, resets) = link.finish().await;
    assert!(account.lost.iter().all(|n| under_way.contains(n)), "{account:?}, {under_way:?}");
    assert!(account.duplicates.len() <= 1, "{account:?}");
    assert_eq!(resets, 0, "the new program finds the coprocessor without a failure");
}

with_either! {
    lines_pass_once_and_in_order,
    the_server_is_killed_while_nothing_is_under_way,
    the_server_is_stopped_in_full_flow,
    the_server_is_killed_in_full_flow,
    wifi_is_dropped,
    the_coprocessor_dies_in_the_middle_of_an_exchange,
    the_coprocessor_hangs,
    the_stm32_loses_its_power,
}
