//! New keys for a board.
//!
//! First the server's file gets them, beside those that the board has; then the board; then they are the only ones in the
//! file. The server answers to both meanwhile. So it may be interrupted anywhere: the board has keys that the server knows,
//! or doing it again mends it.

use pblink_secure_suite::Fingerprint;
use pblink_secure_suite::issue::{Issued, issue};
use pblink_secure_suite::keys::{Id, PublicKey, ServerKeys};
use pblink_secure_suite::random::Os;

use super::store::Store;
use crate::exit::{Exit, Failed};

/// The keys that a board has.
#[derive(Debug)]
pub(crate) struct Held {
    /// The half that its server should know. Its private key of the server is not known.
    pub(crate) half: ServerKeys,
    /// The public key of the server that it takes for its own.
    pub(crate) server: PublicKey,
}

/// A board, or what stands for one.
pub(crate) trait Holder {
    /// Returns the keys that it has.
    ///
    /// # Errors
    /// It cannot be read.
    fn held(&mut self) -> anyhow::Result<Option<Held>>;

    /// Puts keys onto it, in place of those that it has, and reads them back.
    ///
    /// # Errors
    /// It cannot be written. It may have either keys then.
    fn put(&mut self, issued: &Issued) -> anyhow::Result<()>;
}

/// The user's wish.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wish {
    /// Another board may have had this id, and gives it up.
    pub(crate) replace: bool,
    /// Keys that are right are exchanged, too.
    pub(crate) renew: bool,
}

/// The keys that a board has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Given {
    /// The board's key.
    pub(crate) fingerprint: Fingerprint,
    /// Its generation.
    pub(crate) generation: u32,
    /// False: it had them already.
    pub(crate) new: bool,
}

/// Gives a board keys for an id, unless it has the right ones.
///
/// # Errors
/// [`Exit::Config`] if the id has keys that this board does not have, or was revoked, and is not to be replaced; those of
/// the file and of the board.
pub(crate) fn give(
    store: &Store,
    id: &Id,
    board: &mut dyn Holder,
    wish: Wish,
) -> anyhow::Result<Given> {
    let held = board.held()?;
    let here = held.as_ref().filter(|held| held.half.id == *id);
    if let Some(held) = here.filter(|_| !wish.renew)
        && store.path().symlink_metadata().is_ok()
        && store
            .change(|keys| Ok(held.server == keys.server_public() && keys.settle(&held.half)))?
    {
        return Ok(Given {
            fingerprint: held.half.board.fingerprint(),
            generation: held.half.generation,
            new: false,
        });
    }
    let issued = store.change(|keys| {
        if !wish.replace {
            let known = here.is_some_and(|held| keys.knows(&held.half));
            refuse_second(store, keys.of(id.as_str()), known)?;
        }
        let generation = keys.next_generation(id, here.map(|held| held.half.generation));
        let issued = issue(id, generation, keys.server(), &mut Os);
        keys.prepare(&issued);
        Ok(issued)
    })?;
    board.put(&issued)?;
    store.change(|keys| match keys.settle(&issued.server) {
        true => Ok(()),
        false => Err(Failed::with(
            Exit::Failure,
            format!(
                "another process has changed the keys of {:?} meanwhile: do it again, one at a time",
                id.as_str()
            ),
        )),
    })?;
    let fingerprint = issued.server.board.fingerprint();
    Ok(Given { fingerprint, generation: issued.server.generation, new: true })
}

/// Makes the next keys of an id, and puts them onto `board`. Those before them stay good until the rotation is ended.
///
/// # Errors
/// Those of the file and of the board.
pub(crate) fn prepare(store: &Store, id: &Id, board: &mut dyn Holder) -> anyhow::Result<Given> {
    let issued = store.change(|keys| {
        let issued = issue(id, keys.next_generation(id, None), keys.server(), &mut Os);
        keys.prepare(&issued);
        Ok(issued)
    })?;
    board.put(&issued)?;
    let fingerprint = issued.server.board.fingerprint();
    Ok(Given { fingerprint, generation: issued.server.generation, new: true })
}

/// Refuses keys for an id whose keys another board has. `known`: this board has them.
fn refuse_second(store: &Store, of_id: Option<super::Known>, known: bool) -> anyhow::Result<()> {
    let Some(of_id) = of_id else { return Ok(()) };
    let id = &of_id.id;
    let file = store.path().display();
    let why = match (&of_id.current, &of_id.revoked) {
        (_, Some((_, at))) => format!("the id {id:?} was revoked at {at}"),
        (Some(current), _) if !known => format!(
            "another board has the keys of {id:?} ({}, by {file}), or this one has lost them",
            current.fingerprint()
        ),
        _ => return Ok(()),
    };
    let hint = "give this board an id of its own, or add --replace: what has the old keys is locked out then";
    Err(Failed::with(Exit::Config, format!("{why}\n  {hint}")))
}
