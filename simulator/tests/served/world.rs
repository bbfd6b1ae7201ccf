//! Boards, guests, a network, and a real server, in simulated time.
//!
//! The runtime's clock stands still while anything can be done, and then goes to the next timer: the server's, or the one for the
//! world's next step. So each thing happens at its time, in the same order in each run.

use std::sync::Arc;

use fastrand::Rng;
use pblink_protocol::time::{Duration, Instant, earliest};
use pblink_server::{EventKind, SavedSessions};
use pblink_simulator::{Fault, Totals};

use super::board::Board;
use super::guest::{Guest, Manner};
use super::net::Net;
use super::owner::Store;
use super::process::{Plan, Process, Stopped};
use super::stage::Stage;
use super::stream::Stream;

/// The state of the server.
enum Remote {
    Up(Process),
    /// It is being stopped, and stays away for this long afterwards.
    Stopping(Stopped, Duration),
    Down(Instant, SavedSessions),
    /// Between two of these.
    Changing,
}

/// See the module's text.
pub struct World {
    pub now: Instant,
    pub net: Net,
    pub rng: Rng,
    pub boards: Vec<Board>,
    pub stage: Arc<Stage>,
    pub starts: u32,
    plan: Plan,
    guests: Vec<Guest>,
    remote: Remote,
    store: Arc<Store>,
    /// Connections that the system has accepted while the process stood still.
    backlog: Vec<(usize, Stream)>,
}

impl World {
    pub async fn new(
        net: Net,
        rng: Rng,
        boards: Vec<Board>,
        stage: Arc<Stage>,
        plan: Plan,
    ) -> Self {
        let store = Arc::<Store>::default();
        let process = plan.start(&stage, &store, SavedSessions::default()).await;
        Self {
            now: Instant::ZERO,
            net,
            rng,
            boards,
            stage,
            starts: 1,
            plan,
            guests: Vec::new(),
            remote: Remote::Up(process),
            store,
            backlog: Vec::new(),
        }
    }

    /// Returns the accounts of all.
    pub fn totals(&self) -> Totals {
        self.boards.iter().fold(Totals::default(), |sum, board| {
            let accounts = board.accounts();
            sum.plus(&accounts.outward.totals()).plus(&accounts.inward.totals())
        })
    }

    /// Lets time pass.
    pub async fn run(&mut self, length: Duration) {
        let end = self.now + length;
        loop {
            self.step(false);
            self.look_after_server().await;
            if self.now >= end {
                return;
            }
            let next = self.next_at().map_or(end, |at| at.min(end));
            tokio::select! {
                biased;
                () = self.net.changed.notified() => {}
                () = tokio::time::sleep_until(self.net.at(next)) => {}
            }
            self.now = self.now.max(self.net.server_time());
        }
    }

    /// Freezes the server's process for this long, as after SIGSTOP: the system still accepts connections and receives, and the
    /// rest of the world goes on.
    pub async fn stall(&mut self, length: Duration) {
        if !matches!(self.remote, Remote::Up(_)) {
            return self.run(length).await;
        }
        self.net.hold();
        let end = self.now + length;
        while self.now < end {
            // A server that is to start again has to wait, too.
            let least = self.now + Duration::from_micros(100);
            self.now = self.next_at().map_or(end, |at| at.max(least).min(end));
            self.step(true);
        }
        let behind = self.now.since(self.net.server_time());
        tokio::time::advance(std::time::Duration::from_micros(behind.as_micros())).await;
        self.net.release();
        let Remote::Up(process) = &self.remote else { return self.backlog.clear() };
        for (number, stream) in self.backlog.drain(..) {
            process.server.adopt_stream(stream, address(number));
        }
    }

    fn next_at(&self) -> Option<Instant> {
        let boards = self.boards.iter().filter_map(Board::next_at).min();
        let guests = self.guests.iter().map(Guest::next_at).min();
        let server = match &self.remote {
            Remote::Down(until, _) => Some(*until),
            _ => None,
        };
        earliest(earliest(boards, guests), earliest(self.net.next_at(), server))
    }

    /// Does what is due. `stands`: the server's process does nothing.
    fn step(&mut self, stands: bool) {
        let now = self.now;
        for number in self.net.advance(now) {
            match &self.remote {
                Remote::Up(process) => {
                    let stream = self.net.accept(number, now);
                    match stands {
                        true => self.backlog.push((number, stream)),
                        false => process.server.adopt_stream(stream, address(number)),
                    }
                }
                _ => self.net.refuse(number, now),
            }
        }
        for board in &mut self.boards {
            if board.is_due(&self.net, now) {
                board.step(&self.net, now);
            }
        }
        let Self { guests, net, rng, .. } = self;
        guests.retain_mut(|guest| guest.step(net, rng, now));
    }

    /// Starts the server again when it is time.
    async fn look_after_server(&mut self) {
        self.remote = match std::mem::replace(&mut self.remote, Remote::Changing) {
            Remote::Stopping(stopped, length) => {
                let saved = stopped.lock().expect("no panic").take();
                match saved {
                    Some(saved) => Remote::Down(self.now + length, saved),
                    None => Remote::Stopping(stopped, length),
                }
            }
            Remote::Down(until, saved) if self.now >= until => {
                self.starts += 1;
                Remote::Up(self.plan.start(&self.stage, &self.store, saved).await)
            }
            other => other,
        };
    }

    /// Stops the server in order, and starts it again after this long.
    pub fn stop_server(&mut self, length: Duration) {
        self.remote = match std::mem::replace(&mut self.remote, Remote::Changing) {
            Remote::Up(process) => {
                Remote::Stopping(process.stop(&self.stage, self.plan.timeout), length)
            }
            other => other,
        };
    }

    /// Kills the server's process, and starts it again after this long with what it has committed. One that does not commit is
    /// stopped in order.
    pub fn kill_server(&mut self, length: Duration) {
        if !self.plan.commits {
            return self.stop_server(length);
        }
        self.remote = match std::mem::replace(&mut self.remote, Remote::Changing) {
            Remote::Up(process) => {
                self.net.reset_all(self.now);
                process.kill();
                Remote::Down(self.now + length, SavedSessions::default())
            }
            other => other,
        };
    }

    /// Fills the bus with events.
    pub fn flood_events(&self, events: usize) {
        if let Remote::Up(process) = &self.remote {
            for n in 0..events {
                process.server.publish(EventKind::Note { id: None, text: n.to_string() });
            }
        }
    }

    /// Lets the application close a board's link.
    pub fn close_link(&self, board: usize) {
        if let Remote::Up(process) = &self.remote
            && let Some(link) = process.server.link(&self.boards[board].id)
        {
            link.close();
        }
    }

    pub fn invite(&mut self, manner: Manner, pace: Duration, length: Duration) {
        let guest = Guest::new(manner, pace, self.now + length, &self.net, self.now);
        self.guests.push(guest);
    }

    /// Something goes wrong with a board.
    pub fn inject(&mut self, board: usize, fault: Fault) {
        self.boards[board].inject(fault, &self.net, self.now);
    }

    /// Ends all faults and all writing, and lets time pass until everything has arrived, or `limit` and 2 s for each line that
    /// waits are over. Returns the time that it took.
    pub async fn settle(&mut self, limit: Duration) -> Option<Duration> {
        {
            let mut inner = self.stage.lock();
            inner.writes = false;
            inner.commit = 20_000;
            inner.deaf_until = Instant::ZERO;
            inner.stalled_until = Instant::ZERO;
        }
        self.net.speed_up();
        for board in &mut self.boards {
            board.pair.stop_program();
            board.pair.set_reads(true);
        }
        let began = self.now;
        // Each line that waits may take its time.
        let limit = limit + Duration::from_secs(2).times(self.totals().missing);
        while self.totals().missing > 0 || !matches!(self.remote, Remote::Up(_)) {
            if self.now.since(began) >= limit {
                return None;
            }
            self.run(Duration::from_millis(250)).await;
        }
        Some(self.now.since(began))
    }

    /// Shows how everything stands.
    pub fn standing(&self) -> String {
        let mut text = match &self.remote {
            Remote::Up(process) => format!("{:#?}\n", process.server.links()),
            Remote::Stopping(..) => "the server is being stopped\n".to_owned(),
            Remote::Down(..) | Remote::Changing => "the server is down\n".to_owned(),
        };
        for board in &self.boards {
            let (accounts, down) = (board.accounts(), board.pair.down());
            let (outward, inward) = (accounts.outward.totals(), accounts.inward.totals());
            text += &format!("board {}: down {down:?}, {outward:?}, {inward:?}\n", board.id);
        }
        text
    }

    /// Returns the connections that the server has, and the bytes of lines that wait in it.
    pub fn load(&self) -> (usize, usize) {
        match &self.remote {
            Remote::Up(process) => (process.server.connections(), process.server.queued_bytes()),
            _ => (0, 0),
        }
    }
}

/// Returns the address that a connection comes from.
fn address(number: usize) -> std::net::SocketAddr {
    ([10, 0, 0, 1 + (number % 250) as u8], 1024 + (number % 60_000) as u16).into()
}
