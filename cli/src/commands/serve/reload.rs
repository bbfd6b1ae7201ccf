//! SIGHUP: `pblink.toml` is read once more, and what can change while the server runs does.

use std::net::SocketAddr;
use std::sync::Arc;

use pblink_secure_suite::keys::ServerKeys;
use pblink_serve::consumers::Entities;
use pblink_serve::control::Source;
use pblink_serve::hub::Hub;
use pblink_server::{EventKind, Keys};

use super::{Args, keys, reach};
use crate::exit::{Exit, Failed};
use crate::keys::Store;
use crate::output::diagnostics::{self, error, note, say, warning};
use crate::output::events;
use crate::settings::{DEFAULT_FILE, KEYS, Settings};

/// Keys of `[server]` that take effect at once, and one that does not concern the server.
const AT_ONCE: [&str; 3] = ["server.clients", "server.log", "server.host"];

/// The settings with which the server runs.
pub(super) struct Running<'a> {
    args: &'a Args,
    settings: Settings,
    /// The settings of keys: those that were read last.
    of_keys: Settings,
    hub: Arc<Hub>,
    /// The file of keys was there.
    has_keys: bool,
    /// Keys that boards are being given over their links.
    given: Vec<ServerKeys>,
    /// Those of the broker, if there is one.
    entities: Option<Entities>,
}

impl<'a> Running<'a> {
    /// `loaded`: the keys with which the server was started.
    pub(super) fn new(
        args: &'a Args,
        settings: Settings,
        hub: Arc<Hub>,
        loaded: keys::Loaded,
        entities: Option<Entities>,
    ) -> Self {
        hub.tell_keys(&loaded.told);
        let (of_keys, has_keys, given) = (settings.clone(), loaded.file, loaded.given);
        Self { args, settings, of_keys, hub, has_keys, given, entities }
    }

    /// Reads the file once more. A file with a fault changes nothing.
    pub(super) fn reload(&mut self) {
        if let Err(why) = self.try_reload() {
            error(format_args!("{why:#}"));
            note("nothing has changed: the server goes on as before");
        }
    }

    /// Reads the keys of boards once more. A file with a fault changes nothing.
    pub(super) fn reload_keys(&mut self) {
        let loaded = self.load_keys(&self.of_keys);
        if let Err(why) = loaded.and_then(|mut loaded| self.set_keys(&mut loaded)) {
            error(format_args!("{why:#}"));
            note("no keys have changed: the server goes on with those that it has");
        }
    }

    /// Reads the keys of boards; nothing has changed then.
    fn load_keys(&self, settings: &Settings) -> anyhow::Result<keys::Loaded> {
        let loaded = keys::load(settings)?;
        // A file that is gone takes nobody's keys away: that is done by revoking them.
        if self.has_keys && !loaded.file {
            let what = format!(
                "{} is gone, and the server would refuse the boards in it: bring it back, or a backup of it",
                Store::of(None, settings).path().display()
            );
            return Err(Failed::with(Exit::Config, what));
        }
        Ok(loaded)
    }

    /// Notes in the file which boards have proven the keys that they were given over their links. That the file has changed is
    /// seen as any other change of it is, and what follows follows then.
    pub(super) fn note_proven(&mut self) {
        let server = self.hub.server();
        let proven =
            |keys: &ServerKeys| server.proven_keys(keys.id.as_str()) == Some(keys.generation);
        for keys in self.given.extract_if(.., |keys| proven(keys)) {
            let id = events::id(keys.id.as_str());
            match keys::note_proven(&self.of_keys, &keys) {
                Ok(()) => {
                    let text = format!("has its new key, generation {}", keys.generation);
                    say(format_args!("{id} {text}"));
                    let id = Some(keys.id.as_str().to_owned());
                    self.hub.record(EventKind::Note { id, text });
                }
                Err(why) => {
                    warning(format_args!(
                        "{id} has its new key, and that cannot be noted: {why:#}; it is served with the old one and the new \
                         one until `pblink keys rotate {id} --finish` notes it"
                    ));
                }
            }
        }
    }

    fn set_keys(&mut self, loaded: &mut keys::Loaded) -> anyhow::Result<()> {
        // Without keys now, where some were wanted before.
        let open = || self.of_keys.keys_path().map(|_| Keys::new().others_classic(true));
        if let Some(keys) = loaded.keys.take().or_else(open) {
            self.hub.server().set_keys(keys)?;
            self.given = std::mem::take(&mut loaded.given);
            say("the keys of boards were read again");
        }
        self.hub.tell_keys(&loaded.told);
        self.has_keys = loaded.file;
        Ok(())
    }

    fn try_reload(&mut self) -> anyhow::Result<()> {
        let named = self.args.config.as_deref().or(self.settings.file());
        let new = Settings::load(named)?;
        let Some(file) = new.file().map(|file| file.display().to_string()) else {
            note(format_args!("there is no {DEFAULT_FILE} that could be read again"));
            return Ok(());
        };
        let (was, _) = reach::choose(self.args, &self.settings);
        let (wanted, clients) = reach::choose(self.args, &new);
        let listens: Option<SocketAddr> = self.hub.info().listen.parse().ok();
        let here = listens.is_some_and(|address| address.ip().is_loopback());
        if wanted.local_because.is_some() && !here {
            let what = format!(
                "{file}: `server.clients` is empty, and the server can be reached from other machines: anybody could \
                 connect; list clients, or start it again"
            );
            return Err(Failed::with(Exit::Config, what));
        }
        let mut loaded = self.load_keys(&new)?;
        let anybody = self.args.any_client || clients.is_empty();
        self.hub.set_expected(clients, anybody)?;
        let expects = match (clients.len(), anybody) {
            (0, _) => "any client may connect".to_owned(),
            (1, false) => "1 client is expected".to_owned(),
            (1, true) => "1 client is expected, others may connect".to_owned(),
            (n, false) => format!("{n} clients are expected"),
            (n, true) => format!("{n} clients are expected, others may connect"),
        };
        diagnostics::set_level(new.server.log);
        self.set_keys(&mut loaded)?;
        keys::warn(&new, &loaded, keys::Clients { expected: clients, anybody, reachable: !here });
        if self.entities.as_ref().is_some_and(|all| all.set(new.entities.clone())) {
            say("the entities were read again");
        }
        let fixed = self.fixed(&new);
        if !fixed.is_empty() {
            let (is, them) = if fixed.len() == 1 { ("is", "it") } else { ("are", "them") };
            let fixed = fixed.join(", ");
            warning(format_args!(
                "{file}: {fixed} {is} not what the server was started with, and cannot change while it runs: start it \
                 again to use {them}"
            ));
        } else if wanted.address.ip() != was.address.ip() {
            warning(format_args!(
                "{file}: clients are listed now, but the server was started for this machine only: start it again to \
                 let others connect"
            ));
        }
        let text = format!("{file} was read again: {expects}");
        say(&text);
        self.hub.record(EventKind::Note { id: None, text });
        // Everything else stays as the server was started.
        if self.settings.file().is_some() {
            self.settings.server.clients.clone_from(&new.server.clients);
        }
        self.of_keys = new;
        Ok(())
    }

    /// Returns the settings by which the keys of boards are read.
    pub(super) fn of_keys(&self) -> &Settings {
        &self.of_keys
    }

    /// Returns the keys that have another value than the one with which the server runs, and keep that.
    fn fixed(&self, new: &Settings) -> Vec<String> {
        let of_server =
            |path: &str| ["server.", "control.", "mqtt."].iter().any(|of| path.starts_with(of));
        let fixed = KEYS.iter().filter(|key| of_server(key.path) && !AT_ONCE.contains(&key.path));
        let changed = fixed.filter(|key| {
            key.get(&self.settings) != key.get(new) && !overridden(self.args, key.path)
        });
        let mut names: Vec<_> = changed.map(|key| format!("`{}`", key.path)).collect();
        if self.settings.consumers != new.consumers && !overridden(self.args, "server.app") {
            names.push("`[[consumer]]`".to_owned());
        }
        names
    }
}

/// Returns true if a flag decides, whatever the key says.
fn overridden(args: &Args, key: &str) -> bool {
    match key {
        "server.listen" | "server.port" => args.listen.is_some(),
        "server.timeout_ms" => args.timeout_ms.is_some(),
        "server.app" => {
            args.app.is_some() || args.program.exec.is_some() || args.program.exec_all.is_some()
        }
        "server.control" => args.control.is_some(),
        "server.state" => args.state.is_some(),
        "control.token_file" => args.token_file.is_some(),
        "mqtt.url" => args.mqtt.is_some(),
        _ => false,
    }
}
