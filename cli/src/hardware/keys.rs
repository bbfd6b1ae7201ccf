//! Keys on an STM32.

use pblink_flash::Progress;
use pblink_flash::stm32::{Target, append_keys, read_keys};
use pblink_image::keys::{Fields, Keys};
use pblink_secure_suite::issue::Issued;
use pblink_secure_suite::keys::{Id, PublicKey, Secret, ServerKeys};
use pblink_secure_suite::server::public_key;
use zeroize::Zeroizing;

use super::error::failed;
use crate::exit::{Exit, Failed};
use crate::keys::{Held, Holder, Store};
use crate::settings::Settings;

/// A board on a cable, as one that gets keys.
pub(crate) struct OnCable<'a> {
    pub(crate) target: &'a mut dyn Target,
    pub(crate) progress: &'a mut dyn Progress,
}

impl Holder for OnCable<'_> {
    fn held(&mut self) -> anyhow::Result<Option<Held>> {
        Ok(held(&read_keys(self.target).map_err(failed)?))
    }

    fn put(&mut self, issued: &Issued) -> anyhow::Result<()> {
        let board = &issued.board;
        let fields = Fields {
            id: board.id.as_str(),
            generation: board.generation,
            private: board.private.expose(),
            server: &board.server.0,
            shared: board.shared.expose(),
            seed: issued.seed.expose(),
            // Whoever holds the cable knows which keys are meant.
            confirmed: true,
        };
        let record = fields.write().map_err(|why| Failed::with(Exit::Usage, why.to_string()))?;
        let record = Zeroizing::new(record);
        append_keys(self.target, &record, self.progress).map(drop).map_err(failed)
    }
}

/// Returns the keys that count in a sector.
fn held(sector: &[u8]) -> Option<Held> {
    let record = Keys::read(sector).record()?;
    let private = Secret::new(*record.private());
    let half = ServerKeys {
        id: Id::new(record.id()).ok()?,
        generation: record.generation(),
        private: Secret::new([0; 32]),
        board: public_key(&private),
        shared: Secret::new(*record.shared()),
    };
    Some(Held { half, server: PublicKey(*record.server()) })
}

/// The keys that a board has, as they may be seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BoardKey {
    pub(crate) id: String,
    pub(crate) generation: u32,
    pub(crate) public: PublicKey,
    /// The server that the board takes for its own.
    pub(crate) server: PublicKey,
}

impl BoardKey {
    /// Reads the keys of a board. `None`: it has none.
    pub(crate) fn read(target: &mut dyn Target) -> pblink_flash::Result<Option<Self>> {
        let held = held(&read_keys(target)?);
        Ok(held.map(|Held { half, server }| Self {
            id: half.id.as_str().to_owned(),
            generation: half.generation,
            public: half.board,
            server,
        }))
    }

    /// Returns what of it may be seen, for programs.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id,
            "generation": self.generation,
            "fingerprint": self.public.fingerprint().to_string(),
            "server": self.server.fingerprint().to_string(),
        })
    }
}

/// Fingerprint, generation, id and server of a board's keys.
impl std::fmt::Display for BoardKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (own, server) = (self.public.fingerprint(), self.server.fingerprint());
        write!(f, "{own}, generation {} of {:?}, for the server {server}", self.generation, self.id)
    }
}

/// Returns the difference between a board's keys and what `pblink.toml` and the server's file say of its id, in a sentence.
///
/// # Errors
/// The server's file cannot be read.
pub(crate) fn difference(
    board: Option<&BoardKey>,
    settings: &Settings,
    named: Option<&std::path::Path>,
) -> anyhow::Result<Option<String>> {
    let id = settings.board.id.as_str();
    if !settings.is_keyed(id) {
        return Ok(
            board.map(|key| format!("keys: the file gives {id:?} none, the board has {key}"))
        );
    }
    let Some(key) = board else { return Ok(Some("keys: the board has none".to_owned())) };
    if key.id != id {
        return Ok(Some(format!("keys: the file has the id {id:?}, the board {key}")));
    }
    let store = Store::of(named, settings);
    let file = store.path().display();
    let none = || Some(format!("keys: {file} has none of {id:?}, the board {key}"));
    let Some(keys) = store.read()? else { return Ok(none()) };
    let server = keys.server_public();
    if key.server != server {
        let server = server.fingerprint();
        return Ok(Some(format!("keys: {file} is of the server {server}, the board has {key}")));
    }
    let Some(known) = keys.of(id) else { return Ok(none()) };
    let halves = [&known.current, &known.next];
    let same = halves.into_iter().flatten().any(|half| half.public == key.public);
    let has = known.current.map_or("others".to_owned(), |half| half.fingerprint().to_string());
    Ok((!same).then(|| format!("keys: {file} has {has}, the board {key}")))
}
