//! Reports to the service manager that has started the server, if one has.

use std::sync::Arc;

use pblink_serve::control::Source;
use pblink_serve::hub::Hub;
use pblink_serve::log::Log;
use pblink_serve::service::Manager;
use pblink_server::LinkState;
use tokio::time::{Interval, MissedTickBehavior, interval};

/// The reports.
///
/// A sign of life comes from the loop that obeys signals, and asks server and log for their state: if one of them hangs, none
/// comes, and the manager starts the server anew. A disk that is full or slow is no reason for that: lines wait then.
pub(super) struct Reporter {
    manager: Manager,
    times: Option<Interval>,
    hub: Arc<Hub>,
    log: Log,
}

impl Reporter {
    /// Takes the manager that the environment names.
    pub(super) fn of_this_process(hub: Arc<Hub>, log: Log) -> Self {
        let manager = Manager::of_this_process();
        let times = manager.every().map(|every| {
            let mut times = interval(every);
            times.set_missed_tick_behavior(MissedTickBehavior::Delay);
            times
        });
        Self { manager, times, hub, log }
    }

    /// Waits until it is time for [`alive`](Self::alive). Dropping the future loses nothing.
    pub(super) async fn time_to_report(&mut self) {
        match &mut self.times {
            Some(times) => drop(times.tick().await),
            None => std::future::pending().await,
        }
    }

    /// Reports that boards can connect.
    pub(super) fn ready(&mut self) {
        self.manager.ready(self.status());
    }

    /// Reports that the server lives.
    pub(super) fn alive(&mut self) {
        self.manager.alive(self.status());
    }

    /// Reports that pblink.toml is being read again.
    pub(super) fn reloading(&mut self) {
        self.manager.reloading();
    }

    /// Reports that the server is about to end.
    pub(super) fn stopping(&mut self) {
        self.manager.stopping();
    }

    /// Returns the line that `systemctl status` shows.
    fn status(&self) -> String {
        // Thousands of links are not copied for nobody.
        if self.times.is_none() {
            return String::new();
        }
        let links = self.hub.links();
        let up = links.iter().filter(|link| link.state == LinkState::Up).count();
        let boards = if links.len() == 1 { "board" } else { "boards" };
        let lines = match self.log.status().waiting {
            0 => String::new(),
            1 => ", 1 line to boards waits".to_owned(),
            n => format!(", {n} lines to boards wait"),
        };
        format!("{up} of {} {boards} connected{lines}", links.len())
    }
}
