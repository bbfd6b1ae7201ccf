//! Servers that share a log: one leads, and the others stand by.

#[cfg(feature = "nats")]
pub(super) use with::{Held, Lead, Place, stand_by};
#[cfg(not(feature = "nats"))]
pub(super) use without::{Held, Place, stand_by};

use pblink_serve::service::Sockets;

/// The log of a server that leads.
#[cfg(feature = "nats")]
pub(super) type Led = Box<Lead>;
/// There is none in this build.
#[cfg(not(feature = "nats"))]
pub(super) type Led = std::convert::Infallible;

/// The outcome of standing by.
#[cfg_attr(
    not(feature = "nats"),
    expect(dead_code, reason = "a build without stores has one outcome")
)]
pub(super) enum Outcome {
    /// The log is this server's own. It has these sockets from the service manager.
    Alone(Sockets),
    /// This server leads, with these sockets.
    Leads(Led, Place, Sockets),
    /// The user has asked for the end.
    Asked,
}

#[cfg(feature = "nats")]
mod with {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use pblink_serve::control::ControlServer;
    use pblink_serve::gateways::{Door, Entrance, OpenEntrance};
    use pblink_serve::hub::Hub;
    use pblink_serve::log::store::{Fellows, Way};
    use pblink_serve::log::store::{Leader, Replaced, Standing, Store, StoreError, StoreOptions};
    use pblink_serve::service::{Manager, Sockets};
    use pblink_server::Server;
    use tokio::sync::watch;
    use tokio::time::{MissedTickBehavior, interval, sleep};

    use super::super::ports::Ports;
    use super::super::{Args, keys, place, reach};
    use super::Outcome;
    use crate::exit::{Exit, Failed};
    use crate::output::diagnostics::{newline, note, say, warning};
    use crate::settings::Settings;
    use crate::signals::{Signal, Signals, Terminal};
    use crate::store;

    /// Pause before a store that cannot be reached is tried again.
    const AGAIN: Duration = Duration::from_secs(1);

    /// The log of a server that leads.
    pub(in crate::commands::serve) struct Lead {
        pub(in crate::commands::serve) leader: Leader,
        /// The folder of the copy.
        pub(in crate::commands::serve) folder: PathBuf,
    }

    /// What a server that leads has beside its log.
    pub(in crate::commands::serve) struct Place {
        /// What learns that another server leads.
        pub(in crate::commands::serve) replaced: Replaced,
        fellows: Fellows,
        entrance: Option<Entrance>,
    }

    impl Place {
        /// Lets connections in that others pass on, until the answer is dropped.
        pub(in crate::commands::serve) fn open(
            &mut self,
            hub: &Hub,
            control: Option<&ControlServer>,
        ) -> Option<OpenEntrance> {
            hub.share_with(self.fellows.clone());
            let entrance = self.entrance.take()?;
            let visitors = control.map(ControlServer::visitors);
            Some(entrance.open(Server::clone(&hub.server()), visitors, self.fellows.clone()))
        }
    }

    /// Ports of this process, over all times in which it leads.
    pub(in crate::commands::serve) struct Held {
        /// Those that the service manager has opened, until they are taken.
        pub(in crate::commands::serve) given: Sockets,
        ports: Option<Ports>,
        /// It has led before, and waits for a store that cannot be reached.
        pub(in crate::commands::serve) again: bool,
    }

    impl Held {
        /// Returns those with which the process begins.
        pub(in crate::commands::serve) fn new(given: Sockets) -> Self {
            Self { given, ports: None, again: false }
        }
    }

    /// Stands by until this server leads, if it shares its log with others.
    ///
    /// # Errors
    /// The store cannot be used, or the folder of the copy.
    pub(in crate::commands::serve) async fn stand_by(
        args: &Args,
        settings: &Settings,
        held: &mut Held,
        (signals, terminal): (&mut Signals, Terminal),
    ) -> anyhow::Result<Outcome> {
        let Some(options) = store::options(settings, args.store.as_deref())? else {
            return Ok(Outcome::Alone(std::mem::take(&mut held.given)));
        };
        if held.ports.is_none() {
            held.ports = Ports::open(args, settings, &mut held.given)?;
        }
        if held.given.boards.is_some() || held.given.control.is_some() {
            let what = "a server that passes no connections on opens its ports when it leads: take the .socket unit away, or \
                        \"off\" out of store.address";
            return Err(Failed::with(Exit::Usage, what));
        }
        let port = reach::choose(args, settings).0.address.port();
        let folder = place::folder(args, settings, port)?.ok_or_else(|| {
            let what = "each server that shares a log has a copy of it: name a folder for it with --state DIR";
            Failed::with(Exit::Usage, what)
        })?;
        let name = store::gateway(settings, args.gateway.as_deref(), port);
        let mut manager = Manager::of_this_process();
        let way = watch::Sender::default();
        let mut doors = Vec::new();
        if let Some(ports) = &held.ports {
            doors = ports.pass_on((args, settings), (&name, &folder), &way.subscribe())?;
        }
        let connecting = async {
            let store = match held.again {
                true => connect(&options, &name).await?,
                false => store::connect(&options, &name).await?,
            };
            say(format_args!("gateway {name}: the copy of the log is in {}", folder.display()));
            anyhow::Ok(store)
        };
        let store = tokio::select! {
            store = connecting => store?,
            // A manager that was told of this server once counts on its signs of life.
            () = alive(&mut manager) => return Ok(Outcome::Asked),
            () = asked(signals, terminal) => return Ok(Outcome::Asked),
        };
        manager.ready("standing by".to_owned());
        let fellows = store.fellows();
        let leader = tokio::select! {
            leader = lead(&store, &folder, name) => leader?,
            () = show_way(&store, &way) => return Ok(Outcome::Asked),
            () = tell_keys(&fellows, settings) => return Ok(Outcome::Asked),
            () = alive(&mut manager) => return Ok(Outcome::Asked),
            () = asked(signals, terminal) => return Ok(Outcome::Asked),
        };
        for door in doors {
            Door::close(door).await;
        }
        let (mut sockets, mut entrance) = (Sockets::default(), None);
        if let Some(ports) = &held.ports {
            sockets = ports.sockets()?;
            entrance = Some(ports.entrance(&store, &leader)?);
        }
        let place = Place { replaced: leader.replaced(), fellows: leader.fellows(), entrance };
        Ok(Outcome::Leads(Box::new(Lead { leader, folder }), place, sockets))
    }

    /// Shows the way to the gateway that leads to those who wait at the doors, for ever.
    async fn show_way(store: &Store, shown: &watch::Sender<Option<Way>>) {
        let mut way = store.way();
        loop {
            shown.send_replace(way.borrow_and_update().clone());
            if way.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Tells the other gateways which keys of boards this one would serve with, for ever. A mistake in their file shows now,
    /// and not when this gateway leads.
    async fn tell_keys(fellows: &Fellows, settings: &Settings) {
        let mut watched = keys::Watched::new(settings);
        loop {
            match keys::load(settings) {
                Ok(loaded) => fellows.tell_keys(loaded.told),
                Err(why) => warning(format_args!("{why:#}; this gateway cannot lead like that")),
            }
            while !watched.look().await {}
        }
    }

    /// Connects to a store, as soon as it can be reached.
    async fn connect(options: &StoreOptions, name: &str) -> anyhow::Result<Store> {
        let mut is_told = false;
        loop {
            match Store::connect(options, name).await {
                Err(why @ StoreError::Unreachable { .. }) => {
                    if !std::mem::replace(&mut is_told, true) {
                        warning(format_args!("{why}; trying again"));
                    }
                    sleep(AGAIN).await;
                }
                other => return other.map_err(|error| store::failed(&error)),
            }
        }
    }

    async fn lead(store: &Store, folder: &Path, name: String) -> anyhow::Result<Leader> {
        let report = move |standing| match standing {
            Standing::Reading(messages) => {
                say(format_args!("reading {messages} messages of the store"));
            }
            Standing::Following(other) => say(format_args!("standing by: gateway {other} leads")),
            Standing::Waiting => note("no gateway leads: this one offers itself"),
            Standing::Deaf(why) => warning(format_args!("{why}; trying again")),
            Standing::Leading => say(format_args!("gateway {name} leads")),
        };
        store.stand_by(folder, report).await.map_err(|error| store::failed(&error))
    }

    /// Tells the service manager that this server lives, for ever.
    async fn alive(manager: &mut Manager) {
        let Some(every) = manager.every() else { return std::future::pending().await };
        let mut times = interval(every);
        times.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            times.tick().await;
            manager.alive("standing by".to_owned());
        }
    }

    /// Waits for a signal that asks for the end.
    async fn asked(signals: &mut Signals, terminal: Terminal) {
        loop {
            match signals.next().await {
                Signal::HangUp if !terminal.is_gone() => {
                    note("pblink.toml is read anew when this gateway leads");
                }
                Signal::Interrupt => return newline(),
                Signal::HangUp | Signal::Terminate => return,
            }
        }
    }
}

#[cfg(not(feature = "nats"))]
mod without {
    use pblink_serve::control::ControlServer;
    use pblink_serve::hub::Hub;
    use pblink_serve::service::Sockets;

    use super::super::Args;
    use super::Outcome;
    use crate::exit::{Exit, Failed};
    use crate::settings::Settings;
    use crate::signals::{Signals, Terminal};

    /// There is none in this build.
    pub(in crate::commands::serve) enum Place {}

    impl Place {
        pub(in crate::commands::serve) fn open(
            &mut self,
            _: &Hub,
            _: Option<&ControlServer>,
        ) -> Box<Self> {
            match *self {}
        }
    }

    /// Ports of this process.
    pub(in crate::commands::serve) struct Held {
        /// Those that the service manager has opened, until they are taken.
        pub(in crate::commands::serve) given: Sockets,
        /// A server has run before.
        pub(in crate::commands::serve) again: bool,
    }

    impl Held {
        pub(in crate::commands::serve) fn new(given: Sockets) -> Self {
            Self { given, again: false }
        }
    }

    pub(in crate::commands::serve) async fn stand_by(
        args: &Args,
        settings: &Settings,
        held: &mut Held,
        _signals: (&mut Signals, Terminal),
    ) -> anyhow::Result<Outcome> {
        match args.store.as_deref().unwrap_or(&settings.store.url) {
            "" | "off" => Ok(Outcome::Alone(std::mem::take(&mut held.given))),
            _ => {
                let what = "this pblink was built without the feature `nats`, and cannot share a log with other servers";
                Err(Failed::with(Exit::Config, what))
            }
        }
    }
}
