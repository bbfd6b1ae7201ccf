//! Servers that share a log: one leads, and the others stand by.

#[cfg(feature = "nats")]
pub(super) use with::{Lead, stand_by};
#[cfg(not(feature = "nats"))]
pub(super) use without::stand_by;

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
    /// The log is this server's own.
    Alone,
    /// This server leads.
    Leads(Led),
    /// The user has asked for the end.
    Asked,
}

#[cfg(feature = "nats")]
mod with {
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use pblink_serve::log::store::{Leader, Replaced, Standing, Store, StoreError, StoreOptions};
    use pblink_serve::service::Manager;
    use tokio::time::{MissedTickBehavior, interval, sleep};

    use super::super::{Args, place, reach};
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

    impl Lead {
        /// Returns what learns that another server leads.
        pub(in crate::commands::serve) fn replaced(&self) -> Replaced {
            self.leader.replaced()
        }
    }

    /// Stands by until this server leads, if it shares its log with others. `again`: it has led before, and waits for a store that
    /// cannot be reached.
    ///
    /// # Errors
    /// The store cannot be used, or the folder of the copy.
    pub(in crate::commands::serve) async fn stand_by(
        args: &Args,
        settings: &Settings,
        (has_sockets, again): (bool, bool),
        (signals, terminal): (&mut Signals, Terminal),
    ) -> anyhow::Result<Outcome> {
        let Some(options) = store::options(settings, args.store.as_deref())? else {
            return Ok(Outcome::Alone);
        };
        if has_sockets {
            let what = "a server that shares its log opens its port when it leads: take the .socket unit away";
            return Err(Failed::with(Exit::Usage, what));
        }
        let port = reach::choose(args, settings).0.address.port();
        let folder = place::folder(args, settings, port)?.ok_or_else(|| {
            let what = "each server that shares a log has a copy of it: name a folder for it with --state DIR";
            Failed::with(Exit::Usage, what)
        })?;
        let name = store::gateway(settings, args.gateway.as_deref(), port);
        let mut manager = Manager::of_this_process();
        let connecting = async {
            let store = match again {
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
        let leader = tokio::select! {
            leader = lead(&store, &folder, name) => leader?,
            () = alive(&mut manager) => return Ok(Outcome::Asked),
            () = asked(signals, terminal) => return Ok(Outcome::Asked),
        };
        Ok(Outcome::Leads(Box::new(Lead { leader, folder })))
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
    use super::super::Args;
    use super::Outcome;
    use crate::exit::{Exit, Failed};
    use crate::settings::Settings;
    use crate::signals::{Signals, Terminal};

    pub(in crate::commands::serve) async fn stand_by(
        args: &Args,
        settings: &Settings,
        _how: (bool, bool),
        _signals: (&mut Signals, Terminal),
    ) -> anyhow::Result<Outcome> {
        match args.store.as_deref().unwrap_or(&settings.store.url) {
            "" | "off" => Ok(Outcome::Alone),
            _ => {
                let what = "this pblink was built without the feature `nats`, and cannot share a log with other servers";
                Err(Failed::with(Exit::Config, what))
            }
        }
    }
}
